//! Addresses that this host holds without accepting packets to them (Accept_Mode false, RFC 9568 §6.1).
//!
//! A table of nf_tables, one a process, drops packets to the addresses in its sets where they would be delivered to this
//! host. What is forwarded never comes there, nor does ARP; neighbour discovery passes (RFC 9568 §6.4.3), and so does what
//! the host sends to itself. The kernel deletes the table with the socket that made it, however the process ends; where
//! it can't (before 5.12) the next start does.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;

use nix::libc;

use crate::network::LinkId;
use crate::nft::{Batch, REGISTER, SMALL_REGISTER, Socket, base, cmp, meta, msg, verdict};

/// NFPROTO_INET: packets of IPv4 and IPv6.
const INET: u8 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
/// NF_INET_LOCAL_IN.
const LOCAL_IN: u32 = 1;
/// NF_IP_PRI_FILTER: beside other filters. What one drops is dropped, whatever the others say.
const PRIORITY: i32 = 0;
/// NFT_TABLE_F_OWNER, since Linux 5.12.
const OWNER: u32 = 2;
/// ARPHRD_LOOPBACK.
const LOOPBACK: u16 = 772;
const ICMPV6: u8 = 58;
/// ICMPv6 types of neighbour solicitation and advertisement.
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// Most elements of a message, so that it stays below 64 KiB.
const ELEMENTS_MAX: usize = 512;
/// Protocol of our sockets as /proc/net/netlink counts them (NETLINK_NETFILTER).
const NETFILTER: &str = "12";
/// Port of the kernel's own sockets.
const KERNEL_PORT: u32 = 0;
const TABLE_PREFIX: &str = "vrrp-";
const CHAIN: &str = "input";

/// The sets: name, and how `nft` is to print the keys (its datatypes, six bits each).
const IPV4: SetOf = SetOf {
    name: "ipv4",
    key_type: 7,
    key_len: 4,
};
const IPV6: SetOf = SetOf {
    name: "ipv6",
    key_type: 8,
    key_len: 16,
};
const LINK_LOCAL: SetOf = SetOf {
    name: "link-local",
    key_type: 19 << 6 | 8,
    key_len: 20,
};
const SETS: [SetOf; 3] = [IPV4, IPV6, LINK_LOCAL];

struct SetOf {
    name: &'static str,
    key_type: u32,
    key_len: u32,
}

/// The table of this process.
#[derive(Debug)]
pub(super) struct AcceptFilter {
    socket: Socket,
    table: String,
    flags: u32,
    /// What packets are kept from, and how the sets call it.
    refused: HashMap<(LinkId, IpAddr), Key>,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    set: &'static str,
    octets: Vec<u8>,
}

impl Key {
    fn of(address: IpAddr, interface: u32) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                set: IPV4.name,
                octets: address.octets().to_vec(),
            },
            // The same address may be another host's on another link.
            IpAddr::V6(address) if address.is_unicast_link_local() => Self {
                set: LINK_LOCAL.name,
                octets: [&interface.to_ne_bytes()[..], &address.octets()].concat(),
            },
            IpAddr::V6(address) => Self {
                set: IPV6.name,
                octets: address.octets().to_vec(),
            },
        }
    }
}

