//! The body of a response on its way to the client.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::lease::Lease;

/// The body of a [`ProxyService`](super::ProxyService)'s response: the backend's, streamed as the client takes it,
/// or a line of the proxy's own.
///
/// While it lives, the backend's connection is in use; dropped before its end, it closes that connection.
#[must_use = "dropping a body gives up the response"]
pub struct ResponseBody(Kind);

enum Kind {
    Empty,
    Text(Bytes),
    Upstream { body: Incoming, lease: Lease },
}

/// The backend broke off its response, or fell silent in the middle of it.
///
/// What the client has then is incomplete, and whoever serves it must make that visible by closing its connection.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off its response")]
pub struct ResponseError(#[source] hyper::Error);

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(super) fn text(text: Bytes) -> Self {
        Self(Kind::Text(text))
    }

    /// Streams `body`, and gives the connection back when it has ended.
    pub(super) fn upstream(body: Incoming, lease: Lease) -> Self {
        if body.is_end_stream() {
            lease.complete();
            return Self(Kind::Empty);
        }
        Self(Kind::Upstream { body, lease })
    }

    fn finish(&mut self, complete: bool) {
        if let Kind::Upstream { body: _, lease } = std::mem::replace(&mut self.0, Kind::Empty) {
            if complete {
                lease.complete();
            } else {
                lease.broken();
            }
        }
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
            Kind::Upstream { body, .. } => match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if body.is_end_stream() {
                        this.finish(true);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
                Some(Err(error)) => {
                    this.finish(false);
                    Poll::Ready(Some(Err(ResponseError(error))))
                }
                None => {
                    this.finish(true);
                    Poll::Ready(None)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Text(_) => false,
            Kind::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Text(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Upstream { body, .. } => body.size_hint(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Text(_) => "text",
            Kind::Upstream { .. } => "upstream",
        };
        f.debug_tuple("ResponseBody").field(&kind).finish()
    }
}
