//! Routes as netlink carries them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::libc;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::mark::MARK;
use super::report::{attributes, ip_of, u32_at};
use crate::config::{NextHop, RouteKind, RouteSetting, Scope, VirtualRoute};
use crate::network::RoutingError;

// linux/rtnetlink.h
const RTA_DST: u16 = 1;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const RTM_F_CLONED: u32 = 0x200;
/// RTAX_FEATURE_ECN.
const FEATURE_ECN: u32 = 1;
/// Length of a rtmsg.
const HEADER: usize = 12;

/// What the kernel tells routes apart by, and who put them there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RouteKey {
    pub(super) to: IpNet,
    pub(super) table: u32,
    pub(super) tos: u8,
    pub(super) priority: u32,
    pub(super) protocol: u8,
}

impl RouteKey {
    pub(super) fn of(route: &VirtualRoute) -> Self {
        Self {
            to: route.to,
            table: route.table,
            tos: route.tos,
            priority: route.priority(),
            protocol: route.protocol.unwrap_or(MARK),
        }
    }

    /// A rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags (u32); then
    /// attributes.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = payload.first_chunk()?;
        if u32_at(header, 8)? & RTM_F_CLONED != 0 {
            return None;
        }
        let unspecified = match i32::from(header[0]) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let (mut to, mut table, mut priority) = (unspecified, u32::from(header[4]), 0);
        for (kind, value) in attributes(&payload[HEADER..]) {
            match kind {
                RTA_DST => to = ip_of(value)?,
                RTA_TABLE => table = u32_at(value, 0)?,
                RTA_PRIORITY => priority = u32_at(value, 0)?,
                _ => {}
            }
        }
        Some(Self {
            to: IpNet::new(to, header[1]).ok()?,
            table,
            tos: header[3],
            priority,
            protocol: header[5],
        })
    }

    /// Removes the route whatever its next hop, if it is that protocol's.
    pub(super) fn removal(&self) -> (RouteNetlinkMessage, u16) {
        let mut message = self.message();
        // Any scope.
        message.header.scope = RouteScope::NoWhere;
        (RouteNetlinkMessage::DelRoute(message), 0)
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: match self.to {
                IpNet::V4(_) => AddressFamily::Inet,
                IpNet::V6(_) => AddressFamily::Inet6,
            },
            destination_prefix_length: self.to.prefix_len(),
            tos: self.tos,
            // Whole in its attribute, which has room for all.
            table: u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
            protocol: self.protocol.into(),
            ..RouteHeader::default()
        };
        let attributes = &mut message.attributes;
        if self.to.prefix_len() > 0 {
            attributes.push(RouteAttribute::Destination(self.to.addr().into()));
        }
        attributes.push(RouteAttribute::Table(self.table));
        if self.priority > 0 {
            attributes.push(RouteAttribute::Priority(self.priority));
        }
        message
    }
}

/// Adds a route that is not there yet. `index` finds interfaces; `None` when one is missing.
pub(super) fn addition(
    route: &VirtualRoute,
    index: impl Fn(&str) -> Option<u32>,
) -> Option<(RouteNetlinkMessage, u16)> {
    let mut message = RouteKey::of(route).message();
    message.header.kind = kind(route.kind);
    message.header.scope = scope(route);
    let attributes = &mut message.attributes;
    if let Some(source) = route.src {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if route.multipath {
        let hops: Option<Vec<_>> = route
            .hops
            .iter()
            .map(|hop| next_hop(route, hop, &index))
            .collect();
        attributes.push(RouteAttribute::MultiPath(hops?));
    } else if let [hop] = &route.hops[..] {
        attributes.extend(gateway(route, hop));
        if let Some(dev) = &hop.dev {
            attributes.push(RouteAttribute::Oif(index(dev)?));
        }
        if hop.onlink {
            message.header.flags |= RouteFlags::Onlink;
        }
    }
    let metrics = metrics(route);
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    Some((RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL))
}

/// Asks for all routes of a protocol.
pub(super) fn listing(family: AddressFamily, protocol: u8) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.protocol = RouteProtocol::from(protocol);
    RouteNetlinkMessage::GetRoute(message)
}

pub(super) fn refused(route: &VirtualRoute, error: io::Error) -> RoutingError {
    let has_source = route.src.is_some();
    let route = route.to_string();
    match error.raw_os_error() {
        Some(libc::EINVAL) if has_source => RoutingError::Source { route },
        Some(libc::EEXIST) => RoutingError::ForeignRoute { route },
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => RoutingError::Unreachable { route },
        Some(libc::ENETDOWN | libc::ENODEV) => RoutingError::LinkDown { route },
        _ => RoutingError::Route { route, error },
    }
}

