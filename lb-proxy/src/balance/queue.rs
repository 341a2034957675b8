//! Waiting for a free backend: first come, first served, and nobody is woken in vain.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::backend::Backend;
use super::pick::{Pick, Refusal};
use super::slots::Tried;
use super::status::QueueStatus;

/// How many requests may wait while every backend has [`max_conns`](super::BackendConfig::max_conns)
/// requests, and for how long (nginx Plus: `queue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    pub(super) length: NonZeroU32,
    pub(super) timeout: Duration,
}

impl QueueConfig {
    /// A queue of so many places, in which a request waits for 60 s at the most, as in nginx Plus.
    #[must_use]
    pub const fn new(length: NonZeroU32) -> Self {
        Self {
            length,
            timeout: Duration::from_secs(60),
        }
    }

    /// Sets for how long a request waits at the most; default 60 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A request's place in the queue of an [`Upstream`](super::Upstream); made by
/// [`Upstream::wait`](super::Upstream::wait).
///
/// A freed slot is handed to the first in the queue that has not tried that backend, and it alone is woken;
/// until it comes for it, nobody else gets the slot. Dropping this leaves the queue, and hands on what was
/// meant for it.
#[derive(Debug)]
#[must_use = "dropping it leaves the queue"]
pub struct Waiting {
    gate: Arc<Gate>,
    ticket: u64,
    deadline: Duration,
}

impl Waiting {
    /// Whether there is a backend for the request. `now` is the time since the driver's epoch; `waker` is
    /// woken when there is something to come for, and only the last one given is.
    ///
    /// The caller arms a timer for [`deadline`](Self::deadline): nothing here wakes it then. After it has
    /// been ready once it says [`Refusal::TimedOut`].
    ///
    /// # Errors
    /// [`Refusal::TimedOut`] when the deadline is over, [`Refusal::NoBackend`] when a change has left no
    /// backend that could take the request.
    pub fn poll_pick(&mut self, now: Duration, waker: &Waker) -> Poll<Result<Pick, Refusal>> {
        let mut queue = self.gate.lock();
        if let Some(grant) = queue.granted.remove(&self.ticket) {
            return Poll::Ready(grant.map(|backend| Pick::holding(backend, now)));
        }
        match queue.find(self.ticket) {
            Some(place) if now < self.deadline => {
                let held = &mut queue.waiters[place].waker;
                match held {
                    Some(held) => held.clone_from(waker),
                    None => *held = Some(waker.clone()),
                }
                Poll::Pending
            }
            Some(place) => {
                self.gate.remove(&mut queue, place);
                queue.timed_out += 1;
                Poll::Ready(Err(Refusal::TimedOut))
            }
            None => Poll::Ready(Err(Refusal::TimedOut)),
        }
    }

    /// When the request has waited long enough (time since the driver's epoch).
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = self.gate.lock();
        if let Some(place) = queue.find(self.ticket) {
            self.gate.remove(&mut queue, place);
        }
        let grant = queue.granted.remove(&self.ticket);
        drop(queue);
        if let Some(Ok(backend)) = grant {
            drop(Pick::holding(backend, Duration::ZERO));
        }
    }
}

/// The queue of one upstream, and what those outside it have to know.
#[derive(Debug, Default)]
pub(super) struct Gate {
    queue: Mutex<Queue>,
    /// How many wait.
    waiting: AtomicUsize,
    /// How many of those would take any backend: while there are such, no backend has room.
    easy: AtomicUsize,
    /// Requests refused because the queue was full, or there is none.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    config: Option<QueueConfig>,
    /// In the order in which they came, so by ticket.
    waiters: VecDeque<Waiter>,
    /// By ticket, for those who were woken and have not come yet.
    granted: HashMap<u64, Result<Arc<Backend>, Refusal>>,
    next_ticket: u64,
    queued: u64,
    timed_out: u64,
    longest: usize,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    tried: Tried,
    waker: Option<Waker>,
}

impl Gate {
    pub(super) fn set_config(&self, config: Option<QueueConfig>) {
        self.lock().config = config;
    }

