//! Keywords of scripts that are told of changes of state.

use ha_health::probe::Script;

use super::Reader;
use crate::Notify;
use crate::config::Diagnostics;
use crate::import::keywords::Keyword;
use crate::import::notify;
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("notify_master", |statement, to, diagnostics| {
        read(statement, Notify::master, to, diagnostics);
    }),
    Keyword::new("notify_backup", |statement, to, diagnostics| {
        read(statement, Notify::backup, to, diagnostics);
    }),
    Keyword::new("notify_fault", |statement, to, diagnostics| {
        read(statement, Notify::fault, to, diagnostics);
    }),
    Keyword::new("notify_stop", |statement, to, diagnostics| {
        read(statement, Notify::stop, to, diagnostics);
    }),
    Keyword::new("notify", |statement, to, diagnostics| {
        read(statement, Notify::any_state, to, diagnostics);
    }),
    Keyword::new("notify_master_rx_lower_pri", |statement, to, diagnostics| {
        read(statement, Notify::master_rx_lower_pri, to, diagnostics);
    }),
    Keyword::<Reader>::new("notify_priority_changes", |statement, to, diagnostics| {
        if let Some(on) = statement.switch(diagnostics) {
            let notify = &mut to.parts.notify.notify;
            *notify = std::mem::take(notify).priority_changes(on.value);
        }
    })
    .global("vrrp_notify_priority_changes"),
];

fn read(
    statement: &Statement,
    set: fn(Notify, Script) -> Notify,
    to: &mut Reader,
    diagnostics: &mut Diagnostics,
) {
    notify::read(statement, set, &to.scripts, &mut to.parts.notify, diagnostics);
}
