//! What the driver needs of the operating system, so that tests drive it without a kernel.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use vrrp_core::{Envelope, Family};

use crate::config::{AddressOptions, Scope, VirtualRoute, VirtualRule};

/// An interface, by its place in [`Plan::links`](crate::Plan::links). It stays the same when the interface is deleted
/// and made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) usize);

impl LinkId {
    /// The place in [`Plan::links`](crate::Plan::links).
    pub fn index(self) -> usize {
        self.0
    }
}

/// What an interface is good for at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// It exists, and its sockets are open.
    pub present: bool,
    /// It is present, up, and has carrier.
    pub up: bool,
    /// Its primary IPv4 address, no virtual one.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 link-local address, no virtual one.
    pub ipv6: Option<Ipv6Addr>,
}

impl LinkState {
    /// The address that adverts of a family come from.
    pub fn source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.ipv4.map(IpAddr::V4),
            Family::Ipv6 => self.ipv6.map(IpAddr::V6),
        }
    }
}

/// A virtual address in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Interface that holds it.
    pub link: LinkId,
    /// Address and prefix.
    pub net: IpNet,
    /// Label, IPv4 alone.
    pub label: Option<String>,
    /// Kernel lifetime in whole seconds; `None` for forever.
    pub lease: Option<Duration>,
    /// Whether its router owns it (priority 255): then it may already be there, and stays.
    pub owner: bool,
    /// Whether packets to it are for this host.
    pub accept: bool,
    /// Whether its interface gets the setting `promote_secondaries` in any case.
    pub promote_secondaries: bool,
    /// What else the kernel is told about it.
    pub options: AddressOptions,
}

impl Placement {
    /// The address without its prefix.
    pub fn address(&self) -> IpAddr {
        self.net.addr()
    }
}

/// How a renewal of leases went.
#[derive(Debug, Default)]
pub struct Renewal {
    /// How many were renewed.
    pub renewed: u64,
    /// Those that can't be, and why.
    pub failures: Vec<(LinkId, IpAddr, AddressError)>,
    /// Those that had not had their turn when it was ended: by a release, or because the driver stood still.
    pub left: Vec<(LinkId, IpAddr)>,
}

/// What a virtual router changes in the routing of its host while it is master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Its routes, in the order in which they are added.
    pub routes: Vec<VirtualRoute>,
    /// Its rules, in the order in which they are added.
    pub rules: Vec<VirtualRule>,
}

impl Routing {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.rules.is_empty()
    }
}

/// A fact that the operating system reports.
#[derive(Debug)]
pub enum Input<'a> {
    /// A packet of IP protocol 112 arrived.
    Packet {
        /// Where.
        link: LinkId,
        /// What its IP header says.
        envelope: Envelope,
        /// IP payload without padding.
        payload: &'a [u8],
    },
    /// A packet of IP protocol 51 arrived: an IP authentication header, maybe with an advert behind it.
    AhPacket {
        /// Where.
        link: LinkId,
        /// The whole IPv4 packet, header included.
        packet: &'a [u8],
    },
    /// [`Network::link`] of this interface may answer differently from before.
    Link(LinkId),
    /// An address is gone that the driver had added and not removed: taken by somebody, or expired.
    AddressRemoved {
        /// Interface that held it.
        link: LinkId,
        /// The address.
        address: IpAddr,
    },
    /// What [`Network::renew`] began has ended.
    Renewed(Renewal),
    /// A route or rule is gone that the driver had added and not removed.
    RoutingRemoved,
    /// A host said that an address is its own: it answered a probe, or announced the address.
    Claim {
        /// Where.
        link: LinkId,
        /// The address.
        address: IpAddr,
        /// The host's hardware address.
        mac: MacAddr,
    },
}

/// What the driver needs of the operating system.
///
/// Nothing here may block for long: the thread that waits for a disk sends no adverts. All methods but
/// [`wait`](Self::wait) return at once.
pub trait Network {
    /// Time since the epoch of this network, on a clock that goes on while the machine is suspended.
    fn now(&self) -> Duration;

    /// Time since the Unix epoch, on a clock that may be set. Authentication that is based on time asks for it.
    fn unix_time(&self) -> Duration;

