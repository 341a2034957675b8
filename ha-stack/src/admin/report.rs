//! The status as JSON.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lb_proxy::balance::UpstreamStatus;
use serde::{Deserialize, Serialize};
use vrrp_net::DriverCounters;

use crate::{BackendCheckStatus, CheckStatus, InstanceStatus, Status};

/// A stack at one moment, as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the node.
    pub node: String,
    /// Virtual routers.
    pub vrrp: Vec<RouterReport>,
    /// Checks.
    pub checks: Vec<CheckReport>,
    /// Upstreams.
    pub upstreams: Vec<UpstreamReport>,
    /// What the VRRP thread saw and did; `null` without virtual routers.
    #[serde(default)]
    pub vrrp_thread: Option<ThreadReport>,
}

/// The thread that sends and receives adverts; all of it counts since its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadReport {
    /// The latest that it acted upon a timer, in milliseconds after its deadline.
    pub max_lateness_ms: f64,
    /// Times that it had stood still for so long that a virtual router stepped down and listened anew.
    pub pauses: u64,
    /// Packets that are no adverts.
    pub malformed: u64,
    /// Adverts for virtual routers that are none of ours.
    pub unknown_vrid: u64,
    /// Adverts that could not be sent.
    pub send_errors: u64,
    /// Announcements that could not be sent.
    pub announce_errors: u64,
    /// Times that virtual addresses could not be added or kept.
    pub address_errors: u64,
    /// Leases of virtual addresses renewed.
    pub renewals: u64,
    /// Virtual addresses put back that somebody had removed.
    pub restored: u64,
    /// Times that a stranger claimed a virtual address of ours.
    pub conflicts: u64,
    /// Adverts not sent in answer to others', which came too fast.
    pub replies_withheld: u64,
}

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouterReport {
    /// What people call it.
    pub name: String,
    /// Virtual router id.
    pub vrid: u8,
    /// Interface that it runs on.
    pub interface: String,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// `initialize`, `backup`, `master` or `fault`.
    pub state: String,
    /// Configured priority.
    pub priority: u8,
    /// Priority after checks.
    pub effective_priority: u8,
    /// Address of the master, when one is known.
    pub master: Option<IpAddr>,
    /// Name of its sync group.
    #[serde(default)]
    pub sync_group: Option<String>,
    /// Whether it has handed over on purpose, and leaves any master alone until it is resumed.
    #[serde(default)]
    pub held: bool,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Changes of state since the start.
    pub transitions: u64,
    /// Adverts not acted upon since the start, by reason (`authentication`, `unknown_key`, `adver_interval`, `peer` and
    /// the other names of [`Discards`](vrrp_core::Discards)); those that have not come up are left out.
    #[serde(default)]
    pub discards: BTreeMap<String, u64>,
}

/// The answer to a switchover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Handed {
    /// Address of the new master.
    pub(super) master: IpAddr,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What people call it.
    pub name: String,
    /// Whether it is up; `null` before its first result.
    pub up: Option<bool>,
    /// The last result in words; `null` before the first.
    pub last: Option<String>,
    /// How long the last run took, in milliseconds.
    pub took_ms: Option<f64>,
    /// Results of the same kind in a row.
    pub consecutive: u64,
    /// Runs started.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Changes between up and down.
    pub transitions: u64,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamReport {
    /// What people call it.
    pub name: String,
    /// Its backends.
    pub backends: Vec<BackendReport>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendReport {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: u16,
    /// `up`, `failed`, `drain`, `unhealthy` or `down`.
    pub state: String,
    /// Requests under way.
    pub active: u64,
    /// Requests ever sent to it.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Its check; `null` if it has none, or follows one of [`checks`](Report::checks).
    #[serde(default)]
    pub check: Option<BackendCheckReport>,
}

/// The check of a backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendCheckReport {
    /// Whether it is up; `null` before its first result.
    pub up: Option<bool>,
    /// The last result in words; `null` before the first.
    pub last: Option<String>,
    /// How long the last run took, in milliseconds.
    pub took_ms: Option<f64>,
    /// Results of the same kind in a row.
    pub consecutive: u64,
    /// For how long it has been up or down, in milliseconds; `null` before its first result.
    pub since_ms: Option<u64>,
    /// Until the next run, in milliseconds; `null` while one is on.
    pub next_ms: Option<u64>,
    /// Runs started.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Changes between up and down.
    pub transitions: u64,
}

