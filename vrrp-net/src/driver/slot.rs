//! What the driver keeps about one virtual router.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{State, VirtualRouter};

use super::conflict::Probe;
use super::limit::{LogLimit, ReplyLimit};
use super::restore::Restores;
use crate::plan::Seat;

/// First wait after the addresses were refused; it doubles each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest wait. A retry may cost the real master its place for a moment, so they become rare.
const LAST_RETRY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) seat: Seat,
    pub(super) holding: Holding,
    /// The process stood still between two effects: what is left of them is not done.
    pub(super) stalled: bool,
    /// Places of addresses that the new master has yet to announce.
    pub(super) awaited: Vec<usize>,
    /// Refusals since addresses were last held.
    refusals: u32,
    /// Who else claims our addresses?
    pub(super) probe: Probe,
    /// The same of addresses on other interfaces than the adverts'.
    pub(super) probe_elsewhere: Probe,
    /// What somebody has removed.
    pub(super) restores: Restores,
    /// The same of routes and rules, which are put back together, as place 0.
    pub(super) routing_restores: Restores,
    pub(super) reply_limit: ReplyLimit,
    /// Who last sent an advert that was accepted.
    pub(super) last_master: Option<IpAddr>,
    pub(super) send_log: LogLimit,
    pub(super) announce_log: LogLimit,
    pub(super) discard_log: LogLimit,
    pub(super) mismatch_log: LogLimit,
    pub(super) address_log: LogLimit,
    pub(super) fight_log: LogLimit,
}

/// Whether the addresses are on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// They are not, and need not be.
    Released,
    /// They are.
    Held {
        /// When to renew their leases; `None` without.
        renew_at: Option<Duration>,
        /// Whether they have been announced.
        announced: bool,
    },
    /// They are, until the new master announces them; Slot::awaited says which it has not.
    HandingOver {
        /// When to remove them in any case.
        until: Duration,
    },
    /// They could not be added or kept: Fault::Addresses stands.
    Refused {
        /// When to try again.
        retry_at: Duration,
    },
}

impl Slot {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            holding: Holding::Released,
            stalled: false,
            awaited: Vec::new(),
            refusals: 0,
            probe: Probe::Idle,
            probe_elsewhere: Probe::Idle,
            restores: Restores::default(),
            routing_restores: Restores::default(),
            reply_limit: ReplyLimit::default(),
            last_master: None,
            send_log: LogLimit::default(),
            announce_log: LogLimit::default(),
            discard_log: LogLimit::default(),
            mismatch_log: LogLimit::default(),
            address_log: LogLimit::default(),
            fight_log: LogLimit::default(),
        }
    }

    pub(super) fn hold(&mut self, now: Duration) {
        self.refusals = 0;
        self.holding = Holding::Held {
            renew_at: self.seat.lease.map(|lease| now + lease / 2),
            announced: false,
        };
    }

    pub(super) fn refuse(&mut self, now: Duration) {
        let wait = FIRST_RETRY * 2_u32.saturating_pow(self.refusals.min(16));
        self.refusals += 1;
        self.let_go();
        self.holding = Holding::Refused {
            retry_at: now + wait.min(LAST_RETRY),
        };
    }

    /// What is about addresses that we hold is over.
    pub(super) fn let_go(&mut self) {
        self.probe.cancel();
        self.probe_elsewhere.cancel();
        self.restores.cancel();
        self.routing_restores.cancel();
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.holding, Holding::Held { .. })
    }

    pub(super) fn is_handing_over(&self) -> bool {
        matches!(self.holding, Holding::HandingOver { .. })
    }

    /// When the leases are to be renewed.
    pub(super) fn renew_at(&self) -> Option<Duration> {
        match self.holding {
            Holding::Held { renew_at, .. } => renew_at,
            Holding::Released | Holding::HandingOver { .. } | Holding::Refused { .. } => None,
        }
    }

    /// When something is to be done; `renewing` when no renewal can begin.
    pub(super) fn deadline(&self, renewing: bool) -> Option<Duration> {
        let holding = match self.holding {
            Holding::Released => None,
            Holding::Held { renew_at, .. } => renew_at.filter(|_| !renewing),
            Holding::HandingOver { until } => Some(until),
            Holding::Refused { retry_at } => Some(retry_at),
        };
        [
            holding,
            self.probe.deadline(),
            self.probe_elsewhere.deadline(),
            self.restores.deadline(),
            self.routing_restores.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Renews the leases as soon as can be.
    pub(super) fn renew_now(&mut self, now: Duration) {
        if let Holding::Held {
            renew_at: Some(renew_at),
            ..
        } = &mut self.holding
        {
            *renew_at = now;
        }
    }
}

/// How late a deadline of a router may be acted upon without others having taken over in the meantime.
///
/// A master's deadline is at most one interval after its last advert, and a backup of the same priority takes over
/// one Master_Down_Interval after that advert.
pub(super) fn patience(router: &VirtualRouter) -> Duration {
    let interval = router.master_down_interval();
    match router.state() {
        State::Master => interval.saturating_sub(router.master_adver_interval().duration()),
        State::Initialize | State::Backup | State::Fault => interval,
    }
}
