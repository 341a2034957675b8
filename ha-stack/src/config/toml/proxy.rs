//! `[[upstream]]` and `[[proxy]]`.

use std::net::SocketAddr;
use std::time::Duration;

use ::toml::de::{DeTable, DeValue};
use lb_proxy::balance::{BackendConfig, ConfigError, Strategy, UpstreamConfig};
use lb_proxy::proxy::{ForwardedPolicy, HostPolicy};

use super::backend_life::{self, UpstreamLife};
use super::keys::Entry;
use super::reader::Table;
use super::{upstream_check, values};
use crate::config::draft::UpstreamDraft;
use crate::config::proxy::{ProxyDraft, ProxySettings};
use crate::config::{Diagnostic, Diagnostics, FileId, Span, Spanned};

pub(super) const UPSTREAM_KEYS: &[Entry] = &[
    Entry::new("name", "string", "Name that proxies use it by. Required."),
    Entry::new(
        "strategy",
        "\"weighted\", \"nginx-weighted\" or \"round-robin\"",
        "How the next backend is chosen. Default: \"weighted\".",
    ),
    Entry::new(
        "backends",
        "array of addresses with ports",
        "Backends with nothing more to say.",
    ),
    Entry::new("backend", "array of tables", "Backends: `[[upstream.backend]]`."),
    Entry::new(
        "panic",
        "true or false",
        "Whether all backends are used when none is up. Default: true; nginx answers 502 then.",
    ),
    Entry::new(
        "queue",
        "0 to 1000000",
        "Requests that may wait while every backend has `max_conns`. Default: 0.",
    ),
    Entry::new("queue_timeout", "time", "Longest such wait. Default: \"60s\"."),
    Entry::new(
        "fail_statuses",
        "array of statuses, 100 to 599",
        "Answers that count as failures besides errors and timeouts. Default: none.",
    ),
    Entry::new(
        "consecutive_fails",
        "0 or more",
        "Failures with no success between them that eject a backend; 0 for never. Default: 0.",
    ),
    Entry::new(
        "fail_ratio",
        "0 to 100",
        "Failures in percent of its requests that eject a backend; 0 for never. Default: 0.",
    ),
    Entry::new(
        "fail_volume",
        "0 or more",
        "Requests from which on `fail_ratio` counts. Default: 20.",
    ),
    Entry::new(
        "fail_window",
        "time",
        "Time over which `fail_ratio` is taken. Default: \"10s\".",
    ),
    Entry::new(
        "base_ejection",
        "time",
        "For how long a backend is ejected the first time. Default: its `fail_timeout`.",
    ),
    Entry::new(
        "max_ejection",
        "time",
        "Up to which time ejections in a row double. Default: \"5m\".",
    ),
    Entry::new(
        "max_ejected_percent",
        "0 to 100",
        "Backends that may be ejected at a time, one always. Default: 50.",
    ),
    Entry::new(
        "keep_last",
        "true or false",
        "Whether the last backend that is up is never ejected. Default: true.",
    ),
    Entry::new(
        "check",
        "table",
        "How all backends are asked whether they are well: `[upstream.check]`. Default: not at all.",
    ),
];

pub(super) const BACKEND_KEYS: &[Entry] = &[
    Entry::new("name", "string", "Its name in the status. Default: the address."),
    Entry::new("address", "address with port", "Where it listens. Required."),
    Entry::new("weight", "0 to 65535", "Its share of the requests. Default: 1."),
    Entry::new(
        "max_fails",
        "0 or more",
        "Failures within `fail_timeout` after which it rests so long; 0 for never. Default: 1.",
    ),
    Entry::new("fail_timeout", "time", "Default: \"10s\"."),
    Entry::new(
        "max_conns",
        "0 or more",
        "Requests that it may have under way; 0 for any number. Default: 0.",
    ),
    Entry::new(
        "slow_start",
        "time",
        "Time over which its share grows when it comes back after a failure. Default: \"0s\".",
    ),
    Entry::new(
        "spare",
        "true or false",
        "Whether it is used while no other can be. Default: false.",
    ),
    Entry::new(
        "down",
        "true or false",
        "Whether it is never used. Default: false.",
    ),
    Entry::new(
        "drain",
        "true or false",
        "Whether only requests that stick to it come. Default: false.",
    ),
    Entry::new(
        "check",
        "name",
        "A check that must be up for it to get requests, instead of `[upstream.check]`.",
    ),
];

