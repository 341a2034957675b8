//! Keys of the network.

use crate::config::instance::Network;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::Wrong;
use crate::config::toml::values;

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
        "array of IP addresses",
        "Peers to send adverts to by unicast. Default: none, which means multicast.",
        |table, key, to| to.peers = table.list(key, values::ip),
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
