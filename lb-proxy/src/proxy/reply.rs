//! What a backend may answer, and what of it goes on to the client.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::hop::{self, KEEP_ALIVE, Seen};
use super::pool::Connection;

/// Checks a response's head and takes out what is hop-by-hop, which concerns `connection`. An error is for the log.
///
/// A 101 keeps its `Connection` and `Upgrade`, which say what the connection now is.
pub(super) fn check(
    mut response: Response<Incoming>,
    upgrade: bool,
    connection: &mut Connection,
) -> Result<Response<Incoming>, &'static str> {
    let seen = Seen::of(response.headers());
    check_framing(response.headers(), seen)?;
    if seen.has(Seen::KEEP_ALIVE) {
        connection.announced = keep_alive_timeout(response.headers());
    }
    *response.version_mut() = Version::HTTP_11;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        hop::strip(response.headers_mut(), seen, true);
        return Ok(response);
    }
    if !upgrade {
        return Err("101 to a request that asked for no upgrade");
    }
    if !hop::has_token(response.headers(), &UPGRADE, b"websocket") {
        return Err("101 that switches to something else than a WebSocket");
    }
    hop::strip(response.headers_mut(), seen, false);
    response
        .headers_mut()
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
        .headers_mut()
        .insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
    Ok(response)
}

/// RFC 9112 §6.3: a response with two ways to tell its length may be an attempt to smuggle a second one.
fn check_framing(headers: &HeaderMap, seen: Seen) -> Result<(), &'static str> {
    if !seen.has(Seen::TRANSFER_ENCODING) {
        return Ok(());
    }
    if headers.contains_key(CONTENT_LENGTH) {
        return Err("both Content-Length and Transfer-Encoding");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err("a Transfer-Encoding other than chunked"),
    }
}

/// The `timeout` of `Keep-Alive`, less a second for the way: a request that arrives as the backend closes the
/// connection fails, and a POST then can't be repeated.
fn keep_alive_timeout(headers: &HeaderMap) -> Option<Duration> {
    let parameters = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let timeout = parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
    let seconds: u64 = timeout.parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}
