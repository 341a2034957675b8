//! What a driver does for a node: it feeds facts, carries effects out, and looks after the addresses.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;
use core::time::Duration;

use super::lan::{Fate, Transit};
use super::node::{Hold, Host, Power};
use super::{Event, Node, NodeId, Rule, Sim};
use crate::{
    Envelope, Family, GROUP_V4, GROUP_V6, HOP_LIMIT, Output, Packet, Priority, Reason, State, SwitchoverEnd,
    VirtualRouter,
};

impl<N: Node> Sim<N> {
    pub(super) fn start(&mut self, id: NodeId) {
        let host = &mut self.hosts[id.0];
        host.reset(Power::Running);
        // A driver removes what it finds of its own before it starts.
        host.holds.fill(Hold::No);
        let now = host.clock.local(self.now);
        host.node.handle_startup(now);
    }

    pub(super) fn pause(&mut self, id: NodeId) {
        let until = self.now + self.lease;
        let host = &mut self.hosts[id.0];
        if host.is_running() {
            host.power = Power::Paused {
                queue: VecDeque::new(),
            };
            host.abandon(until);
        }
    }

    pub(super) fn resume(&mut self, id: NodeId) -> Result<(), Rule> {
        let host = &mut self.hosts[id.0];
        let Power::Paused { queue } = &mut host.power else {
            return Ok(());
        };
        let queue = mem::take(queue);
        host.power = Power::Running;
        let now = host.clock.local(self.now);
        host.node.handle_resume(now);
        host.node.settle(now);
        // Before the outputs: a router that is still master renews what the kernel took away, and one that stepped
        // down has nothing to release twice.
        host.renew();
        self.drain(id);
        queue.iter().try_for_each(|transit| self.read(transit))
    }

    pub(super) fn feed(&mut self, id: NodeId, fact: impl FnOnce(&mut N)) {
        let host = &mut self.hosts[id.0];
        if host.is_running() {
            fact(&mut host.node);
        }
    }

    pub(super) fn feed_routers(&mut self, id: NodeId, fact: impl FnMut(&mut VirtualRouter)) {
        self.feed(id, |node| node.routers_mut().iter_mut().for_each(fact));
    }

    /// A running node reads a packet from its socket.
    pub(super) fn read(&mut self, transit: &Transit) -> Result<(), Rule> {
        let id = transit.to;
        let host = &mut self.hosts[id.0];
        let now = host.clock.local(self.now);
        let parsed = match transit.ah {
            true => Packet::parse_ah(&transit.octets),
            false => Packet::parse(&transit.octets, &transit.envelope),
        };
        let packet = parsed.map_err(|error| Rule::Readable { to: id, error })?;
        for router in host.node.routers_mut() {
            router.set_wall_clock(now, wall_clock(self.now));
        }
        if let Err(discard) = host.node.handle_advert(now, &packet) {
            self.trace
                .push(self.now, id, Event::Discarded(packet.source(), discard));
        }
        self.drain(id);
        Ok(())
    }

