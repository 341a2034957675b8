//! The client's side of a connection: its bytes in, request bodies taken apart, its deadlines.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::answer::Reason;
use super::buffer::{Buffer, LARGE, SMALL};
use super::core::Proxy;
use super::source::Source;
use super::transport::Transport;
use crate::h1::{Body, Chunked, Step};
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// How long a closing connection reads on, and how long it waits for more (nginx: `lingering_time`,
/// `lingering_timeout`): a connection that is closed with something unread is reset, and the reset may overtake the answer.
const LINGER_TIME: Duration = Duration::from_secs(30);
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// One client's connection.
pub(super) struct Client {
    pub(super) transport: Transport,
    /// What was read and not used: the body under way, the next request.
    pub(super) buffer: Buffer,
    body: Reading,
    /// How much at the front of the buffer is the request's body.
    ready: usize,
    /// How many bytes the body may still have.
    allowed: u64,
    /// The client waits for `100 Continue`.
    owes_continue: bool,
    /// Interim responses on their way.
    interim: Vec<u8>,
    proxy: Arc<Proxy>,
}

/// How the body under way is read.
enum Reading {
    Length(u64),
    Chunked(Box<Chunked>),
    Done,
    /// Nobody can tell what the bytes that come are.
    Lost,
}

impl Client {
    pub(super) fn new(transport: Transport, proxy: Arc<Proxy>) -> Self {
        Self {
            transport,
            buffer: Buffer::default(),
            body: Reading::Done,
            ready: 0,
            allowed: 0,
            owes_continue: false,
            interim: Vec::new(),
            proxy,
        }
    }

    /// A request begins, whose body comes next.
    pub(super) fn begin(&mut self, body: Body, expects_continue: bool) {
        self.body = match body {
            Body::Length(0) | Body::None | Body::UntilClose => Reading::Done,
            Body::Length(length) => Reading::Length(length),
            Body::Chunked => Reading::Chunked(Box::new(Chunked::new())),
        };
        self.allowed = self.proxy.config.limits.body_bytes;
        self.owes_continue = expects_continue;
    }

    /// What the client sends from now on is not understood.
    pub(super) fn lose_track(&mut self) {
        self.body = Reading::Lost;
    }

    /// Whether the request has been read to its end.
    pub(super) fn has_whole_request(&self) -> bool {
        match &self.body {
            Reading::Done => self.ready == 0,
            Reading::Chunked(chunked) => chunked.has_ended() && self.ready == 0,
            Reading::Length(_) | Reading::Lost => false,
        }
    }

