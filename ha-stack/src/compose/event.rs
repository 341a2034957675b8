//! What happens in a stack, as it happens.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ha_health::{CannotExecute, Outcome};
use lb_proxy::balance::{BackendId, BackendState};
use tokio::sync::broadcast;
use vrrp_core::{Priority, Rival, SwitchoverEnd, Transition};
use vrrp_net::MacAddr;

/// Something that happened. Printed, it is one line for a log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A virtual router changed its state. When it became master, the addresses are held by now.
    Transition {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// From where to where, and why.
        transition: Transition,
    },
    /// Checks changed the effective priority of a virtual router.
    Priority {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// Effective priority before.
        from: Priority,
        /// Effective priority after.
        to: Priority,
    },
    /// Another host is master of the same virtual router, and does not give way.
    Rival {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// Who, and why probably.
        rival: Rival,
    },
    /// A switchover of a virtual router has ended.
    Switchover {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// How.
        end: SwitchoverEnd,
    },
    /// An address that was taken over is claimed by another host too.
    Conflict {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// The address.
        address: IpAddr,
        /// Hardware address of the other host.
        mac: MacAddr,
    },
    /// Somebody removed a virtual address; it was put back.
    AddressRestored {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// The address.
        address: IpAddr,
    },
    /// Routes or rules of a virtual router were gone, removed by somebody or with an interface; they were put back.
    RoutingRestored {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// How many.
        count: usize,
    },
    /// The virtual addresses, or what belongs to them, could not be added or kept: the virtual router is in fault, and tries again by itself.
    AddressesRefused {
        /// Name of the virtual router.
        instance: Arc<str>,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A check went up or down, or has its first result.
    Check {
        /// Name of the check.
        check: Arc<str>,
        /// Whether it is up.
        up: bool,
        /// Whether it is its first result.
        first: bool,
        /// The result that decided it.
        outcome: Outcome,
    },
    /// A script can't be executed; it counts as failed.
    CannotExecute {
        /// Name of the check.
        check: Arc<str>,
        /// Why.
        reason: CannotExecute,
    },
    /// A run of a check fell due while the one before was still on.
    CheckSkipped {
        /// Name of the check.
        check: Arc<str>,
        /// How long the run before has been on.
        running: Duration,
    },
    /// A notify script failed, or took too long and was killed. Nothing else comes of it.
    NotifyFailed {
        /// Name of the virtual router or group.
        name: Arc<str>,
        /// What it was for: `MASTER` and so on.
        change: &'static str,
        /// The script.
        script: String,
        /// What became of it.
        outcome: Outcome,
    },
    /// The reader of a notify FIFO has ended; it is started again.
    NotifyReader {
        /// The FIFO.
        fifo: Arc<Path>,
        /// What became of it.
        outcome: Outcome,
    },
    /// Lines for a notify FIFO are lost, since they are not read, or read too slowly. Told when that begins, and when
    /// the FIFO takes lines again.
    NotifyLost {
        /// The FIFO.
        fifo: Arc<Path>,
        /// How many so far.
        lines: u64,
    },
    /// A backend began or ceased to get requests.
    Backend {
        /// Name of the upstream.
        upstream: Arc<str>,
        /// Name of the backend.
        backend: BackendId,
        /// What it was.
        from: BackendState,
        /// What it is.
        to: BackendState,
    },
    /// The check of a backend went up or down, or failed at its first result.
    BackendCheck {
        /// Name of the upstream.
        upstream: Arc<str>,
        /// Name of the backend.
        backend: BackendId,
        /// Whether it is up.
        up: bool,
        /// Whether it is its first result.
        first: bool,
        /// The result that decided it.
        outcome: Outcome,
    },
    /// A proxy was started or ended.
    Proxy {
        /// Name of the proxy.
        proxy: Arc<str>,
        /// Whether it accepts connections.
        running: bool,
    },
    /// The VRRP thread has ended although nobody asked for it: the virtual addresses expire with their lease.
    Failed {
        /// Why.
        reason: String,
    },
    /// The receiver was too slow, and this many events were lost to it.
    Missed {
        /// How many.
        events: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition {
                instance,
                transition: Transition { from, to, reason },
            } => write!(f, "{instance}: {from} -> {to}: {reason}"),
            Self::Priority { instance, from, to } => write!(f, "{instance}: priority {from} -> {to}"),
            Self::Rival { instance, rival } => write!(f, "{instance}: {rival}"),
            Self::Switchover { instance, end } => match end {
                SwitchoverEnd::Done(peer) => {
                    write!(
                        f,
                        "{instance}: handed over to {}, and held until resumed",
                        peer.address
                    )
                }
                SwitchoverEnd::NobodyTookOver => {
                    write!(f, "{instance}: no backup has taken over, so it stays master")
                }
                SwitchoverEnd::Refused(error) => write!(f, "{instance}: not handed over: {error}"),
                _ => write!(f, "{instance}: the switchover was interrupted"),
            },
            Self::Conflict {
                instance,
                address,
                mac,
            } => write!(f, "{instance}: {address} is claimed by {mac} too"),
            Self::AddressRestored { instance, address } => {
                write!(f, "{instance}: somebody removed {address}; it was put back")
            }
            Self::RoutingRestored { instance, count } => {
                write!(
                    f,
                    "{instance}: {count} of its routes and rules were gone; put back"
                )
            }
            Self::AddressesRefused { instance, reason } => {
                write!(f, "{instance}: cannot hold its addresses: {reason}")
            }
            Self::Check {
                check, up, outcome, ..
            } => {
                write!(f, "check {check}: {}: {outcome}", if *up { "up" } else { "down" })
            }
            Self::CannotExecute { check, reason } => {
                write!(f, "check {check}: cannot be executed, counts as failed: {reason}")
            }
            Self::CheckSkipped { check, running } => {
                write!(
                    f,
                    "check {check}: skipped a run, the one before is on since {running:?}"
                )
            }
            Self::NotifyFailed {
                name,
                change,
                script,
                outcome,
            } => write!(f, "{name}: notify for {change}: {script}: {outcome}"),
            Self::NotifyReader { fifo, outcome } => {
                write!(
                    f,
                    "FIFO {}: its reader ended, and is started again: {outcome}",
                    fifo.display()
                )
            }
            Self::NotifyLost { fifo, lines } => {
                write!(f, "FIFO {}: not read in time, {lines} lost", fifo.display())
            }
            Self::Backend {
                upstream,
                backend,
                from,
                to,
            } => write!(f, "upstream {upstream}: backend {backend}: {from} -> {to}"),
            Self::BackendCheck {
                upstream,
                backend,
                up,
                outcome,
                ..
            } => write!(
                f,
                "upstream {upstream}: backend {backend}: check {}: {outcome}",
                if *up { "up" } else { "down" }
            ),
            Self::Proxy { proxy, running } => {
                write!(
                    f,
                    "proxy {proxy}: {}",
                    if *running { "running" } else { "stopped" }
                )
            }
            Self::Failed { reason } => write!(f, "VRRP has stopped: {reason}"),
            Self::Missed { events } => write!(f, "{events} events were lost, the receiver was too slow"),
        }
    }
}

/// A receiver of events. Each receiver gets all of them from when it was made.
#[derive(Debug)]
pub struct Events(pub(super) broadcast::Receiver<Event>);

impl Events {
    /// Most events that wait for a receiver; the oldest are lost then, and [`Event::Missed`] says how many.
    pub const CAPACITY: usize = 1024;

    /// Waits for the next event; `None` once the stack has stopped. Needs no particular runtime.
    pub async fn next(&mut self) -> Option<Event> {
        received(self.0.recv().await)
    }

    /// Same, blocking the thread. Not to be called in async code.
    pub fn wait(&mut self) -> Option<Event> {
        received(self.0.blocking_recv())
    }
}

fn received(event: Result<Event, broadcast::error::RecvError>) -> Option<Event> {
    match event {
        Ok(event) => Some(event),
        Err(broadcast::error::RecvError::Lagged(events)) => Some(Event::Missed { events }),
        Err(broadcast::error::RecvError::Closed) => None,
    }
}