pub(super) const PROXY_KEYS: &[Entry] = &[
    Entry::new(
        "name",
        "string",
        "Its name in logs and in the status. Default: that of its upstream.",
    ),
    Entry::new(
        "listen",
        "array of addresses with ports",
        "Where it listens. Required.",
    ),
    Entry::new(
        "upstream",
        "name",
        "Where requests go. Default: the only one there is.",
    ),
    Entry::new("workers", "1 to 256", "Threads. Default: one a core."),
    Entry::new(
        "freebind",
        "true or false",
        "Whether to listen on an address that the host doesn't have. Default: true for a virtual address of this node.",
    ),
    Entry::new(
        "host",
        "\"preserve\" or \"upstream\"",
        "The Host header that backends see. Default: \"preserve\".",
    ),
    Entry::new(
        "fixed_host",
        "string",
        "The Host header that backends see, whatever was asked for.",
    ),
    Entry::new(
        "forwarded",
        "\"append\", \"replace\" or \"remove\"",
        "What becomes of the Forwarded and X-Forwarded headers. Default: \"append\".",
    ),
    Entry::new(
        "websocket",
        "true or false",
        "Whether a connection may be upgraded. Default: true.",
    ),
    Entry::new("connect_timeout", "time", "Default: \"5s\"."),
    Entry::new("read_timeout", "time", "Longest silence of a backend."),
    Entry::new("send_timeout", "time", "Longest wait to send to a backend."),
    Entry::new(
        "keepalive_timeout",
        "time",
        "Longest rest of a client between two requests.",
    ),
    Entry::new("max_body", "octets", "Largest body of a request."),
    Entry::new(
        "retry_tries",
        "1 to 64",
        "Backends tried for one request. Default: 3.",
    ),
    Entry::new(
        "upstream_keepalive",
        "0 to 65536",
        "Connections to backends kept at rest by a worker. Default: 64.",
    ),
];

pub(super) fn read_upstream(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    mentioned: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) -> Option<UpstreamDraft> {
    let mut table = Table::new(table, file, at, "[[upstream]]", UPSTREAM_KEYS, diagnostics);
    let name = table.required("name", "\"app\"", values::name);
    let strategy = table.optional("strategy", |value| {
        let choices = [
            ("weighted", Strategy::Weighted),
            ("nginx-weighted", Strategy::NginxWeighted),
            ("round-robin", Strategy::RoundRobin),
        ];
        values::choice(value, &choices)
    });
    let mut backends = Vec::new();
    let mut checks = Vec::new();
    for address in table.list("backends", values::socket) {
        let backend = BackendConfig::new(address.value.to_string(), address.value);
        backends.push(Spanned::new(backend, address.span));
    }
    read_backends(&mut table, &mut backends, &mut checks);
    let life = UpstreamLife::read(&mut table);
    let check = read_check(&mut table, name.as_ref());
    if check.as_ref().is_some_and(|(_, mandatory)| *mandatory) {
        for backend in &mut backends {
            // One with a check of its own has its word on that, too.
            if checks.iter().all(|(id, _)| backend.value.id().as_str() != id) {
                backend.value = backend.value.clone().mandatory(true);
            }
        }
    }
    let strategy = strategy.map_or_else(Strategy::default, |strategy| strategy.value);
    let built = name.and_then(|name| {
        let config = build_upstream(&mut table, &name, strategy, &life, backends)?;
        Some((name, config))
    });
    let Some((name, config)) = built else {
        mentioned.extend(checks.into_iter().map(|(_, check)| check.value));
        return None;
    };
    Some(UpstreamDraft {
        name,
        config,
        check: check.map(|(check, _)| check),
        checks,
    })
}

fn read_check(table: &mut Table<'_, '_>, name: Option<&Spanned<String>>) -> Option<upstream_check::Read> {
    let file = table.file();
    let value = table.raw("check")?;
    let at = file.span(value.span());
    let DeValue::Table(check) = value.get_ref() else {
        table.tell(
            Diagnostic::error("`check` is a section")
                .at(at)
                .help("write `[upstream.check]` and its keys below; a check by name is a key of a backend"),
        );
        return None;
    };
    // What else is wrong is told even where there is no name.
    let unnamed = Spanned::new("upstream".to_owned(), at);
    upstream_check::read(check, name.unwrap_or(&unnamed), file, at, table.diagnostics())
}

