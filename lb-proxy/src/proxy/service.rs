//! The proxy as a `tower::Service`.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::body::ResponseBody;
use super::config::ProxyConfig;
use super::core::Proxy;
use super::handle::BoxError;
use crate::forwarded::{Hop, Scheme};

/// Where a request came from: the extension that a [`ProxyService`] looks for in a request.
///
/// Without it no `X-Forwarded-…` header is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(pub SocketAddr);

/// A reverse proxy as a service: always ready, never failing, cheap to clone.
///
/// It works in any tokio runtime with time and IO enabled, under any HTTP server of hyper's body types, and in any stack of
/// `tower` layers. Its clones share the upstream connections and the counters. [`Server`](super::Server) runs one a
/// worker; a program with a server of its own calls it directly, or mounts it as a fallback in its router.
///
/// The listen addresses, workers and client timeouts of its config belong to whoever serves it and are not looked
/// at. WebSocket needs a server that supports hyper's upgrades.
///
/// ```
/// use http::{Request, StatusCode};
/// use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
/// use lb_proxy::proxy::{ClientAddr, ProxyConfig, ProxyService};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = UpstreamConfig::builder("app").backend(BackendConfig::new("a", "127.0.0.1:1".parse()?)).build()?;
/// let service = ProxyService::new(ProxyConfig::builder(Upstream::new(app)).build()?);
///
/// let mut request = Request::get("/").header("host", "www.example.com").body(String::new())?;
/// request.extensions_mut().insert(ClientAddr("203.0.113.7:40000".parse()?));
/// let response = service.oneshot(request.map(http_body_util::Full::<bytes::Bytes>::from)).await?;
/// assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "nobody listens on port 1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ProxyService {
    proxy: Arc<Proxy>,
}

impl ProxyService {
    /// Makes a service without any upstream connection yet.
    #[must_use]
    pub fn new(config: ProxyConfig) -> Self {
        Self {
            proxy: Proxy::new(Arc::new(config), Arc::default()),
        }
    }
}

impl<B> tower::Service<Request<B>> for ProxyService
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let proxy = Arc::clone(&self.proxy);
        ResponseFuture(Box::pin(async move {
            let client = request
                .extensions()
                .get::<ClientAddr>()
                .map(|client| Hop::new(Some(client.0), None, Scheme::Http));
            proxy.handle(request, client.as_ref()).await
        }))
    }
}

impl fmt::Debug for ProxyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyService")
            .field("upstream", self.proxy.config.upstream())
            .finish_non_exhaustive()
    }
}

/// The response of a [`ProxyService`] to come. Dropping it gives up the request.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
