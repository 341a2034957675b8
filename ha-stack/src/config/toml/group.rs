//! `[[sync_group]]`.

use ::toml::de::DeTable;

use super::keys::{Entry, Key, entries};
use super::notify;
use super::reader::Table;
use super::values;
use super::vrrp::tracking;
use crate::config::format::Format;
use crate::config::groups::GroupDraft;
use crate::config::instance::Tracking;
use crate::config::notify::NotifyParts;
use crate::config::{Diagnostics, FileId, Span, Spanned};

const KEYS: &[Key<GroupDraft>] = &[
    Key::new(
        "name",
        "string",
        "Name in logs and in the status. Required.",
        |table, key, to| {
            if let Some(name) = table.required(key, "\"VG_1\"", values::name) {
                to.name = name;
            }
        },
    ),
    Key::new(
        "members",
        "array of names",
        "Virtual routers that are master together or not at all. Required.",
        |table, key, to| {
            if table.raw(key).is_none() {
                table.required::<()>(key, "[\"VI_1\", \"VI_2\"]", |_| Ok(()));
            }
            to.members = table.list(key, values::name);
        },
    ),
    Key::new(
        "tracking_weight",
        "true or false",
        "Whether the weights of what members track count, for all of them together. Default: false; faults always do.",
        |table, key, to| {
            to.tracking_weight = values::flag(table, key);
        },
    ),
    Key::new(
        "notify",
        "table",
        "Scripts that are told of its changes of state. Default: none.",
        |table, key, to| to.notify = notify::read(table, key),
    ),
];

/// All keys of the section, with headings.
pub(super) fn groups() -> [(&'static str, Vec<Entry>); 2] {
    [
        ("Group", entries(KEYS).collect()),
        ("Tracking, for all members", entries(tracking::KEYS).collect()),
    ]
}

pub(super) fn read(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    mentioned: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) -> Option<GroupDraft> {
    let known: Vec<Entry> = groups().into_iter().flat_map(|(_, entries)| entries).collect();
    let mut table = Table::new(table, file, at, "[[sync_group]]", &known, diagnostics);
    let mut group = GroupDraft {
        name: Spanned::new(String::new(), at),
        members: Vec::new(),
        tracking_weight: false,
        tracking: Tracking::default(),
        notify: NotifyParts::default(),
        format: Format::Toml,
    };
    table.read(KEYS, &mut group);
    table.read(tracking::KEYS, &mut group.tracking);
    if !table.is_sound() {
        mentioned.extend(group.tracking.names());
        return None;
    }
    Some(group)
}
