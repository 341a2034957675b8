//! Addresses as netlink carries them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use rtnetlink::packet_core::NLM_F_CREATE;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::mark::MARK;
use crate::config::{AddressOptions, Broadcast, PreferredLft};
use crate::network::Placement;

const FOREVER: u32 = u32::MAX;

/// Adds an address, or renews one that has been there for `age`; `how` says which.
pub(super) fn addition(
    index: u32,
    placement: &Placement,
    age: Duration,
    how: u16,
) -> (RouteNetlinkMessage, u16) {
    let (address, options) = (placement.address(), &placement.options);
    let peer = options.peer.map_or(address, |peer| peer.addr());
    let mut message = message(index, address, peer, kernel_prefix(placement));
    if let Some(scope) = options.scope {
        message.header.scope = scope.0.into();
    }
    let flags = flags(placement);
    if !flags.is_empty() {
        message.header.flags = AddressHeaderFlags::from_bits_truncate(flags.bits() as u8);
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    if let IpNet::V4(net) = placement.net {
        let broadcast = options.broadcast.map(|broadcast| match broadcast {
            Broadcast::Last => Ipv4Addr::from(u32::from(net.network()) | u32::from(net.hostmask())),
            Broadcast::First => net.network(),
            Broadcast::Address(address) => address,
        });
        message
            .attributes
            .extend(broadcast.map(AddressAttribute::Broadcast));
    }
    message
        .attributes
        .push(AddressAttribute::CacheInfo(lifetimes(placement, age)));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::Other(MARK)));
    if let Some(label) = &placement.label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | how)
}

/// Removes an address; `peer` is the address itself if it has none.
pub(super) fn removal(index: u32, address: IpAddr, peer: IpAddr, prefix: u8) -> (RouteNetlinkMessage, u16) {
    (
        RouteNetlinkMessage::DelAddress(message(index, address, peer, prefix)),
        0,
    )
}

/// The prefix length that the kernel keeps: that of the peer, if there is one.
pub(super) fn kernel_prefix(placement: &Placement) -> u8 {
    placement.options.peer.unwrap_or(placement.net).prefix_len()
}

fn message(index: u32, address: IpAddr, peer: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(peer));
    message
}

fn flags(placement: &Placement) -> AddressFlags {
    let options: &AddressOptions = &placement.options;
    let ipv6 = placement.address().is_ipv6();
    // Duplicate address detection would keep the address silent for a second; whoever else has it is asked after the
    // takeover.
    let no_dad = ipv6 && !options.dad;
    // As keepalived: a host address has no route of its own.
    let no_prefix_route = options.no_prefix_route || is_host_address(placement);
    let set = [
        (no_dad, AddressFlags::Nodad),
        (no_prefix_route, AddressFlags::Noprefixroute),
        (options.home, AddressFlags::Homeaddress),
        (options.manage_temp_addr, AddressFlags::Managetempaddr),
        (options.autojoin, AddressFlags::Mcautojoin),
    ];
    let flags = set.into_iter().filter(|(wanted, _)| *wanted);
    flags.fold(AddressFlags::empty(), |flags, (_, flag)| flags | flag)
}

fn lifetimes(placement: &Placement, age: Duration) -> CacheInfo {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(FOREVER);
    let lease = placement.lease.map_or(FOREVER, seconds);
    let preferred = match placement.options.preferred_lft {
        // As keepalived: no source of connections unless a program chooses it.
        None if is_host_address(placement) => 0,
        None | Some(PreferredLft::Forever) => FOREVER,
        Some(PreferredLft::For(time)) => seconds(time.saturating_sub(age)),
    };
    let mut lifetimes = CacheInfo::default();
    lifetimes.ifa_valid = lease;
    lifetimes.ifa_preferred = preferred.min(lease);
    lifetimes
}

/// An IPv6 /128 without a peer: whoever has it has it for others.
fn is_host_address(placement: &Placement) -> bool {
    placement.address().is_ipv6() && kernel_prefix(placement) == 128 && placement.options.peer.is_none()
}
