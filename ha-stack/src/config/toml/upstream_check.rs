//! `[upstream.check]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::toml::de::DeTable;
use ha_health::probe::Http;

use super::check::{build_http, read_times};
use super::keys::Entry;
use super::reader::Table;
use super::values;
use crate::UpstreamCheck;
use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, FileId, Span, Spanned};

/// Any will do to see whether a request can be made.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

pub(super) const KEYS: &[Entry] = &[
    Entry::new(
        "http",
        "path",
        "An HTTP/1.1 request for this path. One of the probes.",
    ),
    Entry::new("tcp", "true", "A TCP connection. One of the probes."),
    Entry::new(
        "port",
        "1 to 65535",
        "The port that is asked. Default: that of the backend.",
    ),
    Entry::new(
        "interval",
        "time",
        "Between the starts of two probes. Default: \"2s\".",
    ),
    Entry::new(
        "fast_interval",
        "time",
        "The same while a count of `rise` or `fall` is under way. Default: \"500ms\".",
    ),
    Entry::new(
        "down_interval",
        "time",
        "The same while it is down, but for that. Default: the interval.",
    ),
    Entry::new(
        "jitter",
        "0 to 50",
        "By how many percent an interval may be shorter or longer, by chance. Default: 20.",
    ),
    Entry::new(
        "timeout",
        "time",
        "After which a probe has failed. Default: \"1s\".",
    ),
    Entry::new(
        "rise",
        "1 or more",
        "Successes in a row that make it up. Default: 2.",
    ),
    Entry::new(
        "fall",
        "1 or more",
        "Failures in a row that make it down. Default: 3.",
    ),
    Entry::new(
        "mandatory",
        "true or false",
        "Whether a backend gets no requests before its check has passed for the first time. Default: false.",
    ),
    Entry::new("method", "string", "With `http`. Default: \"GET\"."),
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

const HTTP_KEYS: [&str; 7] = [
    "method",
    "host",
    "status",
    "body",
    "max_body",
    "headers",
    "keep_alive",
];

/// A check of backends, and whether it is mandatory that it has passed.
pub(super) type Read = (UpstreamCheck, bool);

/// Reads how the backends of the upstream `name` are asked.
pub(super) fn read(
    table: &DeTable<'_>,
    name: &Spanned<String>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<Read> {
    let mut table = Table::new(table, file, at, "[upstream.check]", KEYS, diagnostics);
    let mut parts = read_times(&mut table);
    let interval = parts
        .interval
        .map_or(Duration::from_secs(2), |interval| interval.value);
    let default = |value| Spanned::new(value, at);
    parts.interval.get_or_insert(default(interval));
    // Shorter than the interval, however short that is.
    let fast = Duration::from_millis(500).min(interval);
    parts.fast_interval.get_or_insert(default(fast));
    let timeout = Duration::from_secs(1).min(interval);
    parts.timeout.get_or_insert(default(timeout));
    parts.jitter_percent.get_or_insert(Spanned::new(20, at));
    parts.rise.get_or_insert(Spanned::new(2, at));
    parts.fall.get_or_insert(Spanned::new(3, at));
    let config = parts.build(name, Format::Toml, table.diagnostics());
    let mandatory = values::flag(&mut table, "mandatory");
    let port = table.optional("port", |value| values::integer::<u16>(value, 1, 65_535));
    let http = table.optional("http", values::text);
    let tcp = table.optional("tcp", values::boolean);
    let check = match (http, tcp) {
        (Some(path), None) => {
            let request = build_http(&mut table, Http::builder(ANYWHERE).path(path.value), "http");
            request.and_then(|(request, _)| UpstreamCheck::http(config?, request).ok())
        }
        (None, Some(tcp)) if tcp.value => {
            refuse_http_keys(&mut table);
            config.map(UpstreamCheck::tcp)
        }
        (Some(_), Some(tcp)) => {
            let two = Diagnostic::error("`http` and `tcp` in one check")
                .at(tcp.span)
                .help("leave one of them out");
            table.tell(two);
            None
        }
        (None, _) => {
            // One that is there and can't be read was told.
            if table.raw("http").is_none() && (tcp.is_some() || table.raw("tcp").is_none()) {
                let missing = Diagnostic::error("a check without a probe")
                    .at(at)
                    .help("add `http = \"/health\"` or `tcp = true`");
                table.tell(missing);
            }
            None
        }
    };
    let check = check.filter(|_| table.is_sound())?;
    let check = port.into_iter().fold(check, |check, port| check.port(port.value));
    Some((check, mandatory))
}

/// A key that means nothing with TCP was meant to do something.
fn refuse_http_keys(table: &mut Table<'_, '_>) {
    for key in HTTP_KEYS {
        if let Some(span) = table.span_of(key) {
            table.tell(
                Diagnostic::error(format!("`{key}` in a check by tcp"))
                    .at(span)
                    .help("leave it out: it belongs to `http`"),
            );
        }
    }
}
