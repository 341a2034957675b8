//! Raw clients, recording backends, and a proxy between them.

mod backend;
mod client;
mod gate;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::{ProxyConfig, ProxyConfigBuilder, Server, ServerHandle};

pub use backend::{Backend, Next};
pub use client::Client;
pub use gate::Gate;
pub use wire::{Request, Response};

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy with one worker in front of `backends`, which are named a, b, c, … and never taken out by failures.
pub fn proxy(backends: &[SocketAddr]) -> ServerHandle {
    proxy_with(backends, |config| config)
}

/// As [`proxy`], with `change` to its settings.
pub fn proxy_with(
    backends: &[SocketAddr],
    change: impl FnOnce(ProxyConfigBuilder) -> ProxyConfigBuilder,
) -> ServerHandle {
    start(upstream(backends, |backend| backend.max_fails(0)), change)
}

/// An upstream of `backends` named a, b, c, …, each changed by `change`.
pub fn upstream(backends: &[SocketAddr], change: impl Fn(BackendConfig) -> BackendConfig) -> Upstream {
    let names = ('a'..='z').map(String::from);
    let backends = names
        .zip(backends)
        .map(|(name, address)| change(BackendConfig::new(name, *address)));
    Upstream::new(
        UpstreamConfig::builder("app")
            .backends(backends)
            .build()
            .expect("a valid upstream"),
    )
}

/// A proxy with one worker in front of `upstream`.
pub fn start(
    upstream: Upstream,
    change: impl FnOnce(ProxyConfigBuilder) -> ProxyConfigBuilder,
) -> ServerHandle {
    let config = ProxyConfig::builder(upstream)
        .workers(1)
        .listen("127.0.0.1:0".parse().expect("an address"));
    Server::spawn(change(config).build().expect("a valid config")).expect("a free port")
}

/// An address that refuses connections for as long as the socket lives: bound, and not listening.
pub fn dead_address() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    let address = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("an IP address");
    (address, socket)
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `future` to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
