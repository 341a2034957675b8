//! A route that moves with a virtual router.

mod error;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use vrrp_core::Family;

use super::{Scope, check_interface};
pub use error::RouteError;

/// Most next hops of one route, so that it fits one netlink message.
const HOPS_MAX: usize = 64;
/// What one next hop may weigh beside the others.
const WEIGHTS: RangeInclusive<u16> = 1..=256;
/// Protocols that the kernel gives its own routes (`RTPROT_UNSPEC`, `REDIRECT`, `KERNEL`).
const KERNEL_PROTOCOLS: RangeInclusive<u8> = 0..=2;
/// Octets of a congestion control's name (`TCP_CA_NAME_MAX`), without the final zero.
const CONGCTL_MAX: usize = 15;

/// A route that a virtual router has while it is master (`virtual_routes`). One that exists is valid by itself.
///
/// It bears the mark `proto 112`, by which a start recognises what a killed process left behind, and two routes that
/// agree in destination, table, TOS and metric are the same to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    pub(crate) to: IpNet,
    pub(crate) kind: RouteKind,
    pub(crate) hops: Vec<NextHop>,
    pub(crate) multipath: bool,
    pub(crate) src: Option<IpAddr>,
    pub(crate) tos: u8,
    pub(crate) table: u32,
    pub(crate) metric: Option<u32>,
    pub(crate) scope: Option<Scope>,
    pub(crate) protocol: Option<u8>,
    pub(crate) settings: Vec<RouteSetting>,
    pub(crate) locked: Vec<RouteSetting>,
    pub(crate) track: bool,
}

/// What becomes of packets that take a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// They go to a next hop.
    #[default]
    Unicast,
    /// They vanish.
    Blackhole,
    /// They are answered with "host unreachable".
    Unreachable,
    /// They are answered with "administratively prohibited".
    Prohibit,
    /// The search goes on with the next rule.
    Throw,
}

/// Where packets go next. See [`VirtualRouteBuilder::nexthop`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    pub(crate) via: Option<IpAddr>,
    pub(crate) dev: Option<String>,
    pub(crate) weight: Option<u16>,
    pub(crate) onlink: bool,
}

/// What a route says about the connections over it (`RTAX_*` of the kernel), in the words of `ip route`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteSetting {
    /// Longest packet, in octets.
    Mtu(u32),
    /// Longest segment to announce, in octets.
    Advmss(u32),
    /// Largest window to announce, in octets.
    Window(u32),
    /// First guess of the round-trip time, in milliseconds.
    Rtt(u32),
    /// First guess of its variance, in milliseconds.
    RttVar(u32),
    /// Slow start threshold, in segments.
    SsThresh(u32),
    /// Clamp of the congestion window, in segments.
    Cwnd(u32),
    /// First congestion window, in segments.
    InitCwnd(u32),
    /// First receive window, in segments.
    InitRwnd(u32),
    /// Segments that may arrive out of order.
    Reordering(u32),
    /// Hop limit, or TTL, of packets.
    HopLimit(u8),
    /// Least retransmission timeout, in milliseconds.
    RtoMin(u32),
    /// Whether to acknowledge at once.
    QuickAck(bool),
    /// Whether TCP Fast Open goes without a cookie.
    FastopenNoCookie(bool),
    /// Whether to ask for explicit congestion notification.
    Ecn,
    /// Congestion control, 1 to 15 octets.
    Congctl(String),
}

/// Collects what a route is; [`build`](Self::build) checks it.
#[derive(Clone, Debug)]
#[must_use]
pub struct VirtualRouteBuilder {
    route: VirtualRoute,
    hop: NextHop,
}

impl VirtualRoute {
    /// The routing table of most hosts (`main`), where routes go by default.
    pub const MAIN_TABLE: u32 = 254;

    /// Starts a route to these addresses; 0.0.0.0/0 and ::/0 are the default routes.
    pub fn builder(to: impl Into<IpNet>) -> VirtualRouteBuilder {
        VirtualRouteBuilder {
            route: Self {
                to: to.into(),
                kind: RouteKind::Unicast,
                hops: Vec::new(),
                multipath: false,
                src: None,
                tos: 0,
                table: Self::MAIN_TABLE,
                metric: None,
                scope: None,
                protocol: None,
                settings: Vec::new(),
                locked: Vec::new(),
                track: true,
            },
            hop: NextHop::default(),
        }
    }

