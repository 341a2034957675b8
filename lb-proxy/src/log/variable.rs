//! What a format can tell of a request.

use std::net::SocketAddr;
use std::time::Duration;

use super::clock::Stamp;
use super::escape::Escape;
use super::record::{Attempt, Record};
use crate::fields::{Fields, each_value, host_name};
use crate::route::normalise;
use crate::text::{push_address, push_decimal, push_padded, push_socket};

/// The variables of the module's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Arg(Box<str>),
    Args,
    BodyBytesSent,
    BytesSent,
    Connection,
    ConnectionRequests,
    Cookie(Box<str>),
    GzipRatio,
    Host,
    /// The field's name.
    Http(Box<str>),
    HttpHost,
    Msec,
    Pipe,
    RealipRemoteAddr,
    RealipRemotePort,
    Reason,
    RemoteAddr,
    RemotePort,
    RemoteUser,
    Request,
    RequestCompletion,
    RequestId,
    RequestLength,
    RequestMethod,
    RequestTime,
    RequestUri,
    Scheme,
    /// The field's name.
    SentHttp(Box<str>),
    ServerAddr,
    ServerPort,
    ServerProtocol,
    SslCipher,
    SslProtocol,
    SslServerName,
    Status,
    TimeIso8601,
    TimeLocal,
    UpstreamAddr,
    UpstreamBytesReceived,
    UpstreamBytesSent,
    UpstreamConnectTime,
    UpstreamHeaderTime,
    UpstreamName,
    UpstreamResponseTime,
    UpstreamStatus,
    Uri,
}

impl Variable {
    pub(super) fn named(name: &str) -> Option<Self> {
        let after = |prefix| name.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
        if let Some(field) = after("sent_http_") {
            return Some(Self::SentHttp(field.replace('_', "-").into()));
        }
        if let Some(parameter) = after("arg_") {
            return Some(Self::Arg(parameter.into()));
        }
        if let Some(cookie) = after("cookie_") {
            return Some(Self::Cookie(cookie.into()));
        }
        Some(match name {
            "args" | "query_string" => Self::Args,
            "body_bytes_sent" => Self::BodyBytesSent,
            "bytes_sent" => Self::BytesSent,
            "connection" => Self::Connection,
            "connection_requests" => Self::ConnectionRequests,
            "gzip_ratio" => Self::GzipRatio,
            "host" => Self::Host,
            "http_host" => Self::HttpHost,
            "msec" => Self::Msec,
            "pipe" => Self::Pipe,
            "realip_remote_addr" => Self::RealipRemoteAddr,
            "realip_remote_port" => Self::RealipRemotePort,
            "reason" => Self::Reason,
            "remote_addr" => Self::RemoteAddr,
            "remote_port" => Self::RemotePort,
            "remote_user" => Self::RemoteUser,
            "request" => Self::Request,
            "request_completion" => Self::RequestCompletion,
            "request_id" => Self::RequestId,
            "request_length" => Self::RequestLength,
            "request_method" => Self::RequestMethod,
            "request_time" => Self::RequestTime,
            "request_uri" => Self::RequestUri,
            "scheme" => Self::Scheme,
            "server_addr" => Self::ServerAddr,
            "server_port" => Self::ServerPort,
            "server_protocol" => Self::ServerProtocol,
            "ssl_cipher" => Self::SslCipher,
            "ssl_protocol" => Self::SslProtocol,
            "ssl_server_name" => Self::SslServerName,
            "status" => Self::Status,
            "time_iso8601" => Self::TimeIso8601,
            "time_local" => Self::TimeLocal,
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_bytes_received" => Self::UpstreamBytesReceived,
            "upstream_bytes_sent" => Self::UpstreamBytesSent,
            "upstream_connect_time" => Self::UpstreamConnectTime,
            "upstream_header_time" => Self::UpstreamHeaderTime,
            "upstream_name" => Self::UpstreamName,
            "upstream_response_time" => Self::UpstreamResponseTime,
            "upstream_status" => Self::UpstreamStatus,
            "uri" | "document_uri" => Self::Uri,
            _ => Self::Http(after("http_")?.replace('_', "-").into()),
        })
    }

