//! Version 1: one line of text (§2.1).

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::addresses::{Addresses, Ends};
use super::header::{Header, ParseError, Version, begins};
use super::tlv::Tlvs;

/// The longest line of version 1 in bytes, its CRLF included (§2.1).
pub const MAX_V1_HEADER: usize = 107;

const MAGIC: &[u8] = b"PROXY ";

pub(super) fn parse(received: &[u8]) -> Result<Option<Header<'_>>, ParseError> {
    if !begins(received, MAGIC)? {
        return Ok(None);
    }
    let window = &received[..received.len().min(MAX_V1_HEADER)];
    let Some(end) = window.iter().position(|byte| !matches!(byte, b' '..=b'~')) else {
        return more(window);
    };
    match window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] => return more(window),
        _ => {
            return Err(ParseError::Line(
                "byte: a line of printable ASCII ends with CR LF",
            ));
        }
    }
    Ok(Some(Header {
        version: Version::V1,
        addresses: addresses(&window[MAGIC.len()..end])?,
        tlvs: Tlvs::EMPTY,
        len: end + 2,
    }))
}

fn more(window: &[u8]) -> Result<Option<Header<'_>>, ParseError> {
    if window.len() < MAX_V1_HEADER {
        Ok(None)
    } else {
        Err(ParseError::LineTooLong)
    }
}

/// What stands after `PROXY `.
fn addresses(line: &[u8]) -> Result<Addresses, ParseError> {
    let text = std::str::from_utf8(line).map_err(|_| ParseError::Line("byte"))?;
    let mut words = text.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        // §2.1: "the receiver must ignore anything presented before the CRLF".
        return Ok(Addresses::Unknown);
    }
    let mut ip = |what| -> Result<IpAddr, ParseError> {
        let word = words.next().ok_or(ParseError::Line(what))?;
        let ip = match family {
            Some("TCP4") => word.parse().map(IpAddr::V4),
            Some("TCP6") => word.parse().map(IpAddr::V6),
            _ => return Err(ParseError::Line("protocol: it is TCP4, TCP6 or UNKNOWN")),
        };
        ip.map_err(|_| ParseError::Line(what))
    };
    let (source, destination) = (ip("source address")?, ip("destination address")?);
    let mut port = |what| words.next().and_then(decimal_port).ok_or(ParseError::Line(what));
    let (source_port, destination_port) = (port("source port")?, port("destination port")?);
    if words.next().is_some() {
        return Err(ParseError::Line("end: nothing may follow the destination port"));
    }
    Ok(Addresses::Tcp {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// §2.1: "as a decimal integer in the range [0..65535] inclusive. Heading zeroes are not permitted".
fn decimal_port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Appends a header of version 1 to `out`, at most [`MAX_V1_HEADER`] bytes.
///
/// [`Addresses::Local`] is written as `UNKNOWN`: this version can't tell one from the other.
pub fn encode_v1(addresses: &Addresses, out: &mut Vec<u8>) {
    let line = match addresses.ends() {
        None => out.write_all(b"PROXY UNKNOWN\r\n"),
        Some(Ends::V4(from, to, from_port, to_port)) => {
            write!(out, "PROXY TCP4 {from} {to} {from_port} {to_port}\r\n")
        }
        Some(Ends::V6(from, to, from_port, to_port)) => {
            write!(out, "PROXY TCP6 {from} {to} {from_port} {to_port}\r\n")
        }
    };
    line.expect("a Vec takes what is written");
}
