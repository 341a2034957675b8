//! Facts from the network, brought to the virtual routers that they concern.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{Discard, Envelope, Fault, Packet, VirtualRouter};

use super::slot::Slot;
use super::{Driver, Events, MAX_INPUTS};
use crate::counters::Counter;
use crate::network::{Input, LinkId, MacAddr, Network, Placement};
use crate::routers::Routers;

impl<R: Routers, N: Network> Driver<R, N> {
    /// Reads until nothing is left, at most [`MAX_INPUTS`].
    pub(super) fn read_inputs(&mut self, now: Duration, events: Events<'_, R>) {
        // For adverts that were signed at a time. One reading serves them all, as `now` does.
        let unix_time = self.network.unix_time();
        for _ in 0..MAX_INPUTS {
            let Some(input) = self.network.poll_input() else {
                break;
            };
            let arrived = match input {
                Input::Packet {
                    link,
                    envelope,
                    payload,
                } => Some((link, Some(envelope.source), Packet::parse(payload, &envelope))),
                Input::AhPacket { link, packet } => Some((link, None, Packet::parse_ah(packet))),
                Input::Link(link) => {
                    self.refresh_link(now, link);
                    // A master whose own interface went releases all first.
                    self.drain(now, events);
                    self.follow_link(now, link, events);
                    None
                }
                Input::RoutingRemoved => {
                    self.keep_all_routing(now, events);
                    None
                }
                Input::AddressRemoved { link, address } => {
                    self.restore(now, link, address, events);
                    None
                }
                Input::Renewed(renewal) => {
                    self.note_renewal(now, renewal, events);
                    None
                }
                Input::Claim { link, address, mac } => {
                    self.note_claim(link, address, mac);
                    self.note_announcement(link, address);
                    None
                }
            };
            match arrived {
                Some((link, _, Ok(packet))) => {
                    let key = (link, packet.family(), packet.vrid());
                    let Some(&index) = self.by_vrid.get(&key) else {
                        self.cells.count(Counter::UnknownVrid);
                        continue;
                    };
                    let router = self.routers.router_mut(index);
                    let envelope = *packet.envelope();
                    router.set_wall_clock(now, unix_time);
                    let before = mismatches(router);
                    let result = router.handle_advert(now, &packet);
                    let differs = mismatches(router) != before;
                    self.note_advert(now, index, &envelope, result, differs);
                    self.replying = true;
                    self.drain(now, events);
                    self.replying = false;
                }
                Some((_, source, Err(error))) => {
                    self.cells.count_malformed(error);
                    if let Some(more) = self.malformed_log.allow(now) {
                        tracing::warn!(?source, %error, more, "not a VRRP advert");
                    }
                }
                None => {}
            }
            self.drain(now, events);
        }
    }

    fn note_claim(&mut self, link: LinkId, address: IpAddr, mac: MacAddr) {
        for slot in &mut self.slots {
            let mut placements = slot.seat.placements.iter();
            if slot.seat.link == link || slot.seat.home() == link {
                if slot.last_master == Some(address) || placements.any(|p| p.address() == address) {
                    slot.probe.handle_claim(address, mac);
                }
            } else if placements.any(|p| p.link == link && p.address() == address) {
                // Our own answers are not heard here: the kernel gives none to itself.
                slot.probe_elsewhere.handle_claim(address, mac);
            }
        }
    }

    fn note_advert(
        &mut self,
        now: Duration,
        index: usize,
        envelope: &Envelope,
        result: Result<(), Discard>,
        differs: bool,
    ) {
        let router = self.routers.router(index);
        let vrid = router.config().vrid();
        let source = envelope.source;
        let slot = &mut self.slots[index];
        match result {
            Ok(()) => {
                slot.last_master = Some(source);
                // RFC 9568 §7.1: accepted, and a sign that the nodes' settings differ.
                if let Some(more) = differs.then(|| slot.mismatch_log.allow(now)).flatten() {
                    tracing::warn!(%vrid, %source, more, "the interval or the addresses of an advert are not ours");
                }
            }
            // Expected, and counted by the router.
            Err(Discard::NotRunning | Discard::Peer { .. }) => {}
            Err(discard) => {
                if let Some(more) = slot.discard_log.allow(now) {
                    tracing::warn!(%vrid, %source, %discard, more, "an advert was discarded");
                }
            }
        }
    }

    fn refresh_link(&mut self, now: Duration, link: LinkId) {
        for index in 0..self.slots.len() {
            if self.slots[index].seat.link == link {
                self.refresh_link_of(now, index);
            }
        }
    }

    /// Tells a router what its interface is good for. Faults first: a router must not recover from one into another.
    pub(super) fn refresh_link_of(&mut self, now: Duration, index: usize) {
        let seat = &self.slots[index].seat;
        let link = self.network.link(seat.link);
        let source = seat.source.or_else(|| link.source(seat.family));
        let link_fine = if seat.track_primary { link.up } else { link.present };
        let source_fine = match seat.source {
            Some(source) if seat.track_source => self.network.has_address(seat.link, source),
            _ => source.is_some(),
        };
        let router = self.routers.router_mut(index);
        if let Some(source) = source.filter(|source| *source != router.source()) {
            router.set_source(source);
        }
        let facts = [(Fault::Link, link_fine), (Fault::SourceAddress, source_fine)];
        for (fault, _) in facts.into_iter().filter(|(_, fine)| !fine) {
            if !router.faults().contains(fault) {
                router.handle_fault(now, fault);
            }
        }
        for (fault, _) in facts.into_iter().filter(|(_, fine)| *fine) {
            if router.faults().contains(fault) {
                router.handle_recovery(now, fault);
            }
        }
    }

    /// Whose virtual address this is, and its place there.
    pub(super) fn owner(&self, link: LinkId, address: IpAddr) -> Option<(usize, usize)> {
        let of = |placement: &Placement| placement.link == link && placement.address() == address;
        let place = |slot: &Slot| slot.seat.placements.iter().position(of);
        self.slots
            .iter()
            .enumerate()
            .find_map(|(index, slot)| place(slot).map(|place| (index, place)))
    }
}

/// Accepted adverts whose interval was not ours, and adverts whose addresses were not.
fn mismatches(router: &VirtualRouter) -> (u64, u64) {
    let counters = router.counters();
    (counters.interval_mismatches, counters.address_mismatches)
}
