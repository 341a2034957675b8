//! A proxy that listens: workers, and the handle that rules them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::config::ProxyConfig;
use super::counters::ProxyCounters;
use super::forward::Proxy;
use super::worker::{Stage, Worker};
use crate::runtime::clock;
use crate::runtime::listen::{self, Listen};

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
        let proxies: Vec<_> = listeners
            .iter()
            .map(|_| Proxy::new(Arc::clone(&config)))
            .collect();
        let (stage, _) = watch::channel(Stage::Running);
        // The handle exists before the first thread, so that a failure further on ends the threads before it.
        let handle = ServerHandle {
            config,
            addresses,
            proxies,
            stage,
            threads: Mutex::default(),
            ends: Mutex::default(),
        };
        for (index, listeners) in listeners.into_iter().enumerate() {
            let proxy = Arc::clone(&handle.proxies[index]);
            let worker = Worker {
                listeners,
                proxy,
                stage: handle.stage.subscribe(),
            };
            handle.start(index, worker).map_err(StartError::Worker)?;
        }
        Ok(handle)
    }
}

/// Why a [`Server`] did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A worker's runtime or thread could not be made.
    #[error("can't start a worker: {0}")]
    Worker(#[source] io::Error),
}

/// A running proxy. Dropping it aborts it.
#[derive(Debug)]
#[must_use = "dropping the handle aborts the proxy"]
pub struct ServerHandle {
    config: Arc<ProxyConfig>,
    addresses: Vec<SocketAddr>,
    proxies: Vec<Arc<Proxy>>,
    stage: watch::Sender<Stage>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ends: Mutex<Vec<oneshot::Receiver<usize>>>,
}

/// How far a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// It accepts connections.
    Running,
    /// It accepts none and finishes those it has.
    Draining,
    /// It has ended; all its sockets are closed.
    Stopped,
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
        let until = clock::now().saturating_add(deadline);
        self.stage.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Draining { until };
            }
            running
        });
        let ends = std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner));
        let mut cut = 0;
        for end in ends {
            // A worker that panicked has no number; its connections are gone.
            cut += end.await.unwrap_or(0);
        }
        cut
    }

    /// Ends the proxy at once: every listener and every connection is closed, as if its process had died.
    ///
    /// Blocks until that is done, which takes no longer than the step that a worker is in. Afterwards the same
    /// addresses can be bound again.
    pub fn abort(&self) {
        self.stage.send_replace(Stage::Aborted);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker's panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// Returns the addresses it listens on, in the config's order, with the ports that were chosen for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the config it was started with.
    #[must_use]
    pub fn config(&self) -> &ProxyConfig {
        &self.config
    }

    /// Returns what it is doing and has done. The backends' side is in
    /// [`Upstream::status`](crate::balance::Upstream::status).
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        let mut counters = ProxyCounters::default();
        for proxy in &self.proxies {
            proxy.counters.add_to(&mut counters);
        }
        ServerStatus {
            state: self.state(),
            addresses: self.addresses.clone(),
            workers: self.proxies.len(),
            counters,
        }
    }

    fn state(&self) -> ServerState {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.iter().all(JoinHandle::is_finished) {
            return ServerState::Stopped;
        }
        match *self.stage.borrow() {
            Stage::Running => ServerState::Running,
            Stage::Draining { .. } => ServerState::Draining,
            Stage::Aborted => ServerState::Stopped,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "workers are threads: one runtime each, on a core each"
    )]
    fn start(&self, index: usize, worker: Worker) -> io::Result<()> {
        let (end, ended) = oneshot::channel();
        let (start, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name(format!("proxy-{index}"))
            .spawn(move || {
                let cut = worker.run(|result| start.send(result).expect("the receiver waits for this"));
                // Nobody may be waiting.
                let _ = end.send(cut);
            })?;
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(ended);
        started.recv().map_err(io::Error::other)?
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.abort();
    }
}
