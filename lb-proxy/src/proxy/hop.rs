//! Hop-by-hop headers (RFC 9110 §7.6.1): they end here, in both directions.

use http::header::{
    CONNECTION, Entry, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue};

pub(super) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Not hop-by-hop, but CGI programs take it for the variable `HTTP_PROXY`.
const PROXY: HeaderName = HeaderName::from_static("proxy");
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which of the headers that matter to a proxy a message has, found in one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen(u16);

macro_rules! seen {
    ($($name:ident = $bit:literal),* $(,)?) => { $(pub(super) const $name: Self = Self(1 << $bit);)* };
}

impl Seen {
    seen! {
        CONNECTION = 0, TRANSFER_ENCODING = 1, TE = 2, TRAILER = 3, UPGRADE = 4, KEEP_ALIVE = 5,
        PROXY_CONNECTION = 6, PROXY_AUTHORIZATION = 7, PROXY_AUTHENTICATE = 8, HTTP2_SETTINGS = 9, PROXY = 10,
        EXPECT = 11, X_FORWARDED = 12, CONTENT_LENGTH = 13, HOST = 14,
    }

    /// Looks at every header once.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            seen.insert(Self::class(name));
        }
        seen
    }

    fn class(name: &HeaderName) -> Self {
        // Lengths first: most headers of a request share theirs with none of these.
        match name.as_str() {
            "host" => Self::HOST,
            "te" => Self::TE,
            "expect" => Self::EXPECT,
            "connection" => Self::CONNECTION,
            "content-length" => Self::CONTENT_LENGTH,
            "transfer-encoding" => Self::TRANSFER_ENCODING,
            "trailer" => Self::TRAILER,
            "upgrade" => Self::UPGRADE,
            "keep-alive" => Self::KEEP_ALIVE,
            "proxy-connection" => Self::PROXY_CONNECTION,
            "proxy-authorization" => Self::PROXY_AUTHORIZATION,
            "proxy-authenticate" => Self::PROXY_AUTHENTICATE,
            "http2-settings" => Self::HTTP2_SETTINGS,
            "proxy" => Self::PROXY,
            "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" => Self::X_FORWARDED,
            _ => Self::default(),
        }
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Removes what must not pass: the fields above, and everything that `Connection` names unless it is end-to-end.
///
/// `Trailer` stays in a response (`keep_trailer`), because the trailers that it announces are passed on.
pub(super) fn strip(headers: &mut HeaderMap, seen: Seen, keep_trailer: bool) {
    if seen.has(Seen::CONNECTION) {
        strip_named(headers);
    }
    let fixed = [
        (Seen::TRANSFER_ENCODING, TRANSFER_ENCODING),
        (Seen::TE, TE),
        (Seen::UPGRADE, UPGRADE),
        (Seen::KEEP_ALIVE, KEEP_ALIVE),
        (Seen::PROXY_CONNECTION, PROXY_CONNECTION),
        (Seen::PROXY_AUTHORIZATION, PROXY_AUTHORIZATION),
        (Seen::PROXY_AUTHENTICATE, PROXY_AUTHENTICATE),
        (Seen::HTTP2_SETTINGS, HTTP2_SETTINGS),
        (Seen::PROXY, PROXY),
    ];
    if seen.0 & HOP != 0 {
        for (flag, name) in fixed {
            if seen.has(flag) {
                headers.remove(name);
            }
        }
    }
    if seen.has(Seen::TRAILER) && !keep_trailer {
        headers.remove(TRAILER);
    }
}

const HOP: u16 = Seen::TRANSFER_ENCODING.0
    | Seen::TE.0
    | Seen::UPGRADE.0
    | Seen::KEEP_ALIVE.0
    | Seen::PROXY_CONNECTION.0
    | Seen::PROXY_AUTHORIZATION.0
    | Seen::PROXY_AUTHENTICATE.0
    | Seen::HTTP2_SETTINGS.0
    | Seen::PROXY.0;

/// Removes `Connection` and what it names.
fn strip_named(headers: &mut HeaderMap) {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else {
        return;
    };
    let mut named = Vec::new();
    for value in connection.remove_entry_mult().1 {
        named.extend(elements(value.as_bytes()).filter_map(removable));
    }
    for name in named {
        headers.remove(name);
    }
}

/// The field that an element of `Connection` names, if that makes it go. The usual elements name none, or one that goes anyway.
fn removable(element: &[u8]) -> Option<HeaderName> {
    if [&b"keep-alive"[..], b"close", b"upgrade"]
        .iter()
        .any(|usual| element.eq_ignore_ascii_case(usual))
    {
        return None;
    }
    HeaderName::from_bytes(element)
        .ok()
        .filter(|name| !is_end_to_end(name))
}

/// RFC 9110 §7.6.1: a field that is meant for all recipients can't be made hop-by-hop. Removing one of these on the
/// client's word would change the message's framing, its destination, or who the backend believes it talks to.
fn is_end_to_end(name: &HeaderName) -> bool {
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
    PROTECTED.contains(&name.as_str())
}

/// Iterates over the elements of a list header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| elements(value.as_bytes()))
}

/// RFC 9110 §5.6.1: elements between commas, with white space around them.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether the list header `name` has the element `token`, in any case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    tokens(headers, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// Whether the client takes trailers (`TE: trailers`), the only thing in `TE` that is passed on.
pub(super) fn wants_trailers(headers: &HeaderMap) -> bool {
    has_token(headers, &TE, b"trailers")
}

/// Asks the backend for trailers. RFC 9110 §10.1.4: `TE` must be named in `Connection`.
pub(super) fn ask_for_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONNECTION, HeaderValue::from_static("te"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_hop_by_hop_goes() {
        let mut headers = map(&[
            ("connection", "close, X-Secret , x-other"),
            ("connection", "x-third"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("x-third", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "basic x"),
            ("proxy-authenticate", "basic"),
            ("te", "gzip"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("proxy", "http://evil/"),
            ("accept", "*/*"),
        ]);
        let seen = Seen::of(&headers);
        strip(&mut headers, seen, false);
        assert_eq!(headers, map(&[("accept", "*/*")]));
    }

    #[test]
    fn connection_cannot_remove_end_to_end_fields() {
        let kept = [
            ("host", "a"),
            ("content-length", "1"),
            ("cookie", "a=b"),
            ("authorization", "x"),
            ("content-type", "a/b"),
        ];
        let mut headers = map(&kept);
        headers.insert(
            CONNECTION,
            HeaderValue::from_static("host, content-length, cookie, authorization, content-type"),
        );
        let seen = Seen::of(&headers);
        strip(&mut headers, seen, false);
        assert_eq!(headers, map(&kept));
    }

    #[test]
    fn connection_with_nonsense_is_removed_without_harm() {
        let mut headers = map(&[("connection", ",, ;x , \"a\", \u{7f}"), ("x", "1")]);
        let seen = Seen::of(&headers);
        strip(&mut headers, seen, false);
        assert_eq!(headers, map(&[("x", "1")]));
    }

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                *name,
                HeaderValue::from_bytes(value.as_bytes()).unwrap_or(HeaderValue::from_static("\t")),
            );
        }
        headers
    }
}
