//! The request body on its way to a backend: streamed, counted against the limit, and replayable while it is small.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::attempts::is_timeout;
use super::upstream_io::UpstreamState;

/// Any error of a body that this proxy didn't make.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the client's side of the body has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Progress {
    /// There is more to come.
    Open = 0,
    /// It has been read to its end.
    Complete = 1,
    /// The client broke it off, or its chunks are malformed.
    Broken = 2,
    /// The client fell silent.
    TimedOut = 3,
    /// It is longer than the limit.
    TooLarge = 4,
}

/// One request's body, shared by the request's future and whichever upstream connection is sending it.
///
/// What has been sent is kept as long as it fits the replay buffer, so that a second backend can be sent the same:
/// never more than that is held, and sending the first time never waits for the buffer.
pub(super) struct Upload<B: ?Sized = dyn Body<Data = Bytes, Error = BoxError> + Send + Unpin> {
    progress: AtomicU8,
    /// The length that the client announced.
    length: Option<u64>,
    source: Mutex<Source<B>>,
}

struct Source<B: ?Sized> {
    /// How many bytes have come, and how many may still come.
    consumed: u64,
    allowed: u64,
    /// `None` once something has been sent that wasn't kept.
    replay: Option<Replay>,
    body: B,
}

struct Replay {
    chunks: Vec<Bytes>,
    room: usize,
}

impl Upload {
    /// Wraps `body`, which may have `limit` bytes and of which up to `replay` are kept.
    pub(super) fn new<B>(body: B, limit: u64, replay: usize) -> Arc<Self>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let length = body.size_hint().exact();
        Arc::new(Upload {
            progress: AtomicU8::new(Progress::Open as u8),
            length,
            source: Mutex::new(Source {
                consumed: 0,
                allowed: limit,
                replay: (replay > 0).then(|| Replay {
                    chunks: Vec::new(),
                    room: replay,
                }),
                body: IntoBoxError(body),
            }),
        })
    }

    pub(super) fn progress(&self) -> Progress {
        match self.progress.load(Ordering::Acquire) {
            0 => Progress::Open,
            1 => Progress::Complete,
            2 => Progress::Broken,
            3 => Progress::TimedOut,
            _ => Progress::TooLarge,
        }
    }

    /// Whether the body can be sent from its start: everything read so far has been kept.
    pub(super) fn can_replay(&self) -> bool {
        matches!(self.progress(), Progress::Open | Progress::Complete)
            && self
                .source
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .replay
                .is_some()
    }

    fn set(&self, progress: Progress) {
        self.progress.store(progress as u8, Ordering::Release);
    }
}

/// The body of an upstream request: nothing, or one pass over an [`Upload`].
#[derive(Default)]
pub(super) struct RequestBody(Option<Pass>);

struct Pass {
    upload: Arc<Upload>,
    connection: Arc<UpstreamState>,
    next: usize,
    delivered: u64,
    ended: bool,
}

impl RequestBody {
    pub(super) fn empty() -> Self {
        Self(None)
    }

    /// Starts over at the first byte; `connection` is told when the last has been handed on.
    pub(super) fn pass(upload: Arc<Upload>, connection: Arc<UpstreamState>) -> Self {
        Self(Some(Pass {
            upload,
            connection,
            next: 0,
            delivered: 0,
            ended: false,
        }))
    }
}

impl Pass {
    fn end(&mut self) {
        self.ended = true;
        self.connection.request_sent();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        let upload = Arc::clone(&self.upload);
        let mut source = upload.source.lock().unwrap_or_else(PoisonError::into_inner);
        let source = &mut *source;
        if let Some(kept) = source
            .replay
            .as_ref()
            .and_then(|replay| replay.chunks.get(self.next))
        {
            self.next += 1;
            return self.deliver(
                kept.clone(),
                upload.progress() == Progress::Complete && self.is_last(source),
            );
        }
        if self.delivered != source.consumed {
            // Something went out on another pass and wasn't kept. Nobody starts a pass then; a body with a hole
            // would be the worst that could happen if somebody did.
            return Poll::Ready(Some(Err(UploadError)));
        }
        loop {
            if upload.progress() == Progress::Complete {
                self.end();
                return Poll::Ready(None);
            }
            match std::task::ready!(Pin::new(&mut source.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // RFC 9110 §6.5.1: trailers may be dropped; a request's are, since no backend asked for them.
                    let Ok(data) = frame.into_data() else { continue };
                    let Some(allowed) = source.allowed.checked_sub(data.len() as u64) else {
                        upload.set(Progress::TooLarge);
                        return Poll::Ready(Some(Err(UploadError)));
                    };
                    source.allowed = allowed;
                    source.consumed += data.len() as u64;
                    self.keep(source, &data);
                    if source.body.is_end_stream() {
                        upload.set(Progress::Complete);
                    }
                    return self.deliver(data, upload.progress() == Progress::Complete);
                }
                Some(Err(error)) => {
                    upload.set(if is_timeout(&*error) {
                        Progress::TimedOut
                    } else {
                        Progress::Broken
                    });
                    return Poll::Ready(Some(Err(UploadError)));
                }
                None => upload.set(Progress::Complete),
            }
        }
    }

    fn is_last(&self, source: &Source<dyn Body<Data = Bytes, Error = BoxError> + Send + Unpin>) -> bool {
        source
            .replay
            .as_ref()
            .is_none_or(|replay| replay.chunks.len() == self.next)
    }

    fn deliver(&mut self, data: Bytes, last: bool) -> Poll<Option<Result<Bytes, UploadError>>> {
        self.delivered += data.len() as u64;
        if last {
            self.end();
        }
        Poll::Ready(Some(Ok(data)))
    }

    fn keep(
        &mut self,
        source: &mut Source<dyn Body<Data = Bytes, Error = BoxError> + Send + Unpin>,
        data: &Bytes,
    ) {
        let Some(replay) = &mut source.replay else { return };
        match replay.room.checked_sub(data.len()) {
            Some(room) => {
                replay.room = room;
                replay.chunks.push(data.clone());
                self.next += 1;
            }
            None => source.replay = None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match &mut self.get_mut().0 {
            Some(pass) if !pass.ended => pass.poll(cx).map(|data| data.map(|data| data.map(Frame::data))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|pass| pass.ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(pass) => match pass.upload.length {
                Some(length) => SizeHint::with_exact(length.saturating_sub(pass.delivered)),
                None => SizeHint::new(),
            },
        }
    }
}

/// The body can't go on; [`Upload::progress`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the client's request body can't be sent on")]
pub(super) struct UploadError;

struct IntoBoxError<B>(B);

impl<B> Body for IntoBoxError<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0)
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("empty", &self.0.is_none())
            .finish_non_exhaustive()
    }
}
