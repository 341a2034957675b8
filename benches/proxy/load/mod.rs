//! The load: one thread that keeps many connections busy, by `epoll`. It costs little, and next to nothing for a long
//! body: what follows a head is discarded by the kernel, not copied.
//!
//! [`Pace::Closed`] asks again as soon as an answer is there, for cost and rate. [`Pace::Open`] asks at its own times,
//! for latencies: a request that can't be sent in time, since the answers before it are late, counts from when it should
//! have been sent, as its user would.

mod arrivals;
mod connection;
mod transport;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ha_benches::testbed::{Histogram, Result};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustls::ClientConfig;

use arrivals::Arrivals;
use connection::{Connection, Progress, Scratch};

/// How long the answers under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events taken at a time.
const EVENTS: usize = 256;

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as the answer before is there.
    Closed,
    /// So many a second over all connections, at random and whatever the answers do.
    Open(f64),
}

/// What is asked for, and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// TLS instead of TCP alone.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Whether a connection has more than one request.
    pub(crate) keep_alive: bool,
    /// Not counted.
    pub(crate) warm_up: Duration,
    /// Counted.
    pub(crate) window: Duration,
}

/// What came of it, in the window.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<M> {
    /// Answers that were complete.
    pub(crate) answers: u64,
    /// How long the window was.
    pub(crate) elapsed: Duration,
    /// From when a request was due to its answer's end.
    pub(crate) latency: Histogram,
    /// What the meter told at its start and its end.
    pub(crate) meter: [M; 2],
}

impl Load {
    /// Runs it. `meter` is read at both edges of the window.
    ///
    /// # Errors
    /// Whatever else than 200 comes, and what the meter says.
    pub(crate) fn run<M>(&self, meter: impl FnMut() -> Result<M>) -> Result<Outcome<M>> {
        Run::new(self)?.run(meter)
    }
}

struct Run<'a> {
    load: &'a Load,
    epoll: OwnedFd,
    request: Vec<u8>,
    connections: Vec<Connection>,
    scratch: Scratch,
    /// Connections that wait for a request, the one that has waited longest first.
    idle: VecDeque<usize>,
    /// Requests that wait for a connection: when they were due.
    backlog: VecDeque<Instant>,
    /// With an open pace.
    arrivals: Option<Arrivals>,
    /// No request is sent any more.
    closing: bool,
    window: Window,
}

/// What counts: answers that end in it, and latencies of requests that were due in it.
struct Window {
    from: Instant,
    until: Instant,
    answers: u64,
    latency: Histogram,
}

impl<'a> Run<'a> {
    fn new(load: &'a Load) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            connections.push(open(&epoll, load, index)?);
        }
        let now = Instant::now();
        let from = now + load.warm_up;
        Ok(Self {
            load,
            epoll,
            request: format!(
                "GET {} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench/1\r\nAccept: */*\r\n{}\r\n",
                load.path,
                if load.keep_alive {
                    ""
                } else {
                    "Connection: close\r\n"
                }
            )
            .into_bytes(),
            idle: (0..connections.len()).collect(),
            connections,
            scratch: Scratch::new(),
            backlog: VecDeque::new(),
            arrivals: match load.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(Arrivals::new(now, rate)),
            },
            closing: false,
            window: Window {
                from,
                until: from + load.window,
                answers: 0,
                latency: Histogram::new(),
            },
        })
    }

    fn run<M>(mut self, mut meter: impl FnMut() -> Result<M>) -> Result<Outcome<M>> {
        self.go_on(self.window.from)?;
        let before = meter()?;
        // The window begins when the meter is read, not when it should have been.
        self.window.from = Instant::now();
        self.window.until = self.window.from + self.load.window;
        self.window.answers = 0;
        self.go_on(self.window.until)?;
        let answers = self.window.answers;
        let after = meter()?;
        let elapsed = self.window.from.elapsed();
        self.finish()?;
        Ok(Outcome {
            answers,
            elapsed,
            latency: self.window.latency,
            meter: [before, after],
        })
    }

    fn go_on(&mut self, until: Instant) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            self.send_due(now)?;
            let mut wake = until;
            if let Some(arrivals) = &self.arrivals {
                wake = wake.min(arrivals.next());
            }
            self.wait(&mut events, wake.saturating_duration_since(now))?;
        }
    }

    /// Waits for the answers under way.
    fn finish(&mut self) -> Result<()> {
        self.closing = true;
        let mut events = Vec::with_capacity(EVENTS);
        let deadline = Instant::now() + PATIENCE;
        while self.idle.len() < self.connections.len() || !self.backlog.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let missing = self.connections.len() - self.idle.len();
                return Err(format!("{} waits for {missing} answers", self.load.target).into());
            }
            self.wait(&mut events, left)?;
        }
        Ok(())
    }

    /// Sends what is due on what is idle.
    fn send_due(&mut self, now: Instant) -> Result<()> {
        let Some(arrivals) = &mut self.arrivals else {
            while let Some(index) = self.idle.pop_front() {
                self.connections[index].send(&self.request, now)?;
            }
            return Ok(());
        };
        self.backlog.extend(arrivals.take_due(now));
        while !self.backlog.is_empty() {
            let Some(index) = self.idle.pop_front() else {
                break;
            };
            let due = self.backlog.pop_front().unwrap_or(now);
            self.connections[index].send(&self.request, due)?;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<epoll::Event>, timeout: Duration) -> Result<()> {
        let timeout = Timespec::try_from(timeout)?;
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            self.handle_readable(usize::try_from(event.data.u64())?)?;
        }
        Ok(())
    }

    fn handle_readable(&mut self, index: usize) -> Result<()> {
        match self.connections[index].receive(&mut self.scratch)? {
            Progress::Waiting | Progress::Partial => {}
            Progress::Closed => {
                let due = self.connections[index].due();
                self.connections[index] = open(&self.epoll, self.load, index)?;
                // A request that met the end of a kept connection is sent again; its answer is late.
                if let Some(due) = due {
                    self.connections[index].send(&self.request, due)?;
                }
            }
            Progress::Answered { due } => {
                let now = Instant::now();
                self.window.answers += 1;
                if due >= self.window.from && due < self.window.until {
                    self.window.latency.add(now - due);
                }
                if !self.load.keep_alive {
                    self.connections[index] = open(&self.epoll, self.load, index)?;
                }
                let next = match (&self.arrivals, self.closing) {
                    (Some(_), _) => self.backlog.pop_front(),
                    (None, false) => Some(now),
                    (None, true) => None,
                };
                match next {
                    Some(due) => self.connections[index].send(&self.request, due)?,
                    None => self.idle.push_back(index),
                }
            }
        }
        Ok(())
    }
}

fn open(epoll: &OwnedFd, load: &Load, index: usize) -> Result<Connection> {
    let connection = Connection::open(load.target, load.tls.as_ref())?;
    let data = epoll::EventData::new_u64(index as u64);
    epoll::add(epoll, connection.stream(), data, epoll::EventFlags::IN)?;
    Ok(connection)
}
