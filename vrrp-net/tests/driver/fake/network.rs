//! A network that carries out a script, and logs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::mpsc;
use vrrp_core::{AhPacket, Envelope, GROUP_V4};
use vrrp_net::{
    AddressError, Input, LinkId, LinkState, MacAddr, Network, Placement, Renewal, RouterCommand, Routing,
    RoutingError,
};

use super::{Acceptance, Act, EPOCH, Fact, INTERFACE, OURS};

/// What there is outside of the driver, by the clock of the script.
pub struct World {
    pub now: Duration,
    script: VecDeque<(Duration, Fact)>,
    end: Duration,
    link: LinkState,
    sending: bool,
    cost: Duration,
    renewal_takes: Duration,
    addresses: Acceptance,
    /// Routes that are not there.
    missing_routes: usize,
    commands: mpsc::UnboundedSender<RouterCommand>,
    pub log: Vec<(Duration, Act)>,
}

impl World {
    /// All is well, and the script is to begin.
    pub fn new(
        script: impl IntoIterator<Item = (Duration, Fact)>,
        end: Duration,
        link: LinkState,
        commands: mpsc::UnboundedSender<RouterCommand>,
    ) -> Self {
        Self {
            now: Duration::ZERO,
            script: script.into_iter().collect(),
            end,
            link,
            sending: true,
            cost: Duration::ZERO,
            renewal_takes: Duration::ZERO,
            addresses: Acceptance::Fine,
            missing_routes: 0,
            commands,
            log: Vec::new(),
        }
    }

    pub fn note(&mut self, act: Act) {
        self.log.push((self.now, act));
    }

    /// Carries out what the script has for this moment, but for what is read.
    fn advance(&mut self) {
        while let Some((at, fact)) = self.script.front() {
            if *at > self.now {
                break;
            }
            match fact {
                Fact::Stall(_)
                | Fact::Packet(..)
                | Fact::Link(_)
                | Fact::Removed(_)
                | Fact::RoutesRemoved(_)
                | Fact::Claim(..) => break,
                Fact::Command(command) => self.commands.send(command.clone()).unwrap(),
                // The driver comes to itself so much later.
                Fact::Pause(duration) => self.now += *duration,
                Fact::ReadingTakes(cost) => self.cost = *cost,
                Fact::RenewalTakes(duration) => self.renewal_takes = *duration,
                Fact::Sending(sending) => self.sending = *sending,
                Fact::Addresses(acceptance) => self.addresses = *acceptance,
            }
            self.script.pop_front();
        }
    }
}

/// The [`World`] as the driver sees it.
pub struct FakeNetwork {
    world: Rc<RefCell<World>>,
    link: LinkId,
    packet: Vec<u8>,
    /// When the renewal of these ends.
    renewal: Option<(Duration, Vec<Placement>)>,
}

impl FakeNetwork {
    /// With one interface.
    pub fn new(world: Rc<RefCell<World>>, link: LinkId) -> Self {
        Self {
            world,
            link,
            packet: Vec::new(),
            renewal: None,
        }
    }
}

impl Network for FakeNetwork {
    fn now(&self) -> Duration {
        self.world.borrow().now
    }

    fn unix_time(&self) -> Duration {
        EPOCH + self.world.borrow().now
    }

