//! A request's hold on its backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::config::BackendId;
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
    #[inline]
    pub fn begin(self) -> Pick {
        Pick {
            backend: Arc::clone(self.backend),
            picked_at: self.now,
        }
    }
}

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
    pub fn finish(self, now: Duration, outcome: Outcome) -> Option<Transition> {
        match outcome {
            Outcome::Success if !self.backend.forgives(self.picked_at) => None,
            Outcome::Success => self
                .backend
                .core()?
                .handle_success(now, self.picked_at, &self.backend),
            Outcome::Failure => {
                self.backend.count_failure();
                self.backend.core()?.handle_failure(now, &self.backend)
            }
            Outcome::Cancelled => None,
        }
    }
}

impl Drop for Pick {
    #[inline]
    fn drop(&mut self) {
        self.backend.count_finished();
    }
}

/// How a request ended, as far as it says something about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The backend answered; an answer such as 404 is one.
    Success,
    /// The backend could not be reached, broke off, took too long, or gave an answer that counts as a
    /// failure.
    Failure,
    /// It ended for reasons that say nothing about the backend: the client went away.
    Cancelled,
}