    /// Waits until [`poll_input`](Self::poll_input) may have something, or until the time has come. May return early.
    /// Must be safe to drop at any await.
    ///
    /// # Errors
    /// When the clock or the poller fail, which ends the driver.
    fn wait(&mut self, until: Option<Duration>) -> impl Future<Output = io::Result<()>>;

    /// The next fact; `None` when there is none for the moment.
    fn poll_input(&mut self) -> Option<Input<'_>>;

    /// State of an interface.
    fn link(&self, link: LinkId) -> LinkState;

    /// Whether the interface has this address, and not as a virtual one. A change is an [`Input::Link`].
    fn has_address(&self, link: LinkId, address: IpAddr) -> bool;

    /// Checks before the start that the addresses can be held, and removes leftovers of an earlier run.
    ///
    /// # Errors
    /// When one of them can't be held; see [`AddressError`].
    fn prepare(&mut self, placements: &[&Placement]) -> Result<(), AddressError>;

    /// Sends one advert out of an interface, to the group or to a peer. The envelope is what its IP header is to say;
    /// its source is an address of that interface or, out of a virtual MAC, of the interface that carries it.
    ///
    /// # Errors
    /// What the operating system says; nothing is sent then.
    fn send_advert(&mut self, link: LinkId, envelope: &Envelope, message: &[u8]) -> io::Result<()>;

    /// Sends one advert behind an IP authentication header: `packet` is the whole IPv4 packet, but for the checksum of
    /// its IP header.
    ///
    /// # Errors
    /// What the operating system says; nothing is sent then.
    fn send_ah(&mut self, link: LinkId, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()>;

    /// Adds addresses. One that is there already, and that an earlier call added, counts as added.
    ///
    /// # Errors
    /// The first one that can't be added; others may have been.
    fn acquire(&mut self, placements: &[Placement]) -> Result<(), AddressError>;

    /// Begins to renew the leases of addresses that were acquired, and returns at once: another program that changes
    /// the network may hold it up for long. None is renewed after a [`release`](Self::release) of it has returned; nor
    /// once the driver has not come to [`wait`](Self::wait) for longer than `patience`, when it stands still and another
    /// may have it. [`Input::Renewed`] says how it went; not called again before.
    fn renew(&mut self, placements: &[&Placement], patience: Duration);

    /// Removes addresses that were acquired. One that is not there any more counts as removed.
    ///
    /// # Errors
    /// The first one that can't be removed; the others are.
    fn release(&mut self, placements: &[Placement]) -> Result<(), AddressError>;

    /// Removes routes and rules that an earlier run left behind. Called once, before the start.
    fn prepare_routing(&mut self, routing: &[&Routing]);

    /// Adds routes, then rules, as far as they are not there, and gives how many were not. Addresses come first: routes
    /// may have them as their source. What is not tracked may be missing afterwards.
    ///
    /// # Errors
    /// The first one that can't be added, of those that are tracked; others may have been.
    fn acquire_routing(&mut self, routing: &Routing) -> Result<usize, RoutingError>;

    /// Removes rules, then routes that were added. One that is not there any more counts as removed.
    ///
    /// # Errors
    /// The first one that can't be removed; the others are.
    fn release_routing(&mut self, routing: &Routing) -> Result<(), RoutingError>;

    /// Announces addresses by gratuitous ARP or unsolicited neighbour advertisement, all once, then all again, so
    /// many times as `repeat` says; but nothing after `until`, by when another may have them.
    ///
    /// # Errors
    /// The last error of a frame that wasn't sent; others may have been.
    fn announce(&mut self, placements: &[Placement], repeat: u8, until: Duration) -> io::Result<()>;

    /// Announces an address that the interface has anyway, once, so that a unicast peer's adverts find this host at
    /// once.
    ///
    /// # Errors
    /// What the operating system says; nothing is sent then.
    fn announce_source(&mut self, link: LinkId, address: IpAddr) -> io::Result<()>;

    /// Asks who else has the address, by ARP or neighbour solicitation; answers come as [`Input::Claim`], of the
    /// interface or, for a virtual MAC, of the one that carries it.
    ///
    /// # Errors
    /// What the operating system says; nothing is sent then.
    fn probe(&mut self, link: LinkId, address: IpAddr) -> io::Result<()>;

    /// Who may have removed an address from this interface, and what keeps them from it, for the log.
    fn suspect(&self, link: LinkId) -> Option<&'static str> {
        let _ = link;
        None
    }

