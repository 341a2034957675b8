//! Keys of the network.

use std::net::IpAddr;

use ::toml::de::DeValue;
use vrrp_core::UnicastPeer;
use vrrp_net::{MacAddr, Vmac};

use crate::config::instance::Network;
use crate::config::mac::parse_mac;
use crate::config::routing::{Phrase, route, rule};
use crate::config::toml::keys::Key;
use crate::config::toml::reader::{Table, Wrong};
use crate::config::toml::values;
use crate::config::{Diagnostics, Spanned};

pub(super) const KEYS: &[Key<Network>] = &[
    Key::new(
        "interface",
        "name",
        "Interface that adverts are sent and received on. Required.",
        |table, key, to| to.interface = table.required(key, "\"eth0\"", values::text),
    ),
    Key::new(
        "source",
        "IP address, or one of each family",
        "Source of the adverts. Default: the interface's primary address, for IPv6 its link-local one.",
        |table, key, to| to.sources = table.list(key, values::ip),
    ),
    Key::new(
        "peers",
        "array of IP addresses, or tables",
        "Peers to send adverts to by unicast. Default: none, which means multicast.",
        |table, key, to| to.peers = read_peers(table, key),
    ),
    Key::new(
        "check_unicast_src",
        "true or false",
        "With `peers`: whether adverts from anyone else are ignored. Default: true.",
        |table, key, to| to.check_unicast_src = table.optional(key, values::boolean),
    ),
    Key::new(
        "unicast_ttl",
        "1 to 255",
        "With `peers`: TTL or hop limit of adverts. Default: 255.",
        |table, key, to| to.unicast_ttl = table.optional(key, |value| values::integer(value, 1, 255)),
    ),
    Key::new(
        "vmac",
        "true, a name, or a table",
        "Whether the addresses are on a virtual MAC address (macvlan), which moves with them. Default: false.",
        |table, key, to| to.vmac = read_vmac(table, key),
    ),
    Key::new(
        "vmac_xmit_base",
        "true or false",
        "With `vmac`: whether adverts come from `interface` all the same. Default: false.",
        |table, key, to| to.vmac_xmit_base = table.optional(key, values::boolean),
    ),
    Key::new(
        "accept",
        "true or false",
        "Whether this host accepts what is sent to the addresses while it is master; the owner always does. Default: true.",
        |table, key, to| to.accept = table.optional(key, values::boolean),
    ),
    Key::new(
        "promote_secondaries",
        "true or false",
        "Whether the interfaces get that setting in any case. Default: false, where it is needed.",
        |table, key, to| to.promote_secondaries = table.optional(key, values::boolean),
    ),
    Key::new(
        "routes",
        "array of routes",
        "Routes to have while master, in the words of `ip route`: `\"192.0.2.0/24 via 198.51.100.1 dev eth0\"`. Default: none.",
        |table, key, to| to.routes = phrases(table, key, route),
    ),
    Key::new(
        "rules",
        "array of routing rules",
        "Routing rules to have while master, in the words of `ip rule`: `\"from 192.0.2.0/24 table 100\"`. Default: none.",
        |table, key, to| to.rules = phrases(table, key, rule),
    ),
    Key::new(
        "track_primary",
        "true or false",
        "Whether the loss of `interface`'s link is a fault. Default: true.",
        |table, key, to| to.track_primary = table.optional(key, values::boolean),
    ),
    Key::new(
        "track_source",
        "true or false",
        "Whether it is a fault when the interface does not have the address `source`. Default: false.",
        |table, key, to| to.track_source = table.optional(key, values::boolean),
    ),
    Key::new(
        "lease",
        "time, or false",
        "Lifetime of a held address if this process dies or hangs, in whole seconds; false for none. Default: \"3s\".",
        |table, key, to| {
            to.lease = table.optional(key, |value| match value.as_bool() {
                Some(false) => Ok(None),
                Some(true) => Err(Wrong::new(
                    "`true` is not a time",
                    "write a time such as \"3s\", or `false`",
                )),
                None => values::duration(value).map(Some),
            });
        },
    ),
];

