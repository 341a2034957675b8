//! Keys of the virtual addresses.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::DeValue;
use ipnet::IpNet;
use vrrp_net::{Broadcast, PreferredLft, Scope, VirtualAddress};

use crate::config::Spanned;
use crate::config::instance::{Addresses, parse_broadcast};
use crate::config::toml::keys::Key;
use crate::config::toml::reader::{Table, Wrong};
use crate::config::toml::values::{self, parse_net};

pub(super) const KEYS: &[Key<Addresses>] = &[
    Key::new(
        "addresses",
        "array of virtual addresses",
        "Addresses that are held while master, and advertised: `\"192.0.2.100\"` (/32, or /128), `\"192.0.2.100/24\"`, or a table. With both families it is two virtual routers that move together, the IPv6 one called NAME-ipv6, in a sync group NAME-both unless another names them. Required.",
        |table, key, to| {
            to.at = table.span_of(key);
            if to.at.is_none() {
                table.required::<()>(key, "[\"192.0.2.100\"]", |_| Ok(()));
            }
            to.advertised = list(table, key);
        },
    ),
    Key::new(
        "excluded_addresses",
        "array of virtual addresses",
        "Addresses that are held while master, and not advertised, of either family; those that an advert has no room for, with an MTU of 1500 from the 91st IPv6 address on (90th with HMAC). Default: none.",
        |table, key, to| to.excluded = list(table, key),
    ),
];

/// Keys of the table that an address may be.
pub(super) const ADDRESS_KEYS: &[Key<Option<VirtualAddress>>] = &[
    Key::new(
        "address",
        "IP address with or without a prefix",
        "The address. Required.",
        |table, key, to| {
            let address = table.required(key, "\"192.0.2.100/24\"", values::virtual_address);
            *to = address.map(|address| address.value);
        },
    ),
    Key::new(
        "dev",
        "name",
        "Interface that holds it. Default: that of the virtual router.",
        |table, key, to| {
            let dev = table.optional(key, values::text);
            change(to, dev, VirtualAddress::on);
        },
    ),
    Key::new(
        "label",
        "1 to 15 characters",
        "Label, for IPv4. Default: none.",
        |table, key, to| {
            let label = table.optional(key, values::text);
            change(to, label, VirtualAddress::labelled);
        },
    ),
    Key::new(
        "scope",
        "\"global\", \"site\", \"link\", \"host\", \"nowhere\" or a number",
        "Scope, for IPv4. Default: \"global\".",
        |table, key, to| {
            let scope = table.optional(key, scope);
            change(to, scope, VirtualAddress::scope);
        },
    ),
    Key::new(
        "brd",
        "IPv4 address, \"+\" or \"-\"",
        "Broadcast address; the last or the first of the prefix with \"+\" or \"-\". Default: none.",
        |table, key, to| {
            let broadcast = table.optional(key, broadcast);
            change(to, broadcast, VirtualAddress::broadcast);
        },
    ),
    Key::new(
        "peer",
        "IP address with or without a prefix",
        "The other end of a point-to-point link. Default: none.",
        |table, key, to| {
            let peer = table.optional(key, peer);
            change(to, peer, VirtualAddress::peer);
        },
    ),
    Key::new(
        "preferred_lft",
        "time, or \"forever\"",
        "How long it may be the source of new connections. Default: \"0s\" for an IPv6 /128, else \"forever\".",
        |table, key, to| {
            let preferred = table.optional(key, preferred_lft);
            change(to, preferred, VirtualAddress::preferred_lft);
        },
    ),
    Key::new(
        "dad",
        "true or false",
        "Whether the kernel looks for duplicates first, for IPv6. Default: false.",
        |table, key, to| {
            let dad = table.optional(key, values::boolean);
            change(to, dad, VirtualAddress::dad);
        },
    ),
    Key::new(
        "home",
        "true or false",
        "Whether it is a home address of Mobile IPv6. Default: false.",
        |table, key, to| flag(table, key, to, VirtualAddress::home),
    ),
    Key::new(
        "mngtmpaddr",
        "true or false",
        "Whether temporary addresses are made from it, for IPv6 /64. Default: false.",
        |table, key, to| flag(table, key, to, VirtualAddress::manage_temp_addr),
    ),
    Key::new(
        "noprefixroute",
        "true or false",
        "Whether it comes without the route of its prefix. Default: false.",
        |table, key, to| flag(table, key, to, VirtualAddress::no_prefix_route),
    ),
    Key::new(
        "autojoin",
        "true or false",
        "Whether it is a multicast group that the interface joins. Default: false.",
        |table, key, to| flag(table, key, to, VirtualAddress::autojoin),
    ),
];

fn scope(value: &DeValue<'_>) -> Result<Scope, Wrong> {
    const HELP: &str =
        "write \"global\", \"site\", \"link\", \"host\", \"nowhere\", or a number from 0 to 255";
    if value.is_integer() {
        return values::integer(value, 0, 255).map(Scope);
    }
    let text = values::text(value)?;
    Scope::from_name(&text).ok_or_else(|| Wrong::new(format!("{text:?} is not a scope"), HELP))
}

fn broadcast(value: &DeValue<'_>) -> Result<Broadcast, Wrong> {
    let text = values::text(value)?;
    parse_broadcast(&text).ok_or_else(|| {
        Wrong::new(
            format!("{text:?} is not a broadcast address"),
            "write one such as \"192.0.2.255\", or \"+\" for the last of the prefix",
        )
    })
}

fn peer(value: &DeValue<'_>) -> Result<IpNet, Wrong> {
    let text = values::text(value)?;
    parse_net(&text).ok_or_else(|| {
        Wrong::new(
            format!("{text:?} is not an IP address"),
            "write one such as \"192.0.2.1\"",
        )
    })
}

fn preferred_lft(value: &DeValue<'_>) -> Result<PreferredLft, Wrong> {
    if value.as_str() == Some("forever") {
        return Ok(PreferredLft::Forever);
    }
    values::duration(value).map(PreferredLft::For)
}

/// Changes the address if the key is true.
fn flag(
    table: &mut Table<'_, '_>,
    key: &'static str,
    address: &mut Option<VirtualAddress>,
    with: fn(VirtualAddress) -> VirtualAddress,
) {
    let said = table.optional(key, values::boolean).filter(|said| said.value);
    change(address, said, |address, _| with(address));
}

fn list(table: &mut Table<'_, '_>, key: &'static str) -> Vec<Spanned<VirtualAddress>> {
    let mut addresses = Vec::new();
    table.each(key, |table, value| addresses.extend(read(table, key, value)));
    addresses
}

fn read<'a, 'i>(
    table: &mut Table<'a, 'i>,
    key: &'static str,
    value: &'a TomlSpanned<DeValue<'i>>,
) -> Option<Spanned<VirtualAddress>> {
    if !value.get_ref().is_table() {
        return table.value(key, value, values::virtual_address);
    }
    let read = table.within(key, value, ADDRESS_KEYS, |table| {
        let mut address = None;
        table.read(ADDRESS_KEYS, &mut address);
        address
    })?;
    let at = read.span;
    read.value.map(|address| Spanned::new(address, at))
}

/// Changes the address, where there is one, as a key says.
fn change<T>(
    address: &mut Option<VirtualAddress>,
    said: Option<Spanned<T>>,
    with: impl FnOnce(VirtualAddress, T) -> VirtualAddress,
) {
    if let Some(said) = said {
        *address = address.take().map(|before| with(before, said.value));
    }
}
