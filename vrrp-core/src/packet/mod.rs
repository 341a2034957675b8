//! The advertisement on the wire: VRRPv2 for IPv4 (RFC 3768 §5, with the authentication of RFC 2338) and VRRPv3 for
//! IPv4 and IPv6 (RFC 5798 §5, RFC 9568 §5).
//!
//! [`Packet::parse`] makes every check that needs no configuration, once; the accessors of the view that it gives
//! can't fail. [`Advert::emit`] is the way back. Neither allocates.

mod ah;
mod checksum;
mod emit;
mod message;
mod trailer;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) use ah::{AH_LEN, IP_LEN};
pub use ah::{AhAdvert, AhError, AhHeader, AhPacket, PROTOCOL_AH};
pub use checksum::{ChecksumForm, PROTOCOL};
pub(crate) use emit::Proof;
pub use emit::{Advert, AdvertError, BufferTooSmall, PASSWORD_LEN};
pub(crate) use message::{AUTHENTICATION_LEN, HEADER_LEN};
pub use message::{Authentication, Message, MessageError, Version};
pub use trailer::HmacTrailer;
pub(crate) use trailer::TRAILER_LEN;

use crate::{Addresses, AdverInterval, AhKey, Family, HmacKey, Priority, Vrid};
use checksum::Sum;

/// The IPv4 group that adverts go to: 224.0.0.18 (RFC 9568 §5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group that adverts go to: ff02::12 (RFC 9568 §5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// TTL and hop limit of an advert, so that one from beyond the link shows (RFC 9568 §5.1.1.3, §5.1.2.3).
pub const HOP_LIMIT: u8 = 255;

/// What the IP header of an advert said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Who sent it: the primary address of the sender's interface.
    pub source: IpAddr,
    /// Where it went: the VRRP group, or this host in unicast.
    pub destination: IpAddr,
    /// IPv4 TTL or IPv6 hop limit as received.
    pub hop_limit: u8,
}

/// An advert that passed every check that needs no configuration. Borrowed from the octets received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    message: Message<'a>,
    vrid: Vrid,
    adver_interval: AdverInterval,
    envelope: Envelope,
    checksum: ChecksumForm,
    ah: Option<AhPacket<'a>>,
}

impl<'a> Packet<'a> {
    /// Checks a VRRP message, `payload` being the IP payload to the end that the IP header gives, without padding.
    ///
    /// In this order: one family in the envelope, hop limit, length of the header, version, VRRPv2 over IPv4 alone,
    /// length against the count of addresses, form of the authentication trailer if there is one, type, VRID, interval, at least one address, checksum. Ignored are the
    /// reserved bits (RFC 9568 §5.2.6) and VRRPv2's authentication data under a type that has none. Hop limit 255 is
    /// asked of multicast alone: keepalived's IPv6 unicast adverts carry 64.
    ///
    /// # Errors
    /// The first check that fails, with the data that failed it; see [`ParseError`].
    #[inline]
    pub fn parse(payload: &'a [u8], envelope: &Envelope) -> Result<Self, ParseError> {
        let family = Family::of(&envelope.source);
        if family != Family::of(&envelope.destination) {
            return Err(ParseError::MixedFamilies {
                source_address: envelope.source,
                destination: envelope.destination,
            });
        }
        if envelope.hop_limit != HOP_LIMIT && envelope.destination.is_multicast() {
            return Err(ParseError::HopLimit {
                got: envelope.hop_limit,
            });
        }
        let message = Message::new(payload, family)?;
        if message.kind() != Message::ADVERTISEMENT {
            return Err(ParseError::Type { got: message.kind() });
        }
        let vrid = Vrid::new(message.vrid()).ok_or(ParseError::VridZero)?;
        let adver_interval = message.adver_interval().ok_or(ParseError::AdverIntervalZero)?;
        if message.address_count() == 0 {
            return Err(ParseError::NoAddresses);
        }
        let Some(checksum) = checksum_form(message, envelope) else {
            return Err(checksum_error(message, envelope));
        };
        Ok(Self {
            message,
            vrid,
            adver_interval,
            envelope: *envelope,
            checksum,
            ah: None,
        })
    }

    /// Checks an IPv4 packet of protocol 51, header included: an IP authentication header with a VRRP message behind
    /// it, as keepalived sends it. What follows the packet's total length is ignored.
    ///
    /// The check value needs a key; the router verifies it.
    ///
    /// # Errors
    /// [`ParseError::Ah`] for the headers, and then as [`parse`](Self::parse).
    pub fn parse_ah(packet: &'a [u8]) -> Result<Self, ParseError> {
        let ah = AhPacket::new(packet)?;
        let packet = Self::parse(ah.message(), &ah.envelope())?;
        Ok(Self {
            ah: Some(ah),
            ..packet
        })
    }

    /// Protocol version.
    #[inline]
    pub fn version(&self) -> Version {
        self.message.version()
    }

    /// Which virtual router it speaks for.
    #[inline]
    pub fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// The sender's priority; [`Priority::STOP`] when it gives up.
    #[inline]
    pub fn priority(&self) -> Priority {
        self.message.priority()
    }

    /// The sender's interval between adverts.
    #[inline]
    pub fn adver_interval(&self) -> AdverInterval {
        self.adver_interval
    }

