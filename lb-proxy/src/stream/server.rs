//! A server that listens: workers, and the handle that rules them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::config::StreamConfig;
use super::counters::StreamCounters;
use super::service::Service;
use crate::runtime::listen::{self, Listen};
use crate::runtime::workers::{ServerState, StartError, Workers};

/// Passes TCP connections on to backends.
#[derive(Debug)]
pub struct StreamServer;

impl StreamServer {
    /// Binds every address for every worker and starts the workers.
    ///
    /// When this returns, connections are accepted. Each worker is a thread with a runtime of its own, so no runtime is
    /// needed to call this. The threads are in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an address can't be bound (taken, not there, or not allowed) or a worker can't be made.
    /// Nothing is left running then.
    pub fn spawn(config: StreamConfig) -> Result<StreamHandle, StartError> {
        let listen = Listen {
            addresses: &config.listen,
            workers: config.workers,
            backlog: config.backlog,
            freebind: config.freebind,
            share_port: config.share_port,
        };
        let listeners =
            listen::bind_all(listen).map_err(|(address, source)| StartError::Bind { address, source })?;
        let addresses = listeners[0]
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let config = Arc::new(ArcSwap::from_pointee(config));
        // Dropped on a failure further on, which ends the workers before it.
        let workers = Workers::new();
        let mut services = Vec::with_capacity(listeners.len());
        for (index, listeners) in listeners.into_iter().enumerate() {
            let service = Arc::new(Service::new(Arc::clone(&config)));
            workers.start(format!("stream-{index}"), listeners, Arc::clone(&service))?;
            services.push(service);
        }
        Ok(StreamHandle {
            config,
            addresses,
            services,
            workers,
        })
    }
}

/// A running server. Dropping it aborts it.
#[derive(Debug)]
#[must_use = "dropping the handle aborts the server"]
pub struct StreamHandle {
    config: Arc<ArcSwap<StreamConfig>>,
    addresses: Vec<SocketAddr>,
    services: Vec<Arc<Service>>,
    workers: Workers,
}

/// A server at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// Whether it accepts connections.
    pub state: ServerState,
    /// Where it listens, or did, with the ports that were chosen for it.
    pub addresses: Vec<SocketAddr>,
    /// Its worker threads.
    pub workers: usize,
    /// What it has done.
    pub counters: StreamCounters,
}

/// What [`StreamHandle::apply`] can't change while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} of a running stream server can't be changed; shut it down and spawn another with share_port")]
pub struct ApplyError(&'static str);

impl StreamHandle {
    /// Takes over another configuration for the connections that are accepted from here on: upstream, timeouts, PROXY
    /// protocol, TLS. Those that are open go on as they are.
    ///
    /// Backends change by [`Upstream::replace`](crate::balance::Upstream::replace) alone, and certificates by
    /// `ServerTls::replace_certificates`; neither needs this.
    ///
    /// # Errors
    ///
    /// Addresses to listen on, workers, or the limits of either differ. Everything stays as it was then.
    pub fn apply(&self, config: StreamConfig) -> Result<(), ApplyError> {
        let running = self.config.load();
        let differ = [
            ("listen", running.listen != config.listen),
            ("workers", running.workers != config.workers),
            ("backlog", running.backlog != config.backlog),
            ("freebind", running.freebind != config.freebind),
            ("share_port", running.share_port != config.share_port),
            (
                "max_connections",
                running.max_connections != config.max_connections,
            ),
        ];
        if let Some((name, _)) = differ.iter().find(|(_, differs)| *differs) {
            return Err(ApplyError(name));
        }
        self.config.store(Arc::new(config));
        Ok(())
    }

    /// Drains the server and waits for it to end, `deadline` at the longest.
    ///
    /// The listeners close at once; connections go on until both sides are done. What is left at the deadline is cut
    /// off; the number of connections that this hit is returned. Called again, or after an abort, it returns 0.
    ///
    /// Dropping the future does not stop the drain.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.workers.shutdown(deadline).await
    }

    /// Ends the server at once: every listener and every connection is closed, as if its process had died.
    ///
    /// Blocks until that is done, which takes no longer than the step that a worker is in. Afterwards the same
    /// addresses can be bound again.
    pub fn abort(&self) {
        self.workers.abort();
    }

    /// Returns the addresses it listens on, in the config's order, with the ports that were chosen for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the config that new connections get.
    #[must_use]
    pub fn config(&self) -> Arc<StreamConfig> {
        self.config.load_full()
    }

    /// Returns what it is doing and has done. The backends' side is in
    /// [`Upstream::status`](crate::balance::Upstream::status).
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        let mut counters = StreamCounters::default();
        for service in &self.services {
            service.counters.add_to(&mut counters);
        }
        StreamStatus {
            state: self.workers.state(),
            addresses: self.addresses.clone(),
            workers: self.services.len(),
            counters,
        }
    }
}
