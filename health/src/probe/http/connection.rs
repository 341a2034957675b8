//! A connection to the server, for one run or kept for the next.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use ::http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::body::{Body, Step};
use super::head::Head;
use crate::Failure;
use crate::probe::tcp;

/// How much is read at a time, in bytes: most answers to checks are shorter.
const READ: usize = 2048;

/// A connection, and what has come on it and was not looked at.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        Ok(Self::over(tcp::connect(address).await?))
    }

    fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends a request and reads the head of the answer, passing over informational ones. All of them may be `max_head`
    /// bytes long.
    pub(super) async fn ask(
        &mut self,
        request: &[u8],
        method: &Method,
        max_head: usize,
    ) -> Result<Head, Failure> {
        self.stream
            .write_all(request)
            .await
            .map_err(|_| Failure::Closed)?;
        let mut room = max_head;
        let mut seen = 0;
        loop {
            while let Some(head) = Head::parse(&self.buffer, seen, method)? {
                self.buffer.drain(..head.len);
                // 101 is the answer proper, to a question that was not asked.
                if !head.status.is_informational() || head.status.as_u16() == 101 {
                    return Ok(head);
                }
                (room, seen) = (room.saturating_sub(head.len), 0);
            }
            if self.buffer.len() > room {
                return Err(Failure::NotHttp);
            }
            seen = self.buffer.len();
            if !self.read().await? {
                return Err(Failure::Closed);
            }
        }
    }

    /// Reads the next part of a body, and hands it to `look`; says whether there was one, and not the end.
    pub(super) async fn next(&mut self, body: &mut Body, look: impl FnOnce(&[u8])) -> Result<bool, Failure> {
        loop {
            let done = match body.step(&self.buffer)? {
                Step::Content(range) => {
                    look(&self.buffer[range.clone()]);
                    self.buffer.drain(..range.end);
                    return Ok(true);
                }
                Step::End(done) => {
                    self.buffer.drain(..done);
                    return Ok(false);
                }
                Step::More(done) => done,
            };
            self.buffer.drain(..done);
            if !self.read().await? {
                return if body.ends_with_connection() {
                    Ok(false)
                } else {
                    Err(Failure::Closed)
                };
            }
        }
    }

    /// Reads what has come; says whether the connection goes on.
    async fn read(&mut self) -> Result<bool, Failure> {
        self.buffer.reserve(READ);
        let read = self.stream.read_buf(&mut self.buffer).await;
        read.map(|read| read > 0).map_err(|_| Failure::Closed)
    }

    /// The connection for the next run; none if something came that was not asked for.
    pub(super) fn into_kept(self) -> Option<TcpStream> {
        Some(self.stream).filter(|_| self.buffer.is_empty())
    }
}

/// The connection that is kept between two runs.
#[derive(Default)]
pub(super) struct Idle(Mutex<Option<TcpStream>>);

impl Idle {
    /// Takes it, unless the server is known to have closed it.
    pub(super) fn take(&self) -> Option<Connection> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // Nothing should be there to read; what is would be the end, or nobody's answer.
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(Connection::over(stream)),
            _ => None,
        }
    }

    pub(super) fn put(&self, stream: TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }
}

/// Each probe keeps a connection of its own.
impl Clone for Idle {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