    /// The addresses that the sender backs up, at least one.
    #[inline]
    pub fn addresses(&self) -> Addresses<'a> {
        self.message.addresses()
    }

    /// VRRPv2 authentication as the message says; `None` in VRRPv3, whose authentication is the
    /// [`trailer`](Self::trailer).
    #[inline]
    pub fn authentication(&self) -> Authentication<'a> {
        self.message.authentication()
    }

    /// The authentication trailer of VRRPv3. It is well-formed; what it proves is for the router to see.
    #[inline]
    pub fn trailer(&self) -> Option<HmacTrailer<'a>> {
        self.message.trailer()
    }

    /// The IP authentication header before the message.
    #[inline]
    pub fn ah(&self) -> Option<AhHeader<'a>> {
        self.ah.as_ref().map(AhPacket::header)
    }

    /// Whether the key of the IP authentication header has signed it.
    pub(crate) fn verifies_ah(&self, key: &AhKey) -> bool {
        self.ah.is_some_and(|ah| ah.verifies(key))
    }

    /// Whether this key has signed the trailer.
    pub(crate) fn verifies_trailer(&self, key: &HmacKey) -> bool {
        let trailer = self.message.trailer();
        trailer.is_some_and(|trailer| trailer.verifies(key, self.envelope.source, self.message))
    }

    /// Address family, from the IP header.
    #[inline]
    pub fn family(&self) -> Family {
        self.addresses().family()
    }

    /// Which form of checksum verified; the pseudo-header form where both do.
    #[inline]
    pub fn checksum(&self) -> ChecksumForm {
        self.checksum
    }

    /// What the IP header said.
    #[inline]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Who sent it.
    #[inline]
    pub fn source(&self) -> IpAddr {
        self.envelope.source
    }

    /// The advert that [`Advert::emit`] would turn into these octets again, apart from what [`parse`](Self::parse)
    /// ignores, a checksum of 0xffff, which goes out as the 0x0000 that it equals, and the proofs of AH and HMAC, which
    /// take the key.
    #[inline]
    pub fn advert(&self) -> Advert<'a> {
        Advert {
            version: self.version(),
            vrid: self.vrid,
            priority: self.priority(),
            adver_interval: self.adver_interval,
            addresses: self.addresses(),
            authentication: self.authentication(),
            proof: Proof::None,
        }
    }
}

/// Why octets are not a VRRP advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The layout is not that of a VRRP message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The headers before the message are not IPv4 and AH.
    #[error(transparent)]
    Ah(#[from] AhError),
    /// Source and destination are of different families: the envelope is wrong.
    #[error("source {source_address} and destination {destination} are of different families")]
    MixedFamilies {
        /// Source address of the envelope.
        source_address: IpAddr,
        /// Destination address of the envelope.
        destination: IpAddr,
    },
    /// A multicast advert that was forwarded, which no router may do (RFC 9568 §5.1.1.3).
    #[error("hop limit {got} on multicast instead of 255")]
    HopLimit {
        /// TTL or hop limit as received.
        got: u8,
    },
    /// Only type 1, ADVERTISEMENT, is defined (RFC 9568 §5.2.2).
    #[error("type {got} instead of 1, advertisement")]
    Type {
        /// The type received.
        got: u8,
    },
    /// VRID 0 does not exist (RFC 9568 §5.2.3).
    #[error("VRID 0")]
    VridZero,
    /// An interval of 0 would make every receiver a master at once (RFC 9568 erratum 8301).
    #[error("advertisement interval 0")]
    AdverIntervalZero,
    /// An advert without addresses (RFC 9568 erratum 8299).
    #[error("no addresses")]
    NoAddresses,
    /// No form of the checksum verifies.
    #[error("checksum {got:#06x} instead of {expected:#06x}")]
    Checksum {
        /// The checksum received.
        got: u16,
        /// The checksum that the message should carry; for VRRPv3 the one with pseudo-header.
        expected: u16,
    },
}

/// The sum with the pseudo-header, and over IPv6 with the trailer: there the kernel of a sender fills in the checksum
/// of all that it sends, while over IPv4 the sender does so before it signs.
#[inline]
fn with_pseudo_header(sum: Sum, message: Message<'_>, envelope: &Envelope) -> Sum {
    let (source, destination) = (&envelope.source, &envelope.destination);
    match message.trailer() {
        Some(trailer) if source.is_ipv6() => sum.add(trailer.octets()).add_pseudo_header(
            source,
            destination,
            message.len() + TRAILER_LEN as u16,
        ),
        _ => sum.add_pseudo_header(source, destination, message.len()),
    }
}

/// The form of checksum that verifies, if one does.
#[inline]
fn checksum_form(message: Message<'_>, envelope: &Envelope) -> Option<ChecksumForm> {
    let alone = Sum::default().add(message.octets());
    if message.version() == Version::V3 {
        let with_header = with_pseudo_header(alone, message, envelope);
        if with_header.verifies() {
            return Some(ChecksumForm::PseudoHeader);
        }
        // RFC 9568 §5.2.8 has one form for IPv6.
        if envelope.source.is_ipv6() {
            return None;
        }
    }
    alone.verifies().then_some(ChecksumForm::MessageOnly)
}

/// Tells what was expected. Ones' complement has two zeros: a checksum of 0xffff counts as the 0x0000 that it equals.
#[cold]
fn checksum_error(message: Message<'_>, envelope: &Envelope) -> ParseError {
    let got = message.checksum();
    let mut sum = Sum::default().add(message.octets());
    if message.version() == Version::V3 {
        sum = with_pseudo_header(sum, message, envelope);
    }
    // Takes the received checksum out of the sum: adding its complement is subtracting it (RFC 1071 §2).
    let [high, low] = (!got).to_be_bytes();
    let expected = u16::from_be_bytes(sum.add(&[high, low, 0, 0]).checksum());
    ParseError::Checksum { got, expected }
}
