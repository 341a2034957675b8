//! One connection of the load, and the answer that it waits for.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ha_benches::testbed::Result;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

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
    /// The kernel writes nothing to it.
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
    stream: TcpStream,
    /// When the request under way was due.
    due: Option<Instant>,
    /// A head that is not complete.
    partial: Vec<u8>,
    /// What is missing of the body, once the head is there.
    left: Option<u64>,
}

/// What a readable connection has come to.
pub(super) enum Progress {
    Waiting,
    Answered {
        due: Instant,
    },
    /// By the server, between answers.
    Closed,
}

impl Connection {
    pub(super) fn open(target: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: None,
            partial: Vec::new(),
            left: None,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// When the request under way was due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        self.due = Some(due);
        match send(&self.stream, request, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == request.len() => Ok(()),
            // Reading tells the end of the connection.
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Ok(sent) => Err(format!("{sent} bytes of a request were taken at once").into()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn receive(&mut self, scratch: &mut Scratch) -> Result<Progress> {
        match self.left {
            None => self.receive_head(scratch),
            Some(left) => self.receive_body(scratch, left),
        }
    }

    fn receive_head(&mut self, scratch: &mut Scratch) -> Result<Progress> {
        let got = match recv(&self.stream, &mut scratch.head[..], RecvFlags::empty()) {
            Ok((_, got)) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Progress::Waiting),
            Err(Errno::CONNRESET | Errno::PIPE) => 0,
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
                Ok(Progress::Waiting)
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
                Ok(Progress::Waiting)
            }
        }
    }

    fn receive_body(&mut self, scratch: &mut Scratch, left: u64) -> Result<Progress> {
        let most = DISCARD.min(usize::try_from(left)?);
        let got = match recv(&self.stream, &mut scratch.discard[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Err(self.broken("ends within its body")),
            Ok((_, got)) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Progress::Waiting),
            Err(error) => return Err(error.into()),
        };
        match left - got as u64 {
            0 => self.finish(),
            left => {
                self.left = Some(left);
                Ok(Progress::Waiting)
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

    fn broken(&self, how: &str) -> ha_benches::testbed::Error {
        let text = String::from_utf8_lossy(&self.partial);
        let from = self.stream.peer_addr().map(|address| address.to_string());
        let from = from.unwrap_or_else(|error: io::Error| error.to_string());
        format!("an answer of {from} {how}:\n{text}").into()
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}
