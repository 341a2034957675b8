//! A header of either version, read from the beginning of a connection.

use super::addresses::Addresses;
use super::tlv::Tlvs;
use super::{v1, v2};

/// The longest header of version 2 that is accepted, in bytes. The format has room for 65,551; an address takes 52 at
/// most that matter here, and what proxies add to it some hundred.
pub const MAX_HEADER: usize = 4096;

/// A header, as [`parse`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The version of the protocol.
    pub version: Version,
    /// Whose connection it is.
    pub addresses: Addresses,
    /// What else the sender tells; nothing in version 1.
    pub tlvs: Tlvs<'a>,
    /// How many bytes the header has; the connection's own data begins after it.
    pub len: usize,
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary, with room for more than addresses.
    V2,
}

/// Why the bytes are not a header. The connection should be closed without an answer, as the specification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes are something else.
    #[error("no PROXY protocol header: neither \"PROXY \" nor the signature of version 2")]
    NoHeader,
    /// A line of version 1 without an end where it must have ended.
    #[error("the PROXY line is longer than 107 bytes")]
    LineTooLong,
    /// A line of version 1 that is not as the specification has it.
    #[error("the PROXY line has a bad {0}")]
    Line(&'static str),
    /// A binary header of another version.
    #[error("version {0} of the PROXY protocol is unknown")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("command {0} of the PROXY protocol is unknown")]
    Command(u8),
    /// An address family or transport that the specification does not know.
    #[error("address family and transport {0:#04x} are unknown")]
    Family(u8),
    /// The addresses don't fit in the length that is given.
    #[error("the header gives {got} bytes for addresses that take {need}")]
    TooShort {
        /// What the addresses take.
        need: usize,
        /// What the header says follows.
        got: usize,
    },
    /// Longer than [`MAX_HEADER`].
    #[error("the header has {0} bytes, and at most {MAX_HEADER} are accepted")]
    TooLong(usize),
    /// A TLV that reaches beyond the end.
    #[error("the TLV at byte {at} reaches beyond the header's end")]
    Tlv {
        /// Where it begins, counted from the header's beginning.
        at: usize,
    },
    /// The checksum is wrong.
    #[error("the header's CRC-32C is {got:#010x}, and its bytes give {want:#010x}")]
    Checksum {
        /// What the header says.
        got: u32,
        /// What its bytes give.
        want: u32,
    },
}

/// Reads the header that a connection begins with, from all the bytes that have been received.
///
/// `None` if it may be one and is not complete yet: the caller receives more and calls again. It never takes more than
/// [`MAX_HEADER`] bytes (107 in version 1) to say which, and junk is refused with its first wrong byte in what comes
/// first, so a wait can't be drawn out.
///
/// # Errors
/// The bytes can't become a valid header.
pub fn parse(received: &[u8]) -> Result<Option<Header<'_>>, ParseError> {
    match received.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(received),
        Some(_) => v2::parse(received),
    }
}

/// Whether all of `magic` has been received; an error if something else has been.
pub(super) fn begins(received: &[u8], magic: &[u8]) -> Result<bool, ParseError> {
    let common = received.len().min(magic.len());
    if received[..common] != magic[..common] {
        return Err(ParseError::NoHeader);
    }
    Ok(common == magic.len())
}
