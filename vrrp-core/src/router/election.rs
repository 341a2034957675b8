//! Who is master: what a backup and a master make of an accepted advert, and of time.

use core::time::Duration;

use super::demotion::Demoted;
use super::output::{Announcement, Output, Reason};
use super::rival::RivalCause;
use super::state::{Backup, Master, Offer, Peer, Preemption, Role};
use super::switchover::SwitchoverEnd;
use super::{VirtualRouter, timers};
use crate::{AdverInterval, Priority, Version};

/// Least time between two announcements that losing adverts call for, so that a peer can't make us flood the link.
const REASSERT_INTERVAL: Duration = Duration::from_secs(1);

impl VirtualRouter {
    pub(super) fn elect(&mut self, now: Duration, peer: Peer, interval: AdverInterval, cause: RivalCause) {
        match &self.role {
            Role::Initialize { .. } | Role::Fault => {}
            Role::Backup(_) => self.elect_as_backup(now, peer, interval),
            Role::Master(master) if master.offer.is_some() => self.elect_as_yielding(now, peer, interval),
            Role::Master(_) => self.elect_as_master(now, peer, interval, cause),
        }
    }

    /// RFC 9568 §6.4.2, RFC 3768 §6.4.2. The sender's address is not compared in Backup.
    fn elect_as_backup(&mut self, now: Duration, peer: Peer, interval: AdverInterval) {
        let stop = peer.priority == Priority::STOP;
        let follow = stop || self.follows(now, peer.priority);
        let version = self.config.version();
        let Role::Backup(backup) = &mut self.role else {
            return;
        };
        backup.master = Some(peer);
        if follow {
            backup.wants_master = None;
        }
        if stop {
            // `preempt_delay` is against taking from a master. This one goes, and if a lower advert follows it calls
            // an election.
            if backup.preemption != Preemption::Renounced {
                backup.preemption = Preemption::Delayed { until: now };
            }
            backup.master_down_at =
                now + timers::skew_time(version, self.priority, backup.master_adver_interval);
        } else if follow {
            backup.learn(version, interval);
            backup.master_down_at =
                now + timers::master_down_interval(&self.config, self.priority, backup.master_adver_interval);
        }
        // Else: a lower master that we preempt. The timer runs on, and when it fires we are master.
    }

    /// Whether a backup obeys an advert of this priority; keeps `preempt_delay`.
    fn follows(&mut self, now: Duration, priority: Priority) -> bool {
        let held = self.held;
        let Role::Backup(backup) = &mut self.role else {
            return false;
        };
        if held || backup.preemption == Preemption::Renounced {
            return true;
        }
        if priority >= self.priority {
            backup.preemption = Preemption::Idle;
            return true;
        }
        if backup.preemption == Preemption::Idle {
            let until = now + self.config.preempt_delay();
            backup.preemption = Preemption::Delayed { until };
        }
        !self.preempts(now)
    }

    /// Whether a backup that hears a lower master lets its timer run. An owner does so whatever the settings (RFC 9568
    /// §6.1).
    fn preempts(&self, now: Duration) -> bool {
        match &self.role {
            Role::Backup(backup) => match backup.preemption {
                Preemption::Idle | Preemption::Renounced => false,
                Preemption::Delayed { until } => {
                    let held = self.held || self.damper.holds(now);
                    self.config.preempt() && (now >= until && !held || self.config.is_owner())
                }
            },
            Role::Initialize { .. } | Role::Master(_) | Role::Fault => false,
        }
    }

    /// RFC 9568 §6.4.3, RFC 3768 §6.4.3. Preempt_Mode means nothing to a master.
    fn elect_as_master(&mut self, now: Duration, peer: Peer, interval: AdverInterval, cause: RivalCause) {
        if peer.priority == Priority::STOP {
            self.speak(now);
            let adver_at = now + self.config.adver_interval().duration();
            if let Role::Master(master) = &mut self.role {
                master.adver_at = adver_at;
            }
        } else if peer.priority > self.priority
            || (peer.priority == self.priority && peer.address > self.source)
        {
            self.step_down(now, peer, interval, Reason::Superseded(peer));
        } else {
            self.counters.lower_received_as_master += 1;
            self.note_rival(now, peer, interval, cause);
            if self.config.reassert {
                self.reassert(now);
            }
        }
    }

    /// RFC 9568 §6.4.3 sends an advert at once; VRRPv2 may as well, and keepalived does. Hosts that the other master
    /// has led astray need an announcement too.
    fn reassert(&mut self, now: Duration) {
        self.speak(now);
        let delay = self.config.lower_prio_announce_delay();
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if now >= master.reassert_from {
            master.reassert_from = now + REASSERT_INTERVAL;
            if !delay.is_zero() {
                master.announce_at = Some((now + delay, Announcement::Reassert));
            }
            self.outputs
                .push_back(Output::AnnounceAddresses(Announcement::Reassert));
        }
    }

    /// While yielding, whoever speaks is master. A stop means that somebody else has given up: no one to yield to.
    ///
    /// Neither is one that can't have taken over for our offer, as even the highest backup waits for its skew time:
    /// sooner after our own advert comes the last word of a master that has just been superseded by it.
    fn elect_as_yielding(&mut self, now: Duration, peer: Peer, interval: AdverInterval) {
        let shortest = timers::skew_time(
            self.config.version(),
            Priority::MAX_BACKUP,
            self.config.adver_interval(),
        );
        let Role::Master(master) = &self.role else {
            return;
        };
        // A quarter for the drift of clocks.
        let deaf = now < master.spoke_at + shortest * 3 / 4;
        if peer.priority != Priority::STOP && !deaf {
            self.step_down(now, peer, interval, Reason::Yielded(peer));
        }
    }

