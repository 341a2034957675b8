//! Whether a request may pass, and what it is made into before it does.
//!
//! hyper has parsed the head by RFC 9112; what it leaves to its user is checked here, so that a backend only ever
//! sees requests of one form: origin-form target, one valid `Host`, no hop-by-hop field, and at most one framing.

use http::header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Method, Version, request};

use super::answer::Reason;
use super::config::ProxyConfig;
use super::forwarded::{self, ClientName};
use super::hop::{self, Seen};
use super::host;
use super::policy::HostPolicy;

/// What the rest of the proxy needs to know of an admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    /// RFC 9110 §9.2.2: sending it twice does the same as once.
    pub(super) idempotent: bool,
    /// It asks for a WebSocket.
    pub(super) upgrade: bool,
    /// Its `Host` is the address of whichever backend it goes to.
    pub(super) host_of_backend: bool,
}

/// Checks `head` and turns it into what the backends see, except for a `Host` that differs by backend.
///
/// `length` is the body's; `None` if it comes in chunks.
pub(super) fn admit(
    head: &mut request::Parts,
    length: Option<u64>,
    config: &ProxyConfig,
    client: Option<&ClientName>,
) -> Result<Admitted, Reason> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Reason::Method);
    }
    let seen = Seen::of(&head.headers);
    check_framing(head, seen, length, config)?;
    let came = seen.has(Seen::HOST) && head.uri.authority().is_none();
    let host = match take_host(head, seen)? {
        Some(host) => Some(host),
        None => config.default_host.clone(),
    };
    let upgrade = seen.has(Seen::UPGRADE) && config.websocket && wants_websocket(head, length)?;
    if seen.has(Seen::EXPECT) {
        take_expect(&mut head.headers)?;
    }
    let trailers = seen.has(Seen::TE) && hop::wants_trailers(&head.headers);

    hop::strip(&mut head.headers, seen, false);
    forwarded::apply(&mut head.headers, seen, config.forwarded, client, host.as_ref());
    let host_of_backend = set_host(&mut head.headers, host, came, config);
    if upgrade {
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else if trailers {
        hop::ask_for_trailers(&mut head.headers);
    }
    if length.is_none() {
        // hyper sends no body with a GET or HEAD unless it is told how.
        head.headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    head.version = Version::HTTP_11;
    Ok(Admitted {
        idempotent: is_idempotent(&head.method),
        upgrade,
        host_of_backend,
    })
}

/// RFC 9112 §6: one way to tell the body's length, and one that everybody reads alike.
fn check_framing(
    head: &request::Parts,
    seen: Seen,
    length: Option<u64>,
    config: &ProxyConfig,
) -> Result<(), Reason> {
    if seen.has(Seen::TRANSFER_ENCODING) {
        let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next();
        if codings.next().is_some() || seen.has(Seen::CONTENT_LENGTH) {
            return Err(Reason::BadFraming);
        }
        if !coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return Err(Reason::Coding);
        }
    }
    if length.is_some_and(|length| length > config.limits.body_bytes) {
        return Err(Reason::BodyTooLarge);
    }
    let needs_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    if needs_body && head.version == Version::HTTP_10 && !seen.has(Seen::CONTENT_LENGTH) {
        return Err(Reason::LengthRequired); // RFC 1945 §7.2.2
    }
    Ok(())
}

/// Brings the target into origin-form and returns the host that the client means, if it said so.
///
/// RFC 9112 §3.2.2: the authority of an absolute target takes the place of `Host`, which must still be there and
/// valid.
fn take_host(head: &mut request::Parts, seen: Seen) -> Result<Option<HeaderValue>, Reason> {
    let host = if seen.has(Seen::HOST) {
        let mut hosts = head.headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) if host::is_valid(host.as_bytes()) => Some(host.clone()),
            _ => return Err(Reason::BadHost),
        }
    } else if head.version == Version::HTTP_10 {
        None
    } else {
        return Err(Reason::BadHost);
    };
    if head.uri.authority().is_some() || head.uri.scheme().is_some() {
        let (authority, target) = from_absolute(&head.uri)?;
        head.uri = target;
        return Ok(Some(authority));
    }
    let path = head.uri.path();
    if path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS) {
        Ok(host)
    } else {
        Err(Reason::BadTarget)
    }
}

fn from_absolute(uri: &Uri) -> Result<(HeaderValue, Uri), Reason> {
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Reason::BadTarget);
    };
    if !host::is_valid(authority.as_str().as_bytes()) {
        return Err(Reason::BadTarget);
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Reason::BadTarget)?;
    let target = match uri.path_and_query() {
        None => PathAndQuery::from_static("/"),
        Some(target) if target.as_str().starts_with('/') => target.clone(),
        // `http://host?query` has an empty path; RFC 9112 §3.2.1 wants a slash, with which it is displayed.
        Some(target) => target.to_string().parse().map_err(|_| Reason::BadTarget)?,
    };
    Ok((host, Uri::from(target)))
}

/// RFC 6455 §4.1: a GET of HTTP/1.1 without a body, with `websocket` in `Upgrade` and `upgrade` in `Connection`.
/// Anything else that a client would like to upgrade to is none of our business, and goes on without its `Upgrade`.
fn wants_websocket(head: &request::Parts, length: Option<u64>) -> Result<bool, Reason> {
    let asks = hop::has_token(&head.headers, &UPGRADE, b"websocket")
        && hop::has_token(&head.headers, &CONNECTION, b"upgrade")
        && head.version == Version::HTTP_11;
    if asks && (head.method != Method::GET || length != Some(0)) {
        return Err(Reason::BadUpgrade);
    }
    Ok(asks)
}

/// Takes out `Expect: 100-continue`, which hyper answers once a backend takes the body.
fn take_expect(headers: &mut HeaderMap) -> Result<(), Reason> {
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(known) {
        return Err(Reason::Expectation);
    }
    headers.remove(EXPECT);
    Ok(())
}

/// Sets `Host` by the policy; says whether it is the backend's address and so still to come.
///
/// `came` is whether the client's `Host` is the one that it means.
fn set_host(headers: &mut HeaderMap, host: Option<HeaderValue>, came: bool, config: &ProxyConfig) -> bool {
    let host = match config.host {
        HostPolicy::Preserve if came => return false,
        HostPolicy::Preserve => host,
        HostPolicy::Upstream => None,
        HostPolicy::Fixed(_) => config.fixed_host.clone(),
    };
    match host {
        Some(host) => {
            headers.insert(HOST, host);
            false
        }
        None => true,
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}
