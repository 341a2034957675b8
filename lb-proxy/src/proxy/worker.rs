//! One worker: a thread with a runtime of its own, its listeners, and the connections that they bring.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::conn::{Acceptor, OpenConnection};
use super::forward::Proxy;
use crate::runtime::clock;

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

/// A worker that has its listeners, and has not started.
pub(super) struct Worker {
    pub(super) listeners: Vec<std::net::TcpListener>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) stage: watch::Receiver<Stage>,
}

/// How long accepting pauses when the process is out of descriptors: until some are free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Worker {
    /// Runs on the calling thread until it is told to end; returns how many connections and tunnels were cut off.
    ///
    /// `started` is called once, when connections are accepted or with the reason why they won't be. When this
    /// returns, every task of the worker has ended and every socket is closed.
    pub(super) fn run(self, started: impl FnOnce(io::Result<()>)) -> usize {
        match prepare(self.listeners) {
            Ok((runtime, listeners)) => {
                started(Ok(()));
                runtime.block_on(serve(listeners, self.proxy, self.stage))
            }
            Err(error) => {
                started(Err(error));
                0
            }
        }
    }
}

/// Makes the worker's runtime, with the listeners registered in it.
fn prepare(listeners: Vec<std::net::TcpListener>) -> io::Result<(Runtime, Vec<TcpListener>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listeners = {
        let _context = runtime.enter();
        listeners
            .into_iter()
            .map(TcpListener::from_std)
            .collect::<io::Result<_>>()?
    };
    Ok((runtime, listeners))
}

async fn serve(listeners: Vec<TcpListener>, proxy: Arc<Proxy>, mut stage: watch::Receiver<Stage>) -> usize {
    let acceptor = Arc::new(Acceptor::new(Arc::clone(&proxy)));
    let permits = Arc::new(Semaphore::new(proxy.config.limits.connections));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&acceptor), Arc::clone(&permits)));
    }
    // A closed channel means that the handle is gone, and with it everybody who could want an answer.
    let told = stage
        .wait_for(|stage| *stage != Stage::Running)
        .await
        .map_or(Stage::Aborted, |stage| *stage);
    accepting.shutdown().await;
    if let Stage::Draining { until } = told {
        acceptor.drain.start();
        tokio::select! {
            () = drained(&proxy) => {}
            () = tokio::time::sleep_until(clock::instant(until)) => {}
            _ = stage.wait_for(|stage| *stage == Stage::Aborted) => {}
        }
    }
    open(&proxy)
}

/// Waits until the last connection and the last tunnel have ended.
async fn drained(proxy: &Proxy) {
    loop {
        let ended = proxy.ended.notified();
        if open(proxy) == 0 {
            return;
        }
        ended.await;
    }
}

fn open(proxy: &Proxy) -> usize {
    proxy.counters.connections.load(Ordering::Relaxed) + proxy.counters.tunnels.load(Ordering::Relaxed)
}

async fn accept(listener: TcpListener, acceptor: Arc<Acceptor>, permits: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = Arc::clone(&acceptor);
                let open = OpenConnection::new(Arc::clone(&acceptor.proxy));
                tokio::spawn(async move {
                    acceptor.serve(stream, peer).await;
                    drop((open, permit));
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the connection broke before it was accepted, which says nothing of the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
