//! The layout of a VRRP message: where each field stands, and whether the octets suffice.

use core::fmt;

use super::trailer::{HmacTrailer, TRAILER_LEN};
use crate::{Addresses, AdverInterval, Family, Priority};

/// Octets before the addresses.
pub(crate) const HEADER_LEN: usize = 8;
/// Octets of authentication data after the addresses of a VRRPv2 message, present with every type (RFC 3768 §5.3.10).
pub(crate) const AUTHENTICATION_LEN: usize = 8;

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// VRRPv2, RFC 3768: IPv4, intervals in whole seconds.
    V2,
    /// VRRPv3, RFC 5798 and RFC 9568: IPv4 and IPv6, intervals in centiseconds.
    V3,
}

impl Version {
    /// The number on the wire.
    #[inline]
    pub const fn get(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Authentication of a VRRPv2 message (RFC 2338 §5.3.6; RFC 3768 keeps the fields and drops the methods).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authentication<'a> {
    /// Type 0, and every VRRPv3 message.
    None,
    /// Type 1, simple text password: eight octets, padded with zeros. Anyone on the link can read it.
    Simple(&'a [u8; AUTHENTICATION_LEN]),
    /// Type 2, IP authentication header: the proof stands before the VRRP message.
    Ah,
    /// A type that no RFC defines.
    Other(u8),
}

impl fmt::Debug for Authentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            // A password never reaches a log.
            Self::Simple(_) => f.write_str("Simple(…)"),
            Self::Ah => f.write_str("Ah"),
            Self::Other(kind) => write!(f, "Other({kind})"),
        }
    }
}

/// A message whose length agrees with its count of addresses, and of which nothing else is known.
///
/// For tools that show broken packets; routers use [`Packet`](crate::Packet).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    octets: &'a [u8],
    trailer: Option<HmacTrailer<'a>>,
    version: Version,
    family: Family,
}

impl<'a> Message<'a> {
    /// The one message type there is (RFC 9568 §5.2.2).
    pub const ADVERTISEMENT: u8 = 1;

    /// Checks version and length. The family is that of the IP header.
    ///
    /// A VRRPv3 message may be followed by an authentication trailer, which shows in the length alone.
    ///
    /// # Errors
    /// See [`MessageError`].
    #[inline]
    pub fn new(octets: &'a [u8], family: Family) -> Result<Self, MessageError> {
        let Some(header) = octets.first_chunk::<HEADER_LEN>() else {
            return Err(MessageError::Truncated {
                need: HEADER_LEN,
                got: octets.len(),
            });
        };
        let (version, data) = match header[0] >> 4 {
            2 => (Version::V2, AUTHENTICATION_LEN),
            3 => (Version::V3, 0),
            got => return Err(MessageError::Version { got }),
        };
        if version == Version::V2 && family == Family::Ipv6 {
            return Err(MessageError::Ipv6InV2);
        }
        let count = header[3];
        let need = HEADER_LEN + usize::from(count) * family.address_len() + data;
        let trailer = match octets.len().checked_sub(need) {
            Some(0) => None,
            Some(TRAILER_LEN) if version == Version::V3 => octets.last_chunk(),
            _ => return Err(length_error(count, need, octets.len())),
        };
        Ok(Self {
            octets: &octets[..need],
            trailer: trailer.map(HmacTrailer::new).transpose()?,
            version,
            family,
        })
    }

