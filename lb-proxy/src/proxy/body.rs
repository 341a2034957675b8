//! The body of a response on its way to whoever serves it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::exchange::Failure;
use super::lease::Lease;
use super::source::Source;
use crate::runtime::timer::LazyTimer;

/// The body of a [`ProxyService`](super::ProxyService)'s response: the backend's, streamed as the client takes it,
/// or a line of the proxy's own.
///
/// While it lives, the backend's connection is in use; dropped before its end, it closes that connection.
#[must_use = "dropping a body gives up the response"]
pub struct ResponseBody(Kind);

enum Kind {
    Empty,
    Text(Bytes),
    Upstream(Box<Stream>),
}

/// A backend's body, and the rest of the request that it answers.
pub(super) struct Stream {
    pub(super) lease: Lease,
    pub(super) source: Box<dyn Source>,
    pub(super) timer: LazyTimer,
    /// What is left of it, if its length is known.
    pub(super) left: Option<u64>,
}

/// The backend broke off its response, or fell silent in the middle of it.
///
/// What the client has then is incomplete, and whoever serves it must make that visible by closing its connection.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off its response")]
pub struct ResponseError(#[source] Failure);

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(super) fn text(text: Bytes) -> Self {
        Self(Kind::Text(text))
    }

    pub(super) fn upstream(stream: Stream) -> Self {
        Self(Kind::Upstream(Box::new(stream)))
    }

    fn end(&mut self) -> Option<Box<Stream>> {
        match std::mem::replace(&mut self.0, Kind::Empty) {
            Kind::Upstream(stream) => Some(stream),
            Kind::Empty | Kind::Text(_) => None,
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        let polled = self.lease.poll_body(cx, &mut *self.source);
        if polled.is_pending() && self.timer.poll(cx, Some(self.lease.deadline())).is_ready() {
            return Poll::Ready(Err(self.lease.exchange.timed_out()));
        }
        if !ready!(polled)? {
            return Poll::Ready(Ok(None));
        }
        let data = Bytes::copy_from_slice(self.lease.exchange.data());
        self.lease.exchange.consume(data.len());
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Ok(Some(data)))
    }

    fn trailers(&self) -> Option<HeaderMap> {
        let lines = self.lease.exchange.trailers();
        if lines.is_empty() {
            return None;
        }
        let mut fields = [httparse::EMPTY_HEADER; crate::h1::MAX_FIELDS];
        let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(lines, &mut fields) else {
            return None;
        };
        let passing = fields.iter().filter(|field| crate::h1::may_trail(field.name));
        let fields = passing.filter_map(|field| {
            let name = http::HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            Some((name, http::HeaderValue::from_bytes(field.value).ok()?))
        });
        Some(fields.collect())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let this = self.get_mut();
        match &mut this.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Text(text) => {
                let text = std::mem::take(text);
                this.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(text))))
            }
            Kind::Upstream(stream) => match ready!(stream.poll(cx)) {
                Ok(Some(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {
                    let trailers = stream.trailers();
                    if let Some(stream) = this.end() {
                        stream.lease.complete();
                    }
                    Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
                }
                Err(failure) => {
                    if let Some(stream) = this.end() {
                        stream.lease.broken(&failure);
                    }
                    Poll::Ready(Some(Err(ResponseError(failure))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Text(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Upstream(stream) => stream.left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Text(_) => "text",
            Kind::Upstream(_) => "upstream",
        };
        f.debug_tuple("ResponseBody").field(&kind).finish()
    }
}
