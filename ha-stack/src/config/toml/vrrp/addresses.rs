//! Keys of the virtual addresses.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::DeValue;
use vrrp_net::VirtualAddress;

use crate::config::Spanned;
use crate::config::instance::Addresses;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::Table;
use crate::config::toml::values;

pub(super) const KEYS: &[Key<Addresses>] = &[
    Key::new(
        "addresses",
        "array of virtual addresses",
        "Addresses that are held while master, and advertised: `\"192.0.2.100\"` (/32, or /128), `\"192.0.2.100/24\"`, or a table. Required.",
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
        "Addresses that are held while master, and not advertised, of either family. Default: none.",
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
];

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
