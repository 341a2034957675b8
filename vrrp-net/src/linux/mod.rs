//! The Linux kernel as a [`Network`].

mod accept;
mod address_message;
mod addresses;
mod clock;
mod error;
mod filter;
mod frames;
mod ipv4;
mod ipv6;
mod lock;
mod mark;
mod monitor;
mod ready;
mod report;
mod requests;
mod routes;
mod routing;
mod rules;
mod siblings;
mod suspect;
mod sysctl;
mod table;
mod vmac;
mod worker;

use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::unix::AsyncFd;
use vrrp_core::{Envelope, PROTOCOL, PROTOCOL_AH};

use crate::network::{
    AddressError, Input, LinkId, LinkState, MacAddr, Network, Placement, Renewal, Routing, RoutingError,
};
use crate::plan::LinkPlan;
use crate::{garp, ndp};
pub use error::OpenError;

use accept::AcceptFilter;
use addresses::Renewals;
use clock::Clock;
use error::refused;
use frames::{ClaimSocket, FrameSocket};
use ipv4::Ipv4Socket;
use ipv6::Ipv6Socket;
use lock::Lock;
use monitor::{Message, Monitor, Reading, Resync};
use ready::Ready;
use requests::Requests;
use routing::Routes;
use siblings::Alive;
use table::{Change, Table};
use vmac::Vmacs;
use worker::{Done, Worker};

/// Receive buffer of adverts: those of 255 routers at 10 ms intervals over a tenth of a second, 2,730 in all (the kernel
/// doubles it, and counts 768 octets for a small packet). Without CAP_NET_ADMIN in the initial user namespace the kernel
/// cuts it to net.core.rmem_max.
const ADVERT_BUFFER: usize = 1 << 20;
/// Most that is read from one socket before the next has its turn: more than its buffer holds, so that all that had come
/// before the first read is read, and a flood on one socket can't keep the others waiting.
const TURN: usize = 3000;
/// Sockets of one link: IPv4, IPv6, AH.
const SOCKETS: usize = 3;
/// How late a deadline may be noticed without another look at every socket.
const PUNCTUAL: Duration = Duration::from_millis(1);
/// Longest packet that is read whole: IPv6, 255 addresses, and room for what is too long.
const PACKET: usize = 8192;

/// The Linux kernel as the driver sees it, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct LinuxNetwork {
    clock: Clock,
    requests: Requests,
    monitor: Monitor,
    resync: Resync,
    table: Table,
    worker: Worker,
    /// What the worker's batch is about.
    renewals: Option<Renewals>,
    /// How it went, until that is told.
    renewal: Option<Renewal>,
    routes: Routes,
    /// Open when there are addresses that packets are kept from.
    accept: Option<AcceptFilter>,
    links: Vec<Link>,
    /// Those that may have sockets: virtual MACs have none.
    listening: Vec<LinkId>,
    vmacs: Option<Vmacs>,
    /// Goes after what it answers for.
    alive: Alive,
    /// Kept for others to see.
    _locks: Vec<Lock>,
    frames: FrameSocket,
    arp_claims: ClaimSocket,
    ndp_claims: Option<Ipv6Socket>,
    /// Open where there is IPv6.
    serving: Option<Ready>,
    buffer: Box<[u8]>,
    /// Which places may have something to read.
    ready: Vec<bool>,
    /// Which place is read next.
    cursor: usize,
    /// How often it has been read in this turn.
    reads: usize,
    /// Whether all sockets have been dry so far in this round.
    round_dry: bool,
    /// Whether all were in the last round, and nothing has been waited for since.
    dry: bool,
}

/// An interface and its sockets, which live as long as it does.
#[derive(Debug)]
struct Link {
    plan: LinkPlan,
    /// Index of the interface that the sockets are bound to.
    bound: Option<u32>,
    ipv4: Option<Ipv4Socket>,
    ipv6: Option<Ipv6Socket>,
    ah: Option<Ipv4Socket>,
}

/// A packet in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    envelope: Envelope,
    payload: Range<usize>,
}

