//! `notify` of virtual routers and sync groups, and `[[notify_fifo]]`.

use ::toml::de::{DeTable, DeValue};
use ha_health::probe::{Script, User};

use super::keys::{Entry, Key, entries};
use super::reader::{Table, Wrong};
use super::values;
use crate::config::notify::{NotifyParts, script_of};
use crate::config::{Diagnostics, FileId, Span, Spanned};
use crate::{Notify, NotifyFifo};

/// What the table says, with what holds for all of its scripts.
#[derive(Default)]
pub(super) struct Reader {
    parts: NotifyParts,
    user: Option<User>,
    secure: bool,
}

pub(super) const KEYS: &[Key<Reader>] = &[
    // These two hold for the scripts behind them.
    Key::new(
        "user",
        "\"user\" or \"user:group\"",
        "Who runs the scripts. Default: the user of this process.",
        |table, key, to| to.user = table.optional(key, user).map(|one| one.value),
    ),
    Key::new(
        "secure",
        "true or false",
        "Whether a script that others than root can change is not run as root. Default: false.",
        |table, key, to| to.secure = values::flag(table, key),
    ),
    Key::new(
        "master",
        "command line",
        "On becoming master, when the addresses are held.",
        |table, key, to| {
            add(table, key, to, Notify::master);
        },
    ),
    Key::new(
        "backup",
        "command line",
        "On becoming backup, also at the start.",
        |table, key, to| {
            add(table, key, to, Notify::backup);
        },
    ),
    Key::new(
        "fault",
        "command line",
        "On going into fault.",
        |table, key, to| {
            add(table, key, to, Notify::fault);
        },
    ),
    Key::new("stop", "command line", "At the end.", |table, key, to| {
        add(table, key, to, Notify::stop);
    }),
    Key::new(
        "any_state",
        "command line",
        "On each change, after the others, with keepalived's four arguments: INSTANCE or GROUP, the name, the state, the priority.",
        |table, key, to| add(table, key, to, Notify::any_state),
    ),
    Key::new(
        "master_rx_lower_pri",
        "command line",
        "When a master hears an advert of lower priority.",
        |table, key, to| add(table, key, to, Notify::master_rx_lower_pri),
    ),
    Key::new(
        "priority_changes",
        "true or false",
        "Whether FIFOs are told of changes of the priority too. Default: false.",
        |table, key, to| {
            if let Some(on) = table.optional(key, values::boolean) {
                to.parts.notify = std::mem::take(&mut to.parts.notify).priority_changes(on.value);
            }
        },
    ),
    Key::new(
        "timeout",
        "time",
        "After which a script is ended. Default: \"60s\".",
        |table, key, to| {
            if let Some(time) = table.optional(key, values::duration) {
                to.parts.notify = std::mem::take(&mut to.parts.notify).timeout(time.value);
            }
        },
    ),
];

/// Reads the table below a key.
pub(super) fn read(table: &mut Table<'_, '_>, key: &'static str) -> NotifyParts {
    let Some(value) = table.raw(key) else {
        return NotifyParts::default();
    };
    let read = table.within(key, value, KEYS, |table| {
        let mut reader = Reader::default();
        table.read(KEYS, &mut reader);
        reader.parts
    });
    read.map(|one| one.value).unwrap_or_default()
}

fn add(table: &mut Table<'_, '_>, key: &'static str, to: &mut Reader, set: fn(Notify, Script) -> Notify) {
    let Some(line) = table.optional(key, values::text) else {
        return;
    };
    if let Some((script, draft)) = script_of(line, table.diagnostics()) {
        let script = to.user.into_iter().fold(script.secure(to.secure), Script::user);
        to.parts.add(set, script, draft);
    }
}

/// `"nobody"`, `"nobody:nogroup"`.
pub(super) fn user(value: &DeValue<'_>) -> Result<User, Wrong> {
    let text = values::text(value)?;
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text.as_str(), None),
    };
    User::named(user, group).map_err(|error| {
        Wrong::new(
            error.to_string(),
            "create it, or name another, such as \"nobody:nogroup\"",
        )
    })
}

/// What a `[[notify_fifo]]` says.
#[derive(Default)]
struct FifoParts {
    path: Option<Spanned<String>>,
    owner: Option<User>,
    user: Option<User>,
    script: Option<Spanned<String>>,
}

const FIFO_KEYS: &[Key<FifoParts>] = &[
    Key::new(
        "path",
        "path",
        "The FIFO, which is made if it does not exist. Required.",
        |table, key, to| {
            to.path = table.required(key, "\"/run/ha.fifo\"", values::text);
        },
    ),
    Key::new(
        "owner",
        "\"user\" or \"user:group\"",
        "Whom it belongs to if it has to be made. Default: the user of this process.",
        |table, key, to| to.owner = table.optional(key, user).map(|one| one.value),
    ),
    Key::new(
        "script",
        "command line",
        "A reader that is run, with the path as its last argument. Default: none.",
        |table, key, to| to.script = table.optional(key, values::text),
    ),
    Key::new(
        "user",
        "\"user\" or \"user:group\"",
        "Who runs the reader. Default: the user of this process.",
        |table, key, to| to.user = table.optional(key, user).map(|one| one.value),
    ),
];

/// All keys of `[[notify_fifo]]`.
pub(super) fn fifo_entries() -> Vec<Entry> {
    entries(FIFO_KEYS).collect()
}

pub(super) fn read_fifo(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<NotifyFifo>> {
    let mut table = Table::new(table, file, at, "[[notify_fifo]]", &fifo_entries(), diagnostics);
    let mut parts = FifoParts::default();
    table.read(FIFO_KEYS, &mut parts);
    let script = parts.script.and_then(|line| script_of(line, table.diagnostics()));
    let path = parts.path.filter(|_| table.is_sound())?;
    let mut fifo = NotifyFifo::new(path.value);
    if let Some(owner) = parts.owner {
        fifo = fifo.owner(owner);
    }
    if let Some((script, _)) = script {
        fifo = fifo.script(parts.user.into_iter().fold(script, Script::user));
    }
    Some(Spanned::new(fifo, path.span))
}
