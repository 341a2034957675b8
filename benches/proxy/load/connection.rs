//! One connection of the load, and the answer that it waits for.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ha_benches::testbed::{Error, Result};
use rustls::ClientConfig;

use super::transport::Transport;

/// How long a connect may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is read of a head at a time.
const HEAD: usize = 16 * 1024;
/// What is discarded of a body at a time.
const DISCARD: usize = 4 * 1024 * 1024;
const OK: &[u8] = b"HTTP/1.1 200 ";

/// Buffers that all connections share.
pub(super) struct Scratch {
    head: Vec<u8>,
    /// Without TLS nothing is written to it.
    discard: Vec<u8>,
    /// The length of the answer before, head and body, if it came in one piece.
    whole: usize,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            head: vec![0; HEAD],
            discard: vec![0; DISCARD],
            whole: 0,
        }
    }
}

pub(super) struct Connection {
    transport: Transport,
    /// When the request under way was due.
    due: Option<Instant>,
    /// A head that is not complete.
    partial: Vec<u8>,
    /// What is missing of the body, once the head is there.
    left: Option<u64>,
}

/// What a readable connection has come to.
pub(super) enum Progress {
    /// All that came is taken.
    Waiting,
    /// There may be more.
    Partial,
    Answered {
        due: Instant,
    },
    /// By the server, between answers.
    Closed,
}

impl Connection {
    pub(super) fn open(target: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            transport: Transport::new(stream, tls)?,
            due: None,
            partial: Vec::new(),
            left: None,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.transport.stream()
    }

    /// When the request under way was due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        self.due = Some(due);
        match self.transport.send(request) {
            // Reading tells the end of the connection.
            Err(error) if is_end(&error) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Takes what has come, up to the end of an answer.
    pub(super) fn receive(&mut self, scratch: &mut Scratch) -> Result<Progress> {
        loop {
            let progress = match self.left {
                None => self.receive_head(scratch)?,
                Some(left) => self.receive_body(scratch, left)?,
            };
            match progress {
                Progress::Partial if self.transport.holds_back() => {}
                other => return Ok(other),
            }
        }
    }

    fn receive_head(&mut self, scratch: &mut Scratch) -> Result<Progress> {
        let got = match self.transport.read(&mut scratch.head) {
            Ok(got) => got,
            Err(error) if is_later(&error) => return Ok(Progress::Waiting),
            Err(error) if is_end(&error) => 0,
            Err(error) => return Err(error.into()),
        };
        if got == 0 && self.partial.is_empty() {
            return Ok(Progress::Closed);
        }
        let bytes = &scratch.head[..got];
        // All answers of a run are alike: a look at the first bytes does.
        if self.partial.is_empty() && got == scratch.whole && bytes.starts_with(OK) {
            return self.finish();
        }
        self.partial.extend_from_slice(bytes);
        let Some(length) = head_length(&self.partial) else {
            return if got == 0 {
                Err(self.broken("ends within its head"))
            } else {
                Ok(Progress::Partial)
            };
        };
        let body = self.body_length(length)?;
        let here = (self.partial.len() - length) as u64;
        match body.checked_sub(here) {
            None => Err(self.broken("is longer than it says")),
            Some(0) => {
                scratch.whole = self.partial.len();
                self.finish()
            }
            left => {
                self.partial.clear();
                self.left = left;
                Ok(Progress::Partial)
            }
        }
    }

    fn receive_body(&mut self, scratch: &mut Scratch, left: u64) -> Result<Progress> {
        let most = DISCARD.min(usize::try_from(left)?);
        let got = match self.transport.discard(&mut scratch.discard[..most]) {
            Ok(0) => return Err(self.broken("ends within its body")),
            Ok(got) => got,
            Err(error) if is_later(&error) => return Ok(Progress::Waiting),
            Err(error) => return Err(error.into()),
        };
        match left - got as u64 {
            0 => self.finish(),
            left => {
                self.left = Some(left);
                Ok(Progress::Partial)
            }
        }
    }

    fn finish(&mut self) -> Result<Progress> {
        self.partial.clear();
        self.left = None;
        let due = self
            .due
            .take()
            .ok_or_else(|| self.broken("comes without a request"))?;
        Ok(Progress::Answered { due })
    }

    fn body_length(&self, head: usize) -> Result<u64> {
        let text = String::from_utf8_lossy(&self.partial[..head]).to_ascii_lowercase();
        if !self.partial.starts_with(OK) {
            return Err(self.broken("is an error"));
        }
        text.lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .ok_or_else(|| self.broken("tells no length"))
    }

    fn broken(&self, how: &str) -> Error {
        let text = String::from_utf8_lossy(&self.partial);
        let from = self.stream().peer_addr().map(|address| address.to_string());
        let from = from.unwrap_or_else(|error: io::Error| error.to_string());
        format!("an answer of {from} {how}:\n{text}").into()
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}
