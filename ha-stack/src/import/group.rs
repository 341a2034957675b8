//! `vrrp_sync_group`.

use super::body;
use super::global::Globals;
use super::instance::tracking;
use super::keywords::{Grammar, Keyword};
use super::notify::{self, ScriptDefaults};
use super::tree::Statement;
use super::unsupported;
use crate::Notify;
use crate::config::draft::Draft;
use crate::config::format::Format;
use crate::config::groups::GroupDraft;
use crate::config::instance::Tracking;
use crate::config::notify::NotifyParts;
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// What may stand in the block.
pub(super) const BLOCK: Grammar<Reader> = Grammar {
    block: "vrrp_sync_group",
    read: &[&[
        Keyword::new("group", |statement, to, diagnostics| {
            if let Some(block) = body(statement, diagnostics) {
                to.group.members = notify::names(block.statements.iter());
            }
        }),
        Keyword::new("track_script", |statement, to, diagnostics| {
            tracking::read_checks(statement, 253, &mut to.group.tracking, diagnostics);
        }),
        Keyword::new("track_process", |statement, to, diagnostics| {
            tracking::read_checks(statement, 254, &mut to.group.tracking, diagnostics);
        }),
        Keyword::new("track_file", |statement, to, diagnostics| {
            tracking::read_checks(statement, 254, &mut to.group.tracking, diagnostics);
        }),
        Keyword::new("track_interface", |statement, to, diagnostics| {
            tracking::read_interfaces(statement, &mut to.group.tracking, diagnostics);
        }),
        Keyword::new("sync_group_tracking_weight", |_, to, _| {
            to.group.tracking_weight = true;
        }),
        Keyword::new("global_tracking", |statement, to, diagnostics| {
            to.group.tracking_weight = true;
            diagnostics.push(
                Diagnostic::warning(
                    "`global_tracking` is taken for `sync_group_tracking_weight`, as keepalived does",
                )
                .at(statement.keyword.span)
                .help("write that, or track in the group"),
            );
        }),
        Keyword::new("notify_master", |statement, to, diagnostics| {
            to.notify(statement, Notify::master, diagnostics);
        }),
        Keyword::new("notify_backup", |statement, to, diagnostics| {
            to.notify(statement, Notify::backup, diagnostics);
        }),
        Keyword::new("notify_fault", |statement, to, diagnostics| {
            to.notify(statement, Notify::fault, diagnostics);
        }),
        Keyword::new("notify_stop", |statement, to, diagnostics| {
            to.notify(statement, Notify::stop, diagnostics);
        }),
        Keyword::new("notify", |statement, to, diagnostics| {
            to.notify(statement, Notify::any_state, diagnostics);
        }),
    ]],
    unsupported: unsupported::GROUP,
};

/// What the block says.
pub(super) struct Reader {
    group: GroupDraft,
    scripts: ScriptDefaults,
}

impl Reader {
    fn notify(
        &mut self,
        statement: &Statement,
        set: fn(Notify, ha_health::probe::Script) -> Notify,
        diagnostics: &mut Diagnostics,
    ) {
        notify::read(statement, set, &self.scripts, &mut self.group.notify, diagnostics);
    }
}

pub(super) fn read(
    statement: &Statement,
    globals: &Globals,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
) {
    let Some(name) = statement.argument("VG_1", diagnostics) else {
        return;
    };
    let name = Spanned::new(name.text.clone(), name.span);
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    let before = diagnostics.errors();
    let mut reader = Reader {
        group: GroupDraft {
            name,
            members: Vec::new(),
            tracking_weight: false,
            tracking: Tracking::default(),
            notify: NotifyParts::default(),
            format: Format::Keepalived,
        },
        scripts: globals.scripts.clone(),
    };
    BLOCK.read(block, &mut reader, diagnostics);
    if diagnostics.errors() == before {
        draft.groups.push(reader.group);
    } else {
        draft.mentioned.extend(reader.group.tracking.names());
    }
}
