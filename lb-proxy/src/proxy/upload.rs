//! The request body on its way to a backend: streamed, and replayable while it is small.

use std::task::{Context, Poll, ready};

use super::answer::Reason;
use super::source::Source;
use crate::h1::Body;

/// How a request's body is passed on, over all the backends that it is sent to.
///
/// What has been handed on is kept as long as it fits the replay buffer, so that a second backend can be sent the same:
/// never more than that is held, and sending the first time never waits for the buffer.
#[derive(Debug)]
pub(super) struct Upload {
    framing: Body,
    /// What was handed on, from the body's beginning.
    kept: Vec<u8>,
    /// How much of it this backend has been handed.
    next: usize,
    /// How much may still be kept; `None` once something was handed on that wasn't.
    room: Option<usize>,
    ended: bool,
    broken: Option<Reason>,
}

impl Upload {
    /// A body of which the first `replay` bytes are kept.
    pub(super) fn new(framing: Body, replay: usize) -> Self {
        Self {
            framing,
            kept: Vec::new(),
            next: 0,
            room: Some(replay),
            ended: framing == Body::Length(0),
            broken: None,
        }
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.framing == Body::Chunked
    }

    /// Whether the client's body has been read to its end.
    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }

    /// Whether the body can be sent from its start: everything read so far has been kept.
    pub(super) fn can_replay(&self) -> bool {
        self.room.is_some() && self.broken.is_none()
    }

    /// Whether the next `length` bytes will be kept.
    pub(super) fn keeps(&self, length: usize) -> bool {
        self.next < self.kept.len() || self.room.is_some_and(|room| room >= length)
    }

    /// From now on nothing is kept for another backend.
    pub(super) fn forget(&mut self) {
        self.room = None;
    }

    /// Begins anew, for another backend.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    /// Waits until [`data`](Self::data) has something (`true`) or this backend has been handed everything.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Poll<Result<bool, Reason>> {
        if self.next < self.kept.len() {
            return Poll::Ready(Ok(true));
        }
        if let Some(reason) = self.broken {
            return Poll::Ready(Err(reason));
        }
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let filled = ready!(source.poll_fill(cx));
        match filled {
            Ok(more) => self.ended = !more,
            Err(reason) => self.broken = Some(reason),
        }
        Poll::Ready(filled)
    }

    /// What this backend is to be handed next.
    pub(super) fn data<'a>(&'a self, source: &'a dyn Source) -> &'a [u8] {
        if self.next < self.kept.len() {
            &self.kept[self.next..]
        } else {
            source.data()
        }
    }

    /// The backend has been handed `length` bytes of [`data`](Self::data).
    pub(super) fn consume(&mut self, length: usize, source: &mut dyn Source) {
        if self.next < self.kept.len() {
            self.next += length;
            return;
        }
        if let Some(room) = self.room {
            match room.checked_sub(length) {
                Some(left) => {
                    self.kept.extend_from_slice(&source.data()[..length]);
                    self.next += length;
                    self.room = Some(left);
                }
                None => self.room = None,
            }
        }
        source.consume(length);
    }
}
