//! What a worker does with the connections of its listeners.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::config::ProxyConfig;
use super::core::Proxy;
use super::counters::Counters;
use super::http2;
use super::receive::{Received, receive};
use super::serve::{Served, Serving};
use super::tunnel::Tunnel;
use crate::runtime::drain::Drain;
use crate::runtime::worker::Serve;

/// What the connections of a worker share.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// What requests are served by from now on.
    proxy: ArcSwap<Proxy>,
    /// How often that has changed.
    revision: AtomicU64,
    pub(super) drain: Drain,
    pub(super) counters: Arc<Counters>,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ProxyConfig>) -> Self {
        let counters = Arc::<Counters>::default();
        Self {
            proxy: ArcSwap::new(Proxy::new(config, Arc::clone(&counters))),
            revision: AtomicU64::new(0),
            drain: Drain::default(),
            counters,
        }
    }

    /// Has later requests served by `config`; those under way go on as they began.
    pub(super) fn apply(&self, config: Arc<ProxyConfig>) {
        self.proxy.store(Proxy::new(config, Arc::clone(&self.counters)));
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// What requests are served by, and a number that is another once that has changed.
    pub(super) fn current(&self) -> (u64, Arc<Proxy>) {
        // The number first: it may be too old then, and what it stands for is loaded once more, but never too new.
        let revision = self.revision();
        (revision, self.proxy.load_full())
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Serves one connection to its end, or until it becomes a tunnel.
    async fn run(&self, listener: usize, stream: TcpStream, peer: SocketAddr) -> Option<Tunnel> {
        // Fails on a connection that is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let _registered = self.drain.register(waker);
        let received = receive(&self.proxy.load_full().config, listener, stream, peer).await;
        let Received {
            transport,
            hop,
            http2,
        } = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%peer, %error, "a client was not let in");
                return None;
            }
        };
        let mut connection = Serving::new(self, transport, hop);
        if http2 {
            let (transport, start) = connection.into_http2();
            http2::serve(self, transport, start).await;
            return None;
        }
        match connection.serve().await {
            Served::End => None,
            Served::Close => {
                connection.into_client().close().await;
                None
            }
            Served::Http2 => {
                let (transport, start) = connection.into_http2();
                http2::serve(self, transport, start).await;
                None
            }
            Served::Tunnel(lease) => Some(Tunnel::new(connection.into_client(), *lease)),
        }
    }
}

impl Serve for Acceptor {
    fn serve(
        self: Arc<Self>,
        listener: usize,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let open = OpenConnection::new(Arc::clone(&self.counters));
        async move {
            let tunnel = self.run(listener, stream, peer).await;
            drop(open);
            if let Some(tunnel) = tunnel {
                tunnel.run().await;
            }
        }
    }

    fn start_drain(&self) {
        self.drain.start();
    }

    fn open(&self) -> usize {
        self.counters.connections.load(Ordering::Relaxed) + self.counters.tunnels.load(Ordering::Relaxed)
    }

    fn ended(&self) -> &Notify {
        &self.counters.ended
    }

    fn tend(&self, now: Duration) {
        self.proxy.load().tend(now);
    }

    fn max_connections(&self) -> usize {
        self.proxy.load().config.limits.connections
    }
}

/// Counts a connection as long as it lives.
struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    fn new(counters: Arc<Counters>) -> Self {
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}
