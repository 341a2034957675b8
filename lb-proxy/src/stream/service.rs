//! What a worker does with a connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::config::StreamConfig;
use super::connect::connect;
use super::counters::Counters;
use super::incoming::receive;
use super::relay::{End, Relay};
use crate::balance::Outcome;
use crate::runtime::clock;
use crate::runtime::worker::Serve;

/// One worker's connections.
#[derive(Debug)]
pub(super) struct Service {
    config: Arc<ArcSwap<StreamConfig>>,
    pub(super) counters: Counters,
    ended: Notify,
}

impl Service {
    pub(super) fn new(config: Arc<ArcSwap<StreamConfig>>) -> Self {
        Self {
            config,
            counters: Counters::default(),
            ended: Notify::new(),
        }
    }

    async fn run(&self, stream: TcpStream, peer: SocketAddr) {
        // For all of the connection's life: a later config is for later connections.
        let config = self.config.load_full();
        // Fails on a connection that is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let (client, transport) = match receive(&config, &self.counters, stream, peer).await {
            Ok(received) => received,
            Err(error) => return tracing::debug!(%peer, %error, "a client was not let in"),
        };
        let (backend, pick) = match connect(&config, &self.counters, &client).await {
            Ok(connected) => connected,
            Err(error) => {
                Counters::count(&self.counters.unserved);
                tracing::warn!(client = %client.source, %error, "a client has no backend");
                return transport.reset();
            }
        };
        let mut relay = Relay::new(transport, backend, config.idle_timeout, &self.counters);
        // Only the relay is needed from here on, perhaps for hours.
        drop(config);
        let end = relay.run().await;
        let (to_backend, to_client) = relay.passed();
        let outcome = match &end {
            // Whoever said nothing at all has not served anybody.
            End::Backend(_) if to_client == 0 => Outcome::Reset,
            End::Idle if to_client == 0 && to_backend > 0 => Outcome::Timeout,
            End::Client(_) => Outcome::Cancelled,
            End::Backend(_) | End::Idle | End::Finished => Outcome::Success,
        };
        tracing::debug!(client = %client.source, backend = %pick.id(), %end, to_backend, to_client, "a connection ended");
        pick.finish(clock::now(), outcome);
        match end {
            End::Finished => {}
            End::Idle => Counters::count(&self.counters.idle_timeouts),
            End::Client(_) => {
                Counters::count(&self.counters.client_resets);
                relay.backend.reset();
            }
            End::Backend(_) => {
                Counters::count(&self.counters.backend_resets);
                relay.client.reset();
            }
        }
    }
}

impl Serve for Service {
    fn serve(
        self: Arc<Self>,
        _listener: usize,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let open = Open::new(self);
        async move { open.0.run(stream, peer).await }
    }

    fn open(&self) -> usize {
        self.counters.connections.load(Ordering::Relaxed)
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }

    fn max_connections(&self) -> usize {
        self.config.load().max_connections
    }
}

/// Counts a connection as long as it lives.
struct Open(Arc<Service>);

impl Open {
    fn new(service: Arc<Service>) -> Self {
        Counters::count(&service.counters.accepted);
        service.counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(service)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}