impl From<&Status> for Report {
    fn from(status: &Status) -> Self {
        Self {
            node: status.node.to_string(),
            vrrp_thread: status.driver.as_ref().map(ThreadReport::from),
            vrrp: status.instances.iter().map(RouterReport::from).collect(),
            checks: status.checks.iter().map(CheckReport::from).collect(),
            upstreams: upstreams(status),
        }
    }
}

/// The upstreams, each backend with its check.
fn upstreams(status: &Status) -> Vec<UpstreamReport> {
    // Both have the same order, and some backends have no check.
    let mut checks = status.backend_checks.iter().peekable();
    let upstream = |upstream: &UpstreamStatus| {
        let mut report = UpstreamReport::from(upstream);
        for (backend, report) in upstream.backends.iter().zip(&mut report.backends) {
            let check = checks.next_if(|one| one.upstream == upstream.name && one.backend == backend.id);
            report.check = check.map(BackendCheckReport::from);
        }
        report
    };
    status.upstreams.iter().map(upstream).collect()
}

impl From<&DriverCounters> for ThreadReport {
    fn from(counters: &DriverCounters) -> Self {
        Self {
            max_lateness_ms: counters.max_lateness.as_secs_f64() * 1000.0,
            pauses: counters.pauses,
            malformed: counters.malformed.total(),
            unknown_vrid: counters.unknown_vrid,
            send_errors: counters.send_errors,
            announce_errors: counters.announce_errors,
            address_errors: counters.address_errors,
            renewals: counters.renewals,
            restored: counters.restored,
            conflicts: counters.conflicts,
            replies_withheld: counters.replies_withheld,
        }
    }
}

impl From<&InstanceStatus> for RouterReport {
    fn from(status: &InstanceStatus) -> Self {
        Self {
            name: status.name.to_string(),
            vrid: status.vrid.get(),
            interface: status.interface.to_string(),
            family: status.family.to_string().to_lowercase(),
            state: status.state.to_string(),
            priority: status.priority.get(),
            effective_priority: status.effective_priority.get(),
            master: status.master,
            sync_group: status.sync_group.as_deref().map(str::to_owned),
            held: status.held,
            addresses: status.addresses.clone(),
            transitions: status.transitions,
            discards: (status.counters.discards.by_reason())
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
        }
    }
}

impl From<&CheckStatus> for CheckReport {
    fn from(status: &CheckStatus) -> Self {
        Self {
            name: status.name.to_string(),
            up: status.up,
            last: status.last.as_ref().map(ToString::to_string),
            took_ms: status.took.map(|took| took.as_secs_f64() * 1000.0),
            consecutive: status.consecutive,
            runs: status.counters.runs,
            failures: status.counters.failures,
            transitions: status.counters.transitions,
        }
    }
}

impl From<&BackendCheckStatus> for BackendCheckReport {
    fn from(status: &BackendCheckStatus) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            up: status.up,
            last: status.last.as_ref().map(ToString::to_string),
            took_ms: status.took.map(|took| took.as_secs_f64() * 1000.0),
            consecutive: status.consecutive,
            since_ms: status.since.map(millis),
            next_ms: status.next.map(millis),
            runs: status.counters.runs,
            failures: status.counters.failures,
            transitions: status.counters.transitions,
        }
    }
}

impl From<&UpstreamStatus> for UpstreamReport {
    fn from(status: &UpstreamStatus) -> Self {
        let backend = |one: &lb_proxy::balance::BackendStatus| BackendReport {
            name: one.id.to_string(),
            address: one.address,
            weight: one.weight.get(),
            state: one.state.to_string(),
            active: one.active,
            requests: one.requests,
            failures: one.failures,
            check: None,
        };
        Self {
            name: status.name.to_string(),
            backends: status.backends.iter().map(backend).collect(),
        }
    }
}
