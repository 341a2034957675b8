//! A network in virtual time: a script says what comes, a log says what the driver did.
#![allow(unreachable_pub, reason = "a module of one test program")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::mpsc;
use vrrp_core::{
    AddressList, AdverInterval, AhPacket, ChecksumForm, Config, Envelope, GROUP_V4, Priority, Transition,
    Version, VirtualRouter, Vrid,
};
use vrrp_net::{
    AddressError, Attachment, AttachmentBuilder, Driver, DriverCounters, DriverEvent, Input, LinkId,
    LinkState, MacAddr, Network, Placement, Plan, Renewal, RouterCommand, RouterSet, Routing, RoutingError,
};

pub const INTERFACE: &str = "eth0";
/// What the wall clock shows when the driver starts.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);
pub const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Something that comes at a time of the script.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A packet from this address.
    Packet(IpAddr, Vec<u8>),
    /// The state of the interface.
    Link(LinkState),
    /// Somebody removed an address.
    Removed(IpAddr),
    /// Somebody removes so many routes.
    RoutesRemoved(usize),
    /// A host claims an address.
    Claim(IpAddr, MacAddr),
    /// Control code asks.
    Command(RouterCommand),
    /// The process stands still for so long.
    Pause(Duration),
    /// From here on reading a packet takes so long.
    ReadingTakes(Duration),
    /// The process stands still for so long while it reads.
    Stall(Duration),
    /// From here on renewing leases takes so long.
    RenewalTakes(Duration),
    /// Whether adverts can be sent.
    Sending(bool),
    /// What happens to addresses that are added or renewed.
    Addresses(Acceptance),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acceptance {
    #[default]
    Fine,
    Refused,
    Foreign,
    /// Those that are to be renewed have no turn.
    Left,
}

/// What the driver did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Prepare(usize),
    /// VRID and priority.
    Advert(u8, u8),
    Acquire(Vec<IpAddr>),
    Renew(usize),
    Release(Vec<IpAddr>),
    Announce(Vec<IpAddr>, u8),
    AnnounceSource(IpAddr),
    /// How many routes were missing.
    AddRoutes(usize),
    Probe(IpAddr),
    /// An event told, of the router of this index.
    Transition(usize, Transition),
    Event(DriverEvent<Infallible>),
}

/// What remains when the driver has stopped.
pub struct Outcome {
    pub log: Vec<(Duration, Act)>,
    pub counters: DriverCounters,
}

impl Outcome {
    /// What was done up to a moment, and when, without events.
    pub fn acts(&self) -> Vec<(Duration, Act)> {
        let acts = self.log.iter();
        acts.filter(|(_, act)| !matches!(act, Act::Transition(..) | Act::Event(_)))
            .cloned()
            .collect()
    }

    pub fn transitions(&self) -> Vec<(Duration, Transition)> {
        let transition = |(at, act): &(Duration, Act)| match act {
            Act::Transition(_, transition) => Some((*at, *transition)),
            _ => None,
        };
        self.log.iter().filter_map(transition).collect()
    }

    pub fn times(&self, wanted: impl Fn(&Act) -> bool) -> Vec<Duration> {
        self.log
            .iter()
            .filter(|(_, act)| wanted(act))
            .map(|(at, _)| *at)
            .collect()
    }

    pub fn events(&self) -> Vec<&DriverEvent<Infallible>> {
        let event = |(_, act): &'_ (Duration, Act)| matches!(act, Act::Event(_));
        let events = self.log.iter().filter(|entry| event(entry));
        events
            .filter_map(|(_, act)| {
                if let Act::Event(event) = act {
                    Some(event)
                } else {
                    None
                }
            })
            .collect()
    }
}

struct World {
    now: Duration,
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
    log: Vec<(Duration, Act)>,
}

