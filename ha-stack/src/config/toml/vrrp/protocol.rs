//! Keys of the protocol.

use std::time::Duration;

use vrrp_core::{AddressMismatch, ChecksumForm, Damping, Demotion};

use crate::config::instance::Protocol;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::Table;
use crate::config::toml::values;
use crate::config::{Diagnostic, Spanned};

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
        "down_timer_adverts",
        "1 to 100",
        "Adverts that may go missing before a backup takes over, the same on all nodes. Default: 3.",
        |table, key, to| to.down_timer_adverts = table.optional(key, |value| values::integer(value, 1, 100)),
    ),
    Key::new(
        "startup_delay",
        "time",
        "How long to wait after the start before taking part, up to \"1000s\". Default: \"0s\".",
        |table, key, to| to.startup_delay = table.optional(key, values::duration),
    ),
    Key::new(
        "damping",
        "table",
        "Holds preemption back when mastership changes too often. Default: none.",
        |table, key, to| to.damping = read_damping(table, key),
    ),
    Key::new(
        "reassert",
        "true or false",
        "Whether a master answers a losing advert with an advert and announcements (not keepalived's `lower_prio_no_advert`). Default: true.",
        |table, key, to| to.reassert = table.optional(key, values::boolean),
    ),
    Key::new(
        "higher_prio_send_advert",
        "true or false",
        "Whether a superseded master sends one last advert, so that the winner announces its addresses again. Default: true.",
        |table, key, to| to.higher_prio_send_advert = table.optional(key, values::boolean),
    ),
    Key::new(
        "owner_ignore_adverts",
        "true or false",
        "Whether a master of priority 255 ignores what others advertise: it yields to no other owner, and answers none. Default: false.",
        |table, key, to| to.owner_ignore_adverts = table.optional(key, values::boolean),
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

/// What a table of damping says.
#[derive(Debug, Default)]
pub(super) struct DampingParts {
    transitions: Option<u8>,
    window: Option<Duration>,
    delay: Option<Duration>,
    max_delay: Option<Duration>,
}

/// Keys of the table of damping.
pub(super) const DAMPING_KEYS: &[Key<DampingParts>] = &[
    Key::new(
        "transitions",
        "2 to 32",
        "Changes into and out of master, within `window`, that hold preemption back. Required.",
        |table, key, to| {
            let transitions = table.required(key, "3", |value| values::integer(value, 2, 32));
            to.transitions = transitions.map(|one| one.value);
        },
    ),
    Key::new("window", "time", "Up to \"24h\". Required.", |table, key, to| {
        to.window = table
            .required(key, "\"5m\"", values::duration)
            .map(|one| one.value);
    }),
    Key::new(
        "delay",
        "time",
        "How long the first time; twice as long the next time, and so on. Default: the window.",
        |table, key, to| to.delay = table.optional(key, values::duration).map(|one| one.value),
    ),
    Key::new(
        "max_delay",
        "time",
        "How long at most, up to \"24h\". Default: ten times `delay`.",
        |table, key, to| to.max_delay = table.optional(key, values::duration).map(|one| one.value),
    ),
];

fn read_damping(table: &mut Table<'_, '_>, key: &'static str) -> Option<Spanned<Option<Damping>>> {
    let value = table.raw(key)?;
    let parts = table.within(key, value, DAMPING_KEYS, |table| {
        let mut parts = DampingParts::default();
        table.read(DAMPING_KEYS, &mut parts);
        parts
    })?;
    let DampingParts {
        transitions,
        window,
        delay,
        max_delay,
    } = parts.value;
    let (transitions, window) = (transitions?, window?);
    let longest = |first: Duration| {
        let tenfold = first.saturating_mul(10).min(Damping::MAX_TIME);
        max_delay.unwrap_or(tenfold.max(first))
    };
    let made = Damping::new(transitions, window).and_then(|damping| {
        let first = delay.unwrap_or(window);
        damping.delays(first, longest(first))
    });
    match made {
        Ok(damping) => Some(Spanned::new(Some(damping), parts.span)),
        Err(error) => {
            table.tell(Diagnostic::error(error.to_string()).at(parts.span));
            None
        }
    }
}
