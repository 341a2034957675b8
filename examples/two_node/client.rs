//! The client: asks for `/weight` again and again, and keeps what came of it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use vrrp_net::lab::Host;

use super::topology::service;

/// Time between two requests. Each has a connection of its own, as a new visitor has.
const EVERY: Duration = Duration::from_millis(4);
/// A request that takes longer counts as failed. Shorter than the kernel's first retransmission of a SYN (1 s), so that
/// a request that met an outage does not hide its end.
const PATIENCE: Duration = Duration::from_millis(400);
/// Requests under way at once; what would exceed it is left out.
const MAX_PENDING: usize = 256;
/// More is no answer of ours.
const MAX_ANSWER: u64 = 4096;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    Reset,
    TimedOut,
    Status(u16),
    Other(io::ErrorKind),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Reset => f.write_str("reset"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Self::Reset
            }
            // A blocking socket whose time is up says WouldBlock.
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            kind => Self::Other(kind),
        }
    }
}

/// One request: when it began and ended, and the port of the web server that answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) result: Result<u16, Failure>,
}

/// A client that asks until it is dropped.
pub(crate) struct Client {
    samples: Arc<Mutex<Vec<Sample>>>,
    _stop: oneshot::Sender<()>,
}

impl Client {
    pub(crate) fn start(host: &Host) -> io::Result<Self> {
        let samples = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let sink = Arc::clone(&samples);
        host.spawn_thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(ask_on(sink, stopped));
            }
        })?;
        Ok(Self { samples, _stop: stop })
    }

    /// What the client saw from `since` on.
    pub(crate) fn seen_since(&self, since: Instant) -> Seen {
        Seen::new(&lock(&self.samples), since)
    }
}

/// What the client saw in a span of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Longest time between two answers, the last one before the span included.
    pub(crate) longest_gap: Duration,
    pub(crate) answered: usize,
    /// Requests that failed: when they began, and why.
    pub(crate) failed: Vec<(Instant, Failure)>,
    /// Ports of the web servers that answered, in the order of the answers.
    pub(crate) ports: Vec<u16>,
}

impl Seen {
    /// `samples` are in the order in which they ended.
    fn new(samples: &[Sample], since: Instant) -> Self {
        let mut seen = Self::default();
        let mut last_answer = None;
        for sample in samples {
            let within = sample.ended >= since;
            match sample.result {
                Ok(port) => {
                    if within {
                        let gap = sample.ended - last_answer.unwrap_or(since);
                        seen.longest_gap = seen.longest_gap.max(gap);
                        seen.answered += 1;
                        seen.ports.push(port);
                    }
                    last_answer = Some(sample.ended);
                }
                Err(failure) if within => seen.failed.push((sample.began, failure)),
                Err(_) => {}
            }
        }
        seen
    }

    /// The failures by kind, for people: `12 refused, 3 timed out`.
    pub(crate) fn failures(&self) -> String {
        let mut kinds: Vec<(Failure, usize)> = Vec::new();
        for (_, failure) in &self.failed {
            match kinds.iter_mut().find(|(kind, _)| kind == failure) {
                Some((_, count)) => *count += 1,
                None => kinds.push((*failure, 1)),
            }
        }
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        if kinds.is_empty() {
            "none".into()
        } else {
            kinds.join(", ")
        }
    }
}

async fn ask_on(samples: Arc<Mutex<Vec<Sample>>>, mut stopped: oneshot::Receiver<()>) {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut pending = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            _ = beat.tick(), if pending.len() < MAX_PENDING => {
                pending.spawn(sample());
            }
            Some(Ok(sample)) = pending.join_next() => lock(&samples).push(sample),
        }
    }
}

async fn sample() -> Sample {
    let began = Instant::now();
    let result = tokio::time::timeout(PATIENCE, ask_once())
        .await
        .unwrap_or(Err(Failure::TimedOut));
    Sample {
        began,
        ended: Instant::now(),
        result,
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask_once() -> Result<u16, Failure> {
    let mut stream = TcpStream::connect(service()).await?;
    stream
        .write_all(b"GET /weight HTTP/1.1\r\nHost: 192.168.192.130\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    parse(&answer)
}

fn parse(answer: &str) -> Result<u16, Failure> {
    let status: u16 = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or(Failure::Reset)?;
    if status != 200 {
        return Err(Failure::Status(status));
    }
    // A body that ends early is a connection that broke.
    let port = answer
        .split_once("<h1>port:")
        .and_then(|(_, rest)| rest.split_once("</h1>"));
    port.and_then(|(port, _)| port.parse().ok()).ok_or(Failure::Reset)
}

/// A connection that stays open from one request to the next, as a browser's does.
pub(crate) struct KeptAlive {
    stream: net::TcpStream,
}

impl KeptAlive {
    /// Opens a connection on which an answer may take so long.
    pub(crate) fn open(host: &Host, patience: Duration) -> Result<Self, Failure> {
        let stream = host.run(|| net::TcpStream::connect_timeout(&service(), patience))?;
        stream.set_read_timeout(Some(patience))?;
        let mut kept = Self { stream };
        kept.ask()?;
        Ok(kept)
    }

    /// One more request; fails when the connection does.
    pub(crate) fn ask(&mut self) -> Result<u16, Failure> {
        self.stream
            .write_all(b"GET /weight HTTP/1.1\r\nHost: 192.168.192.130\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut piece = [0; 512];
        while !answer.ends_with(b"</h1>\n") {
            match self.stream.read(&mut piece)? {
                1.. if answer.len() as u64 > MAX_ANSWER => return Err(Failure::Reset),
                0 => return Err(Failure::Reset),
                len => answer.extend_from_slice(&piece[..len]),
            }
        }
        parse(&String::from_utf8_lossy(&answer))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
