//! What a running stack tells about itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_health::{Check, Outcome};
use lb_proxy::balance::{BackendId, UpstreamStatus};
use vrrp_core::{Counters, Family, Faults, Priority, State, Version, Vrid};
use vrrp_net::DriverCounters;

/// A stack at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Name of the node.
    pub node: Arc<str>,
    /// What the VRRP thread saw and did; `None` without virtual routers.
    pub driver: Option<DriverCounters>,
    /// Virtual routers in the order of the configuration.
    pub instances: Vec<InstanceStatus>,
    /// Checks in the order of the configuration.
    pub checks: Vec<CheckStatus>,
    /// Upstreams in the order of the configuration.
    pub upstreams: Vec<UpstreamStatus>,
    /// Checks of the backends that have one, in the order of `upstreams`.
    pub backend_checks: Vec<BackendCheckStatus>,
    /// Proxies in the order of the configuration.
    pub proxies: Vec<ProxyStatus>,
}

/// The part of a status that a [`Node`](super::Node) knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Virtual routers.
    pub instances: Vec<InstanceStatus>,
    /// Checks.
    pub checks: Vec<CheckStatus>,
}

/// A virtual router at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// What people call it.
    pub name: Arc<str>,
    /// Virtual router id.
    pub vrid: Vrid,
    /// Interface that it runs on.
    pub interface: Arc<str>,
    /// Address family.
    pub family: Family,
    /// Protocol version.
    pub version: Version,
    /// State.
    pub state: State,
    /// What keeps it in [`State::Fault`].
    pub faults: Faults,
    /// Configured priority.
    pub priority: Priority,
    /// Priority after checks, which it advertises.
    pub effective_priority: Priority,
    /// Address of the master as far as it is known: its own when it is master itself.
    pub master: Option<IpAddr>,
    /// Name of its sync group.
    pub sync_group: Option<Arc<str>>,
    /// Whether it has handed over on purpose, and leaves any master alone until it is resumed.
    pub held: bool,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Changes of state since the start, the one into the first state included.
    pub transitions: u64,
    /// What it saw and did.
    pub counters: Counters,
}

/// A check at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckStatus {
    /// What people call it.
    pub name: Arc<str>,
    /// Whether it is up; `None` before its first result.
    pub up: Option<bool>,
    /// The last result.
    pub last: Option<Outcome>,
    /// How long the last run took.
    pub took: Option<Duration>,
    /// Results of the same kind in a row, the last included.
    pub consecutive: u64,
    /// What it has counted.
    pub counters: ha_health::Counters,
}

/// The check of a backend at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendCheckStatus {
    /// Name of the upstream.
    pub upstream: Arc<str>,
    /// Name of the backend.
    pub backend: BackendId,
    /// Whether it is up; `None` before its first result.
    pub up: Option<bool>,
    /// The last result.
    pub last: Option<Outcome>,
    /// How long the last run took.
    pub took: Option<Duration>,
    /// Results of the same kind in a row, the last included.
    pub consecutive: u64,
    /// For how long it has been up or down; `None` before its first result.
    pub since: Option<Duration>,
    /// Until the next run; `None` while one is on.
    pub next: Option<Duration>,
    /// What it has counted.
    pub counters: ha_health::Counters,
}

impl CheckStatus {
    pub(super) fn of(check: &Check) -> Self {
        Self {
            name: check.name().into(),
            up: check.up(),
            last: check.last_outcome().cloned(),
            took: check.last_duration(),
            consecutive: check.consecutive(),
            counters: check.counters(),
        }
    }
}

/// A proxy at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyStatus {
    /// What people call it.
    pub name: Arc<str>,
    /// The rest; `None` while it does not run.
    pub server: Option<lb_proxy::proxy::ServerStatus>,
}
