//! Copying both ways between two connections, in one task, until both directions have ended.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffers::Buffer;
use super::counters::Counters;
use super::transport::Transport;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// How often a direction fills its buffer before the other connections of the worker get their turn.
const ROUNDS: usize = 8;

/// How a pair of connections ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("both sides were done")]
    Finished,
    #[error("nothing moved either way for the idle timeout")]
    Idle,
    #[error("the client broke off: {0}")]
    Client(io::Error),
    #[error("the backend broke off: {0}")]
    Backend(io::Error),
}

/// A client and a backend, and what is between them.
pub(super) struct Relay<'a> {
    pub(super) client: Transport,
    pub(super) backend: Transport,
    up: Direction,
    down: Direction,
    idle_timeout: Duration,
    active_at: Duration,
    timer: LazyTimer,
    counters: &'a Counters,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        client: Transport,
        backend: Transport,
        idle_timeout: Duration,
        counters: &'a Counters,
    ) -> Self {
        Self {
            client,
            backend,
            up: Direction::default(),
            down: Direction::default(),
            idle_timeout,
            active_at: clock::now(),
            timer: LazyTimer::new(idle_timeout),
            counters,
        }
    }

    /// Copies until the end.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Bytes that have been passed to the backend, and to the client.
    pub(super) const fn passed(&self) -> (u64, u64) {
        (self.up.passed, self.down.passed)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let before = self.passed();
        // What the backend has said is passed on before a failure to write to it is looked at: a server that answers
        // early and closes with unread data resets the connection, behind its answer.
        let broken = self.up.broken();
        let down = self.down.poll(cx, &mut self.backend, &mut self.client, broken);
        let up = self.up.poll(cx, &mut self.client, &mut self.backend, None);
        let moved = (self.up.passed - before.0, self.down.passed - before.1);
        if moved != (0, 0) {
            self.active_at = clock::now();
            self.counters.moved(moved.0, moved.1);
        }
        match (up, down) {
            (Poll::Ready(Err(Broken::Source(error))), _) | (_, Poll::Ready(Err(Broken::Sink(error)))) => {
                Poll::Ready(End::Client(error))
            }
            // In the second case it had said its last word before it broke.
            (_, Poll::Ready(Err(Broken::Source(error))))
            | (Poll::Ready(Err(Broken::Sink(error))), Poll::Ready(Ok(()))) => {
                Poll::Ready(End::Backend(error))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Finished),
            _ => {
                let deadline = self.active_at + self.idle_timeout;
                self.timer.poll(cx, Some(deadline)).map(|()| End::Idle)
            }
        }
    }
}

/// Which end of a direction broke.
enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

/// One direction. The buffer is there only while it holds bytes that the sink does not take yet.
#[derive(Default)]
struct Direction {
    waiting: Option<Waiting>,
    /// The sink has taken bytes that it may not have sent: TLS has a buffer of its own.
    unflushed: bool,
    source: Source,
    passed: u64,
}

struct Waiting {
    buffer: Buffer,
    start: usize,
    end: usize,
}

#[derive(Default)]
enum Source {
    #[default]
    Open,
    /// It has ended; its end is to be passed on.
    Ended,
    /// Its end has been passed on, or there is nobody to pass anything to.
    Done,
    /// The sink broke: the error is told again each time.
    Broken(io::ErrorKind),
}

impl Direction {
    /// Why the sink takes no more.
    const fn broken(&self) -> Option<io::ErrorKind> {
        match self.source {
            Source::Broken(kind) => Some(kind),
            _ => None,
        }
    }

    /// Ready when the source has ended and the sink knows, or when either is broken; may be called after that.
    ///
    /// `broken` says that a write to the source failed. The kernel tells a reset only once, so what looks like the
    /// source's end is then its reset.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Transport,
        sink: &mut Transport,
        broken: Option<io::ErrorKind>,
    ) -> Poll<Result<(), Broken>> {
        match self.source {
            Source::Done => return Poll::Ready(Ok(())),
            Source::Broken(kind) => return Poll::Ready(Err(Broken::Sink(kind.into()))),
            Source::Open | Source::Ended => {}
        }
        for _ in 0..ROUNDS {
            if let Err(error) = ready!(self.poll_drain(cx, sink)) {
                self.waiting = None;
                self.source = Source::Broken(error.kind());
                return Poll::Ready(Err(Broken::Sink(error)));
            }
            if matches!(self.source, Source::Ended) {
                if let Some(kind) = broken {
                    return Poll::Ready(Err(Broken::Source(kind.into())));
                }
                // A sink that is gone does not need to be told.
                let _ = ready!(Pin::new(&mut *sink).poll_shutdown(cx));
                self.source = Source::Done;
                return Poll::Ready(Ok(()));
            }
            match self.poll_fill(cx, source) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
                Poll::Pending => {
                    if self.unflushed && matches!(Pin::new(&mut *sink).poll_flush(cx), Poll::Ready(Ok(()))) {
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what waits; ready when nothing does.
    fn poll_drain(&mut self, cx: &mut Context<'_>, sink: &mut Transport) -> Poll<io::Result<()>> {
        while let Some(waiting) = &mut self.waiting {
            let bytes = &waiting.buffer[waiting.start..waiting.end];
            match ready!(Pin::new(&mut *sink).poll_write(cx, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    waiting.start += written;
                    self.passed += written as u64;
                    self.unflushed = true;
                }
            }
            if waiting.start == waiting.end {
                self.waiting = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is there, or learns that the source has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>, source: &mut Transport) -> Poll<io::Result<()>> {
        // Goes back at once if there is nothing to read.
        let mut buffer = Buffer::take();
        let mut read = ReadBuf::new(&mut buffer);
        ready!(Pin::new(source).poll_read(cx, &mut read))?;
        match read.filled().len() {
            0 => self.source = Source::Ended,
            end => {
                self.waiting = Some(Waiting {
                    buffer,
                    start: 0,
                    end,
                });
            }
        }
        Poll::Ready(Ok(()))
    }
}
