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
    Key::new(
        "announce_refresh",
        "time",
        "Time between announcements while master, from \"1s\"; \"0s\" for none. Default: \"0s\".",
        |table, key, to| to.announce_refresh = table.optional(key, values::duration),
    ),
    Key::new(
        "announce_refresh_repeat",
        "1 to 255",
        "How often each of those is sent. Default: 1.",
        |table, key, to| {
            to.announce_refresh_repeat = table.optional(key, |value| values::integer(value, 1, 255));
        },
    ),
    Key::new(
        "lower_prio_announce_repeat",
        "0 to 255",
        "How often each address is announced when the advert of a lower master is heard. Default: `announce_repeat`.",
        |table, key, to| {
            to.lower_prio_announce_repeat =
                table.optional(key, |value| values::integer(value, 0, 255).map(Some));
        },
    ),
    Key::new(
        "lower_prio_announce_delay",
        "time",
        "Time from there to announcing them once more; \"0s\" for never. Default: `adver_interval`, and again after `announce_delay`.",
        |table, key, to| {
            to.lower_prio_announce_delay = table.optional(key, |value| values::duration(value).map(Some));
        },
    ),
];
