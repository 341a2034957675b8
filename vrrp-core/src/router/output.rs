//! What a virtual router wants done.

use core::fmt;

use super::fault::Fault;
use super::rival::Rival;
use super::state::{Peer, State};
use super::switchover::SwitchoverEnd;
use crate::Priority;

/// An effect for the driver. Do them in the order in which they come: RFC 9568 §6.4.2 advertises before it takes the
/// addresses, and announces them after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Output {
    /// Send [`VirtualRouter::next_advert`](super::VirtualRouter::next_advert) with this priority to the group, or to
    /// each peer.
    Advertise(Priority),
    /// Add the virtual addresses to the interface.
    AcquireAddresses,
    /// Send gratuitous ARP or unsolicited neighbour advertisements for the virtual addresses.
    AnnounceAddresses(Announcement),
    /// Remove the virtual addresses from the interface, at once: nobody else has them, or another has had them for a
    /// while.
    ReleaseAddresses,
    /// Remove the virtual addresses from the interface when the master that has just taken over is heard announcing
    /// them, or else soon: until then it may not serve yet. A driver that can't tell removes them at once.
    HandOverAddresses,
    /// The state has changed; for logs, hooks and metrics.
    Transition(Transition),
    /// Another is master of the same virtual router beside us; for logs and alarms.
    Rival(Rival),
    /// A switchover has ended; see [`VirtualRouter::handle_switchover`](super::VirtualRouter::handle_switchover).
    Switchover(SwitchoverEnd),
}

/// Why addresses are announced, which decides how often each announcement is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Announcement {
    /// They were taken just now (`garp_master_repeat`).
    Takeover,
    /// They were taken a while ago (`garp_master_delay`, `garp_master_repeat`).
    Again,
    /// It is time to refresh what hosts and switches know (`garp_master_refresh`, `garp_master_refresh_repeat`).
    Refresh,
    /// A lower master was heard, at once and a while after (`garp_lower_prio_delay`, `garp_lower_prio_repeat`).
    Reassert,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The router was started.
    Startup,
    /// The router was shut down.
    Shutdown,
    /// No advert came for Master_Down_Interval.
    MasterDown,
    /// The master sent priority 0, and no other took over within the skew time.
    MasterStopped,
    /// The master has a lower priority, and we preempt.
    Preempted(Peer),
    /// An advert of higher priority, or of equal priority and higher address, arrived.
    Superseded(Peer),
    /// An advert arrived while we offered to yield.
    Yielded(Peer),
    /// Something that the router needs is gone.
    Fault(Fault),
    /// Everything that the router needs is back.
    Recovered,
    /// The process stood still for so long that another may have taken over.
    Paused,
    /// Another member of the sync group has stopped being master.
    SyncGroup,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startup => f.write_str("startup"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::MasterDown => f.write_str("no advert from a master for the master-down interval"),
            Self::MasterStopped => f.write_str("the master stopped (priority 0)"),
            Self::Preempted(peer) => write!(f, "preempted {} of priority {}", peer.address, peer.priority),
            Self::Superseded(peer) => {
                write!(f, "superseded by {} of priority {}", peer.address, peer.priority)
            }
            Self::Yielded(peer) => write!(f, "yielded to {} of priority {}", peer.address, peer.priority),
            Self::Fault(fault) => write!(f, "fault: {fault}"),
            Self::Recovered => f.write_str("recovered from every fault"),
            Self::SyncGroup => f.write_str("another member of the sync group is no longer master"),
            Self::Paused => f.write_str("paused for longer than the master-down interval"),
        }
    }
}
