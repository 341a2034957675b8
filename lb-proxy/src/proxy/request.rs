//! Whether a request may pass, and the head that its backend gets in its place.
//!
//! The codec has split the head by RFC 9112; what the RFC leaves to a proxy is checked here, and the head is written
//! anew. So a backend only ever sees requests of one form: HTTP/1.1, an origin-form target, one valid `Host`, no
//! hop-by-hop field, and at most one framing.

use super::answer::Reason;
use super::config::ProxyConfig;
use super::forwarded::{self, ClientName};
use super::host;
use super::policy::HostPolicy;
use crate::h1::{self, Body, Field, FramingError};

/// What the rest of the proxy needs to know of an admitted request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    /// The minor version that the client speaks.
    pub(super) minor: u8,
    /// The client would like to send another request after this one.
    pub(super) keep_alive: bool,
    /// The response to HEAD has no body.
    pub(super) is_head: bool,
    /// RFC 9110 §9.2.2: sending it twice does the same as once.
    pub(super) idempotent: bool,
    /// It asks for a WebSocket.
    pub(super) upgrade: bool,
    /// The client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
    /// The client takes trailers (`TE: trailers`).
    pub(super) takes_trailers: bool,
    pub(super) body: Body,
    /// Where in the head the `Host` of the backend has to be put in, if it is to have its own.
    pub(super) host_at: Option<usize>,
}

/// A head that is being admitted.
struct Admission<'a> {
    head: h1::Request<'a>,
    config: &'a ProxyConfig,
    /// All lines of `Connection`.
    connection: Vec<&'a [u8]>,
    body: Body,
    upgrade: bool,
    takes_trailers: bool,
}

