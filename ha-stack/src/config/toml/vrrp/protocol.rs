//! Keys of the protocol.

use vrrp_core::{AddressMismatch, ChecksumForm, Demotion};

use crate::config::instance::Protocol;
use crate::config::toml::keys::Key;
use crate::config::toml::values;

const DEMOTIONS: [(&str, Demotion); 3] = [
    ("elect", Demotion::Elect),
    ("yield", Demotion::Yield),
    ("plain", Demotion::Plain),
];
const CHECKSUMS: [(&str, ChecksumForm); 2] = [
    ("pseudo-header", ChecksumForm::PseudoHeader),
    ("message-only", ChecksumForm::MessageOnly),
];
const MISMATCHES: [(&str, AddressMismatch); 2] = [
    ("accept", AddressMismatch::Accept),
    ("discard", AddressMismatch::Discard),
];

pub(super) const KEYS: &[Key<Protocol>] = &[
    Key::new(
        "version",
        "2 or 3",
        "Version of VRRP. Default: 2 for IPv4, 3 for IPv6.",
        |table, key, to| to.version = table.optional(key, values::version),
    ),
    Key::new(
        "priority",
        "1 to 255",
        "The highest becomes master; 255 owns the addresses. Default: 100.",
        |table, key, to| to.priority = table.optional(key, values::priority),
    ),
    Key::new(
        "adver_interval",
        "time",
        "Interval between adverts: version 2 in whole seconds to \"255s\", version 3 \"10ms\" to \"40.95s\" in steps of 10 ms. Default: \"1s\".",
        |table, key, to| to.adver_interval = table.optional(key, values::adver_interval),
    ),
    Key::new(
        "preempt",
        "true or false",
        "Whether to take over from a master of lower priority. Default: true.",
        |table, key, to| to.preempt = table.optional(key, values::boolean),
    ),
    Key::new(
        "preempt_delay",
        "time",
        "How long to wait before that, up to \"1000s\". Default: \"0s\".",
        |table, key, to| to.preempt_delay = table.optional(key, values::duration),
    ),
    Key::new(
        "demotion",
        "\"elect\", \"yield\" or \"plain\"",
        "What a master does when its priority drops: calls an election without a gap, hands over to anyone, or goes on as keepalived does. Default: \"elect\".",
        |table, key, to| to.demotion = table.optional(key, |value| values::choice(value, &DEMOTIONS)),
    ),
    Key::new(
        "checksum",
        "\"pseudo-header\" or \"message-only\"",
        "Form of checksum sent in version 3 over IPv4: keepalived's and FRR's default, or that of RFC 9568 and Cisco. Either is received. Default: \"pseudo-header\".",
        |table, key, to| to.checksum = table.optional(key, |value| values::choice(value, &CHECKSUMS)),
    ),
    Key::new(
        "address_mismatch",
        "\"accept\" or \"discard\"",
        "What becomes of adverts with other addresses than these. Default: \"discard\" with version 2, \"accept\" with version 3.",
        |table, key, to| {
            to.address_mismatch = table.optional(key, |value| values::choice(value, &MISMATCHES));
        },
    ),
];
