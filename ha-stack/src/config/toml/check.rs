//! `[[check]]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::toml::de::{DeTable, DeValue};
use ha_health::CheckConfig;
use ha_health::probe::{Http, HttpBuilder, HttpError, Method, Probe, Script, ScriptError, Tcp};

use super::keys::Entry;
use super::reader::{Table, Wrong};
use super::values;
use crate::config::checks::CheckParts;
use crate::config::draft::{CheckDraft, Format, ScriptDraft};
use crate::config::{Diagnostic, Diagnostics, FileId, Span, Spanned};

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
pub(super) const KEYS: &[Entry] = &[
    Entry::new("name", "string", "Name that others track it by. Required."),
    Entry::new(
        "script",
        "command line",
        "A program; exit status 0 is up. One of `script`, `http`, `tcp`.",
    ),
    Entry::new(
        "http",
        "address with port",
        "An HTTP/1.1 request. One of `script`, `http`, `tcp`.",
    ),
    Entry::new(
        "tcp",
        "address with port",
        "A TCP connection. One of `script`, `http`, `tcp`.",
    ),
    Entry::new(
        "interval",
        "time",
        "Between the starts of two probes. Default: \"1s\".",
    ),
    Entry::new(
        "timeout",
        "time",
        "After which a probe has failed. Default: the interval.",
    ),
    Entry::new(
        "rise",
        "1 or more",
        "Successes in a row that make it up. Default: 1.",
    ),
    Entry::new(
        "fall",
        "1 or more",
        "Failures in a row that make it down. Default: 1.",
    ),
    Entry::new(
        "init_fail",
        "true or false",
        "Whether it is down until it has risen. Default: false.",
    ),
    Entry::new(
        "weight",
        "-253 to 253",
        "Added to the priority of who tracks it while it is up, or with a minus taken off while it is down; 0 makes a failure a fault. Default: 0.",
    ),
    Entry::new(
        "shell",
        "true or false",
        "With `script`: whether `/bin/sh -c` runs the line. Default: false.",
    ),
    Entry::new("method", "string", "With `http`. Default: \"GET\"."),
    Entry::new("path", "string", "With `http`. Default: \"/\"."),
    Entry::new(
        "host",
        "string",
        "With `http`: the Host header. Default: the address.",
    ),
    Entry::new(
        "status",
        "array of 200 to 599 or \"200-299\"",
        "With `http`: statuses that are up. Default: \"200-399\".",
    ),
    Entry::new(
        "body",
        "string",
        "With `http`: what the answer's body must hold. Default: anything.",
    ),
];
/// What says how a target is asked; one of them.
const PROBES: [&str; 3] = ["script", "http", "tcp"];
const HTTP_KEYS: [&str; 5] = ["method", "path", "host", "status", "body"];

