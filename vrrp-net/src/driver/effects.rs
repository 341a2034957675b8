//! Effects of the virtual routers, done in the order in which they come.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{Announcement, Envelope, Fault, Output, Priority, Reason, Rival, State};

use super::slot::{Holding, patience};
use super::{Driver, DriverEvent, Events};
use crate::counters::Counter;
use crate::network::Network;
use crate::routers::{Effect, Routers};

impl<R: Routers, N: Network> Driver<R, N> {
    /// Does everything that the routers want done.
    pub(super) fn drain(&mut self, now: Duration, events: Events<'_, R>) {
        let mut stalled = false;
        self.routers.settle(now);
        while let Some(effect) = self.routers.poll_output() {
            match effect {
                Effect::Event(event) => events(DriverEvent::Node(event)),
                Effect::Router(index, output) => {
                    stalled |= self.notice_stall(now, index, output);
                    self.execute(now, index, output, events);
                    // It may have refused the addresses.
                    self.routers.settle(now);
                }
            }
        }
        if stalled {
            self.slots.iter_mut().for_each(|slot| slot.stalled = false);
        }
    }

    /// Looks at the clock once more before a router speaks or serves: the process may have been stopped since `now` was
    /// read, and what was right then is wrong after a pause.
    fn notice_stall(&mut self, now: Duration, index: usize, output: Output) -> bool {
        let serves = match output {
            Output::Advertise(priority) => priority != Priority::STOP,
            Output::AcquireAddresses | Output::AnnounceAddresses(_) => true,
            Output::ReleaseAddresses
            | Output::HandOverAddresses
            | Output::Transition(_)
            | Output::Rival(_)
            | Output::Switchover(_) => false,
        };
        if !serves || self.slots[index].stalled {
            return false;
        }
        let Some(later) = self.stalled_until(now, index) else {
            return false;
        };
        self.slots[index].stalled = true;
        self.pause(later, index);
        self.routers.settle(later);
        // Members of its sync group have stepped down with it.
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.stalled |= self.routers.router(index).reason() == Some(Reason::Paused);
        }
        true
    }

    /// The time, if the router's patience has run out since `now`.
    pub(super) fn stalled_until(&self, now: Duration, index: usize) -> Option<Duration> {
        let later = self.network.now();
        (later.saturating_sub(now) > patience(self.routers.router(index))).then_some(later)
    }

    fn execute(&mut self, now: Duration, index: usize, output: Output, events: Events<'_, R>) {
        match output {
            // It has stepped down behind these outputs.
            Output::AcquireAddresses | Output::AnnounceAddresses(_) if self.slots[index].stalled => {}
            Output::Advertise(priority) if self.slots[index].stalled && priority != Priority::STOP => {}
            Output::Advertise(priority) => self.advertise(now, index, priority),
            Output::AcquireAddresses => self.acquire(now, index, events),
            Output::AnnounceAddresses(announcement) => self.announce(now, index, announcement),
            Output::ReleaseAddresses => self.release(index),
            Output::HandOverAddresses => self.hand_over(now, index),
            Output::Rival(rival) => self.tell_rival(index, rival, events),
            Output::Switchover(end) => {
                let vrid = self.routers.router(index).config().vrid();
                tracing::info!(%vrid, ?end, "switchover");
                events(DriverEvent::Switchover { router: index, end });
            }
            Output::Transition(transition) => {
                let link = self.slots[index].seat.link;
                tracing::info!(
                    vrid = %self.routers.router(index).config().vrid(),
                    interface = self.interface(link),
                    from = %transition.from,
                    to = %transition.to,
                    reason = %transition.reason,
                    "transition"
                );
                if matches!(transition.to, State::Fault | State::Initialize) {
                    self.end_handover(index);
                }
                if transition.to == State::Backup && transition.from != State::Master {
                    self.announce_source(index);
                }
                events(DriverEvent::Transition {
                    router: index,
                    transition,
                });
            }
        }
    }

    /// To the group, or to each peer. What can't be sent is counted, and the next advert tries again.
    fn advertise(&mut self, now: Duration, index: usize, priority: Priority) {
        if self.replying && self.is_withheld(now, index, priority) {
            self.cells.count(Counter::RepliesWithheld);
            return;
        }
        let unix_time = self.network.unix_time();
        let slot = &mut self.slots[index];
        let router = self.routers.router_mut(index);
        let (source, form, vrid) = (
            router.source(),
            router.config().checksum(),
            router.config().vrid(),
        );
        // The last word of one that was superseded must not draw the switch's traffic away from the new master.
        let serves = router.state() == State::Master || priority == Priority::STOP;
        let link = if serves { slot.seat.out } else { slot.seat.link };
        router.set_wall_clock(now, unix_time);
        // One for all peers: its number counts once.
        let advert = router.next_advert(now, priority);
        for destination in &slot.seat.destinations {
            self.message.clear();
            let envelope = Envelope {
                source,
                destination: *destination,
                hop_limit: slot.seat.hop_limit,
            };
            let sent = match (advert.ah(), source, *destination) {
                (Some(ah), IpAddr::V4(source), IpAddr::V4(destination)) => {
                    // Never 0, which the kernel would replace: it is part of what is signed.
                    self.ip_id = self.ip_id.checked_add(1).unwrap_or(1);
                    ah.emit(
                        source,
                        destination,
                        envelope.hop_limit,
                        self.ip_id,
                        &mut self.message,
                    )
                    .map_err(io::Error::other)
                    .and_then(|()| self.network.send_ah(link, destination, &self.message))
                }
                _ => advert
                    .emit(source, *destination, form, &mut self.message)
                    .map_err(io::Error::other)
                    .and_then(|()| self.network.send_advert(link, &envelope, &self.message)),
            };
            if let Err(error) = sent {
                self.cells.count(Counter::SendErrors);
                if let Some(more) = slot.send_log.allow(now) {
                    tracing::warn!(%vrid, %source, %destination, %error, more, "an advert could not be sent");
                }
            }
        }
    }

    /// Whether a master has answered adverts often enough: whoever floods us must not make us flood the link.
    fn is_withheld(&mut self, now: Duration, index: usize, priority: Priority) -> bool {
        let router = self.routers.router(index);
        let interval = router.config().adver_interval().duration();
        let reply = router.state() == State::Master && priority != Priority::STOP;
        reply && !self.slots[index].reply_limit.allow(now, interval)
    }

    /// A unicast backup that has come up: a peer that last knew it with another hardware address would send its adverts
    /// there, and this one would become a second master.
    fn announce_source(&mut self, index: usize) {
        let router = self.routers.router(index);
        if router.config().peers().is_empty() {
            return;
        }
        let (link, source) = (self.slots[index].seat.link, router.source());
        if let Err(error) = self.network.announce_source(link, source) {
            self.cells.count(Counter::AnnounceErrors);
            tracing::debug!(router = index, %source, %error, "the source address could not be announced");
        }
    }

    fn acquire(&mut self, now: Duration, index: usize, events: Events<'_, R>) {
        let slot = &mut self.slots[index];
        self.chores_changed = true;
        if let Err(error) = self.network.acquire(&slot.seat.placements) {
            return self.refuse(now, index, &error, events);
        }
        match self.network.acquire_routing(&slot.seat.routing) {
            Ok(_) => slot.hold(now),
            Err(error) => self.refuse(now, index, &error, events),
        }
    }

    /// The addresses, or what belongs to them, can't be had: the router goes to Fault, and others may serve.
    pub(super) fn refuse(
        &mut self,
        now: Duration,
        index: usize,
        error: &dyn fmt::Display,
        events: Events<'_, R>,
    ) {
        let slot = &mut self.slots[index];
        self.cells.count(Counter::AddressErrors);
        if let Some(more) = slot.address_log.allow(now) {
            tracing::error!(router = index, %error, more, "virtual addresses refused");
        }
        // Those that were added before the one that failed.
        if let Err(error) = self.network.release_routing(&slot.seat.routing) {
            tracing::debug!(router = index, %error, "release after a refusal");
        }
        if let Err(error) = self.network.release(&slot.seat.placements) {
            tracing::debug!(router = index, %error, "release after a refusal");
        }
        slot.refuse(now);
        self.chores_changed = true;
        events(DriverEvent::AddressesRefused {
            router: index,
            reason: error.to_string(),
        });
        self.routers.router_mut(index).handle_fault(now, Fault::Addresses);
    }

    fn tell_rival(&mut self, index: usize, rival: Rival, events: Events<'_, R>) {
        let Rival { peer, cause } = rival;
        let vrid = self.routers.router(index).config().vrid();
        tracing::warn!(%vrid, source = %peer.address, priority = %peer.priority, %cause, "another master");
        events(DriverEvent::Rival { router: index, rival });
    }

    fn announce(&mut self, now: Duration, index: usize, announcement: Announcement) {
        let slot = &mut self.slots[index];
        let Holding::Held { announced, .. } = &mut slot.holding else {
            // Refused just before: nobody must be told that they are here.
            return;
        };
        let repeat = match announcement {
            Announcement::Takeover | Announcement::Again => slot.seat.announce_repeat,
            Announcement::Refresh => slot.seat.announce_refresh_repeat,
            Announcement::Reassert => slot.seat.lower_prio_announce_repeat,
        };
        let until = now + patience(self.routers.router(index));
        if let Err(error) = self.network.announce(&slot.seat.placements, repeat, until) {
            self.cells.count(Counter::AnnounceErrors);
            if let Some(more) = slot.announce_log.allow(now) {
                tracing::warn!(router = index, %error, more, "an announcement could not be sent");
            }
        }
        if !std::mem::replace(announced, true) {
            slot.probe.start(now);
            slot.probe_elsewhere.start_after(now, slot.seat.lease);
            self.chores_changed = true;
        }
    }

    pub(super) fn release(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.is_held() && !slot.is_handing_over() {
            return;
        }
        slot.holding = Holding::Released;
        slot.let_go();
        self.chores_changed = true;
        // In the reverse order: nothing leads to an address that is gone.
        if let Err(error) = self.network.release_routing(&slot.seat.routing) {
            self.cells.count(Counter::AddressErrors);
            tracing::error!(router = index, %error, "routes or rules could not be removed");
        }
        if let Err(error) = self.network.release(&slot.seat.placements) {
            // With a lease they go by themselves.
            self.cells.count(Counter::AddressErrors);
            tracing::error!(router = index, %error, "virtual addresses could not be removed");
        }
    }
}