impl AcceptFilter {
    /// Makes the table, which drops nothing yet.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::open()?;
        let mut filter = Self {
            table: format!("{TABLE_PREFIX}{}", socket.port()?),
            socket,
            flags: OWNER,
            refused: HashMap::new(),
        };
        match filter.rebuild() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => {
                filter.flags = 0;
                filter.rebuild()?;
            }
            result => result?,
        }
        Ok(filter)
    }

    /// Keeps packets from these addresses.
    pub(super) fn refuse(
        &mut self,
        addresses: impl IntoIterator<Item = (LinkId, u32, IpAddr)>,
    ) -> io::Result<()> {
        let mut added = Vec::new();
        for (link, interface, address) in addresses {
            let key = Key::of(address, interface);
            if self.refused.get(&(link, address)) != Some(&key) {
                added.push(((link, address), key));
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        self.change(msg::NEW_SET_ELEM, added.iter().map(|(_, key)| key))?;
        self.refused.extend(added);
        Ok(())
    }

    /// Lets packets to these addresses through.
    pub(super) fn admit(&mut self, addresses: impl IntoIterator<Item = (LinkId, IpAddr)>) -> io::Result<()> {
        let mut removed: Vec<Key> = Vec::new();
        for place in addresses {
            removed.extend(self.refused.remove(&place));
        }
        // Another virtual router may hold the same address on another link.
        removed.retain(|key| !self.refused.values().any(|other| other == key));
        if removed.is_empty() {
            return Ok(());
        }
        match self.change(msg::DEL_SET_ELEM, removed.iter()) {
            // Somebody has emptied the table, or removed it.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.rebuild(),
            result => result,
        }
    }

    fn change<'k>(&self, kind: u16, keys: impl Iterator<Item = &'k Key>) -> io::Result<()> {
        let mut batch = Batch::new(INET);
        self.elements(&mut batch, kind, &keys.collect::<Vec<_>>());
        batch.commit(&self.socket)
    }

    fn elements(&self, batch: &mut Batch, kind: u16, keys: &[&Key]) {
        for set in SETS {
            let in_set = keys.iter().filter(|key| key.set == set.name);
            let octets: Vec<&[u8]> = in_set.map(|key| &key.octets[..]).collect();
            for keys in octets.chunks(ELEMENTS_MAX) {
                batch.elements(kind, &self.table, set.name, keys.iter().copied());
            }
        }
    }

    fn rebuild(&self) -> io::Result<()> {
        let mut batch = Batch::new(INET);
        let table = &self.table;
        // One of that name can only be a leftover: the name is ours as long as we live.
        batch.table(msg::NEW_TABLE, table, self.flags);
        batch.table(msg::DEL_TABLE, table, 0);
        batch.table(msg::NEW_TABLE, table, self.flags);
        for (id, set) in (1..).zip(SETS) {
            batch.set(table, set.name, id, set.key_type, set.key_len);
        }
        batch.chain(table, CHAIN, LOCAL_IN, PRIORITY);
        batch.rule(table, CHAIN, |rule| {
            rule.meta_is(meta::NFPROTO, &[NFPROTO_IPV6]);
            rule.meta_is(meta::L4PROTO, &[ICMPV6]);
            rule.load_payload(base::TRANSPORT, 0, 1, REGISTER);
            rule.compare(cmp::GTE, &[NEIGHBOR_SOLICITATION]);
            rule.compare(cmp::LTE, &[NEIGHBOR_ADVERTISEMENT]);
            rule.verdict(verdict::ACCEPT);
        });
        batch.rule(table, CHAIN, |rule| {
            rule.meta_is(meta::IIFTYPE, &LOOPBACK.to_ne_bytes());
            rule.verdict(verdict::ACCEPT);
        });
        batch.rule(table, CHAIN, |rule| {
            rule.meta_is(meta::NFPROTO, &[NFPROTO_IPV4]);
            // The destination, in the IPv4 header.
            rule.load_payload(base::NETWORK, 16, IPV4.key_len, REGISTER);
            rule.lookup(IPV4.name, REGISTER);
            rule.verdict(verdict::DROP);
        });
        batch.rule(table, CHAIN, |rule| {
            rule.meta_is(meta::NFPROTO, &[NFPROTO_IPV6]);
            // The destination, in the IPv6 header.
            rule.load_payload(base::NETWORK, 24, IPV6.key_len, REGISTER);
            rule.lookup(IPV6.name, REGISTER);
            rule.verdict(verdict::DROP);
        });
        batch.rule(table, CHAIN, |rule| {
            rule.meta_is(meta::NFPROTO, &[NFPROTO_IPV6]);
            // Interface and destination, one behind the other.
            rule.load_meta(meta::IIF, SMALL_REGISTER);
            rule.load_payload(base::NETWORK, 24, IPV6.key_len, SMALL_REGISTER + 1);
            rule.lookup(LINK_LOCAL.name, SMALL_REGISTER);
            rule.verdict(verdict::DROP);
        });
        let refused: Vec<_> = self.refused.values().collect();
        self.elements(&mut batch, msg::NEW_SET_ELEM, &refused);
        batch.commit(&self.socket)
    }
}