    /// Our own hardware address on an interface, if it has one.
    fn mac(&self, link: LinkId) -> Option<MacAddr>;
}

/// Why a virtual address can't be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Somebody else put the same address on the interface, and it is not ours to change.
    #[error(
        "{address} is already on {interface}, and vrrp did not add it: remove it (ip address del {address} dev \
         {interface}), or give the virtual router priority 255 if it owns the address"
    )]
    Foreign {
        /// The address.
        address: IpNet,
        /// Interface that has it.
        interface: String,
    },
    /// The prefix would make the address the primary of its subnet, and take the subnet's other addresses with it
    /// when it goes.
    #[error(
        "{address} would be the primary address of its subnet on {interface}: use a prefix of 32, or set \
         net.ipv4.conf.{interface}.promote_secondaries=1"
    )]
    Primary {
        /// The address.
        address: IpNet,
        /// Interface meant to hold it.
        interface: String,
    },
    /// The interface's setting was asked for and can't be changed.
    #[error(
        "promote_secondaries can't be set on {interface} ({error}): set net.ipv4.conf.{interface}.promote_secondaries=1, \
         or leave it out"
    )]
    PromoteSecondaries {
        /// The interface.
        interface: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// All addresses of a subnet on an interface have one scope.
    #[error(
        "{address} of scope {scope}: the subnet's first address on {interface} has another scope; use that one, or a \
         prefix of 32"
    )]
    Scope {
        /// The address.
        address: IpNet,
        /// Its scope.
        scope: Scope,
        /// Interface meant to hold it.
        interface: String,
    },
    /// The kernel can't keep packets from an address that they are not to reach.
    #[error(
        "{address} is not to be accepted, which needs nf_tables in the kernel ({error}): load it (modprobe nf_tables), \
         or set accept to true"
    )]
    NoFilter {
        /// The address.
        address: IpNet,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// The address is on the interface that carries the virtual MAC, and both would answer for it.
    #[error(
        "{address} is on {interface} itself, which would answer for it beside the virtual MAC {vmac}: remove it (ip \
         address del {address} dev {interface}), or do without vmac"
    )]
    OnBase {
        /// The address.
        address: IpNet,
        /// Interface that has it.
        interface: String,
        /// Interface of the virtual MAC.
        vmac: String,
    },
    /// The interface is not there.
    #[error("{address}: interface {interface} does not exist")]
    NoInterface {
        /// The address.
        address: IpNet,
        /// Interface meant to hold it.
        interface: String,
    },
    /// The kernel refused.
    #[error("{address} on {interface}: {error}")]
    Refused {
        /// The address.
        address: IpNet,
        /// Interface meant to hold it.
        interface: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

/// Why a route or rule can't be had. Each says which one, as `ip` writes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// Somebody else put a route there that the kernel can't tell from ours.
    #[error(
        "route {route} is already there, and vrrp did not add it: remove it (ip route del), or give ours another metric"
    )]
    ForeignRoute {
        /// The route.
        route: String,
    },
    /// The gateway is nowhere to be found.
    #[error("route {route}: its gateway is on no network of this host that is up; correct it, or add onlink")]
    Unreachable {
        /// The route.
        route: String,
    },
    /// The source is no address of this host.
    #[error(
        "route {route}: the kernel refuses it, likely since its src is no address of this host; make it a virtual \
             address, or correct it"
    )]
    Source {
        /// The route.
        route: String,
    },
    /// The interface is not there, or down.
    #[error("route {route}: its interface is missing or down")]
    LinkDown {
        /// The route.
        route: String,
    },
    /// The kernel refused a route.
    #[error("route {route}: {error}")]
    Route {
        /// The route.
        route: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// The kernel refused a rule.
    #[error("rule {rule}: {error}")]
    Rule {
        /// The rule.
        rule: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

/// An Ethernet hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All hosts.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it is the address of one station: not all zeros, and not of a group.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        self.0 != [0; 6] && self.0[0] & 1 == 0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
