//! Keys of what is tracked.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::DeValue;
use ha_health::Weight;

use crate::config::Spanned;
use crate::config::instance::{InterfaceDraft, TrackDraft, Tracking};
use crate::config::toml::keys::Key;
use crate::config::toml::reader::Table;
use crate::config::toml::values;

pub(in crate::config::toml) const KEYS: &[Key<Tracking>] = &[
    Key::new(
        "track",
        "array of checks",
        "Checks that are tracked: `\"proxy\"` with the check's own weight, or a table. Default: none.",
        |table, key, to| {
            to.checks = tracks(table, key, CHECK_KEYS)
                .into_iter()
                .map(|track| TrackDraft {
                    check: track.name,
                    weight: track.weight,
                    reverse: track.reverse,
                })
                .collect();
        },
    ),
    Key::new(
        "track_interfaces",
        "array of interfaces",
        "Interfaces that are tracked besides its own: `\"eth1\"`, whose loss is a fault, or a table. Default: none.",
        |table, key, to| {
            to.interfaces = tracks(table, key, INTERFACE_KEYS)
                .into_iter()
                .map(|track| InterfaceDraft {
                    interface: track.name,
                    weight: track.weight.map(|weight| weight.value).unwrap_or_default(),
                    reverse: track.reverse,
                })
                .collect();
        },
    ),
];

/// Keys of the table that a tracked check may be.
pub(super) const CHECK_KEYS: &[Key<Track>] = &[
    Key::new("check", "name", "The check. Required.", |table, key, to| {
        read_name(table, key, "\"proxy\"", to);
    }),
    WEIGHT,
    REVERSE,
];

/// Keys of the table that a tracked interface may be.
pub(super) const INTERFACE_KEYS: &[Key<Track>] = &[
    Key::new(
        "interface",
        "name",
        "The interface. Required.",
        |table, key, to| {
            read_name(table, key, "\"eth1\"", to);
        },
    ),
    INTERFACE_WEIGHT,
    REVERSE,
];

const WEIGHT: Key<Track> = Key::new(
    "weight",
    "-253 to 253; for processes and files -254 to 254",
    "Added to the priority while it is up, or with a minus taken off while it is down; 0 makes a failure a fault. Default: that of the check.",
    |table, key, to| to.weight = table.optional(key, |value| values::weight_within(value, 254)),
);

const INTERFACE_WEIGHT: Key<Track> = Key::new(
    "weight",
    "-253 to 253",
    "Added to the priority while it is up, or with a minus taken off while it is down; 0 makes its loss a fault. Default: 0.",
    |table, key, to| to.weight = table.optional(key, |value| values::weight_within(value, 253)),
);

const REVERSE: Key<Track> = Key::new(
    "reverse",
    "true or false",
    "Takes up for down and down for up. Default: false.",
    |table, key, to| {
        to.reverse = table
            .optional(key, values::boolean)
            .is_some_and(|reverse| reverse.value);
    },
);

/// Something tracked, by name.
#[derive(Debug)]
pub(super) struct Track {
    name: Spanned<String>,
    weight: Option<Spanned<Weight>>,
    reverse: bool,
}

fn read_name(table: &mut Table<'_, '_>, key: &'static str, example: &str, to: &mut Track) {
    if let Some(name) = table.required(key, example, values::name) {
        to.name = name;
    }
}

fn tracks(table: &mut Table<'_, '_>, key: &'static str, keys: &'static [Key<Track>]) -> Vec<Track> {
    let mut tracks = Vec::new();
    table.each(key, |table, value| tracks.extend(track(table, key, value, keys)));
    tracks
}

/// `"proxy"`, or `{ check = "proxy", weight = -20, reverse = true }`.
fn track<'a, 'i>(
    table: &mut Table<'a, 'i>,
    key: &'static str,
    value: &'a TomlSpanned<DeValue<'i>>,
    keys: &'static [Key<Track>],
) -> Option<Track> {
    let at = table.file().span(value.span());
    let named = |name| Track {
        name,
        weight: None,
        reverse: false,
    };
    if !value.get_ref().is_table() {
        return table.value(key, value, values::name).map(named);
    }
    let track = table.within(key, value, keys, |table| {
        let mut track = named(Spanned::new(String::new(), at));
        table.read(keys, &mut track);
        track
    });
    track.map(|track| track.value)
}