/// Removes tables of processes that are gone, which the kernel did not do by itself.
pub(super) fn sweep() -> io::Result<()> {
    // Before we have a socket of our own.
    let sockets = fs::read_to_string("/proc/thread-self/net/netlink")?;
    if !is_alive(KERNEL_PORT, &sockets) {
        // No part of netfilter that speaks netlink is loaded: then there is no table either.
        return Ok(());
    }
    let socket = Socket::open()?;
    for table in socket.tables()? {
        let port = table
            .name
            .strip_prefix(TABLE_PREFIX)
            .and_then(|port| port.parse().ok());
        let left = |port: &u32| table.flags & OWNER == 0 && !is_alive(*port, &sockets);
        if table.family == INET && port.is_some_and(|port| left(&port)) {
            let mut batch = Batch::new(INET);
            batch.table(msg::DEL_TABLE, &table.name, 0);
            batch.commit(&socket)?;
            tracing::info!(table = table.name, "removed a filter of an earlier run");
        }
    }
    Ok(())
}

/// Whether the socket is there that the table is named for: address, protocol and port are the first words of a line.
fn is_alive(port: u32, sockets: &str) -> bool {
    let port = port.to_string();
    sockets.lines().any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        words.next() == Some(NETFILTER) && words.next() == Some(&port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_alive_if_it_is_listed_with_its_protocol() {
        let sockets = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                       00000000ed4a0b5d 0   17         00000000 0        0        0     2        0        2\n\
                       000000005d5e8b7c 12  4242       00000000 0        0        0     2        0        3\n";
        assert!(is_alive(4242, sockets));
        assert!(!is_alive(17, sockets), "a socket of another protocol");
        assert!(!is_alive(42, sockets));
    }

    #[cfg(feature = "lab")]
    #[test]
    fn nobody_else_can_remove_the_table_and_it_goes_with_its_socket() {
        crate::lab::test(|| {
            let lab = crate::lab::Lab::builder()
                .host("a", ["192.0.2.10/24"])
                .build()
                .unwrap();
            lab.host("a").run(|| {
                let other = Socket::open().unwrap();
                let filter = AcceptFilter::open().unwrap();
                let is_there = || {
                    other
                        .tables()
                        .unwrap()
                        .iter()
                        .any(|table| table.name == filter.table)
                };
                assert!(is_there());
                if filter.flags != OWNER {
                    crate::lab::skip("the kernel knows no owners of tables");
                }
                let mut batch = Batch::new(INET);
                batch.table(msg::DEL_TABLE, &filter.table, 0);
                let refused = batch.commit(&other).unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
                sweep().unwrap();
                assert!(is_there());
                drop(filter);
                assert!(other.tables().unwrap().is_empty());
            });
        });
    }

    #[cfg(feature = "lab")]
    #[test]
    fn a_table_without_an_owner_is_swept_when_its_process_is_gone() {
        crate::lab::test(|| {
            let lab = crate::lab::Lab::builder()
                .host("a", ["192.0.2.10/24"])
                .build()
                .unwrap();
            lab.host("a").run(|| {
                let make = |name: &str| {
                    let mut batch = Batch::new(INET);
                    batch.table(msg::NEW_TABLE, name, 0);
                    batch.commit(&Socket::open().unwrap()).unwrap();
                };
                let alive = Socket::open().unwrap();
                let living = format!("{TABLE_PREFIX}{}", alive.port().unwrap());
                for name in ["vrrp-4294967295", &living, "vrrp-mine", "filter"] {
                    make(name);
                }
                sweep().unwrap();
                let mut left: Vec<_> = alive
                    .tables()
                    .unwrap()
                    .into_iter()
                    .map(|table| table.name)
                    .collect();
                left.sort();
                let mut expected = vec!["filter".to_owned(), living, "vrrp-mine".into()];
                expected.sort();
                assert_eq!(left, expected);
            });
        });
    }
}