    /// The whole message, without the trailer.
    #[inline]
    pub const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// The authentication trailer of a VRRPv3 message.
    #[inline]
    pub const fn trailer(self) -> Option<HmacTrailer<'a>> {
        self.trailer
    }

    /// Length as the pseudo-header has it: 255 addresses are far below 2^16 octets.
    #[inline]
    pub(crate) const fn len(self) -> u16 {
        self.octets.len() as u16
    }

    /// Protocol version.
    #[inline]
    pub const fn version(self) -> Version {
        self.version
    }

    /// Message type, the low nibble of the first octet.
    #[inline]
    pub const fn kind(self) -> u8 {
        self.octets[0] & 0x0f
    }

    /// Virtual router id as it stands, 0 included.
    #[inline]
    pub const fn vrid(self) -> u8 {
        self.octets[1]
    }

    /// Priority.
    #[inline]
    pub const fn priority(self) -> Priority {
        Priority::new(self.octets[2])
    }

    /// Interval between adverts; `None` for 0. The four reserved bits of VRRPv3 are ignored (RFC 9568 §5.2.6).
    #[inline]
    pub const fn adver_interval(self) -> Option<AdverInterval> {
        match self.version {
            Version::V2 => AdverInterval::from_secs(self.octets[5]),
            Version::V3 => {
                AdverInterval::from_centis(u16::from_be_bytes([self.octets[4] & 0x0f, self.octets[5]]))
            }
        }
    }

    /// Checksum as received.
    #[inline]
    pub const fn checksum(self) -> u16 {
        u16::from_be_bytes([self.octets[6], self.octets[7]])
    }

    /// How many addresses the message says that it has, and has.
    #[inline]
    pub const fn address_count(self) -> u8 {
        self.octets[3]
    }

    /// Addresses, possibly none.
    #[inline]
    pub fn addresses(self) -> Addresses<'a> {
        let len = usize::from(self.address_count()) * self.family.address_len();
        Addresses::from_octets(self.family, &self.octets[HEADER_LEN..HEADER_LEN + len])
    }

    /// VRRPv2 authentication; `None` in VRRPv3.
    #[inline]
    pub fn authentication(self) -> Authentication<'a> {
        match (self.version, self.octets[4]) {
            (Version::V3, _) | (Version::V2, 0) => Authentication::None,
            (Version::V2, 1) => match self.octets.last_chunk() {
                Some(password) => Authentication::Simple(password),
                // A VRRPv2 message is longer than its authentication data.
                None => Authentication::None,
            },
            (Version::V2, 2) => Authentication::Ah,
            (Version::V2, kind) => Authentication::Other(kind),
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("version", &self.version)
            .field("kind", &self.kind())
            .field("vrid", &self.vrid())
            .field("priority", &self.priority())
            .field("adver_interval", &self.adver_interval())
            .field("checksum", &self.checksum())
            .field("authentication", &self.authentication())
            .field("addresses", &self.addresses())
            .field("trailer", &self.trailer)
            .finish()
    }
}

/// Which way the length does not agree with the count of addresses.
#[cold]
fn length_error(count: u8, need: usize, got: usize) -> MessageError {
    if got < need {
        MessageError::Truncated { need, got }
    } else {
        MessageError::TooLong {
            count,
            expected: need,
            got,
        }
    }
}

/// Why octets do not have the layout of a VRRP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Shorter than the header, or than the count of addresses asks for.
    #[error("{got} octets where {need} are needed")]
    Truncated {
        /// Octets needed.
        need: usize,
        /// Octets received.
        got: usize,
    },
    /// Longer than the count of addresses asks for.
    #[error("{got} octets where {count} addresses make {expected}")]
    TooLong {
        /// The message's count of addresses.
        count: u8,
        /// Octets that the count asks for.
        expected: usize,
        /// Octets received.
        got: usize,
    },
    /// As long as with an authentication trailer, but it is none: another type, or reserved bits that are not zero.
    #[error(
        "28 octets after the last address that are no authentication trailer: type {kind}, reserved {reserved:#06x}"
    )]
    Trailer {
        /// The type received, instead of 1.
        kind: u8,
        /// The reserved bits received, instead of 0.
        reserved: u16,
    },
    /// Neither VRRPv2 nor VRRPv3.
    #[error("version {got}")]
    Version {
        /// The version received.
        got: u8,
    },
    /// VRRPv2 is for IPv4 alone (RFC 3768 §1).
    #[error("VRRPv2 over IPv6")]
    Ipv6InV2,
}