/// Whether a removal failed because there was nothing to remove.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ESRCH | libc::ENOENT | libc::ENODEV)
    )
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
    }
}

/// As `ip route` has it: a next hop on the link reaches no farther than the link.
fn scope(route: &VirtualRoute) -> RouteScope {
    let on_the_link = route.kind == RouteKind::Unicast && route.hops.iter().all(|hop| hop.via.is_none());
    let default = if on_the_link && !route.multipath {
        Scope::LINK
    } else {
        Scope::GLOBAL
    };
    match route.to {
        IpNet::V4(_) => route.scope.unwrap_or(default).0.into(),
        IpNet::V6(_) => RouteScope::Universe,
    }
}

fn gateway(route: &VirtualRoute, hop: &NextHop) -> Option<RouteAttribute> {
    Some(match (hop.via?, route.to) {
        (IpAddr::V6(gateway), IpNet::V4(_)) => RouteAttribute::Via(RouteVia::Inet6(gateway)),
        (gateway, _) => RouteAttribute::Gateway(gateway.into()),
    })
}

fn next_hop(
    route: &VirtualRoute,
    hop: &NextHop,
    index: impl Fn(&str) -> Option<u32>,
) -> Option<RouteNextHop> {
    let mut message = RouteNextHop::default();
    // The kernel counts from 0.
    message.hops = hop
        .weight
        .map_or(0, |weight| u8::try_from(weight - 1).unwrap_or(u8::MAX));
    if let Some(dev) = &hop.dev {
        message.interface_index = index(dev)?;
    }
    if hop.onlink {
        message.flags |= RouteNextHopFlags::Onlink;
    }
    message.attributes.extend(gateway(route, hop));
    Some(message)
}

fn metrics(route: &VirtualRoute) -> Vec<RouteMetric> {
    let all = route.settings.iter().chain(&route.locked);
    let mut metrics: Vec<_> = all.map(metric).collect();
    // One bit for each locked setting, at the place of its number.
    let bits = route.locked.iter().map(|setting| 1 << number(setting));
    let lock: u32 = bits.fold(0, |lock, bit: u32| lock | bit);
    if lock != 0 {
        metrics.push(RouteMetric::Lock(lock));
    }
    metrics
}

fn metric(setting: &RouteSetting) -> RouteMetric {
    match setting {
        RouteSetting::Mtu(octets) => RouteMetric::Mtu(*octets),
        RouteSetting::Advmss(octets) => RouteMetric::Advmss(*octets),
        RouteSetting::Window(octets) => RouteMetric::Window(*octets),
        // The kernel keeps eighths and quarters.
        RouteSetting::Rtt(ms) => RouteMetric::Rtt(ms.saturating_mul(8)),
        RouteSetting::RttVar(ms) => RouteMetric::RttVar(ms.saturating_mul(4)),
        RouteSetting::SsThresh(segments) => RouteMetric::SsThresh(*segments),
        RouteSetting::Cwnd(segments) => RouteMetric::Cwnd(*segments),
        RouteSetting::InitCwnd(segments) => RouteMetric::InitCwnd(*segments),
        RouteSetting::InitRwnd(segments) => RouteMetric::InitRwnd(*segments),
        RouteSetting::Reordering(segments) => RouteMetric::Reordering(*segments),
        RouteSetting::HopLimit(limit) => RouteMetric::Hoplimit(u32::from(*limit)),
        RouteSetting::RtoMin(ms) => RouteMetric::RtoMin(*ms),
        RouteSetting::QuickAck(on) => RouteMetric::QuickAck(u32::from(*on)),
        RouteSetting::FastopenNoCookie(on) => RouteMetric::FastopenNoCookie(u32::from(*on)),
        RouteSetting::Ecn => RouteMetric::Features(FEATURE_ECN),
        RouteSetting::Congctl(name) => RouteMetric::CcAlgo(name.clone()),
    }
}

/// RTAX_*.
fn number(setting: &RouteSetting) -> u32 {
    match setting {
        RouteSetting::Mtu(_) => 2,
        RouteSetting::Window(_) => 3,
        RouteSetting::Rtt(_) => 4,
        RouteSetting::RttVar(_) => 5,
        RouteSetting::SsThresh(_) => 6,
        RouteSetting::Cwnd(_) => 7,
        RouteSetting::Advmss(_) => 8,
        RouteSetting::Reordering(_) => 9,
        RouteSetting::HopLimit(_) => 10,
        RouteSetting::InitCwnd(_) => 11,
        RouteSetting::Ecn => 12,
        RouteSetting::RtoMin(_) => 13,
        RouteSetting::InitRwnd(_) => 14,
        RouteSetting::QuickAck(_) => 15,
        RouteSetting::Congctl(_) => 16,
        RouteSetting::FastopenNoCookie(_) => 17,
    }
}
