//! A request body of any HTTP server, as the source of an upload.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::Body;

use super::answer::Reason;
use super::source::Source;

/// A [`Body`] on its way to a backend.
pub(super) struct Incoming<B> {
    body: B,
    data: Bytes,
    /// How many bytes may still come.
    allowed: u64,
    trailers: Vec<u8>,
}

impl<B> Incoming<B> {
    pub(super) fn new(body: B, limit: u64) -> Self {
        Self {
            body,
            data: Bytes::new(),
            allowed: limit,
            trailers: Vec::new(),
        }
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin> Source for Incoming<B> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Reason>> {
        while self.data.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(Ok(false));
            };
            let frame = frame.map_err(|_| Reason::BadBody)?;
            match frame.into_data() {
                Ok(data) => {
                    self.allowed = self
                        .allowed
                        .checked_sub(data.len() as u64)
                        .ok_or(Reason::BodyTooLarge)?;
                    self.data = data;
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers = lines(&trailers);
                    }
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn consume(&mut self, length: usize) {
        self.data.advance(length);
    }

    fn trailers(&self) -> &[u8] {
        &self.trailers
    }
}

/// The fields as lines with an empty one at the end.
fn lines(trailers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        super::request::push_field(&mut lines, name.as_str(), value.as_bytes());
    }
    if !lines.is_empty() {
        lines.extend_from_slice(b"\r\n");
    }
    lines
}
