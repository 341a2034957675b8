//! What a backend may answer, and the head that the client gets in its place.

use std::time::Duration;

use super::request::{Admitted, is_end_to_end, push_field};
use crate::forwarded::Forwarding;
use crate::h1::{self, Body, Field};
use crate::route::{Facts, HeaderEdits};

/// A backend's response, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) status: u16,
    /// How the backend tells where the body ends.
    pub(super) body: Body,
    /// Whether the backend keeps the connection open after it.
    pub(super) keep_alive: bool,
    /// How long the backend says that it keeps an idle connection.
    pub(super) announced: Option<Duration>,
}

/// How the client is told where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// There is none.
    None,
    /// By its length, which is in the head.
    Length,
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Checks a response to `request`; an error is for the log.
pub(super) fn accept(head: h1::Response<'_>, request: &Admitted) -> Result<Accepted, &'static str> {
    let body = h1::of_response(head.minor, head.status, request.is_head, head.fields, head.kinds);
    let mut accepted = Accepted {
        status: head.status,
        body: body.map_err(h1::FramingError::as_str)?,
        keep_alive: false,
        announced: None,
    };
    let (mut keeps, mut closes, mut switches_to_websocket) = (head.minor == 1, false, false);
    for (field, kind) in head.fields.iter().zip(head.kinds) {
        match kind {
            // RFC 9112 §9.3: whatever else is said, `close` closes.
            Field::Connection => {
                closes |= h1::has_token(field.value, b"close");
                keeps |= h1::has_token(field.value, b"keep-alive");
            }
            Field::KeepAlive => accepted.announced = keep_alive_timeout(field.value),
            Field::Upgrade => switches_to_websocket |= h1::has_token(field.value, b"websocket"),
            // A 204 that announces a body may be followed by one, which would be taken for the next response.
            Field::ContentLength => closes |= head.status == 204 && field.value != b"0",
            Field::TransferEncoding => closes |= accepted.body == Body::None && !request.is_head,
            _ => {}
        }
    }
    accepted.keep_alive = keeps && !closes;
    if head.status == 101 {
        if !request.upgrade {
            return Err("101 to a request that asked for no upgrade");
        }
        if !switches_to_websocket {
            return Err("101 that switches to something else than a WebSocket");
        }
    }
    Ok(accepted)
}

/// The `timeout` of `Keep-Alive`, less a second for the way: a request that arrives as the backend closes the
/// connection fails, and a POST then can't be repeated.
fn keep_alive_timeout(parameters: &[u8]) -> Option<Duration> {
    let timeout = h1::elements(parameters).find_map(|parameter| parameter.strip_prefix(b"timeout="))?;
    let seconds: u64 = std::str::from_utf8(timeout).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}

/// The fields that go on to the client as they came.
pub(super) fn passing<'a>(
    head: h1::Response<'a>,
    accepted: &Accepted,
) -> impl Iterator<Item = (&'a httparse::Header<'a>, Field)> {
    let connection: Vec<&[u8]> = head
        .fields
        .iter()
        .zip(head.kinds)
        .filter(|(_, kind)| **kind == Field::Connection)
        .map(|(field, _)| field.value)
        .collect();
    // RFC 9110 §8.6: a 204 has no Content-Length.
    let no_length = accepted.status == 204;
    head.fields
        .iter()
        .zip(head.kinds.iter().copied())
        .filter(move |(field, kind)| {
            let is_named = || {
                connection
                    .iter()
                    .any(|line| h1::has_token(line, field.name.as_bytes()))
                    && !is_end_to_end(field.name)
            };
            match kind {
                Field::ContentLength => !no_length,
                kind if kind.is_hop_by_hop() => false,
                _ => connection.is_empty() || !is_named(),
            }
        })
}

/// How `request`'s client is told where a body of that framing ends.
pub(super) fn delivery(body: Body, request: &Admitted) -> Delivery {
    match body {
        Body::None | Body::Length(0) => Delivery::None,
        Body::Length(_) => Delivery::Length,
        Body::Chunked | Body::UntilClose if request.minor == 1 => Delivery::Chunked,
        Body::Chunked | Body::UntilClose => Delivery::Close,
    }
}

/// What is changed in responses besides.
pub(super) struct Touch<'a> {
    pub(super) forwarding: &'a Forwarding,
    /// The route's edits, and what their variables are filled from; nothing is known of the response there.
    pub(super) edits: Option<(&'a HeaderEdits, Facts<'a>)>,
}

impl Touch<'_> {
    fn drops(&self, name: &str) -> bool {
        self.forwarding.drops_from_response(name)
            || self.edits.as_ref().is_some_and(|(edits, _)| edits.drops(name))
    }

    fn append(&self, head: h1::Response<'_>, out: &mut Vec<u8>) {
        let protocol = if head.minor == 0 { "HTTP/1.0" } else { "HTTP/1.1" };
        self.forwarding.append_to_response(protocol, out);
        if let Some((edits, facts)) = &self.edits {
            edits.append(
                &Facts {
                    status: Some(head.status),
                    ..*facts
                },
                out,
            );
        }
    }
}

/// Writes the head of a final response into `out`. `close` is whether the connection ends after it.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the head")]
pub(super) fn push_head(
    out: &mut Vec<u8>,
    head: h1::Response<'_>,
    accepted: &Accepted,
    request: &Admitted,
    delivery: Delivery,
    close: bool,
    date: &[u8],
    touch: &Touch<'_>,
) {
    push_status(out, head.status, head.reason);
    let mut dated = false;
    for (field, kind) in passing(head, accepted) {
        if touch.drops(field.name) {
            continue;
        }
        dated |= kind == Field::Date;
        push_field(out, field.name, field.value);
    }
    touch.append(head, out);
    if !dated {
        push_field(out, "Date", date); // RFC 9110 §6.6.1
    }
    if delivery == Delivery::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    push_connection(out, request.minor, close);
    out.extend_from_slice(b"\r\n");
}

/// Writes what the client has to know of its connection.
pub(super) fn push_connection(out: &mut Vec<u8>, minor: u8, close: bool) {
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if minor == 0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

/// Writes a 103 (or another interim response) as it goes on to the client.
pub(super) fn push_interim(out: &mut Vec<u8>, head: h1::Response<'_>, accepted: &Accepted) {
    push_status(out, head.status, head.reason);
    for (field, kind) in passing(head, accepted) {
        if kind != Field::ContentLength {
            push_field(out, field.name, field.value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the 101 that makes the connection a WebSocket's.
pub(super) fn push_switching(out: &mut Vec<u8>, head: h1::Response<'_>, accepted: &Accepted) {
    push_status(out, head.status, head.reason);
    for (field, kind) in passing(head, accepted) {
        if kind != Field::ContentLength {
            push_field(out, field.name, field.value);
        }
    }
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

pub(super) fn push_status(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |n: u16| b'0' + u8::try_from(n % 10).expect("a digit");
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}
