//! States of a virtual router. Each holds the timers that may run in it, so that others can't be armed.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::demotion::Demoted;
use super::output::{Announcement, Reason};
use crate::{AdverInterval, Packet, Priority};

/// State of a virtual router (RFC 9568 §6.4), and keepalived's FAULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started, or shut down.
    Initialize,
    /// Listens to the master, and takes over when it falls silent.
    Backup,
    /// Holds the addresses and advertises.
    #[doc(alias = "Active")]
    Master,
    /// Started, but unable to serve: its link is down, or a check without weight fails.
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Master => "master",
            Self::Fault => "fault",
        })
    }
}

/// A state with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Initialize {
        /// When a start that was put off is due.
        start_at: Option<Duration>,
    },
    Backup(Backup),
    Master(Master),
    Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Backup {
    /// Master_Down_Timer.
    pub(super) master_down_at: Duration,
    /// Master_Adver_Interval: our own until a master's advert teaches another.
    pub(super) master_adver_interval: AdverInterval,
    /// Whose adverts we follow.
    pub(super) master: Option<Peer>,
    pub(super) preemption: Preemption,
    /// In a sync group: the Master_Down_Timer has fired, for this reason, and the others have yet to agree.
    pub(super) wants_master: Option<Reason>,
}

/// Another router as its last accepted advert showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Source address of the advert.
    pub address: IpAddr,
    /// Priority in the advert.
    pub priority: Priority,
}

impl Peer {
    pub(super) fn sender_of(packet: &Packet<'_>) -> Self {
        Self {
            address: packet.source(),
            priority: packet.priority(),
        }
    }
}

/// What keeps a backup that preempts from doing so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Preemption {
    /// No lower master has been heard since one of our priority or above.
    Idle,
    /// A lower master was heard, and is followed until then; or a master stopped then.
    Delayed { until: Duration },
    /// It yielded, and would be as sick as before: it follows anyone until its priority rises.
    Renounced,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Master {
    /// Since when.
    pub(super) since: Duration,
    /// Adver_Timer.
    pub(super) adver_at: Duration,
    /// When it last sent an advert with a priority.
    pub(super) spoke_at: Duration,
    /// When to announce the addresses once more, and as what (`garp_master_delay`, `garp_lower_prio_delay`).
    pub(super) announce_at: Option<(Duration, Announcement)>,
    /// When to refresh the announcement (`garp_master_refresh`).
    pub(super) refresh_at: Option<Duration>,
    /// From when on a losing advert may trigger an announcement again.
    pub(super) reassert_from: Duration,
    /// Whether `adver_at` ends a silence in which any advert is yielded to.
    pub(super) offer: Option<Offer>,
    /// The last demotion, which may not be repeated within an interval.
    pub(super) demoted: Option<Demoted>,
}

/// Why a master is silent and yields to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Offer {
    /// Its priority has dropped.
    Demotion,
    /// An operator asked for it.
    Switchover,
}
