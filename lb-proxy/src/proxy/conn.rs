//! One client's connection: hyper's HTTP/1 server around the proxy.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::body::{ResponseBody, ResponseError};
use super::client_io::{ClientIo, ClientState, ClientTimeouts};
use super::forward::Proxy;
use super::forwarded::ClientName;
use crate::runtime::drain::Drain;
use crate::runtime::worker::Serve;

/// How much is read from a client at once; its head may have no more than `max_head`.
const READ_BUFFER: usize = 64 * 1024;

/// What the connections of a worker share.
pub(super) struct Acceptor {
    proxy: Arc<Proxy>,
    drain: Drain,
    http: http1::Builder,
    timeouts: ClientTimeouts,
}

impl Acceptor {
    pub(super) fn new(proxy: Arc<Proxy>) -> Self {
        let timeouts = &proxy.config.timeouts;
        let timeouts = ClientTimeouts {
            header: timeouts.client_header,
            body: timeouts.client_body,
            send: timeouts.client_send,
            keepalive: timeouts.keepalive,
        };
        let mut http = http1::Builder::new();
        // Without a timer of hyper's: `ClientIo` has the timeouts, so that a slow head gets an answer.
        http.max_buf_size(READ_BUFFER)
            .max_header_size(proxy.config.limits.head_bytes);
        Self {
            proxy,
            drain: Drain::default(),
            http,
            timeouts,
        }
    }

    async fn run(&self, stream: TcpStream, peer: SocketAddr) {
        // Fails on a connection that is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let state = Arc::new(ClientState::default());
        let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&state), self.timeouts));
        let client = Arc::new(Client {
            name: ClientName::new(peer.ip()),
            state,
            proxy: Arc::clone(&self.proxy),
        });
        let service = service_fn(move |request| Arc::clone(&client).call(request));
        let mut connection = pin!(self.http.serve_connection(io, service).with_upgrades());

        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let _registered = self.drain.register(waker);
        let mut drained = false;
        let served = poll_fn(|cx| {
            if !drained && self.drain.is_draining() {
                drained = true;
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx)
        });
        if let Err(error) = served.await {
            tracing::debug!(%peer, %error, "a client connection broke");
        }
    }
}

impl Serve for Acceptor {
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let open = OpenConnection::new(Arc::clone(&self.proxy));
        async move {
            self.run(stream, peer).await;
            drop(open);
        }
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn open(&self) -> usize {
        let counters = &self.proxy.counters;
        counters.connections.load(Ordering::Relaxed) + counters.tunnels.load(Ordering::Relaxed)
    }

    fn ended(&self) -> &Notify {
        &self.proxy.ended
    }

    fn max_connections(&self) -> usize {
        self.proxy.config.limits.connections
    }
}

/// What the requests of a connection share.
struct Client {
    name: ClientName,
    state: Arc<ClientState>,
    proxy: Arc<Proxy>,
}

impl Client {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<ServedBody>, Infallible> {
        let has_body = !request.body().is_end_stream();
        let requests = self.state.request_starts(has_body);
        let version = request.version();
        let state = Arc::clone(&self.state);
        let request = request.map(|body| ClientBody { body, state });
        let mut response = self.proxy.handle(request, Some(&self.name)).await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.state.tunnel();
        } else if requests >= self.proxy.config.limits.keepalive_requests {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let ends_by_close = version == Version::HTTP_10 && response.body().size_hint().exact().is_none();
        let state = Arc::clone(&self.state);
        Ok(response.map(|body| ServedBody {
            body,
            state,
            ends_by_close,
        }))
    }
}

/// A request's body, which tells the connection when it has been read.
struct ClientBody {
    body: Incoming,
    state: Arc<ClientState>,
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || (self.body.is_end_stream() && matches!(frame, Some(Ok(_)))) {
            self.state.body_complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body, which tells the connection when hyper is done with it.
struct ServedBody {
    body: ResponseBody,
    state: Arc<ClientState>,
    /// Nothing but the end of the connection tells the client where the body ends.
    ends_by_close: bool,
}

impl Body for ServedBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.ends_by_close && matches!(frame, Some(Err(_))) {
            self.state.reset();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ServedBody {
    fn drop(&mut self) {
        self.state.response_complete();
    }
}

/// Counts a connection as long as it lives.
struct OpenConnection(Arc<Proxy>);

impl OpenConnection {
    fn new(proxy: Arc<Proxy>) -> Self {
        proxy.counters.accepted.fetch_add(1, Ordering::Relaxed);
        proxy.counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(proxy)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}