    /// The field of the request that it is made of.
    pub(super) fn request_field(&self) -> Option<&str> {
        match self {
            Self::Http(name) => Some(name),
            Self::Cookie(_) => Some("cookie"),
            Self::RemoteUser => Some("authorization"),
            _ => None,
        }
    }

    /// The field of the response that it is made of.
    pub(super) fn response_field(&self) -> Option<&str> {
        match self {
            Self::SentHttp(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn push(&self, stamp: &Stamp, record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
        match self {
            Self::Arg(name) => push_some(argument(record.target, name).map(str::as_bytes), escape, out),
            Self::Args => push_text(query(record.target), escape, out),
            Self::BodyBytesSent => push_decimal(out, record.body_bytes_sent),
            Self::BytesSent => push_decimal(out, record.bytes_sent),
            Self::Connection => push_decimal(out, record.connection),
            Self::ConnectionRequests => push_decimal(out, record.connection_requests),
            Self::Cookie(name) => push_cookie(record.request_fields, name, escape, out),
            Self::GzipRatio => escape.push_none(out),
            Self::Host => push_host(record.host, escape, out),
            Self::Http(name) => push_field(record.request_fields, name, escape, out),
            // Not from a field: HTTP/2 has none for it.
            Self::HttpHost => push_text(record.host, escape, out),
            Self::Msec => stamp.push_msec(out),
            Self::Pipe => out.push(b'.'),
            Self::RealipRemoteAddr => push_ip(record.peer, escape, out),
            Self::RealipRemotePort => push_port(record.peer, escape, out),
            Self::Reason => push_text(record.reason, escape, out),
            Self::RemoteAddr => push_ip(record.client, escape, out),
            Self::RemotePort => push_port(record.client, escape, out),
            Self::RemoteUser => push_user(record.request_fields, escape, out),
            Self::Request => push_request(record, escape, out),
            Self::RequestCompletion => push_text(if record.completed { "OK" } else { "" }, escape, out),
            Self::RequestId => push_text(record.request_id, escape, out),
            Self::RequestLength => push_decimal(out, record.request_length),
            Self::RequestMethod => push_text(record.method, escape, out),
            Self::RequestTime => push_seconds(record.duration, out),
            Self::RequestUri => push_text(record.target, escape, out),
            Self::Scheme => push_text(record.scheme, escape, out),
            Self::SentHttp(name) => push_field(record.response_fields, name, escape, out),
            Self::ServerAddr => push_ip(record.server, escape, out),
            Self::ServerPort => push_port(record.server, escape, out),
            Self::ServerProtocol => push_text(record.protocol, escape, out),
            Self::SslCipher => push_text(record.tls.map_or("", |tls| tls.cipher), escape, out),
            Self::SslProtocol => push_text(record.tls.map_or("", |tls| tls.protocol), escape, out),
            Self::SslServerName => push_text(record.tls.map_or("", |tls| tls.server_name), escape, out),
            Self::Status => push_decimal(out, record.status.into()),
            Self::TimeIso8601 => out.extend_from_slice(stamp.iso8601()),
            Self::TimeLocal => out.extend_from_slice(stamp.local()),
            Self::UpstreamAddr => push_each(record, escape, out, |attempt, out| {
                push_socket(out, attempt.address);
                true
            }),
            Self::UpstreamBytesReceived => push_each(record, escape, out, |attempt, out| {
                push_decimal(out, attempt.bytes_received);
                true
            }),
            Self::UpstreamBytesSent => push_each(record, escape, out, |attempt, out| {
                push_decimal(out, attempt.bytes_sent);
                true
            }),
            Self::UpstreamConnectTime => {
                push_each(record, escape, out, |attempt, out| {
                    push_time(attempt.connect, out)
                });
            }
            Self::UpstreamHeaderTime => {
                push_each(record, escape, out, |attempt, out| push_time(attempt.header, out));
            }
            Self::UpstreamName => push_text(record.upstream, escape, out),
            Self::UpstreamResponseTime => {
                push_each(record, escape, out, |attempt, out| {
                    push_time(attempt.response, out)
                });
            }
            Self::UpstreamStatus => push_each(record, escape, out, |attempt, out| {
                attempt
                    .status
                    .map(|status| push_decimal(out, status.into()))
                    .is_some()
            }),
            Self::Uri => push_uri(record.target, escape, out),
        }
    }
}

fn push_some(value: Option<&[u8]>, escape: Escape, out: &mut Vec<u8>) {
    match value {
        Some(value) => escape.push(value, out),
        None => escape.push_none(out),
    }
}

fn push_text(text: &str, escape: Escape, out: &mut Vec<u8>) {
    push_some((!text.is_empty()).then_some(text.as_bytes()), escape, out);
}

fn push_ip(address: Option<SocketAddr>, escape: Escape, out: &mut Vec<u8>) {
    match address {
        Some(address) => push_address(out, address.ip().to_canonical()),
        None => escape.push_none(out),
    }
}

fn push_port(address: Option<SocketAddr>, escape: Escape, out: &mut Vec<u8>) {
    match address.map(|address| address.port()) {
        Some(port) if port != 0 => push_decimal(out, port.into()),
        _ => escape.push_none(out),
    }
}

/// Seconds with three decimals, as nginx writes all durations.
fn push_seconds(duration: Duration, out: &mut Vec<u8>) {
    push_decimal(out, duration.as_secs());
    out.push(b'.');
    push_padded(out, duration.subsec_millis(), 3);
}

fn push_time(duration: Option<Duration>, out: &mut Vec<u8>) -> bool {
    duration.map(|duration| push_seconds(duration, out)).is_some()
}

/// Something of each attempt; `-` for an attempt without it, in JSON too, as nginx does.
fn push_each(
    record: &Record<'_>,
    escape: Escape,
    out: &mut Vec<u8>,
    mut push: impl FnMut(&Attempt, &mut Vec<u8>) -> bool,
) {
    if record.attempts.is_empty() {
        escape.push_none(out);
    }
    for (index, attempt) in record.attempts.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        if !push(attempt, out) {
            out.push(b'-');
        }
    }
}

fn push_request(record: &Record<'_>, escape: Escape, out: &mut Vec<u8>) {
    if record.request_line.is_some() || record.method.is_empty() {
        push_some(record.request_line, escape, out);
        return;
    }
    escape.push(record.method.as_bytes(), out);
    out.push(b' ');
    escape.push(record.target.as_bytes(), out);
    out.push(b' ');
    escape.push(record.protocol.as_bytes(), out);
}

fn push_host(host: &str, escape: Escape, out: &mut Vec<u8>) {
    let start = out.len();
    push_text(host_name(host), escape, out);
    // Hexadecimal digits of escapes are no part of a host that is one.
    out[start..].make_ascii_lowercase();
}

fn push_field(fields: &dyn Fields, name: &str, escape: Escape, out: &mut Vec<u8>) {
    let mut found = false;
    each_value(fields, name, |separator, value| {
        found = true;
        out.extend_from_slice(separator);
        escape.push(value, out);
    });
    if !found {
        escape.push_none(out);
    }
}

fn push_cookie(fields: &dyn Fields, name: &str, escape: Escape, out: &mut Vec<u8>) {
    let mut found = None;
    each_value(fields, "cookie", |_, value| {
        let mut pairs = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        found =
            found.or_else(|| pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")));
    });
    push_some(found, escape, out);
}

/// RFC 7617: what stands before the colon of what is in Base64.
fn push_user(fields: &dyn Fields, escape: Escape, out: &mut Vec<u8>) {
    let credentials = fields.field("authorization").and_then(|value| {
        let (scheme, rest) = value.split_at_checked(6)?;
        scheme.eq_ignore_ascii_case(b"basic ").then(|| rest.trim_ascii())
    });
    let Some(credentials) = credentials else {
        escape.push_none(out);
        return;
    };
    let mut user = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in credentials {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            match (bits >> count) as u8 {
                b':' => {
                    push_some((!user.is_empty()).then_some(&user), escape, out);
                    return;
                }
                byte => user.push(byte),
            }
        }
    }
    escape.push_none(out); // no colon: these are no credentials
}

fn push_uri(target: &str, escape: Escape, out: &mut Vec<u8>) {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    push_some(normalise(path.as_bytes()).ok().as_deref(), escape, out);
}

fn query(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

/// The first parameter of that name, in any case as nginx has it, and not decoded.
fn argument<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    query(target).split('&').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}
