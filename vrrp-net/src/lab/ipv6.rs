//! Whether the kernel has finished what it does for a new IPv6 address.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use super::link::Netlink;
use super::namespace::get_sysctl;

/// The multicast group in which neighbours look for an address (RFC 4291 §2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// True if IPv6 is off on the interface, or it has its link-local address and all addresses are usable.
pub(super) fn is_ready(netlink: &Netlink, interface: &str, index: u32) -> io::Result<bool> {
    if get_sysctl(&format!("ipv6/conf/{interface}/disable_ipv6")).as_deref() != Some("0") {
        return Ok(true);
    }
    let has_link_local = addresses(netlink, index)?
        .iter()
        .any(Ipv6Addr::is_unicast_link_local);
    Ok(has_link_local && are_usable(netlink, interface, index)?)
}

/// True if all addresses of the interface can be bound and answer to neighbours. The interface must be operational.
///
/// Even without duplicate address detection an address is finished by a work queue (addrconf_dad_work): it first
/// joins the solicited-node group, then installs the local route, all with the RTNL held.
pub(super) fn are_usable(netlink: &Netlink, interface: &str, index: u32) -> io::Result<bool> {
    let groups = groups(interface)?;
    let joined = addresses(netlink, index)?
        .into_iter()
        .all(|address| groups.contains(&solicited_node(address)));
    // Asked after the groups: this waits for the RTNL, so for the work that has joined the last of them.
    Ok(joined && !netlink.has_tentative_addresses(index)? && netlink.state(interface).is_ok())
}

fn addresses(netlink: &Netlink, index: u32) -> io::Result<Vec<Ipv6Addr>> {
    let all = netlink.addresses(index)?.into_iter();
    Ok(all
        .filter_map(|net| match net.addr() {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
        })
        .collect())
}

/// The multicast groups of an interface of the calling thread's network namespace.
fn groups(interface: &str) -> io::Result<Vec<Ipv6Addr>> {
    let table = fs::read_to_string("/proc/thread-self/net/igmp6")?;
    let of_interface = table.lines().filter_map(|line| {
        // "2    eth0            ff0200000000000000000001ff000001     1 00000004 0"
        let mut columns = line.split_whitespace().skip(1);
        (columns.next()? == interface).then(|| columns.next()).flatten()
    });
    Ok(of_interface
        .filter_map(|hex| u128::from_str_radix(hex, 16).ok())
        .map(Ipv6Addr::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solicited_node_group_keeps_the_last_24_bits() {
        let address = "4037::1:800:200e:8c6c".parse().unwrap();
        // The example of RFC 4291 §2.7.1.
        assert_eq!(
            solicited_node(address),
            "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap()
        );
    }
}
