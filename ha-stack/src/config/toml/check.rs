//! `[[check]]`.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::toml::Spanned as TomlSpanned;
use ::toml::de::{DeTable, DeValue};
use ha_health::probe::{Http, HttpBuilder, HttpError, Method, Probe, Script, ScriptError, Tcp};
use ha_health::{CheckConfig, Weight};

use super::keys::{Entry, entries};
use super::notify;
use super::reader::{Table, Wrong};
use super::values;
use super::watch::{FILE_KEYS, PROCESS_KEYS};
use crate::config::checks::CheckParts;
use crate::config::draft::{CheckDraft, CheckSource, ScriptDraft, ScriptUse};
use crate::config::format::Format;
use crate::config::watch::{FileParts, ProcessParts, file_source, process_source};
use crate::config::{Diagnostic, Diagnostics, FileId, Span, Spanned};

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
pub(super) const KEYS: &[Entry] = &[
    Entry::new("name", "string", "Name that others track it by. Required."),
    Entry::new(
        "script",
        "command line",
        "A program; exit status 0 is up. One of the probes.",
    ),
    Entry::new(
        "http",
        "address with port",
        "An HTTP/1.1 request. One of the probes.",
    ),
    Entry::new("tcp", "address with port", "A TCP connection. One of the probes."),
    Entry::new(
        "interval",
        "time",
        "Between the starts of two probes. Default: \"1s\".",
    ),
    Entry::new(
        "fast_interval",
        "time",
        "The same while a count of `rise` or `fall` is under way. Default: the interval.",
    ),
    Entry::new(
        "down_interval",
        "time",
        "The same while it is down, but for that. Default: the interval.",
    ),
    Entry::new(
        "jitter",
        "0 to 50",
        "By how many percent an interval may be shorter or longer, by chance. Default: 0.",
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
    Entry::new(
        "user",
        "\"user\" or \"user:group\"",
        "With `script`: who runs it. Default: the user of this process.",
    ),
    Entry::new(
        "secure",
        "true or false",
        "With `script`: whether one that others than root can change is not run as root. Default: false.",
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
    Entry::new(
        "max_body",
        "octets",
        "With `http`: how much of the body is read. Default: 65536.",
    ),
    Entry::new(
        "headers",
        "table of strings",
        "With `http`: further headers, as in { Authorization = \"Basic …\" }. Default: none.",
    ),
    Entry::new(
        "keep_alive",
        "true or false",
        "With `http`: whether the connection is kept for the next probe. Default: false.",
    ),
];
/// What says how a target is asked; one of them.
const PROBES: [&str; 5] = ["script", "http", "tcp", "process", "file"];
const HTTP_KEYS: [&str; 8] = [
    "method",
    "path",
    "host",
    "status",
    "body",
    "max_body",
    "headers",
    "keep_alive",
];

/// All keys of the section, with headings.
pub(super) fn groups() -> [(&'static str, Vec<Entry>); 3] {
    [
        ("Check", KEYS.to_vec()),
        ("Processes", entries(PROCESS_KEYS).collect()),
        ("Files", entries(FILE_KEYS).collect()),
    ]
}

pub(super) fn read(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<CheckDraft> {
    let known: Vec<Entry> = groups().into_iter().flat_map(|(_, entries)| entries).collect();
    let mut table = Table::new(table, file, at, "[[check]]", &known, diagnostics);
    let name = table.required("name", "\"proxy\"", values::name);
    let mut parts = read_parts(&mut table);
    let read = match read_kind(&mut table) {
        Some("process") => read_process(&mut table, name.as_ref(), &mut parts),
        Some("file") => read_file(&mut table, name.as_ref(), &parts),
        kind => {
            let config = name
                .as_ref()
                .and_then(|name| parts.build(name, Format::Toml, table.diagnostics()));
            let probe = kind.and_then(|kind| read_probe(&mut table, kind));
            probe.and_then(|(probe, script)| Some((CheckSource::Probe(config?, probe), script)))
        }
    };
    let sound = table.is_sound();
    let (name, (source, script)) = (name?, read?);
    sound.then_some(CheckDraft {
        name,
        source,
        script,
        reverse: false,
        format: Format::Toml,
    })
}

type Read = (CheckSource, Option<ScriptDraft>);

fn read_process(
    table: &mut Table<'_, '_>,
    name: Option<&Spanned<String>>,
    parts: &mut CheckParts,
) -> Option<Read> {
    let mut process = ProcessParts {
        // Here it is how often new ones are looked for.
        interval: parts.interval.take(),
        ..ProcessParts::default()
    };
    table.read(PROCESS_KEYS, &mut process);
    let process = process.build(table.diagnostics());
    let config = parts.build_watch(name?, Weight::FAULT, table.diagnostics());
    Some((process_source(config?, process?), None))
}

fn read_file(table: &mut Table<'_, '_>, name: Option<&Spanned<String>>, parts: &CheckParts) -> Option<Read> {
    let mut file = FileParts::default();
    table.read(FILE_KEYS, &mut file);
    let config = parts.build_watch(name?, Weight::FAULT, table.diagnostics());
    Some((file_source(config?, file.build()?), None))
}

fn read_parts(table: &mut Table<'_, '_>) -> CheckParts {
    // A file's value times the weight is what counts.
    let limit = match table.raw("file") {
        Some(_) => i64::from(i32::MAX),
        None if table.raw("process").is_some() => 254,
        None => 253,
    };
    CheckParts {
        init_fail: table.optional("init_fail", values::boolean),
        weight: table.optional("weight", |value| values::weight_within(value, limit)),
        ..read_times(table)
    }
}

/// Times and thresholds, which all checks have.
pub(super) fn read_times(table: &mut Table<'_, '_>) -> CheckParts {
    CheckParts {
        interval: table.optional("interval", values::duration),
        fast_interval: table.optional("fast_interval", values::duration),
        down_interval: table.optional("down_interval", values::duration),
        timeout: table.optional("timeout", values::duration),
        jitter_percent: table.optional("jitter", |value| {
            values::integer(value, 0, i64::from(CheckConfig::MAX_JITTER))
        }),
        rise: table.optional("rise", |value| values::integer(value, 1, i64::from(u32::MAX))),
        fall: table.optional("fall", |value| values::integer(value, 1, i64::from(u32::MAX))),
        ..CheckParts::default()
    }
}

type ReadProbe = (Arc<dyn Probe>, Option<ScriptDraft>);

/// The key of the probe.
fn read_kind(table: &mut Table<'_, '_>) -> Option<&'static str> {
    let given: Vec<&str> = PROBES
        .into_iter()
        .filter(|key| table.raw(key).is_some())
        .collect();
    let Some(&kind) = given.first() else {
        let missing = Diagnostic::error("a check without a probe").at(table.at()).help(
            "add `http = \"192.0.2.20:80\"`, `tcp = \"192.0.2.20:80\"`, `script = \"/path/to/program\"`, `process = \"nginx\"` or `file = \"/path\"`",
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
    Some(kind)
}

fn read_probe(table: &mut Table<'_, '_>, kind: &str) -> Option<ReadProbe> {
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
    let of = |keys: &'static [&'static str], kind: &'static str| keys.iter().map(move |key| (*key, kind));
    let process = entries(PROCESS_KEYS).map(|entry| (entry.name, "process"));
    let file = entries(FILE_KEYS).map(|entry| (entry.name, "file"));
    let others = of(&HTTP_KEYS, "http")
        .chain(of(&["shell", "user", "secure"], "script"))
        .chain(process)
        .chain(file);
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
    let unused: &[&str] = match kind {
        "process" => &["timeout", "fast_interval", "down_interval", "jitter"],
        "file" => &["interval", "timeout", "fast_interval", "down_interval", "jitter"],
        _ => &[],
    };
    for key in unused {
        if let Some(span) = table.span_of(key) {
            table.tell(
                Diagnostic::error(format!("`{key}` in a check by {kind}"))
                    .at(span)
                    .help("leave it out: a change is told at once"),
            );
        }
    }
}

fn read_script(table: &mut Table<'_, '_>) -> Option<ReadProbe> {
    let shell = table
        .optional("shell", values::boolean)
        .is_some_and(|shell| shell.value);
    let user = table.optional("user", notify::user);
    let secure = table
        .optional("secure", values::boolean)
        .is_some_and(|secure| secure.value);
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
    let script = script.secure(secure);
    let script = user
        .into_iter()
        .fold(script, |script, user| script.user(user.value));
    let draft = ScriptDraft {
        line: line.value,
        at: line.span,
        shell,
        used: ScriptUse::Check,
    };
    Some((Arc::new(script), Some(draft)))
}

fn read_http(table: &mut Table<'_, '_>) -> Option<ReadProbe> {
    let address = table.optional("http", http_address);
    // What else is wrong is told even where there is no address.
    let mut builder = Http::builder(address.map_or(ANYWHERE, |address| address.value));
    if let Some(path) = table.optional("path", values::text) {
        builder = builder.path(path.value);
    }
    let http = build_http(table, builder, "path").filter(|_| address.is_some())?;
    Some((Arc::new(http.1), None))
}

/// Makes a request of `builder` and the other keys. `path_key` is where the path stands.
pub(super) fn build_http(
    table: &mut Table<'_, '_>,
    mut builder: HttpBuilder,
    path_key: &str,
) -> Option<(HttpBuilder, Http)> {
    if let Some(method) = table.optional("method", method) {
        builder = builder.method(method.value);
    }
    if let Some(host) = table.optional("host", values::text) {
        builder = builder.host(host.value);
    }
    if let Some(body) = table.optional("body", values::text) {
        builder = builder.expect_body(body.value);
    }
    let most = i64::try_from(Http::MAX_BODY_LIMIT).unwrap_or(i64::MAX);
    if let Some(bytes) = table.optional("max_body", |value| values::integer(value, 1, most)) {
        builder = builder.max_body(bytes.value);
    }
    if let Some(keep_alive) = table.optional("keep_alive", values::boolean) {
        builder = builder.keep_alive(keep_alive.value);
    }
    for statuses in table.list("status", statuses) {
        builder = builder.expect_status(statuses.value);
    }
    let headers = table.optional("headers", headers);
    for (name, value) in headers.iter().flat_map(|headers| &headers.value) {
        builder = builder.header(name, value);
    }
    match builder.clone().build() {
        Ok(http) => Some((builder, http)),
        Err(error) => {
            let key = match error {
                HttpError::Method => "method",
                HttpError::Path => path_key,
                HttpError::Host => "host",
                HttpError::Status { .. } => "status",
                HttpError::Header { .. } => "headers",
                _ => "body",
            };
            let span = table.span_of(key).unwrap_or(table.at());
            let help = match error {
                HttpError::Method => "write \"GET\", or leave `body` out",
                HttpError::Path => "write one such as \"/health\"",
                HttpError::Host => "write one such as \"www.example.org\"",
                HttpError::Status { .. } => "write a range such as \"200-299\"",
                HttpError::Header { .. } => {
                    "write headers such as { X-Check = \"1\" }; the host is `host = \"…\"`"
                }
                _ => "write a text that the answer holds",
            };
            table.tell(Diagnostic::error(error.to_string()).at(span).help(help));
            None
        }
    }
}

/// Names and values.
fn headers(value: &DeValue<'_>) -> Result<Vec<(String, String)>, Wrong> {
    let help = "write headers such as { X-Check = \"1\" }";
    let Some(table) = value.as_table() else {
        return Err(Wrong::kind(value, help));
    };
    let header = |(name, value): (&TomlSpanned<_>, &TomlSpanned<DeValue<'_>>)| {
        let name: &Cow<'_, str> = name.get_ref();
        let text = value.get_ref().as_str();
        let text = text.ok_or_else(|| Wrong::kind(value.get_ref(), help))?;
        Ok((name.to_string(), text.to_owned()))
    };
    table.iter().map(header).collect()
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
