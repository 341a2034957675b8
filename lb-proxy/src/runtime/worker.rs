//! One worker: a thread with a runtime of its own, its listeners, and the connections that they bring.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::clock;
use super::workers::Stage;

/// What a worker does with the connections of its listeners.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end, which came to the listener of that number. It counts as
    /// [`open`](Self::open) from this call on, not from the first poll.
    fn serve(
        self: Arc<Self>,
        listener: usize,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// The worker drains: no connection will come, and those that are open should come to an end. Without a body for
    /// those that end when both sides are done, and not before.
    fn start_drain(&self) {}

    /// How many connections are open, with what has become of them.
    fn open(&self) -> usize;

    /// Notified when one of those has ended.
    fn ended(&self) -> &Notify;

    /// Does what nobody waits for; called about once a second.
    fn tend(&self, _now: Duration) {}

    /// How many connections may be open; beyond that new ones wait in the listen queue.
    fn max_connections(&self) -> usize;
}

/// A worker that has its listeners, and has not started.
pub(super) struct Worker<S> {
    pub(super) listeners: Vec<std::net::TcpListener>,
    pub(super) serve: Arc<S>,
    pub(super) stage: watch::Receiver<Stage>,
}

/// How long accepting pauses when the process is out of descriptors: until some are free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often [`Serve::tend`] is called.
const TEND: Duration = Duration::from_secs(1);

impl<S: Serve> Worker<S> {
    /// Runs on the calling thread until it is told to end; returns how many connections were cut off.
    ///
    /// `started` is called once, when connections are accepted or with the reason why they won't be. When this
    /// returns, every task of the worker has ended and every socket is closed.
    pub(super) fn run(self, started: impl FnOnce(io::Result<()>)) -> usize {
        match prepare(self.listeners) {
            Ok((runtime, listeners)) => {
                started(Ok(()));
                runtime.block_on(run(listeners, &self.serve, self.stage))
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

async fn run<S: Serve>(
    listeners: Vec<TcpListener>,
    serve: &Arc<S>,
    mut stage: watch::Receiver<Stage>,
) -> usize {
    let permits = Arc::new(Semaphore::new(serve.max_connections()));
    let mut accepting = JoinSet::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        accepting.spawn(accept(number, listener, Arc::clone(serve), Arc::clone(&permits)));
    }
    accepting.spawn(tend(Arc::clone(serve)));
    // A closed channel means that the handle is gone, and with it everybody who could want an answer.
    let told = stage
        .wait_for(|stage| *stage != Stage::Running)
        .await
        .map_or(Stage::Aborted, |stage| *stage);
    accepting.shutdown().await;
    if let Stage::Draining { until } = told {
        serve.start_drain();
        tokio::select! {
            () = drained(serve.as_ref()) => {}
            () = tokio::time::sleep_until(clock::instant(until)) => {}
            _ = stage.wait_for(|stage| *stage == Stage::Aborted) => {}
        }
    }
    serve.open()
}

async fn tend(serve: Arc<impl Serve>) {
    let mut each = tokio::time::interval(TEND);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        each.tick().await;
        serve.tend(clock::now());
    }
}

/// Waits until the last connection has ended.
async fn drained(serve: &impl Serve) {
    loop {
        let ended = serve.ended().notified();
        if serve.open() == 0 {
            return;
        }
        ended.await;
    }
}

async fn accept<S: Serve>(number: usize, listener: TcpListener, serve: Arc<S>, permits: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let served = Arc::clone(&serve).serve(number, stream, peer);
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
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
