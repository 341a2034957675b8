//! The socket of a client's connection: its timeouts, and a close that lets the client read the last answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// What a client's connection is doing, which decides how long it may be silent.
#[derive(Debug, Default)]
pub(super) struct ClientState {
    phase: AtomicU8,
    requests: AtomicU32,
    /// Something has been read that no request has accounted for: part of a head, or of a body.
    unread: AtomicBool,
    /// The response broke off in a way that only a reset can show.
    reset: AtomicBool,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BODY: u8 = 2;
const BUSY: u8 = 3;
const TUNNEL: u8 = 4;

impl ClientState {
    /// A request's head has been read; returns how many requests the connection has now carried.
    pub(super) fn request_starts(&self, has_body: bool) -> u32 {
        self.unread.store(has_body, Ordering::Relaxed);
        self.phase
            .store(if has_body { BODY } else { BUSY }, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The request's body has been read to its end.
    pub(super) fn body_complete(&self) {
        self.unread.store(false, Ordering::Relaxed);
        self.leave(BODY, BUSY);
    }

    /// The response is complete, as far as this process is concerned.
    pub(super) fn response_complete(&self) {
        self.leave(BUSY, IDLE);
    }

    /// The connection became a tunnel, whose silence is watched by the tunnel.
    pub(super) fn tunnel(&self) {
        self.phase.store(TUNNEL, Ordering::Relaxed);
    }

    /// The connection must end with a reset, because its end would look like the response's end.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    fn leave(&self, from: u8, to: u8) {
        let _ = self
            .phase
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The limits of one client connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientTimeouts {
    pub(super) header: Duration,
    pub(super) body: Duration,
    pub(super) send: Duration,
    pub(super) keepalive: Duration,
}

impl ClientTimeouts {
    fn shortest(&self) -> Duration {
        let of_linger = LINGER_TIMEOUT.min(LINGER_TIME);
        self.header
            .min(self.body)
            .min(self.send)
            .min(self.keepalive)
            .min(of_linger)
    }
}

/// A client's stream.
///
/// - A head that takes too long is answered 408, a body that stops fails with [`io::ErrorKind::TimedOut`], and an
///   idle connection ends.
/// - Its shutdown *lingers*: it closes the sending side and then discards what the client still sends. Closing at
///   once with unread data would make the kernel reset the connection, and a reset takes the answer that says why
///   (a 4xx, mostly) out of the client's hands before it could read it.
#[derive(Debug)]
pub(super) struct ClientIo {
    stream: TcpStream,
    state: Arc<ClientState>,
    timeouts: ClientTimeouts,
    timer: LazyTimer,
    /// When the connection was made, or last took a byte of a response: since then it is idle, if it is idle.
    active_at: Duration,
    /// The phase that `reading_since` belongs to.
    phase: u8,
    reading_since: Option<Duration>,
    writing_since: Option<Duration>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Duration,
    read_until: Duration,
}

/// nginx's `lingering_time` and `lingering_timeout`.
const LINGER_TIME: Duration = Duration::from_secs(30);
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

const HEAD_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 44\r\n\
    connection: close\r\n\r\n\
    408 Request Timeout: request head timed out\n";

impl ClientIo {
    pub(super) fn new(stream: TcpStream, state: Arc<ClientState>, timeouts: ClientTimeouts) -> Self {
        Self {
            stream,
            state,
            timeouts,
            timer: LazyTimer::new(timeouts.shortest()),
            active_at: clock::now(),
            phase: IDLE,
            reading_since: None,
            writing_since: None,
            linger: None,
        }
    }

    /// Ready once the client has kept the connection waiting for too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let phase = self.state.phase.load(Ordering::Relaxed);
        if self.phase != phase {
            self.phase = phase;
            self.reading_since = None;
        }
        if matches!(phase, HEAD | BODY) && self.reading_since.is_none() {
            self.reading_since = Some(clock::now());
        }
        if self.timer.is_pending() {
            return Poll::Pending;
        }
        let read = match phase {
            IDLE if self.state.requests.load(Ordering::Relaxed) == 0 => {
                Some(self.active_at + self.timeouts.header)
            }
            IDLE => Some(self.active_at + self.timeouts.keepalive),
            HEAD => self.reading_since.map(|since| since + self.timeouts.header),
            BODY => self.reading_since.map(|since| since + self.timeouts.body),
            _ => None,
        };
        let write = self.writing_since.map(|since| since + self.timeouts.send);
        self.timer.poll(cx, read.into_iter().chain(write).min())
    }

    fn received(&mut self) {
        self.state.unread.store(true, Ordering::Relaxed);
        match self.state.phase.load(Ordering::Relaxed) {
            IDLE => {
                self.state.leave(IDLE, HEAD);
                self.reading_since = None;
            }
            // The head has one deadline for all of it, the body one for each read.
            BODY => self.reading_since = None,
            _ => {}
        }
    }

    fn timed_out(&mut self) -> io::Result<()> {
        match self.state.phase.load(Ordering::Relaxed) {
            _ if self.writing_since.is_some() => Err(io::ErrorKind::TimedOut.into()),
            IDLE => Ok(()),
            HEAD => {
                // Best effort: the socket's buffer is empty, so this doesn't block, and the client gets a word.
                let _ = self.stream.try_write(HEAD_TIMEOUT);
                Err(io::ErrorKind::TimedOut.into())
            }
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.writing_since = None;
            self.active_at = clock::now();
            // hyper need not read again before the next request, and then nobody would look at the time.
            let _ = self.timer.poll(cx, None);
            return result;
        }
        self.writing_since.get_or_insert_with(clock::now);
        self.poll_deadline(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut discard = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut discard);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
            let now = clock::now();
            let linger = self.linger.get_or_insert_with(|| Linger {
                until: now + LINGER_TIME,
                read_until: now + LINGER_TIMEOUT,
            });
            match read {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && now < linger.until => {
                    linger.read_until = now + LINGER_TIMEOUT;
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let deadline = linger.until.min(linger.read_until);
                    return self.timer.poll(cx, Some(deadline)).map(Ok);
                }
            }
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            if buf.filled().len() > before {
                this.received();
            }
            return Poll::Ready(result);
        }
        ready!(this.poll_deadline(cx));
        Poll::Ready(this.timed_out())
    }
}

impl AsyncWrite for ClientIo {
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
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let is_tunnel = this.state.phase.load(Ordering::Relaxed) == TUNNEL;
        if is_tunnel || !this.state.unread.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(cx)
    }
}

impl Drop for ClientIo {
    fn drop(&mut self) {
        if self.state.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}