    /// Reads more into the buffer, which grows up to 64 KiB; gives 0 at the end of the connection.
    ///
    /// Nothing is read while the buffer is full.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() == 0 {
            ready!(self.transport.poll_readable(cx))?;
            self.proxy.lend(&mut self.buffer, SMALL);
        } else if self.buffer.room().is_empty() {
            if self.buffer.capacity() == LARGE {
                return Poll::Pending;
            }
            self.proxy.lend(&mut self.buffer, LARGE);
        }
        let read = self.transport.poll_read(cx, self.buffer.room());
        match read {
            Poll::Ready(Ok(length)) => self.buffer.fill(length),
            Poll::Pending if self.buffer.is_empty() => self.proxy.take_back(std::mem::take(&mut self.buffer)),
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
        read
    }

    /// Writes all of `bytes`, unless the client takes none of them for too long.
    pub(super) async fn write_all(&mut self, timer: &mut LazyTimer, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        let mut since = clock::now();
        while written < bytes.len() {
            written += poll_fn(|cx| {
                let polled = Pin::new(&mut self.transport).poll_write(cx, &bytes[written..]);
                let deadline = since + self.proxy.config.timeouts.client_send;
                if polled.is_pending() && timer.poll(cx, Some(deadline)).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                polled
            })
            .await?;
            since = clock::now();
        }
        poll_fn(|cx| Pin::new(&mut self.transport).poll_flush(cx)).await
    }

    /// Closes the connection so that the client can read what it was sent last.
    pub(super) async fn close(mut self) {
        let unread = !self.has_whole_request() || !self.buffer.is_empty() || self.transport.is_disturbed();
        let shut = poll_fn(|cx| Pin::new(&mut self.transport).poll_shutdown(cx)).await;
        if shut.is_err() || !unread {
            return;
        }
        let mut timer = LazyTimer::new(LINGER_TIMEOUT);
        let until = clock::now() + LINGER_TIME;
        let mut quiet_until = clock::now() + LINGER_TIMEOUT;
        loop {
            let length = self.buffer.len();
            self.buffer.consume(length);
            let read = poll_fn(|cx| {
                let polled = self.poll_more(cx);
                if polled.is_pending() && timer.poll(cx, Some(until.min(quiet_until))).is_ready() {
                    return Poll::Ready(Ok(0));
                }
                polled
            });
            match read.await {
                Ok(1..) if clock::now() < until => quiet_until = clock::now() + LINGER_TIMEOUT,
                _ => return,
            }
        }
    }

    /// Sends what is to be sent before the response.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.interim))?;
            self.interim.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// What of an interim response has not been sent, and must be before anything else is.
    pub(super) fn take_interim(&mut self) -> Vec<u8> {
        self.owes_continue = false;
        std::mem::take(&mut self.interim)
    }

    /// Finds the body in what has been read: `Some(true)` if there is some, `Some(false)` if it has ended.
    fn decode(&mut self) -> Result<Option<bool>, Reason> {
        match &mut self.body {
            Reading::Done => return Ok(Some(false)),
            Reading::Lost => return Err(Reason::BadBody),
            Reading::Length(left) => {
                self.ready = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(self.buffer.len());
                *left -= self.ready as u64;
                if *left == 0 {
                    self.body = Reading::Done;
                }
            }
            Reading::Chunked(chunked) => {
                match chunked.step(self.buffer.data()).map_err(|_| Reason::BadBody)? {
                    Step::Data { skip, length } => {
                        self.buffer.consume(skip);
                        self.ready = length;
                    }
                    Step::More { skip } => self.buffer.consume(skip),
                    Step::End { skip } => {
                        self.buffer.consume(skip);
                        return Ok(Some(false));
                    }
                }
                self.allowed = self
                    .allowed
                    .checked_sub(self.ready as u64)
                    // A chunk that is too large needn't come to be refused.
                    .filter(|allowed| *allowed >= chunked.announced())
                    .ok_or(Reason::BodyTooLarge)?;
            }
        }
        Ok((self.ready > 0).then_some(true))
    }
}

impl Source for Client {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Reason>> {
        if self.ready > 0 {
            return Poll::Ready(Ok(true));
        }
        if self.owes_continue && self.buffer.is_empty() {
            self.interim.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.owes_continue = false;
        loop {
            match self.decode() {
                Ok(None) => {}
                Ok(Some(more)) => return Poll::Ready(Ok(more)),
                Err(reason) => return Poll::Ready(Err(reason)),
            }
            if matches!(self.poll_interim(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(Err(Reason::ClientGone));
            }
            match ready!(self.poll_more(cx)) {
                Ok(1..) => {}
                Ok(0) => return Poll::Ready(Err(Reason::BadBody)),
                Err(_) => return Poll::Ready(Err(Reason::ClientGone)),
            }
        }
    }

    fn data(&self) -> &[u8] {
        &self.buffer.data()[..self.ready]
    }

    fn consume(&mut self, length: usize) {
        self.ready -= length;
        self.buffer.consume(length);
    }

    fn trailers(&self) -> &[u8] {
        match &self.body {
            Reading::Chunked(chunked) => chunked.trailers(),
            Reading::Length(_) | Reading::Done | Reading::Lost => &[],
        }
    }

    fn inform(&mut self, head: &[u8]) {
        self.interim.extend_from_slice(head);
    }

    /// What the client sends meanwhile is its next request; the end of its stream is the end of its interest.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.poll_interim(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        loop {
            match ready!(self.poll_more(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}
