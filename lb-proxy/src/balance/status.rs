//! What an upstream tells about itself.

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
    /// The backends in the operator's order.
    pub backends: Vec<BackendStatus>,
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
    /// Requests under way.
    pub active: u64,
    /// Requests ever sent to it, those under way included.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
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