    /// Does what the node wants done.
    pub(super) fn drain(&mut self, id: NodeId) {
        let host = &mut self.hosts[id.0];
        let now = host.clock.local(self.now);
        host.node.settle(now);
        while let Some((index, output)) = self.hosts[id.0].node.poll_output() {
            let host = &mut self.hosts[id.0];
            let vrid = host.node.routers()[index].config().vrid();
            let event = match output {
                Output::Advertise(priority) => {
                    self.trace.push(self.now, id, Event::Advertised(vrid, priority));
                    self.advertise(id, index, priority);
                    continue;
                }
                Output::AcquireAddresses => {
                    host.holds[index] = Hold::Renewed;
                    self.holds_changed = true;
                    Event::Acquired(vrid)
                }
                Output::ReleaseAddresses => {
                    host.holds[index] = Hold::No;
                    self.holds_changed = true;
                    Event::Released(vrid)
                }
                Output::HandOverAddresses => {
                    host.holds[index] = Hold::Until(self.now + Self::HAND_OVER);
                    self.holds_changed = true;
                    Event::HandedOver(vrid)
                }
                Output::AnnounceAddresses(_) => Event::Announced(vrid),
                Output::Transition(change) => {
                    host.yielded[index] = matches!(change.reason, Reason::Yielded(_));
                    if change.to == State::Initialize {
                        host.held[index] = false;
                    }
                    Event::Changed(vrid, change)
                }
                Output::Rival(rival) => Event::Rival(vrid, rival),
                Output::Switchover(end) => {
                    host.held[index] |= matches!(end, SwitchoverEnd::Done(_));
                    Event::Switchover(vrid, end)
                }
            };
            self.trace.push(self.now, id, event);
        }
        let host = &mut self.hosts[id.0];
        host.note_masters(self.now);
        if host.note_vitals() {
            self.disturb();
        }
    }

    fn advertise(&mut self, id: NodeId, index: usize, priority: Priority) {
        let now = self.hosts[id.0].clock.local(self.now);
        let router = &self.hosts[id.0].node.routers()[index];
        let source = router.source();
        let group = match router.config().family() {
            Family::Ipv4 => IpAddr::from(GROUP_V4),
            Family::Ipv6 => IpAddr::from(GROUP_V6),
        };
        let destinations: Vec<(IpAddr, Vec<NodeId>)> = match router.config().peers() {
            [] => vec![(
                group,
                (0..self.hosts.len()).map(NodeId).filter(|to| *to != id).collect(),
            )],
            peers => peers
                .iter()
                .map(|peer| (peer.address(), self.nodes_at(peer.address())))
                .collect(),
        };
        let form = router.config().checksum();
        let router = &mut self.hosts[id.0].node.routers_mut()[index];
        router.set_wall_clock(now, wall_clock(self.now));
        let advert = router.next_advert(now, priority);
        let ah = advert.ah();
        let packet = |(destination, receivers): (IpAddr, Vec<NodeId>)| {
            let mut octets = Vec::new();
            // A `Vec` always has room.
            let _ = match (ah, source, destination) {
                (Some(ah), IpAddr::V4(source), IpAddr::V4(destination)) => {
                    ah.emit(source, destination, HOP_LIMIT, 1, &mut octets)
                }
                _ => advert.emit(source, destination, form, &mut octets),
            };
            let envelope = Envelope {
                source,
                destination,
                hop_limit: HOP_LIMIT,
            };
            (envelope, Arc::from(octets), receivers)
        };
        let packets: Vec<(Envelope, Arc<[u8]>, Vec<NodeId>)> = destinations.into_iter().map(packet).collect();
        let ah = ah.is_some();
        for (envelope, octets, receivers) in packets {
            for to in receivers {
                let transit = Transit {
                    to,
                    envelope,
                    ah,
                    octets: octets.clone(),
                };
                let fate = self.lan.send(self.now, id, priority, transit);
                if fate != Fate::UnderWay {
                    self.trace.push(self.now, id, Event::Lost(to, priority));
                }
                // On a path that loses packets nothing is promised until it is mended.
                if fate == Fate::Doomed {
                    self.disturb();
                }
            }
        }
    }

    fn nodes_at(&self, address: IpAddr) -> Vec<NodeId> {
        let has_source = |host: &Host<N>| {
            host.node
                .routers()
                .iter()
                .any(|router| router.source() == address)
        };
        let hosts = self.hosts.iter().enumerate();
        hosts
            .filter(|(_, host)| has_source(host))
            .map(|(id, _)| NodeId(id))
            .collect()
    }
}

/// The wall clock of all nodes: 2026-01-01 when the simulation begins.
fn wall_clock(now: Duration) -> Duration {
    Duration::from_secs(1_767_225_600) + now
}
