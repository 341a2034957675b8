//! Who is master: what a backup and a master make of an accepted advert, and of time.

use core::time::Duration;

use super::demotion::Demoted;
use super::output::{Output, Reason};
use super::state::{Backup, Master, Peer, Preemption, Role};
use super::{VirtualRouter, timers};
use crate::{AdverInterval, Priority, Version};

/// Least time between two announcements that losing adverts call for, so that a peer can't make us flood the link.
const REASSERT_INTERVAL: Duration = Duration::from_secs(1);

impl VirtualRouter {
    pub(super) fn elect(&mut self, now: Duration, peer: Peer, interval: AdverInterval) {
        match &self.role {
            Role::Initialize | Role::Fault => {}
            Role::Backup(_) => self.elect_as_backup(now, peer, interval),
            Role::Master(master) if master.yielding => self.elect_as_yielding(now, peer, interval),
            Role::Master(_) => self.elect_as_master(now, peer, interval),
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
                now + timers::master_down_interval(version, self.priority, backup.master_adver_interval);
        }
        // Else: a lower master that we preempt. The timer runs on, and when it fires we are master.
    }

    /// Whether a backup obeys an advert of this priority; keeps `preempt_delay`.
    fn follows(&mut self, now: Duration, priority: Priority) -> bool {
        let Role::Backup(backup) = &mut self.role else {
            return false;
        };
        if backup.preemption == Preemption::Renounced {
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
                    self.config.preempt() && (now >= until || self.config.is_owner())
                }
            },
            Role::Initialize | Role::Master(_) | Role::Fault => false,
        }
    }

    /// RFC 9568 §6.4.3, RFC 3768 §6.4.3. Preempt_Mode means nothing to a master.
    fn elect_as_master(&mut self, now: Duration, peer: Peer, interval: AdverInterval) {
        if peer.priority == Priority::STOP {
            self.advertise(self.priority);
            let adver_at = now + self.config.adver_interval().duration();
            if let Role::Master(master) = &mut self.role {
                master.adver_at = adver_at;
            }
        } else if peer.priority > self.priority
            || (peer.priority == self.priority && peer.address > self.source)
        {
            self.step_down(now, peer, interval, Reason::Superseded(peer));
        } else {
            self.reassert(now);
        }
    }

    /// RFC 9568 §6.4.3 sends an advert at once; VRRPv2 may as well, and keepalived does. Hosts that the other master
    /// has led astray need an announcement too.
    fn reassert(&mut self, now: Duration) {
        self.counters.lower_received_as_master += 1;
        self.advertise(self.priority);
        let delay = self.config.announce_delay();
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if now >= master.reassert_from {
            master.reassert_from = now + REASSERT_INTERVAL;
            if !delay.is_zero() {
                master.announce_at = Some(now + delay);
            }
            self.outputs.push_back(Output::AnnounceAddresses);
        }
    }

    /// While yielding, whoever speaks is master. A stop means that somebody else has given up: no one to yield to.
    fn elect_as_yielding(&mut self, now: Duration, peer: Peer, interval: AdverInterval) {
        if peer.priority != Priority::STOP {
            self.step_down(now, peer, interval, Reason::Yielded(peer));
        }
    }

    fn step_down(&mut self, now: Duration, peer: Peer, interval: AdverInterval, reason: Reason) {
        let version = self.config.version();
        let mut backup = self.fresh_backup(now);
        backup.master = Some(peer);
        backup.learn(version, interval);
        backup.master_down_at =
            now + timers::master_down_interval(version, self.priority, backup.master_adver_interval);
        if matches!(reason, Reason::Yielded(_)) {
            backup.preemption = Preemption::Renounced;
        }
        self.outputs.push_back(Output::ReleaseAddresses);
        self.enter(Role::Backup(backup), reason);
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

    pub(super) fn master_timeout(&mut self, now: Duration) {
        let interval = self.config.adver_interval().duration();
        let priority = self.priority;
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if master.announce_at.is_some_and(|at| now >= at) {
            master.announce_at = None;
            self.outputs.push_back(Output::AnnounceAddresses);
        }
        let Role::Master(master) = &mut self.role else {
            return;
        };
        if now >= master.adver_at {
            master.yielding = false;
            // Keeps the beat when woken late, and does not catch up when woken very late.
            let next = master.adver_at + interval;
            master.adver_at = if next > now { next } else { now + interval };
            self.advertise(priority);
        }
        self.demote_when_due(now);
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
        [self.announce_at, demote_at]
            .into_iter()
            .flatten()
            .fold(self.adver_at, Duration::min)
    }
}
