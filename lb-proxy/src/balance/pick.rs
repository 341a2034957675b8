//! A request's hold on its backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, nanos};
use super::config::BackendId;
use super::outcome::{Outcome, Verdict};
use super::status::Transition;

/// A backend that has been chosen, as long as its [`Reader`](super::Reader) stands still: what a pick is
/// before it counts.
///
/// For those who count elsewhere, or send no requests; a proxy goes on with [`begin`](Self::begin), which is
/// what [`Reader::pick`](super::Reader::pick) does.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    backend: &'a Arc<Backend>,
    now: u64,
}

impl<'a> Choice<'a> {
    #[inline]
    pub(super) const fn new(backend: &'a Arc<Backend>, now: u64) -> Self {
        Self { backend, now }
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// The backend's name.
    #[must_use]
    pub fn id(&self) -> &'a BackendId {
        self.backend.id()
    }

    /// As [`Pick::slot`].
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.backend.slot()
    }

    /// Begins a request, which counts as under way from here on.
    ///
    /// The choice has heeded [`max_conns`](super::BackendConfig::max_conns); if another thread has taken the
    /// last slot since, this one is beyond it. [`Reader::pick`](super::Reader::pick) does both as one.
    pub fn begin(self) -> Pick {
        if self.backend.max_conns() == 0 {
            return self.begin_free();
        }
        self.backend.claim_over();
        self.begin_claimed()
    }

    pub(super) const fn backend(&self) -> &'a Arc<Backend> {
        self.backend
    }

    /// Begins a request at a backend without a limit.
    #[inline]
    pub(super) fn begin_free(self) -> Pick {
        Pick {
            backend: Arc::clone(self.backend),
            picked_at: self.now,
        }
    }

    /// Begins a request for which a slot has been claimed.
    pub(super) fn begin_claimed(self) -> Pick {
        Pick {
            backend: Arc::clone(self.backend),
            picked_at: self.now | HOLDS_SLOT,
        }
    }
}

/// In `picked_at`: the pick holds a slot of its backend's `max_conns`, which may not have been set when it
/// began.
const HOLDS_SLOT: u64 = 1 << 63;

/// In `picked_at`, in place of the time: how the request ended has been told.
const TOLD: u64 = !HOLDS_SLOT;

/// The backend of one request, which counts as under way until this is finished or dropped.
///
/// Dropping it says [`Outcome::Cancelled`], so a count can't leak.
#[derive(Debug)]
#[must_use = "dropping a pick cancels it"]
pub struct Pick {
    backend: Arc<Backend>,
    /// In nanoseconds, so that a pick is two words and travels in registers.
    picked_at: u64,
}

impl Pick {
    /// A request at `backend`, of which somebody has claimed a slot for it.
    pub(super) const fn holding(backend: Arc<Backend>, now: Duration) -> Self {
        Self {
            backend,
            picked_at: nanos(now) | HOLDS_SLOT,
        }
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// The backend's name.
    #[must_use]
    pub fn id(&self) -> &BackendId {
        self.backend.id()
    }

    /// A small number that is the backend's as long as its upstream has it, so that a worker can keep what
    /// belongs to the backend (say, idle connections) in a `Vec`. A later backend may get the number of one
    /// removed: compare the address too.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.backend.slot()
    }

    /// Ends the request, and counts it against or for the backend. `now` is the time since the driver's
    /// epoch.
    ///
    /// Returns the change of the backend's state, if it made one. Nothing here blocks unless the request
    /// failed or ended a run of failures, and then only for as long as another such event takes.
    #[inline]
    pub fn finish(mut self, now: Duration, outcome: Outcome) -> Option<Transition> {
        let good = match outcome {
            Outcome::Success => true,
            Outcome::Status(status) => self.backend.passes(status),
            _ => false,
        };
        let picked_at = self.picked_at & !HOLDS_SLOT;
        let transition = if good && !self.backend.heeds_success(picked_at) {
            self.backend.latency().observe(picked_at, nanos(now), false);
            None
        } else {
            self.tell(now, picked_at, outcome)
        };
        if outcome != Outcome::Cancelled {
            self.picked_at |= TOLD;
        }
        transition
    }

    #[cold]
    fn tell(&self, now: Duration, picked_at: u64, outcome: Outcome) -> Option<Transition> {
        let core = self.backend.core()?;
        let verdict = core.judge(outcome);
        if verdict != Verdict::Neutral {
            let failed = verdict == Verdict::Failure;
            self.backend.latency().observe(picked_at, nanos(now), failed);
        }
        match verdict {
            Verdict::Success if self.backend.heeds_success(picked_at) => {
                core.handle_success(now, picked_at, &self.backend)
            }
            Verdict::Failure => {
                self.backend.count_failure();
                core.handle_failure(now, picked_at, &self.backend)
            }
            Verdict::Success | Verdict::Neutral => None,
        }
    }
}

impl Drop for Pick {
    #[inline]
    fn drop(&mut self) {
        self.backend.count_finished();
        if self.picked_at & TOLD != TOLD {
            self.backend.count_cancelled();
        }
        if self.picked_at & HOLDS_SLOT != 0 {
            self.backend.release();
        }
    }
}

/// Why there is no backend for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// None is up that was not tried (nginx: "no live upstreams", 502).
    #[error("no backend is up that was not tried")]
    NoBackend,
    /// Those that are up have [`max_conns`](super::BackendConfig::max_conns) requests each, or the queue is
    /// full too (503, or 502 as nginx says).
    #[error("every backend is full")]
    Full,
    /// None had a free slot before the deadline (504, or 502 as nginx says).
    #[error("no backend had a free slot in time")]
    TimedOut,
}
