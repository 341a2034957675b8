//! Version 2: binary (§2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addresses::{Addresses, Ends};
use super::crc32c::crc32c;
use super::header::{Header, MAX_HEADER, ParseError, Version, begins};
use super::tlv::{self, Tlv, Tlvs};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and transport, and the length of what follows.
const FIXED: usize = 16;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

pub(super) fn parse(received: &[u8]) -> Result<Option<Header<'_>>, ParseError> {
    if !begins(received, SIGNATURE)? {
        return Ok(None);
    }
    let Some(&[version_command, family, high, low]) = received[SIGNATURE.len()..].first_chunk() else {
        return Ok(None);
    };
    if version_command >> 4 != 2 {
        return Err(ParseError::Version(version_command >> 4));
    }
    let local = match version_command & 0xf {
        LOCAL => true,
        PROXY => false,
        command => return Err(ParseError::Command(command)),
    };
    let need = match (family >> 4, family & 0xf) {
        (0, 0..=2) => 0,
        (1, 0..=2) => 12,
        (2, 0..=2) => 36,
        (3, 0..=2) => 216,
        // §2.2: "must be rejected as invalid by receivers". A LOCAL one's family says nothing.
        _ if local => 0,
        _ => return Err(ParseError::Family(family)),
    };
    let got = usize::from(u16::from_be_bytes([high, low]));
    if got < need && !local {
        return Err(ParseError::TooShort { need, got });
    }
    let len = FIXED + got;
    if len > MAX_HEADER {
        return Err(ParseError::TooLong(len));
    }
    let Some(header) = received.get(..len) else {
        return Ok(None);
    };
    let body = &header[FIXED..];
    let addresses = if local {
        Addresses::Local
    } else {
        addresses(family, body)
    };
    let tlvs = Tlvs::new(body.get(need..).unwrap_or_default());
    match check(header, tlvs, len - tlvs.as_bytes().len()) {
        Ok(()) => {}
        // §2.2: what follows is "to be ignored", so it need not be TLVs.
        Err(ParseError::Tlv { .. }) if local || family >> 4 == 0 => {
            return Ok(Some(found(addresses, Tlvs::EMPTY, len)));
        }
        Err(error) => return Err(error),
    }
    Ok(Some(found(addresses, tlvs, len)))
}

const fn found(addresses: Addresses, tlvs: Tlvs<'_>, len: usize) -> Header<'_> {
    Header {
        version: Version::V2,
        addresses,
        tlvs,
        len,
    }
}

/// The addresses in a `body` that is long enough for those of `family`.
fn addresses(family: u8, body: &[u8]) -> Addresses {
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    match family {
        TCP4 => {
            let ip = |at: usize| Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
            Addresses::Tcp {
                source: SocketAddr::new(ip(0).into(), port(8)),
                destination: SocketAddr::new(ip(4).into(), port(10)),
            }
        }
        TCP6 => {
            let ip = |at: usize| {
                let octets: [u8; 16] = body[at..at + 16].try_into().expect("16 bytes");
                Ipv6Addr::from(octets)
            };
            Addresses::Tcp {
                source: SocketAddr::new(ip(0).into(), port(32)),
                destination: SocketAddr::new(ip(16).into(), port(34)),
            }
        }
        _ => Addresses::Unknown,
    }
}

/// Checks that the TLVs end where the header does, and their checksum if there is one.
fn check(header: &[u8], tlvs: Tlvs<'_>, start: usize) -> Result<(), ParseError> {
    let mut rest = tlvs.as_bytes();
    let mut sum = None;
    while !rest.is_empty() {
        let at = start + tlvs.as_bytes().len() - rest.len();
        let (kind, value, after) = tlv::split(rest).ok_or(ParseError::Tlv { at })?;
        if kind == tlv::CRC32C {
            let got = value.try_into().map_err(|_| ParseError::Tlv { at })?;
            sum = Some((u32::from_be_bytes(got), at + tlv::HEAD));
        }
        rest = after;
    }
    if let Some((got, at)) = sum {
        // §2.2.4: over the whole header, with the checksum's own bytes taken as zero.
        let want = crc32c(&[&header[..at], &[0; 4], &header[at + 4..]]);
        if got != want {
            return Err(ParseError::Checksum { got, want });
        }
    }
    Ok(())
}

/// What a header has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The header would be longer than [`MAX_HEADER`].
    #[error("the header would have {0} bytes, and at most {MAX_HEADER} are possible")]
    TooLong(usize),
}

/// Appends a header of version 2 to `out`, with `tlvs` and a checksum of it all.
///
/// # Errors
/// It would be longer than [`MAX_HEADER`]; `out` is then as it was.
pub fn encode_v2(addresses: &Addresses, tlvs: &[Tlv<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    let command = if *addresses == Addresses::Local {
        LOCAL
    } else {
        PROXY
    };
    out.push(0x20 | command);
    match addresses.ends() {
        None => out.extend([0, 0, 0]),
        Some(Ends::V4(from, to, from_port, to_port)) => {
            out.extend([TCP4, 0, 0]);
            out.extend(from.octets().iter().chain(&to.octets()));
            out.extend(from_port.to_be_bytes().iter().chain(&to_port.to_be_bytes()));
        }
        Some(Ends::V6(from, to, from_port, to_port)) => {
            out.extend([TCP6, 0, 0]);
            out.extend(from.octets().iter().chain(&to.octets()));
            out.extend(from_port.to_be_bytes().iter().chain(&to_port.to_be_bytes()));
        }
    }
    for tlv in tlvs {
        tlv.encode(out);
    }
    let sum = out.len() + tlv::HEAD;
    out.extend([tlv::CRC32C, 0, 4, 0, 0, 0, 0]);
    let len = out.len() - start;
    if len > MAX_HEADER {
        out.truncate(start);
        return Err(EncodeError::TooLong(len));
    }
    let follows = u16::try_from(len - FIXED).expect("MAX_HEADER fits");
    out[start + FIXED - 2..start + FIXED].copy_from_slice(&follows.to_be_bytes());
    let crc = crc32c(&[&out[start..]]);
    out[sum..sum + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
