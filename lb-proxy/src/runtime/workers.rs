//! The threads of a server, from the start to the drain.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::clock;
use super::worker::{Serve, Worker};

/// Why a server did not start.
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

/// What all workers of a server have been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Accept and serve.
    Running,
    /// Accept nothing, finish what is under way, and end at the deadline at the latest.
    Draining {
        /// In time of [`clock::now`].
        until: Duration,
    },
    /// End now.
    Aborted,
}

/// The workers of a server. Dropping them aborts them.
#[derive(Debug)]
pub(crate) struct Workers {
    stage: watch::Sender<Stage>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ends: Mutex<Vec<oneshot::Receiver<usize>>>,
}

impl Workers {
    /// Has no worker yet.
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::channel(Stage::Running).0,
            threads: Mutex::default(),
            ends: Mutex::default(),
        }
    }

    /// Starts a thread called `name` that serves `listeners`, and returns when it accepts.
    ///
    /// After a failure the workers started before go on until this is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "workers are threads: one runtime each, on a core each"
    )]
    pub(crate) fn start<S: Serve>(
        &self,
        name: String,
        listeners: Vec<std::net::TcpListener>,
        serve: Arc<S>,
    ) -> Result<(), StartError> {
        let worker = Worker {
            listeners,
            serve,
            stage: self.stage.subscribe(),
        };
        let (end, ended) = oneshot::channel();
        let (start, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                let cut = worker.run(|result| start.send(result).expect("the receiver waits for this"));
                // Nobody may be waiting.
                let _ = end.send(cut);
            })
            .map_err(StartError::Worker)?;
        lock(&self.threads).push(thread);
        lock(&self.ends).push(ended);
        started
            .recv()
            .map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(StartError::Worker)
    }

    /// Stops accepting, and waits until the last connection has ended, `deadline` at the longest. Returns how many
    /// were cut off then; called again, or after an abort, it returns 0.
    ///
    /// Dropping the future does not stop the drain.
    pub(crate) async fn shutdown(&self, deadline: Duration) -> usize {
        let until = clock::now().saturating_add(deadline);
        self.stage.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Draining { until };
            }
            running
        });
        let ends = std::mem::take(&mut *lock(&self.ends));
        let mut cut = 0;
        for end in ends {
            // A worker that panicked has no number; its connections are gone.
            cut += end.await.unwrap_or(0);
        }
        cut
    }

    /// Closes every listener and connection, and returns when that is done.
    pub(crate) fn abort(&self) {
        self.stage.send_replace(Stage::Aborted);
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A worker's panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    pub(crate) fn state(&self) -> ServerState {
        if lock(&self.threads).iter().all(JoinHandle::is_finished) {
            return ServerState::Stopped;
        }
        match *self.stage.borrow() {
            Stage::Running => ServerState::Running,
            Stage::Draining { .. } => ServerState::Draining,
            Stage::Aborted => ServerState::Stopped,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