    /// Starts a default route.
    pub fn default_route(family: Family) -> VirtualRouteBuilder {
        Self::builder(match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
        .prefix(0)
    }

    /// Where to.
    pub fn to(&self) -> IpNet {
        self.to
    }

    /// Its routing table.
    pub fn table(&self) -> u32 {
        self.table
    }

    /// Whether the virtual router goes to Fault when it can't have the route. Default: yes.
    pub fn is_tracked(&self) -> bool {
        self.track
    }

    /// The interfaces that it names.
    pub(crate) fn devs(&self) -> impl Iterator<Item = &str> {
        self.hops.iter().filter_map(|hop| hop.dev.as_deref())
    }

    /// Whether the kernel can't keep both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let key = |route: &Self| (route.to, route.table, route.tos, route.priority());
        key(self) == key(other)
    }

    /// The metric as the kernel keeps it: IPv6 has no 0.
    pub(crate) fn priority(&self) -> u32 {
        match (self.metric.unwrap_or(0), self.to) {
            (0, IpNet::V6(_)) => 1024,
            (metric, _) => metric,
        }
    }
}

impl VirtualRouteBuilder {
    fn prefix(mut self, len: u8) -> Self {
        let to = IpNet::new(self.route.to.addr(), len);
        self.route.to = to.expect("no prefix is shorter than 0");
        self
    }

    /// What becomes of packets. Default: they go to a next hop.
    pub fn kind(mut self, kind: RouteKind) -> Self {
        self.route.kind = kind;
        self
    }

    /// The gateway (`via`, `gw`). An IPv4 route may have an IPv6 one.
    pub fn via(mut self, gateway: IpAddr) -> Self {
        self.hop.via = Some(gateway);
        self
    }

    /// The interface that packets leave by (`dev`). Default: the one that the gateway is on.
    pub fn dev(mut self, interface: impl Into<String>) -> Self {
        self.hop.dev = Some(interface.into());
        self
    }

    /// Takes the gateway to be on the link, whatever its address (`onlink`). Needs gateway and interface.
    pub fn onlink(mut self) -> Self {
        self.hop.onlink = true;
        self
    }

    /// Adds one of several next hops that share the packets (`nexthop`), instead of `via` and `dev`.
    pub fn nexthop(mut self, hop: NextHop) -> Self {
        self.route.multipath = true;
        self.route.hops.push(hop);
        self
    }

    /// Source of packets that this host sends over it (`src`); usually the virtual address.
    pub fn src(mut self, source: IpAddr) -> Self {
        self.route.src = Some(source);
        self
    }

    /// Serves packets of this type of service alone (`tos`, `dsfield`), IPv4 alone; the two low bits are 0.
    pub fn tos(mut self, tos: u8) -> Self {
        self.route.tos = tos;
        self
    }

    /// Its routing table, from 1. Default: 254, main.
    pub fn table(mut self, table: u32) -> Self {
        self.route.table = table;
        self
    }

    /// Its metric (`metric`, `preference`): the lowest serves. Default: 0 for IPv4; 1024 for IPv6, where 0 means the same.
    pub fn metric(mut self, metric: u32) -> Self {
        self.route.metric = Some(metric);
        self
    }

    /// Its scope, IPv4 alone. Default: global through a gateway, else link.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.route.scope = Some(scope);
        self
    }

    /// Who has put it there (`protocol`), from 3. Default: 112, our mark.
    ///
    /// With another, a route that somebody else has put there with the same destination, table, TOS, metric and
    /// protocol is taken for a leftover of ours at the start.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.route.protocol = Some(protocol);
        self
    }

    /// What holds for connections over it.
    pub fn setting(mut self, setting: RouteSetting) -> Self {
        self.route.settings.push(setting);
        self
    }

    /// The same, and not to be changed by what is learnt on the way (`lock`).
    pub fn locked_setting(mut self, setting: RouteSetting) -> Self {
        self.route.locked.push(setting);
        self
    }

    /// Whether the virtual router goes to Fault when it can't have the route; with `false` (`no_track`) it serves
    /// without. Default: yes.
    pub fn track(mut self, track: bool) -> Self {
        self.route.track = track;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn build(self) -> Result<VirtualRoute, RouteError> {
        let Self { mut route, hop } = self;
        let to = route.to;
        if to.addr() != to.network() {
            let network = to.trunc();
            return Err(RouteError::HostBits { to, network });
        }
        let single = hop != NextHop::default();
        match (route.kind, route.hops.is_empty(), single) {
            (RouteKind::Unicast, true, false) => return Err(RouteError::NoNextHop { to }),
            (RouteKind::Unicast, false, true) => return Err(RouteError::TwoWays { to }),
            (RouteKind::Unicast, ..) | (_, true, false) => {}
            _ => return Err(RouteError::NeedsNoNextHop { to }),
        }
        if single {
            route.hops.push(hop);
        }
        if route.hops.len() > HOPS_MAX {
            return Err(RouteError::TooManyHops {
                to,
                got: route.hops.len(),
            });
        }
        for hop in &route.hops {
            hop.check(to)?;
        }
        if let Some(source) = route.src {
            if !same_family(source, to) || source.is_multicast() || source.is_unspecified() {
                return Err(RouteError::Source {
                    to,
                    source_address: source,
                });
            }
        }
        route.check_numbers()?;
        Ok(route)
    }
}

