//! `vrrp_track_process` and `track_file`.

use ha_health::Weight;

use super::arguments::{self, TrackOptions};
use super::body;
use super::keywords::{Grammar, Keyword};
use super::tree::Statement;
use crate::config::checks::CheckParts;
use crate::config::draft::{CheckDraft, CheckSource, Draft};
use crate::config::format::Format;
use crate::config::watch::{FileParts, PARAM_MATCHES, ProcessParts, file_source, process_source};
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// What a block says, with what all checks have.
#[derive(Default)]
pub(super) struct Parts<P> {
    watched: P,
    check: CheckParts,
    reverse: bool,
}

/// What may stand in `vrrp_track_process`.
pub(super) const PROCESS: Grammar<Parts<ProcessParts>> = Grammar {
    block: "vrrp_track_process",
    read: &[&[
        Keyword::new("process", |statement, to, diagnostics| {
            let word = statement.words.first();
            to.watched.process = word.map(|word| Spanned::new(word.text.clone(), word.span));
            to.watched.params = statement
                .words
                .iter()
                .skip(1)
                .map(|word| word.text.clone())
                .collect();
            if word.is_none() {
                statement.argument("nginx", diagnostics);
            }
        }),
        Keyword::new("param_match", |statement, to, diagnostics| {
            to.watched.param_match = statement.choice(&PARAM_MATCHES, diagnostics);
        }),
        Keyword::new("weight", |statement, to, diagnostics| {
            read_weight(statement, 254, to, diagnostics);
        }),
        Keyword::new("quorum", |statement, to, diagnostics| {
            to.watched.quorum = statement.number(0, i64::from(u32::MAX), "1", diagnostics);
        }),
        Keyword::new("quorum_max", |statement, to, diagnostics| {
            to.watched.quorum_max = statement.number(0, i64::from(u32::MAX), "1", diagnostics);
        }),
        Keyword::new("delay", |statement, to, diagnostics| {
            to.watched.delay = statement.seconds(diagnostics);
        }),
        Keyword::new("fork_delay", |statement, to, diagnostics| {
            to.watched.fork_delay = statement.seconds(diagnostics);
        }),
        Keyword::new("terminate_delay", |statement, to, diagnostics| {
            to.watched.terminate_delay = statement.seconds(diagnostics);
        }),
        Keyword::new("full_command", |statement, to, _| {
            to.watched.full_command = Some(Spanned::new(true, statement.keyword.span));
        }),
    ]],
    unsupported: &[],
};

/// What may stand in `track_file`.
pub(super) const FILE: Grammar<Parts<FileParts>> = Grammar {
    block: "track_file",
    read: &[&[
        Keyword::new("file", |statement, to, diagnostics| {
            let word = statement.argument("\"/run/maintenance\"", diagnostics);
            to.watched.path = word.map(|word| Spanned::new(word.text.clone(), word.span));
        }),
        Keyword::new("weight", |statement, to, diagnostics| {
            read_weight(statement, i64::from(i32::MAX), to, diagnostics);
        }),
        Keyword::new("init_file", read_init),
    ]],
    unsupported: &[],
};

/// Reads a `vrrp_track_process`. Without a weight a failure is a fault.
pub(super) fn read_process(statement: &Statement, draft: &mut Draft, diagnostics: &mut Diagnostics) {
    read(
        statement,
        &PROCESS,
        draft,
        diagnostics,
        |name, parts, diagnostics| {
            if parts.watched.process.is_none() {
                missing("process", "process nginx", name, diagnostics);
            }
            let process = parts.watched.build(diagnostics);
            let config = parts.check.build_watch(name, Weight::FAULT, diagnostics);
            Some(process_source(config?, process?))
        },
    );
}

/// Reads a `track_file`. Without a weight its value itself is added.
pub(super) fn read_file(statement: &Statement, draft: &mut Draft, diagnostics: &mut Diagnostics) {
    read(
        statement,
        &FILE,
        draft,
        diagnostics,
        |name, parts, diagnostics| {
            if parts.watched.path.is_none() {
                missing("file", "file \"/run/maintenance\"", name, diagnostics);
            }
            let default = Weight::new(1).unwrap_or_default();
            let config = parts.check.build_watch(name, default, diagnostics);
            Some(file_source(config?, parts.watched.build()?))
        },
    );
}

fn read<P: Default>(
    statement: &Statement,
    grammar: &Grammar<Parts<P>>,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
    build: impl FnOnce(&Spanned<String>, &Parts<P>, &mut Diagnostics) -> Option<CheckSource>,
) {
    let Some(name) = statement.argument("nginx", diagnostics) else {
        return;
    };
    let name = Spanned::new(name.text.clone(), name.span);
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    let before = diagnostics.errors();
    let mut parts = Parts::default();
    grammar.read(block, &mut parts, diagnostics);
    let complete = diagnostics.errors() == before;
    let mut found = Diagnostics::default();
    let source = build(&name, &parts, &mut found);
    if complete {
        // Otherwise what is missing may be what was wrong.
        diagnostics.absorb(found);
    }
    match source {
        Some(source) if diagnostics.errors() == before => draft.checks.push(CheckDraft {
            name,
            source,
            script: None,
            reverse: parts.reverse,
            format: Format::Keepalived,
        }),
        _ => draft.broken.push(name.value),
    }
}

fn missing(keyword: &str, example: &str, name: &Spanned<String>, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error(format!("`{keyword}` is missing"))
            .at(name.span)
            .help(format!("add `{example}`")),
    );
}

fn read_weight<P>(statement: &Statement, limit: i64, to: &mut Parts<P>, diagnostics: &mut Diagnostics) {
    let Some((word, rest)) = statement.words.split_first() else {
        statement.argument("-20", diagnostics);
        return;
    };
    to.check.weight = arguments::weight_within(word, limit, diagnostics);
    let TrackOptions { reverse, .. } = arguments::track_options(rest, limit, diagnostics);
    to.reverse = reverse;
}

/// `init_file [VALUE] [overwrite]`
fn read_init(statement: &Statement, to: &mut Parts<FileParts>, diagnostics: &mut Diagnostics) {
    to.watched.init = Some(Spanned::new(0, statement.keyword.span));
    for word in &statement.words {
        if word.text == "overwrite" {
            to.watched.overwrite = true;
            continue;
        }
        match word.text.parse() {
            Ok(value) => to.watched.init = Some(Spanned::new(value, word.span)),
            Err(_) => diagnostics.push(
                Diagnostic::error(format!("`{}` is neither a number nor `overwrite`", word.text))
                    .at(word.span)
                    .help("write `init_file 0`, or `init_file 0 overwrite`"),
            ),
        }
    }
}