/// Checks `head` and writes what a backend gets into `out`, which is empty; `client` is who sent it.
pub(super) fn admit(
    head: h1::Request<'_>,
    config: &ProxyConfig,
    client: Option<&ClientName>,
    out: &mut Vec<u8>,
) -> Result<Admitted, Reason> {
    if matches!(head.method, "CONNECT" | "TRACE") {
        return Err(Reason::Method);
    }
    let body = framing(head, config)?;
    let mut host = host_field(head)?;
    let target = match target(head)? {
        Target::Origin(target) => target,
        Target::Absolute { authority, path } => {
            host = Some(authority);
            path
        }
    };
    let mut admission = Admission {
        head,
        config,
        connection: Vec::new(),
        body,
        upgrade: false,
        takes_trailers: false,
    };
    let expects_continue = admission.look_at_fields()?;

    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    if !target.starts_with(['/', '*']) {
        out.push(b'/'); // `http://host?query` has an empty path; RFC 9112 §3.2.1 wants a slash.
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = host.or(config.default_host.as_deref());
    let host_at = push_host(out, host, config);
    admission.push_fields(out);
    forwarded::push(out, head, config.forwarded, client, host, |name| {
        admission.is_named(name)
    });
    admission.push_connection(out);
    out.extend_from_slice(b"\r\n");
    Ok(Admitted {
        minor: head.minor,
        keep_alive: admission.keep_alive(),
        is_head: head.method == "HEAD",
        idempotent: is_idempotent(head.method),
        upgrade: admission.upgrade,
        expects_continue,
        takes_trailers: admission.takes_trailers,
        body,
        host_at,
    })
}

/// RFC 9112 §6: one way to tell the body's length, and one that everybody reads alike.
fn framing(head: h1::Request<'_>, config: &ProxyConfig) -> Result<Body, Reason> {
    let body = h1::of_request(head.minor, head.fields, head.kinds).map_err(|error| match error {
        FramingError::Coding => Reason::Coding,
        _ => Reason::BadFraming,
    })?;
    if matches!(body, Body::Length(length) if length > config.limits.body_bytes) {
        return Err(Reason::BodyTooLarge);
    }
    let needs_body = matches!(head.method, "POST" | "PUT" | "PATCH");
    if needs_body && head.minor == 0 && !head.kinds.contains(&Field::ContentLength) {
        return Err(Reason::LengthRequired); // RFC 1945 §7.2.2
    }
    Ok(body)
}

/// RFC 9112 §3.2: one `Host`, and a valid one; HTTP/1.0 did without.
fn host_field(head: h1::Request<'_>) -> Result<Option<&str>, Reason> {
    let mut hosts = head
        .fields
        .iter()
        .zip(head.kinds)
        .filter(|(_, kind)| **kind == Field::Host);
    match (hosts.next(), hosts.next()) {
        (None, _) if head.minor == 0 => Ok(None),
        (Some((host, _)), None) if host::is_valid(host.value) => {
            str::from_utf8(host.value).map(Some).map_err(|_| Reason::BadHost)
        }
        _ => Err(Reason::BadHost),
    }
}

enum Target<'a> {
    Origin(&'a str),
    /// The authority takes the place of `Host` (RFC 9112 §3.2.2), which must still be there and valid.
    Absolute {
        authority: &'a str,
        path: &'a str,
    },
}

fn target(head: h1::Request<'_>) -> Result<Target<'_>, Reason> {
    let target = head.target;
    // RFC 3986: a URI is ASCII, and what a server makes of anything else is anybody's guess.
    if !target.is_ascii() || target.contains('#') {
        return Err(Reason::BadTarget);
    }
    if target.starts_with('/') || (target == "*" && head.method == "OPTIONS") {
        return Ok(Target::Origin(target));
    }
    let (scheme, rest) = target.split_once("://").ok_or(Reason::BadTarget)?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return Err(Reason::BadTarget);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !host::is_valid(authority.as_bytes()) {
        return Err(Reason::BadTarget);
    }
    Ok(Target::Absolute { authority, path })
}

/// Writes `Host` by the policy, or gives the place where the backend's has to be put in.
fn push_host(out: &mut Vec<u8>, host: Option<&str>, config: &ProxyConfig) -> Option<usize> {
    let host = match config.host {
        HostPolicy::Preserve => host,
        HostPolicy::Upstream => None,
        HostPolicy::Fixed(_) => config.fixed_host.as_deref(),
    };
    match host {
        Some(host) => {
            push_field(out, "Host", host.as_bytes());
            None
        }
        None => Some(out.len()),
    }
}

impl<'a> Admission<'a> {
    /// Notes what the fields ask for; says whether the client waits for `100 Continue`.
    fn look_at_fields(&mut self) -> Result<bool, Reason> {
        let (mut upgrade, mut expects_continue) = (false, false);
        for (field, kind) in self.head.fields.iter().zip(self.head.kinds) {
            match kind {
                Field::Connection => self.connection.push(field.value),
                Field::Expect if field.value.eq_ignore_ascii_case(b"100-continue") => expects_continue = true,
                Field::Expect => return Err(Reason::Expectation),
                Field::Te => self.takes_trailers |= h1::has_token(field.value, b"trailers"),
                Field::Upgrade => upgrade |= h1::has_token(field.value, b"websocket"),
                _ => {}
            }
        }
        if upgrade && self.config.websocket && self.head.minor == 1 && self.has_option(b"upgrade") {
            // RFC 6455 §4.1. Anything else that a client would like to upgrade to goes on without its `Upgrade`.
            if self.head.method != "GET" || self.body != Body::Length(0) {
                return Err(Reason::BadUpgrade);
            }
            self.upgrade = true;
        }
        // RFC 9110 §10.1.1: nobody waits for a word from us before a body that doesn't come.
        Ok(expects_continue && self.head.minor == 1 && self.body != Body::Length(0))
    }

    fn has_option(&self, option: &[u8]) -> bool {
        self.connection.iter().any(|line| h1::has_token(line, option))
    }

    /// RFC 9112 §9.3.
    fn keep_alive(&self) -> bool {
        if self.has_option(b"close") {
            return false;
        }
        self.head.minor == 1 || self.has_option(b"keep-alive")
    }

    /// Whether `Connection` names a field that it can make hop-by-hop.
    fn is_named(&self, name: &str) -> bool {
        !self.connection.is_empty() && self.has_option(name.as_bytes()) && !is_end_to_end(name)
    }

    /// Writes the fields that go on as they came.
    fn push_fields(&self, out: &mut Vec<u8>) {
        for (field, kind) in self.head.fields.iter().zip(self.head.kinds) {
            let passes = match kind {
                Field::Host | Field::Expect => false,
                Field::XForwardedFor | Field::XForwardedHost | Field::XForwardedProto => false,
                Field::Trailer => self.body == Body::Chunked,
                kind if kind.is_hop_by_hop() => false,
                _ => !self.is_named(field.name),
            };
            if passes {
                push_field(out, field.name, field.value);
            }
        }
    }

    /// Writes what concerns the connection to the backend alone.
    fn push_connection(&self, out: &mut Vec<u8>) {
        if self.body == Body::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if self.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
        } else if self.takes_trailers {
            // RFC 9110 §10.1.4: `TE` must be named in `Connection`.
            out.extend_from_slice(b"Connection: te\r\nTE: trailers\r\n");
        }
    }
}

/// Appends one field's line.
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110 §7.6.1: a field that is meant for all recipients can't be made hop-by-hop. Removing one of these on the
/// sender's word would change the message's framing, its destination, or who its reader believes it talks to.
pub(super) fn is_end_to_end(name: &str) -> bool {
    const PROTECTED: [&str; 12] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "host",
        "origin",
        "range",
        "set-cookie",
        "transfer-encoding",
    ];
    PROTECTED
        .iter()
        .any(|protected| name.eq_ignore_ascii_case(protected))
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}