/// What a socket gave.
enum Read {
    Packet(LinkId, Received),
    /// An IPv4 packet of protocol 51, so long.
    Ah(LinkId, usize),
    Claim(LinkId, IpAddr, MacAddr),
    /// Something that concerns nobody.
    Other,
    /// Nothing is left.
    Dry,
}

impl LinuxNetwork {
    /// Opens the sockets of these links ([`Plan::links`](crate::Plan::links)). Must be called inside a tokio runtime
    /// with IO, and used on the same thread.
    ///
    /// # Errors
    /// When an interface or a capability is missing, or the kernel refuses a socket; see [`OpenError`].
    pub fn open(links: &[LinkPlan]) -> Result<Self, OpenError> {
        let release = nix::sys::utsname::uname()
            .map(|name| name.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut table = Table::new(links.iter().map(|link| link.name.clone()), &release);
        let mut requests = Requests::open().map_err(refused("a netlink socket"))?;
        // The monitor first: what happens during the dump is reported after it.
        let monitor = Monitor::open().map_err(refused("a netlink socket"))?;
        let names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
        let all = monitor::dump(&names, &mut requests).map_err(refused("reading links and addresses"))?;
        table.replace(all.iter().map(borrow));
        while table.next_change().is_some() {}
        let missing =
            |(link, plan): &(LinkId, &LinkPlan)| plan.vmac.is_none() && table.index(*link).is_none();
        if let Some((_, plan)) = (0..).map(LinkId).zip(links).find(missing) {
            return Err(OpenError::NoInterface {
                name: plan.name.clone(),
            });
        }
        let frames = FrameSocket::open().map_err(refused("a packet socket"))?;
        if !addresses::may_change(&mut requests) {
            return Err(OpenError::Capability {
                capability: "CAP_NET_ADMIN",
                what: "adding addresses",
            });
        }
        let locks = take_locks(links)?;
        let alive = Alive::announce().map_err(refused("a local socket"))?;
        let vmacs = Vmacs::open(links, &table, &alive)?;
        // A router of one family may hold addresses of the other; and a host may have no IPv6.
        let ndp_claims = match Ipv6Socket::claims() {
            Err(_) if !links.iter().any(|link| link.ipv6) => None,
            other => Some(other.map_err(refused("a raw ICMPv6 socket"))?),
        };
        let mut network = Self {
            clock: Clock::new().map_err(refused("a timer"))?,
            requests,
            monitor,
            resync: Resync::default(),
            table,
            worker: Worker::start(names).map_err(refused("a netlink thread"))?,
            renewals: None,
            renewal: None,
            routes: Routes::default(),
            accept: None,
            links: links.iter().cloned().map(Link::new).collect(),
            listening: (0..)
                .map(LinkId)
                .zip(links)
                .filter_map(|(link, plan)| plan.vmac.is_none().then_some(link))
                .collect(),
            vmacs,
            alive,
            _locks: locks,
            frames,
            arp_claims: ClaimSocket::open().map_err(refused("a packet socket"))?,
            ndp_claims,
            serving: links
                .iter()
                .any(|link| link.ipv6)
                .then(Ready::open)
                .transpose()
                .map_err(refused("a netlink socket"))?,
            buffer: vec![0; PACKET].into_boxed_slice(),
            ready: Vec::new(),
            cursor: 0,
            reads: 0,
            round_dry: true,
            dry: false,
        };
        // The monitor, those of the links, two that hear claims, and the one that hears of routes.
        network.ready = vec![true; SOCKETS * network.listening.len() + 4];
        network.learn_vmacs().map_err(refused("reading links"))?;
        for link in (0..links.len()).map(LinkId) {
            network.bind(link).map_err(|error| OpenError::Refused {
                what: "a raw VRRP socket",
                on: Some(links[link.0].name.clone()),
                error,
            })?;
        }
        Ok(network)
    }

    /// Opens the sockets of an interface anew if it is another than before: they are bound to one that is gone.
    fn bind(&mut self, link: LinkId) -> io::Result<()> {
        let index = self.table.index(link);
        let sockets = &mut self.links[link.0];
        if sockets.bound == index {
            return Ok(());
        }
        (sockets.bound, sockets.ipv4, sockets.ipv6, sockets.ah) = (None, None, None, None);
        let Some(index) = index else {
            return Ok(());
        };
        let plan = &sockets.plan;
        let ipv4 = |protocol| Ipv4Socket::open(&plan.name, index, protocol, plan.group_v4);
        sockets.ipv4 = plan.ipv4.then(|| ipv4(PROTOCOL)).transpose()?;
        sockets.ah = plan.ah.then(|| ipv4(PROTOCOL_AH)).transpose()?;
        let ipv6 = || Ipv6Socket::open(&plan.name, index, plan.group_v6);
        sockets.ipv6 = plan.ipv6.then(ipv6).transpose()?;
        sockets.bound = Some(index);
        self.ready.fill(true);
        Ok(())
    }

    fn next_change(&mut self) -> Option<Input<'static>> {
        let change = self.table.next_change()?;
        Some(match change {
            Change::Link(link) => {
                if let Err(error) = self.bind(link) {
                    // The link counts as down until the next report about it.
                    tracing::error!(interface = self.table.name(link), %error, "no raw VRRP socket");
                }
                self.tend_vmacs(link);
                Input::Link(link)
            }
            Change::Removed(link, address) => Input::AddressRemoved { link, address },
        })
    }

