//! What a master does when its effective priority changes while it serves.
//!
//! Lowering the priority alone is slow: a backup above the new priority hears adverts that it ignores, and takes over
//! when its Master_Down_Timer runs out. Giving up with priority 0 is fast, but leaves nobody serving for the skew
//! time. The election does both at once: the 0 arms the skew timer of every backup, and the advert with the new
//! priority, sent right behind, re-arms those that may not take over. The master serves until a higher advert comes.

use core::time::Duration;

use super::VirtualRouter;
use super::state::{Offer, Role};
use super::timers;
use crate::{Demotion, Priority};

/// A demotion less than an interval ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Demoted {
    /// From when on the next is allowed.
    again_from: Duration,
    /// The priority that it announced.
    announced: Priority,
    /// The priority has dropped further since.
    pending: bool,
    /// The priority has risen since, and was told at once.
    revoked: bool,
}

impl Demoted {
    pub(super) fn due_at(self) -> Option<Duration> {
        self.pending.then_some(self.again_from)
    }

    /// Takes a rise to `priority` into account; whether it must be told at once, since backups still act on the drop.
    fn revoke(&mut self, now: Duration, priority: Priority) -> bool {
        self.pending &= priority < self.announced;
        let revoke = priority > self.announced && now < self.again_from && !self.revoked;
        if revoke {
            self.revoked = true;
            self.announced = priority;
        }
        revoke
    }
}

impl VirtualRouter {
    /// The effective priority of a master has dropped.
    pub(super) fn lower(&mut self, now: Duration) {
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if master.offer.is_some() {
            // The offer stands; it is to anyone.
            return;
        }
        match &mut master.demoted {
            Some(demoted) if now < demoted.again_from => demoted.pending = true,
            _ => self.demote(now),
        }
    }

    /// The effective priority of a master has risen.
    pub(super) fn raise(&mut self, now: Duration) {
        let priority = self.priority;
        let interval = self.config.adver_interval().duration();
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if master.offer == Some(Offer::Switchover) {
            // Asked for whatever the priority.
            return;
        }
        let revoke = master
            .demoted
            .as_mut()
            .is_some_and(|demoted| demoted.revoke(now, priority));
        if master.offer.take().is_some() || revoke {
            // The 0 has armed the skew timers of backups that would be in the wrong by now.
            master.adver_at = now + interval;
            self.speak(now);
        }
    }

    pub(super) fn demote_when_due(&mut self, now: Duration) {
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if master
            .demoted
            .and_then(Demoted::due_at)
            .is_some_and(|at| now >= at)
        {
            self.demote(now);
        }
    }

    fn demote(&mut self, now: Duration) {
        let interval = self.config.adver_interval();
        let priority = self.priority;
        let skew_unit = timers::skew_unit(self.config.version(), interval);
        let interval = interval.duration();
        let Role::Master(master) = &mut self.role else {
            return;
        };
        let demoted = Demoted {
            again_from: now + interval,
            announced: priority,
            pending: false,
            revoked: false,
        };
        match self.config.demotion {
            Demotion::Plain => {}
            Demotion::Elect => {
                master.demoted = Some(demoted);
                // One more soon after: had the advert behind the 0 been lost, backups below us would take over. They
                // wait for their skew times, which in VRRPv2 don't grow with the interval.
                master.adver_at = now + interval.min(skew_unit) / 4;
                self.advertise(Priority::STOP);
                self.speak(now);
            }
            Demotion::Yield => {
                master.demoted = Some(demoted);
                self.offer(now, Offer::Demotion);
            }
        }
    }

    /// Priority 0, and silence for as long as the lowest backup needs to take over; it serves meanwhile.
    pub(super) fn offer(&mut self, now: Duration, offer: Offer) {
        let silence = self.group.unwrap_or_default().max(self.silence());
        let Role::Master(master) = &mut self.role else {
            return;
        };
        master.offer = Some(offer);
        master.adver_at = now + silence;
        self.advertise(Priority::STOP);
    }

    /// The longest skew time of any backup, and one interval.
    pub(super) fn silence(&self) -> Duration {
        let interval = self.config.adver_interval();
        timers::skew_time(self.config.version(), Priority::new(1), interval) + interval.duration()
    }
}