/// Builds it, and tells everything that is wrong with its backends together.
fn build_upstream(
    table: &mut Table<'_, '_>,
    name: &Spanned<String>,
    strategy: Strategy,
    life: &UpstreamLife,
    mut backends: Backends,
) -> Option<UpstreamConfig> {
    for _ in 0..Diagnostics::MAX_TOGETHER {
        let builder = UpstreamConfig::builder(name.value.as_str())
            .strategy(strategy)
            .backends(backends.iter().map(|one| one.value.clone()));
        let error = match life.apply(builder).build() {
            Ok(config) => return table.is_sound().then_some(config),
            Err(error) => error,
        };
        // The builder tells of one thing at a time: each is left out then, to find the next.
        let culprit = match &error {
            ConfigError::DuplicateId { id } | ConfigError::PortZero { id } => {
                backends.iter().rposition(|one| one.value.id() == id)
            }
            _ => None,
        };
        // Those that it lacks may be what was wrong.
        if error != ConfigError::NoPrimary || table.is_sound() {
            let key = match &error {
                ConfigError::ZeroWindow => table.span_of("fail_window"),
                _ => None,
            };
            let at = culprit.map(|index| backends[index].span).or(key);
            let at = at.unwrap_or(name.span);
            table.tell(upstream_error(&error, at));
        }
        backends.remove(culprit?);
    }
    None
}

type Backends = Vec<Spanned<BackendConfig>>;
/// Backend id and the name of its check.
type BackendChecks = Vec<(String, Spanned<String>)>;

fn read_backends(table: &mut Table<'_, '_>, backends: &mut Backends, checks: &mut BackendChecks) {
    let file = table.file();
    let Some(value) = table.raw("backend") else {
        return;
    };
    let DeValue::Array(array) = value.get_ref() else {
        table.tell(not_a_backend(file.span(value.span())));
        return;
    };
    for element in array {
        let at = file.span(element.span());
        let DeValue::Table(backend) = element.get_ref() else {
            table.tell(not_a_backend(at));
            continue;
        };
        let mut backend = Table::new(
            backend,
            file,
            at,
            "[[upstream.backend]]",
            BACKEND_KEYS,
            table.diagnostics(),
        );
        backends.extend(read_backend(&mut backend, checks));
    }
}

fn not_a_backend(at: Span) -> Diagnostic {
    Diagnostic::error("`backend` is a section")
        .at(at)
        .help("write `[[upstream.backend]]` and its keys below, or `backends = [\"192.0.2.20:8080\"]`")
}

fn read_backend(table: &mut Table<'_, '_>, checks: &mut BackendChecks) -> Option<Spanned<BackendConfig>> {
    let name = table.optional("name", values::name);
    let address = table.required("address", "\"192.0.2.20:8080\"", values::socket);
    let weight = table.optional("weight", |value| values::integer::<u16>(value, 0, 65_535));
    let max_fails = table.optional("max_fails", |value| {
        values::integer(value, 0, i64::from(u32::MAX))
    });
    let fail_timeout = table.optional("fail_timeout", values::duration);
    let spare = table.optional("spare", values::boolean);
    let down = table.optional("down", values::boolean);
    let check = table.optional("check", values::name);
    let address = address?;
    let (id, span) = match name {
        Some(name) => (name.value, name.span),
        None => (address.value.to_string(), address.span),
    };
    checks.extend(check.map(|check| (id.clone(), check)));
    let mut backend = BackendConfig::new(id, address.value);
    if let Some(weight) = weight {
        backend = backend.weight(weight.value);
    }
    if let Some(max_fails) = max_fails {
        backend = backend.max_fails(max_fails.value);
    }
    if let Some(fail_timeout) = fail_timeout {
        backend = backend.fail_timeout(fail_timeout.value);
    }
    if let Some(spare) = spare {
        backend = backend.spare(spare.value);
    }
    if let Some(down) = down {
        backend = backend.down(down.value);
    }
    let backend = backend_life::read_backend(table, backend);
    Some(Spanned::new(backend, span))
}

fn upstream_error(error: &ConfigError, at: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.to_string()).at(at);
    match error {
        ConfigError::NoPrimary => diagnostic
            .help("add `backends = [\"192.0.2.20:8080\"]`, or `[[upstream.backend]]` with an `address`"),
        ConfigError::DuplicateId { .. } => diagnostic.help("give each a `name` of its own"),
        ConfigError::ZeroWindow => diagnostic.help("write one such as `fail_window = \"10s\"`"),
        ConfigError::PortZero { .. } => diagnostic.help("write the port that the backend listens on"),
        _ => diagnostic,
    }
}