    async fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let next = world.script.front().map(|(at, _)| *at);
        let renewed = self.renewal.as_ref().map(|(at, _)| *at);
        let until = [until, next, renewed]
            .into_iter()
            .flatten()
            .fold(world.end, Duration::min);
        world.now = world.now.max(until);
        world.advance();
        Ok(())
    }

    fn poll_input(&mut self) -> Option<Input<'_>> {
        let mut world = self.world.borrow_mut();
        world.advance();
        if let Some((at, Fact::Stall(duration))) = world.script.front().cloned() {
            if at <= world.now {
                world.now += duration;
                world.script.pop_front();
            }
        }
        if let Some((_, placements)) = self.renewal.take_if(|(at, _)| *at <= world.now) {
            return Some(Input::Renewed(renewal(world.addresses, &placements)));
        }
        let (at, _) = world.script.front()?;
        if *at > world.now {
            return None;
        }
        let (_, fact) = world.script.pop_front()?;
        let cost = world.cost;
        world.now += cost;
        let link = self.link;
        Some(match fact {
            Fact::Packet(source, payload) => {
                self.packet = payload;
                let envelope = Envelope {
                    source,
                    destination: GROUP_V4.into(),
                    hop_limit: 255,
                };
                Input::Packet {
                    link,
                    envelope,
                    payload: &self.packet,
                }
            }
            Fact::Link(state) => {
                world.link = state;
                Input::Link(link)
            }
            Fact::Removed(address) => Input::AddressRemoved { link, address },
            Fact::RoutesRemoved(count) => {
                world.missing_routes += count;
                Input::RoutingRemoved
            }
            Fact::Claim(address, mac) => Input::Claim { link, address, mac },
            other => unreachable!("{other:?} is carried out before"),
        })
    }

    fn link(&self, _link: LinkId) -> LinkState {
        self.world.borrow().link
    }

    fn has_address(&self, _link: LinkId, address: IpAddr) -> bool {
        self.world.borrow().link.ipv4.map(IpAddr::V4) == Some(address)
    }

    fn prepare(&mut self, placements: &[&Placement]) -> Result<(), AddressError> {
        self.world.borrow_mut().note(Act::Prepare(placements.len()));
        Ok(())
    }

    fn send_advert(&mut self, _link: LinkId, _envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        if !world.sending {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        world.note(Act::Advert(message[1], message[2]));
        Ok(())
    }

    fn send_ah(&mut self, _link: LinkId, _destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        let packet = AhPacket::new(packet).expect("an authentication header");
        let message = packet.message();
        self.world.borrow_mut().note(Act::Advert(message[1], message[2]));
        Ok(())
    }

    fn announce_source(&mut self, _link: LinkId, address: IpAddr) -> io::Result<()> {
        self.world.borrow_mut().note(Act::AnnounceSource(address));
        Ok(())
    }

    fn acquire(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        let mut world = self.world.borrow_mut();
        world.note(Act::Acquire(addresses(placements)));
        accept(world.addresses, placements[0].net)
    }

    fn renew(&mut self, placements: &[&Placement], _patience: Duration) {
        let mut world = self.world.borrow_mut();
        assert!(self.renewal.is_none(), "one batch at a time");
        world.note(Act::Renew(placements.len()));
        let at = world.now + world.renewal_takes;
        let placements = placements.iter().map(|&placement| placement.clone()).collect();
        self.renewal = Some((at, placements));
    }

    fn release(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.world.borrow_mut().note(Act::Release(addresses(placements)));
        Ok(())
    }

    fn prepare_routing(&mut self, _routing: &[&Routing]) {}

    fn acquire_routing(&mut self, _routing: &Routing) -> Result<usize, RoutingError> {
        let mut world = self.world.borrow_mut();
        let added = std::mem::take(&mut world.missing_routes);
        if added > 0 {
            world.note(Act::AddRoutes(added));
        }
        Ok(added)
    }

    fn release_routing(&mut self, _routing: &Routing) -> Result<(), RoutingError> {
        Ok(())
    }

    fn announce(&mut self, placements: &[Placement], repeat: u8, _until: Duration) -> io::Result<()> {
        self.world
            .borrow_mut()
            .note(Act::Announce(addresses(placements), repeat));
        Ok(())
    }

    fn probe(&mut self, _link: LinkId, address: IpAddr) -> io::Result<()> {
        self.world.borrow_mut().note(Act::Probe(address));
        Ok(())
    }

    fn mac(&self, _link: LinkId) -> Option<MacAddr> {
        Some(OURS)
    }
}

fn addresses(placements: &[Placement]) -> Vec<IpAddr> {
    placements.iter().map(Placement::address).collect()
}

fn renewal(acceptance: Acceptance, placements: &[Placement]) -> Renewal {
    let mut renewal = Renewal::default();
    for placement in placements {
        let (link, address) = (placement.link, placement.address());
        match accept(acceptance, placement.net) {
            Ok(()) if acceptance == Acceptance::Left => renewal.left.push((link, address)),
            Ok(()) => renewal.renewed += 1,
            Err(error) => renewal.failures.push((link, address, error)),
        }
    }
    renewal
}

fn accept(acceptance: Acceptance, address: IpNet) -> Result<(), AddressError> {
    let interface = INTERFACE.to_owned();
    match acceptance {
        Acceptance::Fine | Acceptance::Left => Ok(()),
        Acceptance::Refused => Err(AddressError::Refused {
            address,
            interface,
            error: io::ErrorKind::PermissionDenied.into(),
        }),
        Acceptance::Foreign => Err(AddressError::Foreign { address, interface }),
    }
}
