//! One stream: a request and its response.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use tokio::time::timeout;

use super::body::RequestBody;
use super::story::Story;
use super::wire::Wire;
use crate::forwarded::Hop;
use crate::proxy::body::ResponseBody;
use crate::proxy::core::Proxy;
use crate::proxy::counters::Counters;
use crate::proxy::local::Local;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// What the streams of a connection share.
pub(super) struct Shared {
    pub(super) hop: Hop,
    /// Whether the client has no more connections than it may.
    pub(super) has_permit: bool,
    pub(super) wire: Arc<Wire>,
}

/// Answers one request. When the client resets the stream, everything is given up at once.
pub(super) async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    proxy: Arc<Proxy>,
    shared: Arc<Shared>,
    mut story: Option<Story>,
) {
    let is_head = request.method() == Method::HEAD;
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut request = request.map(|stream| RequestBody::new(stream, length));
    if length == Some(0) && !request.body().is_end_stream() {
        let end = timeout(proxy.config.timeouts.client_body, request.body_mut().is_empty());
        if !end.await.unwrap_or(false) {
            return; // Without an answer, the stream is reset.
        }
    }
    let response = {
        let mut handled = pin!(answer(&proxy, request, &shared));
        poll_fn(|cx| match handled.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        })
        .await
    };
    let Some(mut response) = response else { return };
    if let Some(story) = &mut story {
        story.answered(&mut response);
    }
    let (head, body) = complete(response, is_head, &proxy);
    let ends = body.is_end_stream();
    // Fails if the stream has ended meanwhile.
    let Ok(stream) = respond.send_response(head, ends) else {
        return;
    };
    shared.wire.sent(0);
    if ends {
        return ended(&mut story);
    }
    let timeout = proxy.config.timeouts.client_send;
    let mut download = Download {
        stream,
        body,
        data: Bytes::new(),
        timer: LazyTimer::new(timeout),
        stalled: None,
        story,
    };
    poll_fn(|cx| download.poll(cx, &shared.wire, timeout)).await;
}

/// The response has been sent to its end.
fn ended(story: &mut Option<Story>) {
    if let Some(story) = story {
        story.completed = true;
    }
}

async fn answer(
    proxy: &Arc<Proxy>,
    request: Request<RequestBody>,
    shared: &Shared,
) -> Response<ResponseBody> {
    match &proxy.config.connection_limit {
        Some(limit) if !shared.has_permit => {
            Counters::count(&proxy.counters.requests);
            proxy.counters.response(limit.status());
            Local::status(limit.status()).response()
        }
        _ => proxy.handle(request, Some(&shared.hop)).await,
    }
}

/// Adds what a response of HTTP/1.1 would have.
fn complete(response: Response<ResponseBody>, is_head: bool, proxy: &Proxy) -> (Response<()>, ResponseBody) {
    let (mut head, mut body) = response.into_parts();
    if let Some(length) = body.text_len() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if is_head {
            body = ResponseBody::empty();
        }
    }
    if !head.headers.contains_key(DATE) {
        if let Ok(date) = proxy.with_date(HeaderValue::from_bytes) {
            head.headers.insert(DATE, date);
        }
    }
    (Response::from_parts(head, ()), body)
}

/// A response's body on its way to the client.
struct Download {
    stream: SendStream<Bytes>,
    body: ResponseBody,
    /// What the body gave and the client's windows have no room for.
    data: Bytes,
    timer: LazyTimer,
    /// Since when they have had none.
    stalled: Option<Duration>,
    story: Option<Story>,
}

impl Download {
    fn poll(&mut self, cx: &mut Context<'_>, wire: &Wire, timeout: Duration) -> Poll<()> {
        loop {
            if !self.data.is_empty() {
                if ready!(self.poll_send(cx, wire, timeout)).is_err() {
                    return Poll::Ready(());
                }
                continue;
            }
            // What there is no room for is not taken from the backend: so it waits there, and not here. The end needs no
            // room.
            let has_ended = self.body.size_hint().exact() == Some(0);
            if !has_ended && ready!(self.poll_room(cx, 1, timeout)).is_err() {
                return Poll::Ready(());
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.stream.poll_reset(cx).map(drop);
            };
            // What can't be sent has nobody to read it.
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(data))) => self.data = data,
                Some(Ok(Err(frame))) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        if self.stream.send_trailers(trailers).is_ok() {
                            ended(&mut self.story);
                        }
                        return Poll::Ready(());
                    }
                }
                // RFC 9113 §8.1.1: what broke off must not look complete.
                Some(Err(_)) => {
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(());
                }
                None => {
                    if self.stream.send_data(Bytes::new(), true).is_ok() {
                        ended(&mut self.story);
                    }
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Sends of `data` what the windows have room for.
    fn poll_send(&mut self, cx: &mut Context<'_>, wire: &Wire, timeout: Duration) -> Poll<Result<(), Over>> {
        ready!(self.poll_room(cx, self.data.len(), timeout))?;
        let room = self.stream.capacity().min(self.data.len());
        let data = self.data.split_to(room);
        wire.sent(room);
        if let Some(story) = &mut self.story {
            story.sent += room as u64;
        }
        Poll::Ready(self.stream.send_data(data, false).map_err(|_| Over))
    }

    /// Waits until the windows have room, for some of `wanted` bytes at least.
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        timeout: Duration,
    ) -> Poll<Result<(), Over>> {
        self.stream.reserve_capacity(wanted);
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Over)),
                Poll::Pending => {
                    let since = *self.stalled.get_or_insert_with(clock::now);
                    ready!(self.timer.poll(cx, Some(since + timeout)));
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(Over));
                }
            }
        }
        self.stalled = None;
        Poll::Ready(Ok(()))
    }
}

/// The stream has ended, one way or another.
struct Over;
