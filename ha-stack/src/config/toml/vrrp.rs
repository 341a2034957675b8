//! `[[vrrp]]`.

use ::toml::de::{DeTable, DeValue};
use ha_health::Weight;
use vrrp_core::{AddressMismatch, AuthenticationConfig, ChecksumForm, Demotion};
use vrrp_net::VirtualAddress;

use super::reader::{Table, Wrong};
use super::values;
use crate::config::instance::{InstanceDraft, InstanceParts, InterfaceDraft, Spelling, TrackDraft};
use crate::config::{Diagnostics, FileId, Span, Spanned};

const KEYS: [&str; 21] = [
    "name",
    "interface",
    "vrid",
    "version",
    "priority",
    "adver_interval",
    "preempt",
    "preempt_delay",
    "source",
    "password",
    "addresses",
    "excluded_addresses",
    "peers",
    "track",
    "track_interfaces",
    "demotion",
    "lease",
    "announce_delay",
    "announce_repeat",
    "checksum",
    "address_mismatch",
];

const SPELLING: Spelling = Spelling {
    interface: "interface = \"eth0\"",
    vrid: "vrid = 33",
    addresses: "addresses = [\"192.0.2.100\"]",
};

pub(super) fn read(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<InstanceDraft> {
    let mut table = Table::new(table, file, at, "[[vrrp]]", &KEYS, diagnostics);
    let name = table.required("name", "\"VI_1\"", values::name);
    let interface = table.required("interface", "\"eth0\"", values::text);
    let vrid = table.required("vrid", "33", values::vrid);
    let mut parts = InstanceParts::new(name.unwrap_or_else(|| Spanned::new(String::new(), at)));
    parts.interface = interface;
    parts.vrid = vrid;
    read_protocol(&mut table, &mut parts);
    read_addresses(&mut table, &mut parts);
    read_tracks(&mut table, &mut parts);
    if !table.is_sound() {
        // What is wrong together is told as well, as far as it can be known.
        parts.build(SPELLING, false, table.diagnostics());
        return None;
    }
    parts.build(SPELLING, true, table.diagnostics())
}

fn read_protocol(table: &mut Table<'_, '_>, parts: &mut InstanceParts) {
    parts.version = table.optional("version", values::version);
    parts.priority = table.optional("priority", values::priority);
    parts.adver_interval = table.optional("adver_interval", values::adver_interval);
    parts.preempt = table.optional("preempt", values::boolean);
    parts.preempt_delay = table.optional("preempt_delay", values::duration);
    parts.source = table.optional("source", values::ip);
    parts.authentication = table.optional("password", password);
    parts.peers = table.list("peers", values::ip);
    parts.demotion = table
        .optional("demotion", |value| {
            let choices = [
                ("elect", Demotion::Elect),
                ("yield", Demotion::Yield),
                ("plain", Demotion::Plain),
            ];
            values::choice(value, &choices)
        })
        .map(|one| one.value);
    parts.checksum = table
        .optional("checksum", |value| {
            let choices = [
                ("pseudo-header", ChecksumForm::PseudoHeader),
                ("message-only", ChecksumForm::MessageOnly),
            ];
            values::choice(value, &choices)
        })
        .map(|one| one.value);
    parts.address_mismatch = table
        .optional("address_mismatch", |value| {
            let choices = [
                ("accept", AddressMismatch::Accept),
                ("discard", AddressMismatch::Discard),
            ];
            values::choice(value, &choices)
        })
        .map(|one| one.value);
    parts.announce_delay = table
        .optional("announce_delay", values::duration)
        .map(|one| one.value);
    parts.announce_repeat = table
        .optional("announce_repeat", |value| values::integer(value, 0, 255))
        .map(|one| one.value);
    parts.lease = table.optional("lease", |value| match value.as_bool() {
        Some(false) => Ok(None),
        Some(true) => Err(Wrong::new(
            "`true` is not a time",
            "write a time such as \"3s\", or `false`",
        )),
        None => values::duration(value).map(Some),
    });
}

fn password(value: &DeValue<'_>) -> Result<AuthenticationConfig, Wrong> {
    let text = match value {
        // A password of digits alone is easily written without quotes.
        DeValue::Integer(number) => {
            let help = format!("write \"{}\", in quotes", number.as_str());
            return Err(Wrong::new("a number", help));
        }
        _ => values::text(value)?,
    };
    AuthenticationConfig::simple(&text).map_err(|error| {
        Wrong::new(
            error.to_string(),
            "use 1 to 8 ASCII characters, the same on all nodes",
        )
    })
}

fn read_addresses(table: &mut Table<'_, '_>, parts: &mut InstanceParts) {
    const EXAMPLE: &str = "[\"192.0.2.100\"]";
    parts.addresses_at = table.span_of("addresses");
    if parts.addresses_at.is_none() {
        table.required::<()>("addresses", EXAMPLE, |_| Ok(()));
    }
    parts.addresses = table.list("addresses", virtual_address);
    parts.excluded = table.list("excluded_addresses", virtual_address);
}

/// `"192.0.2.100/24"`, or `{ address = "192.0.2.100/24", dev = "eth1", label = "eth1:0" }`.
fn virtual_address(value: &DeValue<'_>) -> Result<VirtualAddress, Wrong> {
    const HELP: &str = "write `{ address = \"192.0.2.100/24\", dev = \"eth1\", label = \"eth1:0\" }`";
    let Some(table) = value.as_table() else {
        return values::virtual_address(value);
    };
    known(table, &["address", "dev", "label"], HELP)?;
    let address = table
        .get("address")
        .ok_or_else(|| Wrong::new("`address` is missing", HELP))?;
    let mut address = values::virtual_address(address.get_ref())?;
    if let Some(dev) = table.get("dev") {
        address = address.on(values::text(dev.get_ref())?);
    }
    if let Some(label) = table.get("label") {
        address = address.labelled(values::text(label.get_ref())?);
    }
    Ok(address)
}

fn read_tracks(table: &mut Table<'_, '_>, parts: &mut InstanceParts) {
    let tracks = table.list("track", |value| {
        track(value, "check", "write `{ check = \"proxy\", weight = -20 }`")
    });
    parts.tracks = tracks
        .into_iter()
        .map(|one| TrackDraft {
            check: Spanned::new(one.value.name, one.span),
            weight: one.value.weight.map(|weight| Spanned::new(weight, one.span)),
            reverse: one.value.reverse,
        })
        .collect();
    let interfaces = table.list("track_interfaces", |value| {
        track(
            value,
            "interface",
            "write `{ interface = \"eth1\", weight = -20 }`",
        )
    });
    parts.interfaces = interfaces
        .into_iter()
        .map(|one| InterfaceDraft {
            interface: Spanned::new(one.value.name, one.span),
            weight: one.value.weight.unwrap_or_default(),
            reverse: one.value.reverse,
        })
        .collect();
}

struct Track {
    name: String,
    weight: Option<Weight>,
    reverse: bool,
}

/// `"proxy"`, or `{ check = "proxy", weight = -20, reverse = true }`.
fn track(value: &DeValue<'_>, key: &str, help: &str) -> Result<Track, Wrong> {
    let Some(table) = value.as_table() else {
        return Ok(Track {
            name: values::name(value)?,
            weight: None,
            reverse: false,
        });
    };
    known(table, &[key, "weight", "reverse"], help)?;
    let name = table
        .get(key)
        .ok_or_else(|| Wrong::new(format!("`{key}` is missing"), help))?;
    Ok(Track {
        name: values::name(name.get_ref())?,
        weight: table
            .get("weight")
            .map(|value| values::weight(value.get_ref()))
            .transpose()?,
        reverse: match table.get("reverse") {
            Some(value) => values::boolean(value.get_ref())?,
            None => false,
        },
    })
}

/// Refuses the first key of an inline table that is not known.
fn known(table: &DeTable<'_>, keys: &[&str], help: &str) -> Result<(), Wrong> {
    match table.iter().find(|(key, _)| !keys.contains(&&**key.get_ref())) {
        Some((key, _)) => Err(Wrong::new(format!("unknown key `{}`", key.get_ref()), help)),
        None => Ok(()),
    }
}