pub(super) fn read_proxy(
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    diagnostics: &mut Diagnostics,
) -> Option<ProxyDraft> {
    let mut table = Table::new(table, file, at, "[[proxy]]", PROXY_KEYS, diagnostics);
    let name = table.optional("name", values::name);
    if table.raw("listen").is_none() {
        table.required::<()>("listen", "\"0.0.0.0:80\"", |_| Ok(()));
    }
    let listen = table.list("listen", values::socket);
    let upstream = table.optional("upstream", values::name);
    if let (Some(span), true, true) = (table.span_of("listen"), listen.is_empty(), table.is_sound()) {
        table.tell(
            Diagnostic::error("a proxy that listens nowhere")
                .at(span)
                .help("write `listen = \"0.0.0.0:80\"`"),
        );
    }
    let settings = read_settings(&mut table, &listen);
    let named = name.is_some();
    let name = name.unwrap_or_else(|| Spanned::new("proxy".to_owned(), at));
    check_settings(&mut table, settings.clone(), &listen);
    table.is_sound().then_some(ProxyDraft {
        name,
        named,
        listen,
        upstream,
        settings,
    })
}

fn read_settings(table: &mut Table<'_, '_>, listen: &[Spanned<SocketAddr>]) -> ProxySettings {
    let mut time = |key: &str| table.optional(key, values::duration).map(|one| one.value);
    let connect_timeout: Option<Duration> = time("connect_timeout");
    let read_timeout = time("read_timeout");
    let send_timeout = time("send_timeout");
    let keepalive_timeout = time("keepalive_timeout");
    let host = table.optional("host", |value| {
        let choices = [("preserve", false), ("upstream", true)];
        values::choice(value, &choices).map_err(|mut wrong| {
            wrong
                .help
                .push_str("; a fixed one is `fixed_host = \"www.example.org\"`");
            wrong
        })
    });
    let fixed_host = table.optional("fixed_host", values::text);
    let host = match (fixed_host, host) {
        (Some(fixed), Some(_)) => {
            table.tell(
                Diagnostic::error("`host` and `fixed_host` in one proxy")
                    .at(fixed.span)
                    .help("leave one of them out"),
            );
            None
        }
        (Some(fixed), None) => Some(HostPolicy::Fixed(fixed.value)),
        (None, Some(host)) if host.value => Some(HostPolicy::Upstream),
        (None, _) => None,
    };
    let forwarded = table.optional("forwarded", |value| {
        let choices = [
            ("append", ForwardedPolicy::Append),
            ("replace", ForwardedPolicy::Replace),
            ("remove", ForwardedPolicy::Remove),
        ];
        values::choice(value, &choices)
    });
    ProxySettings {
        listen: listen.iter().map(|one| one.value).collect(),
        workers: table
            .optional("workers", |value| values::integer(value, 1, 256))
            .map(|one| one.value),
        freebind: table.optional("freebind", values::boolean).map(|one| one.value),
        host,
        forwarded: forwarded.map(|one| one.value),
        websocket: table.optional("websocket", values::boolean).map(|one| one.value),
        connect_timeout,
        read_timeout,
        send_timeout,
        keepalive_timeout,
        max_body: table
            .optional("max_body", |value| values::integer(value, 0, i64::MAX))
            .map(|one| one.value),
        retry_tries: table
            .optional("retry_tries", |value| values::integer(value, 1, 64))
            .map(|one| one.value),
        upstream_keepalive: table
            .optional("upstream_keepalive", |value| values::integer(value, 0, 65_536))
            .map(|one| one.value),
    }
}

/// What only lb-proxy knows to be wrong, told at its place before the upstream is known.
///
/// It tells of one thing at a time: each is left out then, to find the next.
fn check_settings(table: &mut Table<'_, '_>, mut settings: ProxySettings, listen: &[Spanned<SocketAddr>]) {
    use lb_proxy::balance::Upstream;
    use lb_proxy::proxy::ConfigError;

    let backend = BackendConfig::new("any", SocketAddr::from(([127, 0, 0, 1], 1)));
    let Ok(any) = UpstreamConfig::builder("any").backend(backend).build() else {
        return;
    };
    let any = Upstream::new(any);
    for _ in 0..Diagnostics::MAX_TOGETHER {
        let Err(error) = settings.build(any.clone()) else {
            return;
        };
        let span = match &error {
            ConfigError::DuplicateListen(address) => listen
                .iter()
                .rfind(|one| one.value == *address)
                .map(|one| one.span),
            ConfigError::ZeroTimeout(key) | ConfigError::LongTimeout(key) => table.span_of(key),
            ConfigError::OutOfRange { name, .. } => table.span_of(name),
            ConfigError::Host { .. } => table.span_of("fixed_host"),
            _ => None,
        };
        let diagnostic = Diagnostic::error(error.to_string()).at(span.unwrap_or(table.at()));
        table.tell(diagnostic);
        if !settings.leave_out(&error) {
            return;
        }
    }
}