pub(super) fn read(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<CheckDraft> {
    let mut table = Table::new(table, file, at, "[[check]]", KEYS, diagnostics);
    let name = table.required("name", "\"proxy\"", values::name);
    let config = read_config(&mut table, name.as_ref());
    let probe = read_probe(&mut table);
    let sound = table.is_sound();
    let (name, config, (probe, script)) = (name?, config?, probe?);
    sound.then_some(CheckDraft {
        name,
        config,
        probe,
        script,
        reverse: false,
        format: Format::Toml,
    })
}

fn read_config(table: &mut Table<'_, '_>, name: Option<&Spanned<String>>) -> Option<CheckConfig> {
    let parts = CheckParts {
        interval: table.optional("interval", values::duration),
        timeout: table.optional("timeout", values::duration),
        rise: table.optional("rise", |value| values::integer(value, 1, i64::from(u32::MAX))),
        fall: table.optional("fall", |value| values::integer(value, 1, i64::from(u32::MAX))),
        init_fail: table.optional("init_fail", values::boolean),
        weight: table.optional("weight", values::weight),
    };
    parts.build(name?, Format::Toml, table.diagnostics())
}

type ReadProbe = (Arc<dyn Probe>, Option<ScriptDraft>);

fn read_probe(table: &mut Table<'_, '_>) -> Option<ReadProbe> {
    let given: Vec<&str> = PROBES
        .into_iter()
        .filter(|key| table.raw(key).is_some())
        .collect();
    let Some(&kind) = given.first() else {
        let missing = Diagnostic::error("a check without a probe").at(table.at()).help(
            "add `http = \"192.0.2.20:80\"`, `tcp = \"192.0.2.20:80\"` or `script = \"/path/to/program\"`",
        );
        table.tell(missing);
        return None;
    };
    if let Some(second) = given.get(1) {
        let span = table.span_of(second).unwrap_or(table.at());
        let two = Diagnostic::error(format!("`{kind}` and `{second}` in one check"))
            .at(span)
            .help("write one check for each");
        table.tell(two);
        return None;
    }
    refuse_keys_of_others(table, kind);
    match kind {
        "script" => read_script(table),
        "http" => read_http(table),
        _ => {
            let address = table.optional("tcp", values::socket)?;
            Some((Arc::new(Tcp::new(address.value)), None))
        }
    }
}

/// A key that means nothing with this kind of probe was meant to do something.
fn refuse_keys_of_others(table: &mut Table<'_, '_>, kind: &str) {
    let others = HTTP_KEYS
        .iter()
        .map(|key| (*key, "http"))
        .chain([("shell", "script")]);
    for (key, of) in others {
        if of == kind {
            continue;
        }
        if let Some(span) = table.span_of(key) {
            table.tell(
                Diagnostic::error(format!("`{key}` in a check by {kind}"))
                    .at(span)
                    .help(format!("leave it out: it belongs to `{of}`")),
            );
        }
    }
}

fn read_script(table: &mut Table<'_, '_>) -> Option<ReadProbe> {
    let shell = table
        .optional("shell", values::boolean)
        .is_some_and(|shell| shell.value);
    let line = table.optional("script", values::text)?;
    let script = if shell {
        Script::shell(line.value.as_str())
    } else {
        match Script::from_words(&line.value) {
            Ok(script) => script,
            Err(error) => {
                let help = match error {
                    ScriptError::Empty => "write `script = \"/path/to/program\"`",
                    _ => "close it, or write `shell = true` if a shell shall read the line",
                };
                table.tell(Diagnostic::error(error.to_string()).at(line.span).help(help));
                return None;
            }
        }
    };
    let draft = ScriptDraft {
        line: line.value,
        at: line.span,
        shell,
    };
    Some((Arc::new(script), Some(draft)))
}

fn read_http(table: &mut Table<'_, '_>) -> Option<ReadProbe> {
    let address = table.optional("http", http_address);
    // What else is wrong is told even where there is no address.
    let mut builder = Http::builder(address.map_or(ANYWHERE, |address| address.value));
    if let Some(method) = table.optional("method", method) {
        builder = builder.method(method.value);
    }
    if let Some(path) = table.optional("path", values::text) {
        builder = builder.path(path.value);
    }
    if let Some(host) = table.optional("host", values::text) {
        builder = builder.host(host.value);
    }
    if let Some(body) = table.optional("body", values::text) {
        builder = builder.expect_body(body.value);
    }
    for statuses in table.list("status", statuses) {
        builder = builder.expect_status(statuses.value);
    }
    build_http(table, builder).filter(|_| address.is_some())
}

fn build_http(table: &mut Table<'_, '_>, builder: HttpBuilder) -> Option<ReadProbe> {
    match builder.build() {
        Ok(http) => Some((Arc::new(http), None)),
        Err(error) => {
            let key = match error {
                HttpError::Method => "method",
                HttpError::Path => "path",
                HttpError::Host => "host",
                HttpError::Status { .. } => "status",
                _ => "body",
            };
            let span = table.span_of(key).unwrap_or(table.at());
            let help = match error {
                HttpError::Method => "write \"GET\", or leave `body` out",
                HttpError::Path => "write one such as \"/health\"",
                HttpError::Host => "write one such as \"www.example.org\"",
                HttpError::Status { .. } => "write a range such as \"200-299\"",
                _ => "write a text that the answer holds",
            };
            table.tell(Diagnostic::error(error.to_string()).at(span).help(help));
            None
        }
    }
}

/// An address; a URL is refused with what to write.
fn http_address(value: &DeValue<'_>) -> Result<SocketAddr, Wrong> {
    values::socket(value).map_err(|wrong| match value.as_str() {
        Some(text) if text.starts_with("http://") || text.starts_with("https://") => {
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            Wrong::new(
                format!("{text:?} is a URL"),
                format!(
                    "write the address \"{authority}\" with its port, and `path = \"/{path}\"` beside it"
                ),
            )
        }
        _ => wrong,
    })
}

fn method(value: &DeValue<'_>) -> Result<Method, Wrong> {
    let text = values::text(value)?;
    Method::from_bytes(text.as_bytes())
        .map_err(|_| Wrong::new(format!("{text:?} is not a method"), "write \"GET\" or \"HEAD\""))
}

/// `200`, `"200-299"`.
fn statuses(value: &DeValue<'_>) -> Result<RangeInclusive<u16>, Wrong> {
    if value.is_integer() {
        let status = values::integer(value, 200, 599)?;
        return Ok(status..=status);
    }
    let help = "write a status such as 200, or a range such as \"200-299\"";
    let Some(text) = value.as_str() else {
        return Err(Wrong::kind(value, help));
    };
    let range = text.split_once('-').and_then(|(from, to)| {
        let from = from.trim().parse().ok()?;
        Some(from..=to.trim().parse().ok()?)
    });
    range.ok_or_else(|| Wrong::new(format!("{text:?} is not a range of statuses"), help))
}