    /// Makes virtual MACs anew that have gone, and tells the table at once: their routers may need them before the
    /// kernel's report is read.
    fn tend_vmacs(&mut self, link: LinkId) {
        let Some(vmacs) = &mut self.vmacs else { return };
        if vmacs.tend(link, &self.table) {
            if let Err(error) = self.learn_vmacs() {
                tracing::debug!(%error, "reading links");
            }
        }
        if self.links[link.0].plan.vmac.is_some() && self.table.index(link).is_some() {
            self.table.report_missing(link);
        }
    }

    fn learn_vmacs(&mut self) -> io::Result<()> {
        let table = &mut self.table;
        match &mut self.vmacs {
            Some(vmacs) => vmacs.describe(&mut |kind, payload| table.read(kind, payload)),
            None => Ok(()),
        }
    }

    fn next_turn(&mut self) {
        self.cursor += 1;
        self.reads = 0;
    }

    /// Notes what the poller has said of the sockets, and whether it has said anything.
    fn note_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut any = self.clock.poll_expired(context)?.is_ready();
        let last_link = SOCKETS * self.listening.len();
        let mut note = |place: usize, polled: Poll<()>| {
            self.ready[place] |= polled.is_ready();
            any |= polled.is_ready();
        };
        note(0, self.monitor.poll_readable(context)?);
        note(0, self.worker.poll_done(context));
        for (place, link) in (1..).step_by(SOCKETS).zip(&self.listening) {
            let link = &self.links[link.0];
            if let Some(socket) = &link.ipv4 {
                note(place, socket.poll_readable(context)?);
            }
            if let Some(socket) = &link.ipv6 {
                note(place + 1, socket.poll_readable(context)?);
            }
            if let Some(socket) = &link.ah {
                note(place + 2, socket.poll_readable(context)?);
            }
        }
        note(last_link + 1, self.arp_claims.poll_readable(context)?);
        if let Some(socket) = &self.ndp_claims {
            note(last_link + 2, socket.poll_readable(context)?);
        }
        note(last_link + 3, self.routes.poll_readable(context)?);
        if any { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Reads once from the place of the cursor: the monitor, three sockets a link, the two that hear claims, and
    /// the one that hears of routes.
    /// `None` behind the last.
    fn read(&mut self) -> Option<Read> {
        let last_link = SOCKETS * self.listening.len();
        let read = match self.cursor {
            place if self.ready.get(place) == Some(&false) => Ok(Read::Dry),
            0 => Ok(self.read_reports()),
            place if place <= last_link => {
                let link = self.listening[(place - 1) / SOCKETS];
                self.read_packet(link, (place - 1) % SOCKETS)
            }
            place if place == last_link + 1 => self.read_arp_claim(),
            place if place == last_link + 2 => self.read_ndp_claim(),
            place if place == last_link + 3 && self.routes.read() => Ok(Read::Other),
            place if place == last_link + 3 => Ok(Read::Dry),
            _ => return None,
        };
        Some(read.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Read::Dry,
            // A link that went down says so once before the packets that are left.
            io::ErrorKind::NetworkDown | io::ErrorKind::Interrupted => Read::Other,
            _ => {
                tracing::debug!(%error, "receiving");
                Read::Dry
            }
        }))
    }

    /// Reads a report, or takes what the worker has done when there is none.
    fn read_reports(&mut self) -> Read {
        let (table, resync) = (&mut self.table, &mut self.resync);
        let reading = self.monitor.read(&mut |kind, payload| {
            table.read(kind, payload);
            resync.handle_report(kind, payload);
        });
        let now = self.clock.now();
        match reading {
            Reading::Reports => return Read::Other,
            Reading::Lost => {
                tracing::warn!("netlink reports were lost; reading everything anew");
                self.resync.handle_loss(now);
                return Read::Other;
            }
            Reading::Dry => {}
        }
        if let Some(done) = self.worker.take_done() {
            self.take(done);
            return Read::Other;
        }
        if self.resync.begin(now) {
            self.worker.read_all();
        }
        Read::Dry
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Batch(results) => self.conclude_renewal(results),
            Done::Snapshot(read) => match self.resync.finish(self.clock.now(), read) {
                Ok(Some(all)) => self.table.replace(all.iter().map(borrow)),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "links and addresses can't be read; trying again"),
            },
        }
    }

    fn conclude_renewal(&mut self, results: Vec<io::Result<()>>) {
        if let Some(renewals) = self.renewals.take() {
            self.renewal = Some(renewals.conclude(&mut self.table, results));
        }
    }

    /// From here on none of these addresses is renewed.
    fn end_renewal_of(&mut self, placements: &[Placement]) {
        let concerned = |renewals: &Renewals| renewals.touch(placements);
        if self.renewals.as_ref().is_some_and(concerned) {
            let results = self.worker.revoke();
            self.conclude_renewal(results);
        }
    }

    fn read_packet(&mut self, link: LinkId, socket: usize) -> io::Result<Read> {
        let sockets = &mut self.links[link.0];
        let received = match (socket, &sockets.ipv4, &mut sockets.ipv6, &sockets.ah) {
            (0, Some(socket), ..) => socket.receive(&mut self.buffer)?,
            (1, _, Some(socket), _) => socket.receive(&mut self.buffer)?.map(|(received, _)| received),
            (2, .., Some(socket)) => {
                return Ok(Read::Ah(link, socket.receive_packet(&mut self.buffer)?));
            }
            _ => return Ok(Read::Dry),
        };
        Ok(received.map_or(Read::Other, |received| Read::Packet(link, received)))
    }

    fn read_arp_claim(&mut self) -> io::Result<Read> {
        let claim = self.arp_claims.receive(&mut self.buffer)?;
        Ok(claim.map_or(Read::Other, |(index, address, mac)| {
            self.claim(index, IpAddr::V4(address), mac)
        }))
    }

    fn read_ndp_claim(&mut self) -> io::Result<Read> {
        let Some(socket) = &mut self.ndp_claims else {
            return Ok(Read::Dry);
        };
        let received = socket.receive(&mut self.buffer)?;
        // RFC 4861 §7.1.2: another hop limit means that it is from beyond the link.
        let received = received.filter(|(received, _)| received.envelope.hop_limit == 255);
        let claim = received.and_then(|(received, index)| {
            let (address, mac) = ndp::claim(&self.buffer[received.payload])?;
            Some(self.claim(index, IpAddr::V6(address), mac))
        });
        Ok(claim.unwrap_or(Read::Other))
    }

    fn claim(&self, index: u32, address: IpAddr, mac: MacAddr) -> Read {
        let link = self.table.link(index);
        link.map_or(Read::Other, |link| Read::Claim(link, address, mac))
    }

    /// Where IPv6 addresses are to be that aren't there, but for those that wait to be found unique.
    fn ipv6_to_be_added(&self, placements: &[Placement]) -> Vec<(u32, IpAddr)> {
        let missing = |placement: &Placement| {
            let (link, address) = (placement.link, placement.address());
            let wanted =
                address.is_ipv6() && !placement.options.dad && self.table.find(link, address).is_none();
            Some((self.table.index(link)?, address)).filter(|_| wanted)
        };
        placements.iter().filter_map(missing).collect()
    }

    /// Before the addresses are there, so that none is ever accepted that should not be.
    fn refuse_packets(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        let (Some(filter), table) = (&mut self.accept, &self.table) else {
            return Ok(());
        };
        let refused = placements.iter().filter(|placement| !placement.accept);
        let places = refused.clone().filter_map(|placement| {
            let index = table.index(placement.link)?;
            Some((placement.link, index, placement.address()))
        });
        match (filter.refuse(places), refused.clone().next()) {
            (Err(error), Some(placement)) => Err(no_filter(placement, error)),
            _ => Ok(()),
        }
    }

    /// When the addresses are gone: whoever has one later for himself shall have its packets.
    fn admit_packets(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        let Some(filter) = &mut self.accept else {
            return Ok(());
        };
        let places = placements
            .iter()
            .map(|placement| (placement.link, placement.address()));
        match (filter.admit(places), placements.first()) {
            (Err(error), Some(placement)) => Err(no_filter(placement, error)),
            _ => Ok(()),
        }
    }

    fn announce_one(&self, link: LinkId, address: IpAddr) -> io::Result<()> {
        // An interface without hardware addresses has nobody to tell.
        let (Some(index), Some(mac)) = (self.table.index(link), self.table.mac(link)) else {
            return Ok(());
        };
        match address {
            IpAddr::V4(address) => self.frames.send(index, &garp::announcement(mac, address)),
            IpAddr::V6(address) => {
                let router = forwards(self.table.name(link));
                self.frames.send(index, &ndp::announcement(mac, address, router))
            }
        }
    }
}

