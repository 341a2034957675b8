//! Backends, a server, and patience.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::stream::{StreamConfig, StreamConfigBuilder, StreamCounters, StreamHandle, StreamServer, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A backend whose connections the test accepts itself.
pub(crate) struct Backend {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Backend {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self { listener, address }
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        within(self.listener.accept()).await.expect("a connection").0
    }
}

/// An address on which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    Backend::new().await.address
}

pub(crate) fn upstream(backends: impl IntoIterator<Item = BackendConfig>) -> Upstream {
    let config = UpstreamConfig::builder("app")
        .backends(backends)
        .build()
        .expect("valid");
    Upstream::new(config)
}

pub(crate) fn builder(upstream: &Upstream) -> StreamConfigBuilder {
    StreamConfig::builder(upstream.clone())
        .listen("127.0.0.1:0".parse().expect("an address"))
        .workers(1)
}

pub(crate) fn spawn(builder: StreamConfigBuilder) -> StreamHandle {
    StreamServer::spawn(builder.build().expect("valid")).expect("started")
}

/// A server before one backend.
pub(crate) async fn one() -> (StreamHandle, Backend, Upstream) {
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    (spawn(builder(&upstream)), backend, upstream)
}

pub(crate) async fn client(server: &StreamHandle) -> TcpStream {
    within(TcpStream::connect(server.addresses()[0]))
        .await
        .expect("connected")
}

/// A client and the backend's end of its connection.
pub(crate) async fn pair(server: &StreamHandle, backend: &Backend) -> (TcpStream, TcpStream) {
    let client = client(server).await;
    (client, backend.accept().await)
}

/// Writes on one side and expects it on the other.
pub(crate) async fn passes(
    from: &mut (impl AsyncWriteExt + Unpin),
    to: &mut (impl AsyncReadExt + Unpin),
    bytes: &[u8],
) {
    within(from.write_all(bytes)).await.expect("written");
    within(from.flush()).await.expect("flushed");
    let mut received = vec![0; bytes.len()];
    within(to.read_exact(&mut received)).await.expect("received");
    assert_eq!(received, bytes);
}

/// Expects an orderly end.
pub(crate) async fn ended(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut buffer = [0; 16];
    let read = within(stream.read(&mut buffer)).await.expect("no reset");
    assert_eq!(read, 0, "{:?}", &buffer[..read]);
}

/// Expects a reset.
pub(crate) async fn was_reset(stream: &mut TcpStream) {
    let mut buffer = [0; 16];
    let error = within(stream.read(&mut buffer)).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Connects, and expects a reset: perhaps so soon that the connect itself tells it.
pub(crate) async fn is_not_served(server: &StreamHandle) {
    match within(TcpStream::connect(server.addresses()[0])).await {
        Ok(mut client) => was_reset(&mut client).await,
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Waits until the server has counted what is expected of it.
pub(crate) async fn counted(server: &StreamHandle, what: impl Fn(&StreamCounters) -> bool) -> StreamCounters {
    let start = now();
    loop {
        let counters = server.status().counters;
        if what(&counters) {
            return counters;
        }
        assert!(now() - start < PATIENCE, "{counters:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
