//! A virtual router as a member of a sync group: it asks to become master, and leaves with the others.

use core::time::Duration;

use super::VirtualRouter;
use super::output::{Output, Reason};
use super::state::{Offer, Peer, Role};
use crate::Priority;

impl VirtualRouter {
    /// Makes it a member. `silence` is the longest that a member keeps while it offers mastership, so that all offers
    /// last as long.
    pub(crate) fn join(&mut self, silence: Duration) {
        self.group = Some(silence);
    }

    /// How long it keeps silent when it offers mastership.
    pub(crate) fn own_silence(&self) -> Duration {
        self.silence()
    }

    /// Whether its Master_Down_Timer has fired, and no master was heard since.
    pub(crate) fn wants_master(&self) -> bool {
        matches!(&self.role, Role::Backup(backup) if backup.wants_master.is_some())
    }

    /// All members agree: become master.
    pub(crate) fn take_over(&mut self, now: Duration) {
        if let Role::Backup(backup) = &mut self.role {
            if let Some(reason) = backup.wants_master.take() {
                self.become_master(now, reason);
            }
        }
    }

    /// Another member has stopped being master, for `peer` if that is known: this one goes with it.
    ///
    /// If the other's successor takes this one too, its advert is on the way; if not, priority 0 makes others take over
    /// after their skew times rather than their master-down intervals.
    pub(crate) fn follow(&mut self, now: Duration, peer: Option<Peer>) {
        if !matches!(self.role, Role::Master(_)) {
            return;
        }
        let offer = self.take_offer();
        if offer.is_none() {
            self.advertise(Priority::STOP);
        }
        self.outputs.push_back(Output::HandOverAddresses);
        let backup = self.fresh_backup(now);
        let reason = match (offer, peer) {
            (Some(Offer::Demotion | Offer::Switchover), Some(peer)) => Reason::Yielded(peer),
            _ => Reason::SyncGroup,
        };
        self.hand_over(now, backup, offer, peer, reason);
    }
}
