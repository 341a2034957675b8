//! `[[vrrp]]`.

mod addresses;
mod announcements;
pub(in crate::config) mod authentication;
pub(super) mod defaults;
mod network;
mod protocol;
pub(super) mod tracking;

use ::toml::de::DeTable;

use super::keys::{Entry, Key, entries};
use super::reader::Table;
use super::{Section, notify, values};
use crate::config::format::Format;
use crate::config::instance::{InstanceDraft, InstanceParts};
use crate::config::{Diagnostics, FileId, Span, Spanned};

/// Keys that say which virtual router it is.
const KEYS: &[Key<InstanceParts>] = &[
    Key::new(
        "name",
        "string",
        "Name in logs and in the status. Required.",
        |table, key, to| {
            if let Some(name) = table.required(key, "\"VI_1\"", values::name) {
                to.name = name;
            }
        },
    ),
    Key::new(
        "notify",
        "table",
        "Scripts that are told of its changes of state. Default: none.",
        |table, key, to| to.notify = notify::read(table, key),
    ),
    Key::new(
        "strict_mode",
        "true or false",
        "Whether what goes beyond the RFCs is refused: peers, authentication, preempt_delay, accept in version 2 and others; then `accept` and `higher_prio_send_advert` are false unless given. Default: false.",
        |table, key, to| to.strict = table.optional(key, values::boolean),
    ),
    Key::new(
        "vrid",
        "1 to 255",
        "Virtual router id, the same on all nodes, and no other's on the link. Required.",
        |table, key, to| to.vrid = table.required(key, "33", values::vrid),
    ),
];

/// All keys of the section, with headings.
pub(super) fn groups() -> [(&'static str, Vec<Entry>); 7] {
    [
        ("Identity", entries(KEYS).collect()),
        ("Network", entries(network::KEYS).collect()),
        ("Addresses", entries(addresses::KEYS).collect()),
        ("Protocol", entries(protocol::KEYS).collect()),
        ("Authentication", entries(authentication::KEYS).collect()),
        ("Announcements", entries(announcements::KEYS).collect()),
        ("Tracking", entries(tracking::KEYS).collect()),
    ]
}

/// Those of [`KEYS`] that may be a default of all.
fn strict_entries() -> impl Iterator<Item = Entry> {
    entries(KEYS).filter(|entry| entry.name == "strict_mode")
}

/// Tables that stand for values in the section.
pub(super) fn tables() -> Vec<Section> {
    let table = |header, about, entries| Section {
        header,
        about,
        groups: vec![("", entries)],
    };
    vec![
        table(
            "damping = { … }",
            "Damping of preemption.",
            entries(protocol::DAMPING_KEYS).collect(),
        ),
        table(
            "vmac = { … }",
            "A virtual MAC address with more to say.",
            entries(network::VMAC_KEYS).collect(),
        ),
        table(
            "peers = [{ … }]",
            "A unicast peer with more to say.",
            entries(network::PEER_KEYS).collect(),
        ),
        table(
            "addresses = [{ … }]",
            "A virtual address with more to say; in `excluded_addresses` too.",
            entries(addresses::ADDRESS_KEYS).collect(),
        ),
        table(
            "password = { … }",
            "A secret that stands elsewhere.",
            entries(authentication::SECRET_KEYS).collect(),
        ),
        table(
            "[vrrp.hmac]",
            "HMAC of version 3.",
            entries(authentication::HMAC_KEYS).collect(),
        ),
        table(
            "keys = [{ … }]",
            "A key of HMAC.",
            entries(authentication::KEY_KEYS).collect(),
        ),
        table(
            "track = [{ … }]",
            "A tracked check.",
            entries(tracking::CHECK_KEYS).collect(),
        ),
        table(
            "notify = { … }",
            "Scripts, of a virtual router or of a sync group.",
            entries(notify::KEYS).collect(),
        ),
        table(
            "track_interfaces = [{ … }]",
            "A tracked interface.",
            entries(tracking::INTERFACE_KEYS).collect(),
        ),
    ]
}

/// Reads one. What it does not say itself stands in `defaults`.
pub(super) fn read(
    table: &DeTable<'_>,
    defaults: Option<&DeTable<'_>>,
    file: FileId,
    at: Span,
    mentioned: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<InstanceDraft>> {
    let groups = groups();
    let known: Vec<Entry> = groups.into_iter().flat_map(|(_, entries)| entries).collect();
    let mut own = defaults::OF_FAMILY.to_vec();
    own.retain(|key| table.contains_key(*key));
    let mut table = Table::new(table, file, at, "[[vrrp]]", &known, diagnostics).or(defaults);
    let mut parts = InstanceParts::new(Spanned::new(String::new(), at));
    table.read(KEYS, &mut parts);
    table.read(network::KEYS, &mut parts.network);
    table.read(addresses::KEYS, &mut parts.addresses);
    table.read(protocol::KEYS, &mut parts.protocol);
    table.read(authentication::KEYS, &mut parts.authentication);
    table.read(announcements::KEYS, &mut parts.announcements);
    defaults::leave_to_family(&mut parts, &own);
    table.read(tracking::KEYS, &mut parts.tracking);
    let tracked: Vec<String> = parts.tracking.names().collect();
    // What is wrong together is told even when something is wrong by itself, as far as it can be known.
    let sound = table.is_sound();
    let instance = parts
        .build(Format::Toml, sound, table.diagnostics())
        .filter(|_| sound);
    if instance.is_none() {
        mentioned.extend(tracked);
    }
    instance
}
