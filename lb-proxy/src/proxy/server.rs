//! A proxy that listens: workers, and the handle that rules them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::acceptor::Acceptor;
use super::config::ProxyConfig;
use super::counters::ProxyCounters;
use crate::runtime::listen::{self, Listen};
use crate::runtime::workers::{ServerState, StartError, Workers};

/// Runs a proxy on its listen addresses.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Binds every address for every worker and starts the workers.
    ///
    /// When this returns, connections are accepted. Each worker is a thread with a runtime of its own, so no runtime is
    /// needed to call this. The threads are in the network namespace of the calling thread, listeners and connections
    /// to backends alike.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an address can't be bound (taken, not there, or not allowed) or a worker can't be made.
    /// Nothing is left running then.
    pub fn spawn(config: ProxyConfig) -> Result<ServerHandle, StartError> {
        let config = Arc::new(config);
        let listen = Listen {
            addresses: &config.listen,
            workers: config.workers,
            backlog: config.limits.backlog,
            freebind: config.freebind,
            share_port: config.share_port,
        };
        let listeners =
            listen::bind_all(listen).map_err(|(address, source)| StartError::Bind { address, source })?;
        let addresses = listeners[0]
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let acceptors: Vec<_> = listeners
            .iter()
            .map(|_| Arc::new(Acceptor::new(Arc::clone(&config))))
            .collect();
        // Dropped on a failure further on, which ends the workers before it.
        let workers = Workers::new();
        for ((index, listeners), acceptor) in listeners.into_iter().enumerate().zip(&acceptors) {
            workers.start(format!("proxy-{index}"), listeners, Arc::clone(acceptor))?;
        }
        Ok(ServerHandle {
            config: ArcSwap::new(config),
            addresses,
            acceptors,
            workers,
        })
    }
}

/// Why a config was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} can't be changed while the proxy runs; start another proxy with it")]
pub struct ApplyError {
    setting: &'static str,
}

impl ApplyError {
    /// Returns the setting that differs, by the name of the builder's method.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }
}

/// A running proxy. Dropping it aborts it.
#[derive(Debug)]
#[must_use = "dropping the handle aborts the proxy"]
pub struct ServerHandle {
    config: ArcSwap<ProxyConfig>,
    addresses: Vec<SocketAddr>,
    acceptors: Vec<Arc<Acceptor>>,
    workers: Workers,
}

/// A server at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Whether it accepts connections.
    pub state: ServerState,
    /// Where it listens, or did, with the ports that were chosen for it.
    pub addresses: Vec<SocketAddr>,
    /// Its worker threads.
    pub workers: usize,
    /// What it has done.
    pub counters: ProxyCounters,
}

impl ServerHandle {
    /// Drains the proxy and waits for it to end, `deadline` at the longest.
    ///
    /// The listeners close at once and idle connections with them; requests under way are answered with
    /// `Connection: close`, and tunnels go on. What is left at the deadline is cut off; the number of connections
    /// and tunnels that this hit is returned. Called again, or after an abort, it returns 0.
    ///
    /// Dropping the future does not stop the drain.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.workers.shutdown(deadline).await
    }

    /// Ends the proxy at once: every listener and every connection is closed, as if its process had died.
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

    /// Serves by `config` from the next request on: other upstreams, routes, limits and timeouts, another log.
    ///
    /// No listener and no connection is closed: requests under way, tunnels, and bodies on their way go on as they began,
    /// and counters go on counting. An [`Upstream`](crate::balance::Upstream) that is part of both configs keeps its
    /// health and counters; connections to backends that idle are made anew.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] names a setting that differs and that a running server can't change. Nothing has changed then.
    pub fn apply(&self, config: ProxyConfig) -> Result<(), ApplyError> {
        let old = self.config.load();
        let fixed = [
            ("listen", old.listen == config.listen),
            ("workers", old.workers == config.workers),
            ("freebind", old.freebind == config.freebind),
            ("share_port", old.share_port == config.share_port),
            ("backlog", old.limits.backlog == config.limits.backlog),
            (
                "max_connections",
                old.limits.connections == config.limits.connections,
            ),
        ];
        if let Some((setting, _)) = fixed.iter().find(|(_, same)| !same) {
            return Err(ApplyError { setting });
        }
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        for acceptor in &self.acceptors {
            acceptor.apply(Arc::clone(&config));
        }
        Ok(())
    }

    /// Returns the config that it serves by.
    #[must_use]
    pub fn config(&self) -> Arc<ProxyConfig> {
        self.config.load_full()
    }

    /// Returns what it is doing and has done. The backends' side is in
    /// [`Upstream::status`](crate::balance::Upstream::status).
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        let mut counters = ProxyCounters::default();
        for acceptor in &self.acceptors {
            acceptor.counters.add_to(&mut counters);
        }
        ServerStatus {
            state: self.workers.state(),
            addresses: self.addresses.clone(),
            workers: self.acceptors.len(),
            counters,
        }
    }
}
