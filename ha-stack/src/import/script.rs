//! `vrrp_script`.

use std::sync::Arc;

use ha_health::probe::{Script, ScriptError};

use super::arguments;
use super::body;
use super::global::Globals;
use super::keywords::{Grammar, Keyword};
use super::tree::{Block, Statement};
use super::user::UserName;
use crate::config::checks::CheckParts;
use crate::config::draft::{CheckDraft, CheckSource, Draft, ScriptDraft, ScriptUse};
use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// What may stand in the block.
pub(super) const BLOCK: Grammar<Parts> = Grammar {
    block: "vrrp_script",
    read: &[&[
        Keyword::new("script", |statement, to, diagnostics| {
            to.line = command_line(statement).or_else(|| {
                statement.argument("\"/path/to/program\"", diagnostics);
                None
            });
        }),
        Keyword::new("interval", |statement, to, diagnostics| {
            to.check.interval = statement.seconds(diagnostics);
        }),
        Keyword::new("timeout", |statement, to, diagnostics| {
            to.check.timeout = statement.seconds(diagnostics);
        }),
        Keyword::new("weight", read_weight),
        Keyword::new("rise", |statement, to, diagnostics| {
            to.check.rise = statement.number(1, i64::from(i32::MAX), "3", diagnostics);
        }),
        Keyword::new("fall", |statement, to, diagnostics| {
            to.check.fall = statement.number(1, i64::from(i32::MAX), "3", diagnostics);
        }),
        Keyword::new("user", |statement, to, diagnostics| {
            to.user = UserName::of(statement, diagnostics).or(to.user.take());
        }),
        Keyword::new("init_fail", |statement, to, _| {
            to.check.init_fail = Some(Spanned::new(true, statement.keyword.span));
        }),
    ]],
    unsupported: &[],
};

/// What the block says before it is put together.
#[derive(Default)]
pub(super) struct Parts {
    check: CheckParts,
    reverse: bool,
    line: Option<Spanned<String>>,
    user: Option<Spanned<UserName>>,
}

pub(super) fn read(
    statement: &Statement,
    globals: &Globals,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
) {
    let before = diagnostics.errors();
    let Some(name) = statement.argument("chk_proxy", diagnostics) else {
        return;
    };
    let name = Spanned::new(name.text.clone(), name.span);
    let check = body(statement, diagnostics).and_then(|block| read_block(&name, block, globals, diagnostics));
    match check {
        Some(check) if diagnostics.errors() == before => draft.checks.push(check),
        _ => draft.broken.push(name.value),
    }
}

fn read_block(
    name: &Spanned<String>,
    block: &Block,
    globals: &Globals,
    diagnostics: &mut Diagnostics,
) -> Option<CheckDraft> {
    let mut parts = Parts::default();
    BLOCK.read(block, &mut parts, diagnostics);
    let config = parts.check.build(name, Format::Keepalived, diagnostics);
    let script = read_line(parts.line.as_ref(), name, diagnostics);
    let script = match script {
        Some(script) => globals.scripts.apply(script, parts.user.as_ref(), diagnostics),
        None => {
            // What is wrong with the user is told all the same.
            parts.user.map(|user| user.value.find(user.span, diagnostics));
            None
        }
    };
    let (config, script, line) = (config?, script?, parts.line?);
    Some(CheckDraft {
        name: name.clone(),
        source: CheckSource::Probe(config, Arc::new(script)),
        script: Some(ScriptDraft {
            line: line.value,
            at: line.span,
            shell: false,
            used: ScriptUse::Check,
        }),
        reverse: parts.reverse,
        format: Format::Keepalived,
    })
}

fn read_line(
    line: Option<&Spanned<String>>,
    name: &Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Script> {
    const EXAMPLE: &str = "`script \"/path/to/program\"`";
    let Some(line) = line else {
        diagnostics.push(
            Diagnostic::error("`script` is missing")
                .at(name.span)
                .help(format!("add {EXAMPLE}")),
        );
        return None;
    };
    match Script::from_words(&line.value) {
        Ok(script) => Some(script),
        Err(error) => {
            let help = match error {
                ScriptError::Empty => format!("write {EXAMPLE}"),
                _ => "close it; a line with pipes or variables belongs in a script of its own".to_owned(),
            };
            diagnostics.push(Diagnostic::error(error.to_string()).at(line.span).help(help));
            None
        }
    }
}

fn read_weight(statement: &Statement, to: &mut Parts, diagnostics: &mut Diagnostics) {
    let Some(word) = statement.words.first() else {
        statement.argument("-20", diagnostics);
        return;
    };
    to.check.weight = arguments::weight_within(word, 253, diagnostics);
    to.reverse = arguments::track_options(&statement.words[1..], 253, diagnostics).reverse;
}

/// One quoted word, or several words, which keepalived joins.
fn command_line(statement: &Statement) -> Option<Spanned<String>> {
    let first = statement.words.first()?;
    let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
    let last = statement.words.last()?;
    Some(Spanned::new(words.join(" "), first.span.to(last.span)))
}
