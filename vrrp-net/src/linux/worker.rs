//! Netlink requests that may take their time, made on a thread of their own.
//!
//! The kernel changes the network under one lock for the whole machine (RTNL). A program that makes or deletes many
//! interfaces, in whatever namespace, holds it for milliseconds at a time, and whoever asks waits. Taking an address over
//! has to wait; renewing a lease and reading everything anew need not keep the thread that sends adverts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtnetlink::packet_route::RouteNetlinkMessage;
use tokio::sync::mpsc;

use super::clock::boot_time;
use super::monitor::{Snapshot, dump};
use super::requests::{MAX_BATCH, Requests};
use crate::place::Place;

/// A request and its flags.
pub(super) type Request = (RouteNetlinkMessage, u16);

/// What the worker has done.
#[derive(Debug)]
pub(super) enum Done {
    /// The answers to a batch: fewer than its requests if it was revoked, or the driver stood still.
    Batch(Vec<io::Result<()>>),
    /// All links and addresses.
    Snapshot(io::Result<Snapshot>),
}

#[derive(Debug)]
enum Job {
    Batch {
        requests: Vec<Request>,
        patience: Duration,
        state: Arc<State>,
    },
    Snapshot,
}

/// How far a batch has come.
#[derive(Debug, Default)]
struct State(AtomicU8);

impl State {
    const QUEUED: u8 = 0;
    const BEGUN: u8 = 1;
    const REVOKED: u8 = 2;

    /// Whether it may begin.
    fn begin(&self) -> bool {
        let begun = self
            .0
            .compare_exchange(Self::QUEUED, Self::BEGUN, Ordering::AcqRel, Ordering::Acquire);
        begun.is_ok()
    }

    /// Whether it had begun.
    fn revoke(&self) -> bool {
        self.0.swap(Self::REVOKED, Ordering::AcqRel) == Self::BEGUN
    }

    fn is_revoked(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::REVOKED
    }
}

/// When the driver's thread was last heard of: nanoseconds of the machine's clock.
#[derive(Clone, Debug, Default)]
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn note(&self) {
        let nanos = u64::try_from(boot_time().as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        boot_time().saturating_sub(Duration::from_nanos(self.0.load(Ordering::Relaxed)))
    }
}

/// The thread, and the way to it and back.
#[derive(Debug)]
pub(super) struct Worker {
    /// There until it is dropped.
    jobs: Option<blocking::Sender<Job>>,
    done: blocking::Receiver<Done>,
    /// What came while a batch was waited for.
    early: VecDeque<Done>,
    /// One for each answer, to wake the driver's thread.
    wakes: mpsc::UnboundedReceiver<()>,
    /// The batch that was handed over and whose answers were not taken.
    batch: Option<Arc<State>>,
    alive: Alive,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, in the network namespace of the caller. `names` are the interfaces that concern us.
    pub(super) fn start(names: Vec<String>) -> io::Result<Self> {
        let mut requests = Requests::open()?;
        let (jobs, inbox) = blocking::channel();
        let (report, done) = blocking::channel();
        let (wake, wakes) = mpsc::unbounded_channel();
        let alive = Alive::default();
        alive.note();
        let driver = alive.clone();
        let place = Place::here();
        let main = move || {
            // The driver's thread may wait for this one.
            if let Err(error) = place.and_then(Place::take) {
                tracing::warn!(%error, "the netlink thread may come after the VRRP thread");
            }
            for job in inbox {
                let answer = match job {
                    Job::Batch {
                        requests: batch,
                        patience,
                        state,
                    } => {
                        if !state.begin() {
                            continue;
                        }
                        Done::Batch({
                            let go_on = || !state.is_revoked() && driver.silence() <= patience;
                            make(&mut requests, batch, go_on)
                        })
                    }
                    Job::Snapshot => Done::Snapshot(dump(&names, &mut requests)),
                };
                if report.send(answer).is_err() {
                    return;
                }
                let _ = wake.send(());
            }
        };
        let thread = thread::Builder::new().name("vrrp-netlink".into()).spawn(main)?;
        Ok(Self {
            jobs: Some(jobs),
            done,
            early: VecDeque::new(),
            wakes,
            batch: None,
            alive,
            thread: Some(thread),
        })
    }

    /// The driver's thread is at work, or about to wait.
    pub(super) fn note_alive(&self) {
        self.alive.note();
    }

    /// Makes requests in the background, none of them once [`note_alive`](Self::note_alive) was last called longer ago
    /// than `patience`. One batch at a time.
    pub(super) fn make(&mut self, requests: Vec<Request>, patience: Duration) {
        debug_assert!(self.batch.is_none(), "the last batch has not been answered");
        let state = Arc::new(State::default());
        self.batch = Some(Arc::clone(&state));
        self.send(Job::Batch {
            requests,
            patience,
            state,
        });
    }

    /// Reads everything in the background.
    pub(super) fn read_all(&mut self) {
        self.send(Job::Snapshot);
    }

    /// Stops the batch, if there is one: on return nothing of it will happen any more. Gives what it had done; waits
    /// only for requests that the kernel is at.
    pub(super) fn revoke(&mut self) -> Vec<io::Result<()>> {
        if !self.batch.take().is_some_and(|state| state.revoke()) {
            return Vec::new();
        }
        loop {
            match self.done.recv() {
                Ok(Done::Batch(results)) => return results,
                Ok(other) => self.early.push_back(other),
                // It has panicked, and does nothing any more.
                Err(blocking::RecvError) => return Vec::new(),
            }
        }
    }

    /// What has been done since the last time.
    pub(super) fn take_done(&mut self) -> Option<Done> {
        if let Some(done) = self.early.pop_front() {
            return Some(done);
        }
        let done = match self.done.try_recv() {
            Ok(done) => done,
            // It has panicked; what was asked of it has failed.
            Err(blocking::TryRecvError::Disconnected) if self.batch.is_some() => {
                Done::Batch(vec![Err(io::Error::other("the netlink thread panicked"))])
            }
            Err(_) => return None,
        };
        if matches!(done, Done::Batch(_)) {
            self.batch = None;
        }
        Some(done)
    }

    /// Ready when there is something to take.
    pub(super) fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut any = Poll::Pending;
        while let Poll::Ready(Some(())) = self.wakes.poll_recv(context) {
            any = Poll::Ready(());
        }
        any
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // It fails when the thread has panicked, which `take_done` tells.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            batch.revoke();
        }
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn make(requests: &mut Requests, batch: Vec<Request>, go_on: impl Fn() -> bool) -> Vec<io::Result<()>> {
    let mut results = Vec::with_capacity(batch.len());
    let mut batch = batch.into_iter().peekable();
    // As late as can be: the process may have been stopped on the way here.
    while batch.peek().is_some() && go_on() {
        results.extend(requests.make(batch.by_ref().take(MAX_BATCH)));
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_has_not_begun_is_revoked_without_a_wait_and_never_begins() {
        let state = State::default();
        assert!(!state.revoke());
        assert!(!state.begin());
    }

    #[test]
    fn a_batch_that_has_begun_is_waited_for_and_ends_early() {
        let state = State::default();
        assert!(state.begin());
        assert!(!state.is_revoked());
        assert!(state.revoke());
        assert!(state.is_revoked());
    }
}
