//! The body of a request, as it comes in DATA frames.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

/// A request's body.
pub(super) struct RequestBody {
    stream: RecvStream,
    /// What the head announced; the frames are held to it.
    length: Option<u64>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn new(stream: RecvStream, length: Option<u64>) -> Self {
        Self {
            stream,
            length,
            ended: false,
        }
    }

    /// Waits for the end of a body that was announced as empty; says whether it is.
    ///
    /// A backend that had been sent the request would have taken it for whole before the first octet too many came.
    pub(super) async fn is_empty(&mut self) -> bool {
        while let Some(data) = poll_fn(|cx| self.stream.poll_data(cx)).await {
            if !data.is_ok_and(|data| data.is_empty()) {
                return false;
            }
        }
        true
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The next piece is asked for when this one is gone, so the window bounds what waits here.
                    let released = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(released.map(|()| Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.ended = true,
            }
        }
        self.stream
            .poll_trailers(cx)
            .map(|trailers| Some(trailers.transpose()?.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