    /// Sends an advert of our priority.
    pub(super) fn speak(&mut self, now: Duration) {
        if let Role::Master(master) = &mut self.role {
            master.spoke_at = now;
        }
        self.advertise(self.priority);
    }

    fn step_down(&mut self, now: Duration, peer: Peer, interval: AdverInterval, reason: Reason) {
        let offer = self.take_offer();
        let mut backup = self.fresh_backup(now);
        backup.master = Some(peer);
        backup.learn(self.config.version(), interval);
        backup.master_down_at =
            now + timers::master_down_interval(&self.config, self.priority, backup.master_adver_interval);
        self.outputs.push_back(Output::HandOverAddresses);
        let same_interval = interval == self.config.adver_interval();
        if offer.is_none() && self.config.higher_prio_send_advert && same_interval {
            // A winner that has not heard us yet learns that hosts may look for its addresses here.
            self.advertise(self.priority);
        }
        self.hand_over(now, backup, offer, Some(peer), reason);
    }

    /// The offer that is under way, which the caller ends.
    pub(super) fn take_offer(&mut self) -> Option<Offer> {
        match &mut self.role {
            Role::Master(master) => master.offer.take(),
            Role::Initialize { .. } | Role::Backup(_) | Role::Fault => None,
        }
    }

    /// Becomes a backup of `peer`, and keeps what was promised with the offer.
    pub(super) fn hand_over(
        &mut self,
        now: Duration,
        mut backup: Backup,
        offer: Option<Offer>,
        peer: Option<Peer>,
        reason: Reason,
    ) {
        match offer {
            Some(Offer::Demotion) => backup.preemption = Preemption::Renounced,
            Some(Offer::Switchover) => self.held = true,
            None => {}
        }
        self.enter(now, Role::Backup(backup), reason);
        if offer == Some(Offer::Switchover) {
            let end = peer.map_or(SwitchoverEnd::Interrupted, SwitchoverEnd::Done);
            self.outputs.push_back(Output::Switchover(end));
        }
    }

    /// Why a backup whose Master_Down_Timer fires takes over.
    pub(super) fn takeover_reason(&self, now: Duration) -> Reason {
        match &self.role {
            Role::Backup(Backup {
                master: Some(peer), ..
            }) if peer.priority == Priority::STOP => Reason::MasterStopped,
            Role::Backup(Backup {
                master: Some(peer), ..
            }) if peer.priority < self.priority && self.preempts(now) => Reason::Preempted(*peer),
            _ => Reason::MasterDown,
        }
    }

    /// The Master_Down_Timer has fired. In a sync group that is a wish, which lasts until a master is heard.
    pub(super) fn master_down(&mut self, now: Duration) {
        let reason = self.takeover_reason(now);
        if self.group.is_none() {
            self.become_master(now, reason);
            return;
        }
        let interval = self.master_down_interval();
        if let Role::Backup(backup) = &mut self.role {
            backup.wants_master = Some(reason);
            backup.master_down_at = now + interval;
        }
    }

    pub(super) fn master_timeout(&mut self, now: Duration) {
        self.announce_when_due(now);
        // It says more than the advert that is due with it, and before it that would be misleading.
        self.demote_when_due(now);
        let interval = self.config.adver_interval().duration();
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if now >= master.adver_at {
            // Keeps the beat when woken late, and does not catch up when woken very late.
            let next = master.adver_at + interval;
            master.adver_at = if next > now { next } else { now + interval };
            let offer = master.offer.take();
            self.speak(now);
            if offer == Some(Offer::Switchover) {
                self.outputs
                    .push_back(Output::Switchover(SwitchoverEnd::NobodyTookOver));
            }
            self.tell_parted_rival(now);
        }
    }

    fn announce_when_due(&mut self, now: Duration) {
        let Role::Master(master) = &mut self.role else {
            return;
        };
        let again = master.announce_at.filter(|(at, _)| now >= *at);
        let refresh = master.refresh_at.filter(|at| now >= *at);
        if again.is_some() || refresh.is_some() {
            self.announce(
                now,
                again.map(|(_, announcement)| announcement),
                refresh.is_some(),
            );
        }
    }

    #[cold]
    fn announce(&mut self, now: Duration, again: Option<Announcement>, refresh: bool) {
        let period = self.config.announce_refresh();
        // Soon after a losing advert for what the other master said while it gave way, and by default once more.
        let (soon, late) = (
            self.config.lower_prio_announce_delay(),
            self.config.announce_delay(),
        );
        let late = (self.config.lower_prio_announce_delay.is_none() && late > soon).then_some(late);
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if refresh {
            master.refresh_at = Some(now + period);
        }
        if let Some(announcement) = again {
            let late = late.filter(|_| announcement == Announcement::Reassert);
            master.announce_at = late.map(|delay| (now + delay, Announcement::Again));
        }
        // One that is due for both reasons is sent as the stronger.
        let announcement = again.unwrap_or(Announcement::Refresh);
        self.outputs.push_back(Output::AnnounceAddresses(announcement));
    }
}

impl Backup {
    /// VRRPv3 adopts the master's interval (RFC 9568 §6.4.2 (450)); in VRRPv2 it equals ours.
    fn learn(&mut self, version: Version, interval: AdverInterval) {
        if version == Version::V3 {
            self.master_adver_interval = interval;
        }
    }
}

impl Master {
    pub(super) fn next_deadline(&self) -> Duration {
        let demote_at = self.demoted.and_then(Demoted::due_at);
        let announce_at = self.announce_at.map(|(at, _)| at);
        [announce_at, self.refresh_at, demote_at]
            .into_iter()
            .flatten()
            .fold(self.adver_at, Duration::min)
    }
}