impl Network for LinuxNetwork {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn unix_time(&self) -> Duration {
        clock::unix_time()
    }

    async fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.worker.note_alive();
        if !std::mem::take(&mut self.dry) {
            // Not everything was read: no socket may become readable anew.
            tokio::task::yield_now().await;
            return Ok(());
        }
        if self.renewal.is_some() {
            return Ok(());
        }
        // Begun in the monitor's turn.
        self.ready[0] |= self.resync.deadline().is_some();
        let until = [until, self.resync.deadline()].into_iter().flatten().min();
        self.clock.arm(until)?;
        poll_fn(|context| self.note_ready(context)).await?;
        // The poller's word is of when it was asked. Late, more may have come since, and must be read before the timer
        // is acted upon.
        if until.is_some_and(|until| self.now() > until + PUNCTUAL) {
            self.ready.fill(true);
        }
        Ok(())
    }

    fn poll_input(&mut self) -> Option<Input<'_>> {
        if let Some(renewal) = self.renewal.take() {
            return Some(Input::Renewed(renewal));
        }
        if self.cursor == 0 && self.reads == 0 {
            // A command that came at the same time may have kept `wait` from asking.
            if let Poll::Ready(Err(error)) = self.note_ready(&mut Context::from_waker(Waker::noop())) {
                tracing::debug!(%error, "polling");
            }
        }
        let (link, arrived) = loop {
            // What the monitor says is told when it has said all: a link that went explains the addresses that went.
            if self.cursor > 0 {
                if let Some(input) = self.next_change() {
                    return Some(input);
                }
            }
            if self.reads == TURN {
                self.round_dry = false;
                self.next_turn();
            }
            self.reads += 1;
            match self.read() {
                Some(Read::Packet(link, received)) => break (link, Ok(received)),
                Some(Read::Ah(link, len)) => break (link, Err(len)),
                Some(Read::Claim(link, address, mac)) => return Some(Input::Claim { link, address, mac }),
                Some(Read::Other) => {}
                Some(Read::Dry) => {
                    self.ready[self.cursor] = false;
                    self.next_turn();
                }
                // Once for all that were reported together.
                None if self.routes.take_lost(self.table.take_address_gone()) => {
                    return Some(Input::RoutingRemoved);
                }
                None => {
                    (self.cursor, self.reads) = (0, 0);
                    self.dry = std::mem::replace(&mut self.round_dry, true);
                    return None;
                }
            }
        };
        Some(match arrived {
            Ok(received) => Input::Packet {
                link,
                envelope: received.envelope,
                payload: &self.buffer[received.payload],
            },
            Err(len) => Input::AhPacket {
                link,
                packet: &self.buffer[..len],
            },
        })
    }

    fn link(&self, link: LinkId) -> LinkState {
        let state = self.table.state(link);
        let present = state.present && self.links[link.0].bound.is_some();
        LinkState {
            present,
            up: state.up && present,
            ..state
        }
    }

    fn has_address(&self, link: LinkId, address: IpAddr) -> bool {
        self.table.has_own(link, address)
    }

    fn prepare(&mut self, placements: &[&Placement]) -> Result<(), AddressError> {
        addresses::check(&self.table, placements)?;
        if let Some(vmacs) = &self.vmacs {
            vmacs.check(&self.table, placements)?;
        }
        if let Err(error) = accept::sweep() {
            tracing::debug!(%error, "filters of an earlier run can't be looked for");
        }
        if let Some(refused) = placements.iter().find(|placement| !placement.accept) {
            let filter = AcceptFilter::open().map_err(|error| no_filter(refused, error))?;
            self.accept = Some(filter);
        }
        let siblings = self.alive.has_siblings();
        addresses::sweep(&mut self.requests, &mut self.table, placements, siblings);
        Ok(())
    }

    fn send_advert(&mut self, link: LinkId, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let sockets = &self.links[link.0];
        if let (Some(vmacs), Some(_)) = (&self.vmacs, &sockets.plan.vmac) {
            return vmacs.send(link, envelope, message);
        }
        let hop_limit = envelope.hop_limit;
        match (
            envelope.source,
            envelope.destination,
            &sockets.ipv4,
            &sockets.ipv6,
        ) {
            (IpAddr::V4(source), IpAddr::V4(destination), Some(socket), _) => {
                socket.send(source, destination, hop_limit, message)
            }
            (IpAddr::V6(source), IpAddr::V6(destination), _, Some(socket)) => {
                socket.send(source, destination, hop_limit, message)
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn send_ah(&mut self, link: LinkId, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        if let (Some(vmacs), Some(_)) = (&self.vmacs, &self.links[link.0].plan.vmac) {
            return vmacs.send_packet(link, destination, packet);
        }
        match &self.links[link.0].ah {
            Some(socket) => socket.send_packet(destination, packet),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn acquire(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.end_renewal_of(placements);
        if let Some(vmacs) = &self.vmacs {
            vmacs.open_for(placements)?;
        }
        self.refuse_packets(placements)?;
        let now = self.now();
        let added = self.ipv6_to_be_added(placements);
        if let Some(ready) = &mut self.serving {
            ready.forget_reports();
        }
        addresses::acquire(&mut self.requests, &mut self.table, placements, now)?;
        if let Some(ready) = &mut self.serving {
            ready.wait_for(&mut self.requests, added);
        }
        Ok(())
    }

    fn renew(&mut self, placements: &[&Placement], patience: Duration) {
        let now = self.now();
        let (renewals, requests) = addresses::renewals(&mut self.table, placements, now);
        if requests.is_empty() {
            self.renewal = Some(renewals.conclude(&mut self.table, Vec::new()));
        } else {
            self.renewals = Some(renewals);
            self.worker.make(requests, patience);
        }
    }

    fn release(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.end_renewal_of(placements);
        if let Some(vmacs) = &self.vmacs {
            vmacs.close_for(placements);
        }
        let released = addresses::release(&mut self.requests, &mut self.table, placements);
        let admitted = self.admit_packets(placements);
        released.and(admitted)
    }

    fn prepare_routing(&mut self, routing: &[&Routing]) {
        self.routes.prepare(routing, &self.alive);
    }

    fn acquire_routing(&mut self, routing: &Routing) -> Result<usize, RoutingError> {
        let link = |name: &str| self.links.iter().position(|link| link.plan.name == name);
        let index = |name: &str| link(name).and_then(|link| self.table.index(LinkId(link)));
        self.routes.acquire(&mut self.requests, index, routing)
    }

    fn release_routing(&mut self, routing: &Routing) -> Result<(), RoutingError> {
        self.routes.release(&mut self.requests, routing)
    }

    fn announce(&mut self, placements: &[Placement], repeat: u8, until: Duration) -> io::Result<()> {
        let mut last = Ok(());
        for placement in (0..repeat).flat_map(|_| placements) {
            // Stopped and resumed between two frames.
            if self.now() > until {
                break;
            }
            // A multicast group belongs to nobody.
            if placement.options.autojoin {
                continue;
            }
            if let Err(error) = self.announce_one(placement.link, placement.address()) {
                last = Err(error);
            }
        }
        last
    }

    fn announce_source(&mut self, link: LinkId, address: IpAddr) -> io::Result<()> {
        self.announce_one(link, address)
    }

    fn probe(&mut self, mut link: LinkId, address: IpAddr) -> io::Result<()> {
        if address.is_multicast() {
            // A group has no owner.
            return Ok(());
        }
        if address.is_ipv6() {
            // The question needs an address to come from, and whoever hears it remembers its MAC: not the virtual one.
            link = self
                .vmacs
                .as_ref()
                .and_then(|vmacs| vmacs.base(link))
                .unwrap_or(link);
        }
        let (Some(index), Some(mac)) = (self.table.index(link), self.table.mac(link)) else {
            return Ok(());
        };
        match address {
            IpAddr::V4(address) => self.frames.send(index, &garp::probe(mac, address)),
            IpAddr::V6(address) => match self.table.state(link).ipv6 {
                Some(source) => self.frames.send(index, &ndp::solicitation(mac, source, address)),
                None => self
                    .frames
                    .send(index, &ndp::anonymous_solicitation(mac, address)),
            },
        }
    }

    fn suspect(&self, link: LinkId) -> Option<&'static str> {
        suspect::suspect(self.table.name(link))
    }

    fn mac(&self, link: LinkId) -> Option<MacAddr> {
        self.table.mac(link)
    }
}

fn no_filter(placement: &Placement, error: io::Error) -> AddressError {
    AddressError::NoFilter {
        address: placement.net,
        error,
    }
}

impl Link {
    fn new(plan: LinkPlan) -> Self {
        Self {
            plan,
            bound: None,
            ipv4: None,
            ipv6: None,
            ah: None,
        }
    }
}

/// So that no other process runs these virtual routers.
fn take_locks(links: &[LinkPlan]) -> Result<Vec<Lock>, OpenError> {
    let routers = links
        .iter()
        .flat_map(|link| link.routers.iter().map(move |router| (link, *router)));
    let take = |(link, (family, vrid)): (&LinkPlan, _)| {
        let taken = Lock::take(&link.name, family, vrid).map_err(refused("a socket"))?;
        taken.map_err(|other| OpenError::Taken {
            vrid,
            family,
            interface: link.name.clone(),
            pid: other.pid,
        })
    };
    routers.map(take).collect()
}

fn borrow((kind, payload): &Message) -> (u16, &[u8]) {
    (*kind, payload)
}

/// Whether an interface forwards IPv6: then its neighbour advertisements say that it is a router.
fn forwards(interface: &str) -> bool {
    fs::read(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))
        .is_ok_and(|value| value.trim_ascii() != b"0")
}

/// Ready when there may be something to read. It is taken as read: the caller reads until nothing is left, and
/// whatever comes later makes it ready anew.
fn poll_readable<T: AsRawFd>(socket: &AsyncFd<T>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    ready!(socket.poll_read_ready(context))?.clear_ready();
    Poll::Ready(Ok(()))
}

/// As far as we may: past net.core.rmem_max takes a privilege that a container lacks.
fn enlarge_receive_buffer(socket: &impl AsFd, size: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &size).is_err() {
        // The kernel cuts it to what it allows.
        let _ = setsockopt(socket, sockopt::RcvBuf, &size);
    }
}
