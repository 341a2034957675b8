//! What an upstream tells about itself.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::backend::BackendState;
use super::config::{BackendId, Weight};
use super::strategy::Strategy;

/// An upstream at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The operator's name.
    pub name: Arc<str>,
    /// By which rule the next backend is found.
    pub strategy: Strategy,
    /// Since when nobody is up and all are used in place of nobody (time since the driver's epoch); `None`
    /// while somebody is up, or if there is no [panic mode](super::UpstreamBuilder::panic).
    pub panic_since: Option<Duration>,
    /// Requests ever sent to a backend because nobody was up.
    pub panic_requests: u64,
    /// Where requests wait for a free slot, if they may.
    pub queue: Option<QueueStatus>,
    /// The backends in the operator's order.
    pub backends: Vec<BackendStatus>,
}

/// A queue at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// How many may wait.
    pub length: u32,
    /// For how long each may.
    pub timeout: Duration,
    /// How many wait.
    pub waiting: usize,
    /// The most that ever waited at a time.
    pub longest: usize,
    /// Requests that ever got a place.
    pub queued: u64,
    /// Requests whose time was over before a slot was free.
    pub timed_out: u64,
    /// Requests that found no place.
    pub refused: u64,
}

/// A backend at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendStatus {
    /// The operator's name.
    pub id: BackendId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its weight, as set.
    pub weight: Weight,
    /// Whether it is a spare.
    pub spare: bool,
    /// Whether it gets requests, and if not, why.
    pub state: BackendState,
    /// When it came into that state (time since the driver's epoch); zero if it began in it.
    pub since: Duration,
    /// What brought it into that state.
    pub reason: Reason,
    /// When one request may try it again, if it is ejected.
    pub ejected_until: Option<Duration>,
    /// Its growing share, if it came back a short time ago.
    pub slow_start: Option<SlowStart>,
    /// How many requests it may have under way; 0 for any number.
    pub max_conns: u32,
    /// Requests under way.
    pub active: u64,
    /// Requests ever sent to it, those under way included.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Requests that ended without a word about the backend.
    pub cancelled: u64,
    /// Failures that count towards `max_fails` at the moment.
    pub fails: u32,
    /// How often its requests got it ejected.
    pub ejections: u64,
    /// How often they would have, had not too many been out already, or had it not been the last.
    pub withheld_ejections: u64,
}

/// The share of a backend that came back after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    /// What it gets of its weight, in percent: 3 to 96.
    pub percent: u8,
    /// When it is the whole (time since the driver's epoch).
    pub until: Duration,
}

/// What brought a backend into its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The operator: settings, or a change of them.
    Operator,
    /// Its active check.
    Check,
    /// [`max_fails`](super::BackendConfig::max_fails) requests failed.
    MaxFails,
    /// Requests failed one after the other ([`Passive::consecutive`](super::Passive::consecutive)).
    Consecutive,
    /// Too many of its requests failed ([`Passive::ratio`](super::Passive::ratio)).
    Ratio,
    /// A request succeeded again.
    Recovered,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Operator => "operator",
            Self::Check => "check",
            Self::MaxFails => "max_fails",
            Self::Consecutive => "consecutive",
            Self::Ratio => "ratio",
            Self::Recovered => "recovered",
        })
    }
}

/// A backend's change from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Which backend.
    pub id: BackendId,
    /// What it was.
    pub from: BackendState,
    /// What it is.
    pub to: BackendState,
    /// Since when (time since the driver's epoch).
    pub since: Duration,
    /// What brought it about.
    pub reason: Reason,
    /// When one request may try it again, if it is ejected.
    pub ejected_until: Option<Duration>,
}

/// What [`Upstream::replace`](super::Upstream::replace) changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Backends that were not there before.
    pub added: Vec<BackendId>,
    /// Backends that are not there any more; requests under way on them go on.
    pub removed: Vec<BackendId>,
    /// Backends whose settings differ from before.
    pub changed: Vec<BackendId>,
}

impl Diff {
    /// Whether no backend differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// The upstream has no backend of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream has no backend {id}")]
pub struct UnknownBackend {
    /// The name.
    pub id: BackendId,
}