/// Keys of the table that a virtual MAC address may be.
pub(super) const VMAC_KEYS: &[Key<Vmac>] = &[
    Key::new(
        "name",
        "1 to 15 characters",
        "Name of its interface. Default: `vrrp.VRID`, for IPv6 `vrrp6.VRID`.",
        |table, key, to| {
            if let Some(name) = table.optional(key, values::text) {
                *to = std::mem::take(to).name(name.value);
            }
        },
    ),
    Key::new(
        "mac",
        "hardware address",
        "The address, the same on all nodes. Default: 00:00:5e:00:01:VRID, for IPv6 00:00:5e:00:02:VRID.",
        |table, key, to| {
            if let Some(mac) = table.optional(key, mac) {
                *to = std::mem::take(to).mac(mac.value);
            }
        },
    ),
];

/// `true`, `"vrrp51"`, or `{ name = "vrrp51", mac = "…" }`.
fn read_vmac(table: &mut Table<'_, '_>, key: &'static str) -> Option<Spanned<Vmac>> {
    let value = table.raw(key)?;
    let read = match value.get_ref() {
        DeValue::Table(_) => table.within(key, value, VMAC_KEYS, |table| {
            let mut vmac = Vmac::new();
            table.read(VMAC_KEYS, &mut vmac);
            Some(vmac)
        }),
        DeValue::String(_) => table.value(key, value, |value| {
            Ok(Some(Vmac::new().name(values::text(value)?)))
        }),
        _ => table.value(key, value, |value| Ok(values::boolean(value)?.then(Vmac::new))),
    }?;
    Some(Spanned::new(read.value?, read.span))
}

/// Keys of the table that a peer may be.
pub(super) const PEER_KEYS: &[Key<PeerParts>] = &[
    Key::new(
        "address",
        "IP address",
        "The peer. Required.",
        |table, key, to| {
            to.address = table.required(key, "\"192.0.2.11\"", values::ip);
        },
    ),
    Key::new(
        "min_ttl",
        "0 to 255",
        "Least TTL or hop limit of its adverts. Default: 0.",
        |table, key, to| to.min_ttl = table.optional(key, |value| values::integer(value, 0, 255)),
    ),
    Key::new(
        "max_ttl",
        "0 to 255",
        "Greatest TTL or hop limit of its adverts. Default: 255.",
        |table, key, to| to.max_ttl = table.optional(key, |value| values::integer(value, 0, 255)),
    ),
];

/// What a table says of a peer.
#[derive(Debug, Default)]
pub(super) struct PeerParts {
    address: Option<Spanned<IpAddr>>,
    min_ttl: Option<Spanned<u8>>,
    max_ttl: Option<Spanned<u8>>,
}

fn read_peers(table: &mut Table<'_, '_>, key: &'static str) -> Vec<Spanned<UnicastPeer>> {
    let mut peers = Vec::new();
    table.each(key, |table, value| {
        if !value.get_ref().is_table() {
            let address = table.value(key, value, values::ip);
            peers.extend(address.map(|one| Spanned::new(UnicastPeer::new(one.value), one.span)));
            return;
        }
        let parts = table.within(key, value, PEER_KEYS, |table| {
            let mut parts = PeerParts::default();
            table.read(PEER_KEYS, &mut parts);
            parts
        });
        let Some((parts, at)) = parts.map(|parts| (parts.value, parts.span)) else {
            return;
        };
        let peer = parts.address.map(|address| UnicastPeer::new(address.value));
        let peer = parts
            .min_ttl
            .map_or(peer, |min| peer.map(|peer| peer.min_ttl(min.value)));
        let peer = parts
            .max_ttl
            .map_or(peer, |max| peer.map(|peer| peer.max_ttl(max.value)));
        peers.extend(peer.map(|peer| Spanned::new(peer, at)));
    });
    peers
}

/// Strings of words, each read as a whole.
fn phrases<T>(
    table: &mut Table<'_, '_>,
    key: &'static str,
    read: fn(Phrase<'_>, &mut Diagnostics) -> Option<T>,
) -> Vec<Spanned<T>> {
    let texts = table.list(key, values::text);
    let read = |text: Spanned<String>| {
        let read = read(Phrase::quoted(&text.value, text.span), table.diagnostics())?;
        Some(Spanned::new(read, text.span))
    };
    texts.into_iter().filter_map(read).collect()
}

fn mac(value: &DeValue<'_>) -> Result<MacAddr, Wrong> {
    let text = values::text(value)?;
    parse_mac(&text, None).ok_or_else(|| {
        Wrong::new(
            format!("{text:?} is not a hardware address"),
            "write one such as \"02:00:00:00:00:01\"",
        )
    })
}
