//! `vrrp_script`.

use std::sync::Arc;
use std::time::Duration;

use ha_health::probe::{self, Script, ScriptError};
use ha_health::{CheckConfig, CheckConfigBuilder, ConfigError};
use nix::unistd::{Gid, Group, Uid, User};

use super::arguments;
use super::body;
use super::global::{Globals, unknown};
use super::tree::{Block, Statement};
use crate::config::draft::{CheckDraft, Draft, Format, ScriptDraft};
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

const SECOND: Duration = Duration::from_secs(1);
const KNOWN: [&str; 8] = [
    "script",
    "interval",
    "timeout",
    "weight",
    "rise",
    "fall",
    "user",
    "init_fail",
];

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

/// What the block says before it is put together.
struct Parts {
    builder: CheckConfigBuilder,
    reverse: bool,
    interval_at: Option<Span>,
    timeout_at: Option<Span>,
    line: Option<Spanned<String>>,
    user: Option<Spanned<(String, Option<String>)>>,
}

fn read_block(
    name: &Spanned<String>,
    block: &Block,
    globals: &Globals,
    diagnostics: &mut Diagnostics,
) -> Option<CheckDraft> {
    let mut parts = Parts {
        builder: CheckConfig::builder(name.value.as_str()),
        reverse: false,
        interval_at: None,
        timeout_at: None,
        line: None,
        user: globals.script_user.clone(),
    };
    for statement in &block.statements {
        parts = read_setting(parts, statement, diagnostics);
    }
    let config = build(&mut parts, name, diagnostics);
    let script = read_line(parts.line.as_ref(), name, diagnostics);
    let user = parts.user.map(|user| find_user(&user, diagnostics));
    let (config, mut script, line) = (config?, script?, parts.line?);
    if let Some(user) = user {
        let (uid, gid) = user?;
        if (uid, gid) != (Uid::effective(), Gid::effective()) {
            script = script.user(probe::User::new(uid.as_raw(), gid.as_raw()));
        }
    }
    Some(CheckDraft {
        name: name.clone(),
        config,
        probe: Arc::new(script),
        script: Some(ScriptDraft {
            line: line.value,
            at: line.span,
            shell: false,
        }),
        reverse: parts.reverse,
        format: Format::Keepalived,
    })
}

/// The builder tells of one thing at a time: each is made good then, to find the next.
fn build(parts: &mut Parts, name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<CheckConfig> {
    let mut sound = true;
    loop {
        let builder = parts.builder.clone();
        let error = match builder.clone().build() {
            Ok(config) => return sound.then_some(config),
            Err(error) => error,
        };
        let (span, good) = match error {
            ConfigError::IntervalOutOfRange { .. } => (parts.interval_at, Some(builder.interval(SECOND))),
            ConfigError::TimeoutOutOfRange { .. } => (parts.timeout_at, Some(builder.timeout(SECOND))),
            _ => (None, None),
        };
        diagnostics.push(
            Diagnostic::error(error.to_string())
                .at(span.unwrap_or(name.span))
                .help("write seconds, such as 1 or 0.5"),
        );
        parts.builder = good?;
        sound = false;
    }
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

fn read_setting(mut parts: Parts, statement: &Statement, diagnostics: &mut Diagnostics) -> Parts {
    let keyword = statement.keyword.text.as_str();
    match keyword {
        "script" => {
            parts.line = command_line(statement).or_else(|| {
                statement.argument("\"/path/to/program\"", diagnostics);
                None
            });
        }
        "interval" => {
            if let Some(time) = statement.seconds(diagnostics) {
                parts.builder = parts.builder.interval(time.value);
                parts.interval_at = Some(time.span);
            }
        }
        "timeout" => {
            if let Some(time) = statement.seconds(diagnostics) {
                parts.builder = parts.builder.timeout(time.value);
                parts.timeout_at = Some(time.span);
            }
        }
        "weight" => match statement.words.first() {
            Some(word) => {
                let weight = arguments::weight(word, diagnostics);
                parts.builder = weight.map_or(parts.builder.clone(), |one| parts.builder.weight(one.value));
                parts.reverse = arguments::track_options(&statement.words[1..], diagnostics).reverse;
            }
            None => {
                statement.argument("-20", diagnostics);
            }
        },
        "rise" => {
            let rise = statement.number::<u32>(1, i64::from(i32::MAX), "3", diagnostics);
            parts.builder = rise.map_or(parts.builder.clone(), |one| parts.builder.rise(one.value));
        }
        "fall" => {
            let fall = statement.number::<u32>(1, i64::from(i32::MAX), "3", diagnostics);
            parts.builder = fall.map_or(parts.builder.clone(), |one| parts.builder.fall(one.value));
        }
        "init_fail" => parts.builder = parts.builder.init_fail(true),
        "user" => match statement.words.first() {
            Some(user) => {
                let group = statement.words.get(1).map(|group| group.text.clone());
                parts.user = Some(Spanned::new((user.text.clone(), group), statement.span()));
            }
            None => {
                statement.argument("nobody", diagnostics);
            }
        },
        _ => diagnostics.push(unknown(keyword, "vrrp_script", &KNOWN).at(statement.keyword.span)),
    }
    parts
}

/// One quoted word, or several words, which keepalived joins.
fn command_line(statement: &Statement) -> Option<Spanned<String>> {
    let first = statement.words.first()?;
    let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
    let last = statement.words.last()?;
    Some(Spanned::new(words.join(" "), first.span.to(last.span)))
}

fn find_user(user: &Spanned<(String, Option<String>)>, diagnostics: &mut Diagnostics) -> Option<(Uid, Gid)> {
    let (name, group) = &user.value;
    let mut missing = |what: &str, name: &str| {
        diagnostics.push(
            Diagnostic::error(format!("there is no {what} `{name}` on this host"))
                .at(user.span)
                .help("create it, or name another"),
        );
    };
    let Some(found) = User::from_name(name).ok().flatten() else {
        missing("user", name);
        return None;
    };
    let Some(group) = group else {
        return Some((found.uid, found.gid));
    };
    match Group::from_name(group).ok().flatten() {
        Some(group) => Some((found.uid, group.gid)),
        None => {
            missing("group", group);
            None
        }
    }
}
