//! The socket of an upstream connection, with its read, send and idle timeouts.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// What an upstream connection is doing, which decides what it may wait for, and how long.
#[derive(Debug)]
pub(super) struct UpstreamState {
    phase: AtomicU8,
    requests: AtomicU32,
    /// When it became idle, in ns of [`clock::now`].
    idle_since: AtomicU64,
}

const IDLE: u8 = 0;
const SENDING: u8 = 1;
const WAITING: u8 = 2;
const TUNNEL: u8 = 3;

impl UpstreamState {
    /// A connection that has just been made.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            phase: AtomicU8::new(IDLE),
            requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(as_nanos(now)),
        }
    }

    /// A request is about to be sent, with or without a body. Without one only the backend is waited for.
    pub(super) fn request_starts(&self, has_body: bool) {
        self.phase
            .store(if has_body { SENDING } else { WAITING }, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many requests it has carried.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The last byte of the request's body has been handed to the connection.
    pub(super) fn request_sent(&self) {
        // A response may have ended before the request did; the phase is then no longer `SENDING`.
        let _ = self
            .phase
            .compare_exchange(SENDING, WAITING, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The connection goes back to its pool.
    pub(super) fn idle(&self, now: Duration) {
        self.idle_since.store(as_nanos(now), Ordering::Relaxed);
        self.phase.store(IDLE, Ordering::Relaxed);
    }

    /// The connection became a tunnel, whose silence is watched by the tunnel.
    pub(super) fn tunnel(&self) {
        self.phase.store(TUNNEL, Ordering::Relaxed);
    }

    /// Returns how long it has been idle.
    pub(super) fn idle_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_nanos(self.idle_since.load(Ordering::Relaxed)))
    }
}

fn as_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The limits of one upstream connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpstreamTimeouts {
    pub(super) read: Duration,
    pub(super) send: Duration,
    pub(super) idle: Duration,
}

/// A stream to a backend that fails with [`io::ErrorKind::TimedOut`] when the backend keeps it waiting, and ends
/// when it has been idle for too long.
#[derive(Debug)]
pub(super) struct UpstreamIo {
    stream: TcpStream,
    state: Arc<UpstreamState>,
    timeouts: UpstreamTimeouts,
    timer: LazyTimer,
    /// The number of the request that `reading_since` belongs to.
    request: u32,
    reading_since: Option<Duration>,
    writing_since: Option<Duration>,
}

impl UpstreamIo {
    pub(super) fn new(stream: TcpStream, state: Arc<UpstreamState>, timeouts: UpstreamTimeouts) -> Self {
        Self {
            stream,
            state,
            timeouts,
            timer: LazyTimer::new(timeouts.read.min(timeouts.send).min(timeouts.idle)),
            request: 0,
            reading_since: None,
            writing_since: None,
        }
    }

    /// Ready once the backend has kept the connection waiting for too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let request = self.state.requests();
        if self.request != request {
            self.request = request;
            self.reading_since = None;
        }
        let phase = self.state.phase.load(Ordering::Relaxed);
        if phase == WAITING && self.reading_since.is_none() {
            self.reading_since = Some(clock::now());
        }
        if self.timer.is_pending() {
            return Poll::Pending;
        }
        let write = self.writing_since.map(|since| since + self.timeouts.send);
        let read = match phase {
            IDLE => {
                Some(Duration::from_nanos(self.state.idle_since.load(Ordering::Relaxed)) + self.timeouts.idle)
            }
            WAITING => self.reading_since.map(|since| since + self.timeouts.read),
            // While the client's body is still coming, how long that takes is limited on the client's side.
            _ => None,
        };
        self.timer.poll(cx, read.into_iter().chain(write).min())
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.writing_since = None;
            self.reading_since = None;
            // Nobody polls the read side again before the backend answers, so its deadline is set here.
            let _ = self.poll_deadline(cx);
            return result;
        }
        self.writing_since.get_or_insert_with(clock::now);
        self.poll_deadline(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            this.reading_since = None;
            return Poll::Ready(result);
        }
        match this.poll_deadline(cx) {
            // An idle connection that ends without a byte is closed in silence.
            Poll::Ready(()) if this.state.phase.load(Ordering::Relaxed) == IDLE => Poll::Ready(Ok(())),
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // A TCP stream buffers nothing in this process.
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
