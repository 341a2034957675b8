//! `[vrrp_defaults]`: what each `[[vrrp]]` of the same file says unless it says otherwise.

use ::toml::de::DeTable;
use vrrp_core::{Family, UnicastPeer, Version};

use super::super::keys::{Entry, entries};
use super::super::reader::Table;
use super::{announcements, network, protocol, strict_entries};
use crate::config::instance::InstanceParts;
use crate::config::{Diagnostics, FileId, Span, Spanned};

/// Keys of the network that are one virtual router's own.
const OWN: [&str; 2] = ["routes", "rules"];

/// All keys of the section, with headings.
pub(in crate::config::toml) fn groups() -> Vec<(&'static str, Vec<Entry>)> {
    let network = entries(network::KEYS).filter(|entry| !OWN.contains(&entry.name));
    let network = network.map(|entry| match entry.name {
        "interface" => Entry {
            about: "Interface that adverts are sent and received on.",
            ..entry
        },
        _ => entry,
    });
    vec![
        ("Network", network.collect()),
        (
            "Protocol",
            strict_entries().chain(entries(protocol::KEYS)).collect(),
        ),
        ("Announcements", entries(announcements::KEYS).collect()),
    ]
}

/// Tells what is wrong with the section by itself. `false` when anything is: then nobody falls back to it, so that it is
/// told once.
pub(in crate::config::toml) fn check(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> bool {
    let known: Vec<Entry> = groups().into_iter().flat_map(|(_, entries)| entries).collect();
    let mut table = Table::new(table, file, at, "[vrrp_defaults]", &known, diagnostics);
    let mut parts = InstanceParts::new(Spanned::new(String::new(), at));
    table.read_given(super::KEYS, &known, &mut parts);
    table.read_given(network::KEYS, &known, &mut parts.network);
    table.read_given(protocol::KEYS, &known, &mut parts.protocol);
    table.read_given(announcements::KEYS, &known, &mut parts.announcements);
    table.is_sound()
}

/// Leaves out what a default says for the other family. `own` are the keys that the virtual router has itself: those
/// must fit.
pub(super) fn leave_to_family(parts: &mut InstanceParts, own: &[&str]) {
    let is_default = |key| !own.contains(&key);
    let mut families = parts
        .addresses
        .advertised
        .iter()
        .map(|one| Family::of(&one.value.address()));
    if is_default("version") && families.clone().any(|family| family == Family::Ipv6) {
        // Version 2 as a default is for IPv4: IPv6 has version 3 whatever it says, as with keepalived's
        // `vrrp_version`. What is not said is version 2 for IPv4.
        parts
            .protocol
            .version
            .take_if(|version| version.value == Version::V2);
    }
    let Some(family) = families.next() else { return };
    if families.any(|other| other != family) {
        // Of both: each of the two virtual routers takes its own.
        return;
    }
    if is_default("source") {
        let sources = &mut parts.network.sources;
        sources.retain(|source| Family::of(&source.value) == family);
    }
    let peers = &mut parts.network.peers;
    let fits = |peer: &Spanned<UnicastPeer>| Family::of(&peer.value.address()) == family;
    // Without any that fits its adverts would go to the group, which nobody has asked for: that is told.
    if is_default("peers") && peers.iter().any(fits) {
        peers.retain(fits);
    }
}

/// Keys of which a default may say something for each family.
pub(super) const OF_FAMILY: [&str; 3] = ["version", "source", "peers"];