    /// Whether anybody waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Whether it is known without looking that no backend has room.
    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.easy.load(Ordering::SeqCst) > 0
    }

    /// Takes a place at the end. `claim` is asked once more whether there is room, after it is known to all
    /// who free a slot that somebody waits: either it sees their slot, or they see the waiter.
    pub(super) fn wait(
        self: &Arc<Self>,
        now: Duration,
        tried: &Tried,
        claim: impl FnOnce() -> Result<Arc<Backend>, Refusal>,
    ) -> Result<Waiting, Refusal> {
        let mut queue = self.lock();
        let Some(config) = queue
            .config
            .filter(|config| queue.waiters.len() < config.length.get() as usize)
        else {
            drop(queue);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::Full);
        };
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        // Somebody before it would take any backend and has got none, so there is none.
        let hopeless = self.is_shut();
        queue.waiters.push_back(Waiter {
            ticket,
            tried: tried.clone(),
            waker: None,
        });
        self.count(&queue, tried, 1);
        if !hopeless {
            match claim() {
                Err(Refusal::Full) => {}
                grant => {
                    let last = queue.waiters.len() - 1;
                    self.remove(&mut queue, last);
                    queue.granted.insert(ticket, Ok(grant?));
                }
            }
        }
        queue.queued += 1;
        queue.longest = queue.longest.max(queue.waiters.len());
        drop(queue);
        Ok(Waiting {
            gate: Arc::clone(self),
            ticket,
            deadline: now.saturating_add(config.timeout),
        })
    }

    /// Gives the slot that a request held at `backend` to the first who can use it; `false` if nobody can,
    /// and the slot is still the caller's.
    #[cold]
    pub(super) fn hand_over(&self, backend: &Arc<Backend>) -> bool {
        let mut queue = self.lock();
        let first = queue
            .waiters
            .iter()
            .position(|waiter| !waiter.tried.contains(backend.slot()));
        let Some(place) = first.filter(|_| backend.takes_queued()) else {
            return false;
        };
        let waker = self.grant(&mut queue, place, Ok(Arc::clone(backend)));
        drop(queue);
        wake(waker);
        true
    }

    /// Offers a slot of `backend` that became free just now, in case somebody began to wait meanwhile.
    #[cold]
    pub(super) fn offer(&self, backend: &Arc<Backend>) {
        if backend.claim() && !self.hand_over(backend) {
            backend.unclaim();
        }
    }

    /// Serves those who wait after a change, in their order, for as long as `claim` finds room.
    #[cold]
    pub(super) fn serve(&self, mut claim: impl FnMut(&Tried) -> Result<Arc<Backend>, Refusal>) {
        let mut wakers = Vec::new();
        let mut queue = self.lock();
        let mut place = 0;
        while let Some(waiter) = queue.waiters.get(place) {
            match claim(&waiter.tried) {
                Err(Refusal::Full) if waiter.tried.is_empty() => break, // then nobody has room for anybody
                Err(Refusal::Full) => place += 1,
                grant => wakers.extend(self.grant(&mut queue, place, grant)),
            }
        }
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn status(&self) -> Option<QueueStatus> {
        let queue = self.lock();
        let config = queue.config?;
        Some(QueueStatus {
            length: config.length.get(),
            timeout: config.timeout,
            waiting: queue.waiters.len(),
            longest: queue.longest,
            queued: queue.queued,
            timed_out: queue.timed_out,
            refused: self.refused.load(Ordering::Relaxed),
        })
    }

    /// Takes the waiter at `place` out of the queue; returns whom to wake.
    fn grant(&self, queue: &mut Queue, place: usize, grant: Result<Arc<Backend>, Refusal>) -> Option<Waker> {
        let waiter = self.remove(queue, place)?;
        queue.granted.insert(waiter.ticket, grant);
        waiter.waker
    }

    fn remove(&self, queue: &mut Queue, place: usize) -> Option<Waiter> {
        let waiter = queue.waiters.remove(place)?;
        self.count(queue, &waiter.tried, -1);
        Some(waiter)
    }

    /// Lets those outside know how many wait, one more or less of them having `tried` these.
    fn count(&self, queue: &Queue, tried: &Tried, change: isize) {
        if tried.is_empty() {
            let easy = self.easy.load(Ordering::SeqCst).saturating_add_signed(change);
            self.easy.store(easy, Ordering::SeqCst);
        }
        self.waiting.store(queue.waiters.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }
}

/// Outside the lock: a waker may poll at once.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