impl World {
    fn note(&mut self, act: Act) {
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

struct FakeNetwork {
    world: Rc<RefCell<World>>,
    link: LinkId,
    packet: Vec<u8>,
    /// When the renewal of these ends.
    renewal: Option<(Duration, Vec<Placement>)>,
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

/// Runs routers of these priorities (VRIDs 1, 2, … with addresses 192.0.2.101, .102, …), VRRPv3 at 1 s, up to `end`,
/// and then shuts them down.
pub fn run(priorities: &[u8], end: Duration, script: impl IntoIterator<Item = (Duration, Fact)>) -> Outcome {
    run_with(priorities, up(), end, script)
}

pub fn run_with(
    priorities: &[u8],
    link: LinkState,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    run_attached(priorities, link, |attachment| attachment, end, script)
}

/// With settings of the attachments.
pub fn run_attached(
    priorities: &[u8],
    link: LinkState,
    attach: impl Fn(AttachmentBuilder) -> AttachmentBuilder,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    let routers = priorities.iter().zip(1..).map(|(priority, vrid)| {
        let config = config(vrid, *priority);
        VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0]))
    });
    run_set(RouterSet::new(routers.collect()), link, attach, end, script)
}

/// With routers of the caller's own, to be found under the VRIDs 1, 2, …
pub fn run_set(
    routers: RouterSet,
    link: LinkState,
    attach: impl Fn(AttachmentBuilder) -> AttachmentBuilder,
    end: Duration,
    script: impl IntoIterator<Item = (Duration, Fact)>,
) -> Outcome {
    let attachment = || attach(Attachment::builder(INTERFACE)).build().unwrap();
    let attachments: Vec<_> = routers.routers().iter().map(|_| attachment()).collect();
    let plan = Plan::new(&routers, &attachments).unwrap();
    let (commands, inbox) = mpsc::unbounded_channel();
    let world = Rc::new(RefCell::new(World {
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
    }));
    let network = FakeNetwork {
        world: Rc::clone(&world),
        link: plan.link_id(INTERFACE).unwrap(),
        packet: Vec::new(),
        renewal: None,
    };
    let driver = Driver::new(routers, plan, network).unwrap();
    let counters = driver.counters_reader();
    let over = poll_fn(|_| {
        if world.borrow().now >= end {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let tell = |event| {
        let act = match event {
            DriverEvent::Transition { router, transition } => Act::Transition(router, transition),
            other => Act::Event(other),
        };
        world.borrow_mut().note(act);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(driver.run(inbox, tell, over)).unwrap();
    let log = std::mem::take(&mut world.borrow_mut().log);
    Outcome {
        log,
        counters: counters(),
    }
}

pub fn config(vrid: u8, priority: u8) -> Config {
    let list = AddressList::new(&[vip(vrid)]).unwrap();
    Config::builder(Vrid::new(vrid).unwrap(), list)
        .version(Version::V3)
        .priority(Priority::new(priority))
        .adver_interval(AdverInterval::DEFAULT)
        .build()
        .unwrap()
}

pub fn vip(vrid: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, 100 + vrid])
}

pub fn peer() -> IpAddr {
    IpAddr::from([192, 0, 2, 11])
}

pub fn up() -> LinkState {
    LinkState {
        present: true,
        up: true,
        ipv4: Some([192, 0, 2, 10].into()),
        ipv6: None,
    }
}

/// An advert of the peer, which advertises every 10 cs.
pub fn fast_advert(vrid: u8, priority: u8) -> Fact {
    let Fact::Packet(source, mut message) = advert(vrid, priority) else {
        unreachable!("an advert is a packet");
    };
    // Max Advertise Interval and checksum.
    message[4..6].copy_from_slice(&10_u16.to_be_bytes());
    let sum = u16::from_be_bytes([message[6], message[7]]) + 90;
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    Fact::Packet(source, message)
}

/// An advert of the peer.
pub fn advert(vrid: u8, priority: u8) -> Fact {
    let router = VirtualRouter::new(config(vrid, 100), peer());
    let mut message = Vec::new();
    router
        .advert(Priority::new(priority))
        .emit(peer(), GROUP_V4.into(), ChecksumForm::PseudoHeader, &mut message)
        .unwrap();
    Fact::Packet(peer(), message)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
