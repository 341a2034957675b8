//! Keys of announcements.

use crate::config::instance::Announcements;
use crate::config::toml::keys::Key;
use crate::config::toml::values;

pub(super) const KEYS: &[Key<Announcements>] = &[
    Key::new(
        "announce_repeat",
        "0 to 255",
        "How often each address is announced, back to back. Default: 5.",
        |table, key, to| to.announce_repeat = table.optional(key, |value| values::integer(value, 0, 255)),
    ),
    Key::new(
        "announce_delay",
        "time",
        "Time from taking the addresses to announcing them once more; \"0s\" for never. Default: \"5s\".",
        |table, key, to| to.announce_delay = table.optional(key, values::duration),
    ),
];