impl VirtualRoute {
    fn check_numbers(&self) -> Result<(), RouteError> {
        let to = self.to;
        if self.table == 0 {
            return Err(RouteError::Table { to });
        }
        if self.tos & 3 != 0 || (self.tos != 0 && matches!(to, IpNet::V6(_))) {
            return Err(RouteError::Tos { to, got: self.tos });
        }
        if self.scope.is_some() && matches!(to, IpNet::V6(_)) {
            return Err(RouteError::Scope { to });
        }
        match self.protocol {
            Some(got) if KERNEL_PROTOCOLS.contains(&got) => return Err(RouteError::Protocol { to, got }),
            _ => {}
        }
        for setting in self.settings.iter().chain(&self.locked) {
            let fine = match setting {
                RouteSetting::Congctl(name) => {
                    (1..=CONGCTL_MAX).contains(&name.len())
                        && name.bytes().all(|octet| octet.is_ascii_graphic())
                }
                RouteSetting::HopLimit(limit) => *limit > 0,
                _ => true,
            };
            if !fine {
                return Err(RouteError::Setting {
                    to,
                    setting: setting.clone(),
                });
            }
        }
        Ok(())
    }
}

impl NextHop {
    /// A gateway.
    #[must_use]
    pub fn via(gateway: IpAddr) -> Self {
        Self {
            via: Some(gateway),
            ..Self::default()
        }
    }

    /// An interface, without a gateway.
    #[must_use]
    pub fn on(interface: impl Into<String>) -> Self {
        Self {
            dev: Some(interface.into()),
            ..Self::default()
        }
    }

    /// The interface that its gateway is on (`dev`).
    #[must_use]
    pub fn dev(mut self, interface: impl Into<String>) -> Self {
        self.dev = Some(interface.into());
        self
    }

    /// Its share beside the other next hops' (`weight`), 1 to 256. Default: 1.
    #[must_use]
    pub fn weight(mut self, weight: u16) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Takes the gateway to be on the link, whatever its address (`onlink`).
    #[must_use]
    pub fn onlink(mut self) -> Self {
        self.onlink = true;
        self
    }

    fn check(&self, to: IpNet) -> Result<(), RouteError> {
        if self.via.is_none() && self.dev.is_none() {
            return Err(RouteError::NoNextHop { to });
        }
        if let Some(gateway) = self.via {
            // RFC 8950: an IPv4 route may go through an IPv6 next hop, not the other way round.
            let family = gateway.is_ipv6() || matches!(to, IpNet::V4(_));
            if !family || gateway.is_unspecified() || gateway.is_multicast() {
                return Err(RouteError::Gateway { to, gateway });
            }
        }
        if let Some(name) = &self.dev {
            check_interface(name).map_err(|_| RouteError::Interface {
                to,
                name: name.clone(),
            })?;
        }
        if self.onlink && (self.via.is_none() || self.dev.is_none()) {
            return Err(RouteError::Onlink { to });
        }
        match self.weight {
            Some(got) if !WEIGHTS.contains(&got) => Err(RouteError::Weight { to, got }),
            _ => Ok(()),
        }
    }
}

/// In the words of `ip route`.
impl fmt::Display for VirtualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RouteKind::Unicast => {}
            RouteKind::Blackhole => f.write_str("blackhole ")?,
            RouteKind::Unreachable => f.write_str("unreachable ")?,
            RouteKind::Prohibit => f.write_str("prohibit ")?,
            RouteKind::Throw => f.write_str("throw ")?,
        }
        write!(f, "{}", self.to)?;
        for hop in &self.hops {
            if self.multipath {
                f.write_str(" nexthop")?;
            }
            if let Some(gateway) = hop.via {
                write!(f, " via {gateway}")?;
            }
            if let Some(dev) = &hop.dev {
                write!(f, " dev {dev}")?;
            }
        }
        if self.table != Self::MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}

fn same_family(address: IpAddr, net: IpNet) -> bool {
    address.is_ipv4() == matches!(net, IpNet::V4(_))
}

#[cfg(test)]
mod tests;
