//! The IP authentication header of VRRPv2 (RFC 2338 §5.3.6, RFC 2402), in the form that keepalived gives it.
//!
//! It stands between the IPv4 header and the VRRP message, as IP protocol 51. Two things are keepalived's own: the SPI
//! is the source address, and of the fields that a router on the way may change, the TTL is left out of the check value
//! in unicast alone, where RFC 2402 §3.3.3.1.1.1 leaves it out always.

use bytes::BufMut;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use hmac::{Hmac, Mac};
use md5::Md5;

use super::{Advert, BufferTooSmall, ChecksumForm, Envelope, PROTOCOL};
use crate::AhKey;

/// IP protocol number of the authentication header.
pub const PROTOCOL_AH: u8 = 51;

/// Octets of an IPv4 header without options.
pub(crate) const IP_LEN: usize = 20;
/// Octets of the authentication header.
pub(crate) const AH_LEN: usize = FIXED_LEN + ICV_LEN;
/// Octets before the check value.
const FIXED_LEN: usize = 12;
/// Octets of the check value: HMAC-MD5 cut to 96 bits.
const ICV_LEN: usize = 12;
/// The length field: words of 32 bits, less two (RFC 2402 §2.2).
const LEN_FIELD: u8 = (AH_LEN / 4 - 2) as u8;
/// Precedence Internetwork Control, as keepalived and routers send it.
const TRAFFIC_CLASS: u8 = 0xc0;

/// An IPv4 packet with an authentication header and something that may be a VRRP message behind it.
///
/// For tools that show packets; routers use [`Packet::parse_ah`](super::Packet::parse_ah).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AhPacket<'a> {
    ip: &'a [u8; IP_LEN],
    header: &'a [u8; AH_LEN],
    message: &'a [u8],
}

impl<'a> AhPacket<'a> {
    /// Checks the layout of an IPv4 packet, header included. What follows its total length is padding of the link.
    ///
    /// # Errors
    /// See [`AhError`].
    pub fn new(packet: &'a [u8]) -> Result<Self, AhError> {
        let got = packet.len();
        let need = IP_LEN + AH_LEN;
        let truncated = AhError::Truncated { need, got };
        let (ip, _) = packet.split_first_chunk::<IP_LEN>().ok_or(truncated)?;
        if ip[0] != 0x45 {
            return Err(AhError::IpHeader { got: ip[0] });
        }
        if ip[9] != PROTOCOL_AH {
            return Err(AhError::Protocol { got: ip[9] });
        }
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let rest = packet.get(IP_LEN..total).ok_or(AhError::Truncated {
            need: total.max(need),
            got,
        })?;
        let (header, message) = rest
            .split_first_chunk::<AH_LEN>()
            .ok_or(AhError::Truncated { need, got: total })?;
        match *header {
            [PROTOCOL, LEN_FIELD, ..] => Ok(Self { ip, header, message }),
            [PROTOCOL, got, ..] => Err(AhError::Length { got }),
            [got, ..] => Err(AhError::NextHeader { got }),
        }
    }

    /// What the IP header says.
    pub fn envelope(&self) -> Envelope {
        let address = |at| {
            let octets = [self.ip[at], self.ip[at + 1], self.ip[at + 2], self.ip[at + 3]];
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        Envelope {
            source: address(12),
            destination: address(16),
            hop_limit: self.ip[8],
        }
    }

    /// The authentication header.
    pub fn header(&self) -> AhHeader<'a> {
        AhHeader(self.header)
    }

    /// What follows the authentication header.
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// Whether the key has signed this packet.
    pub(crate) fn verifies(&self, key: &AhKey) -> bool {
        let (fixed, icv) = self.header.split_at(FIXED_LEN);
        let signed = begin(key, self.ip)
            .chain_update(fixed)
            .chain_update([0; ICV_LEN])
            .chain_update(self.message);
        signed.verify_truncated_left(icv).is_ok()
    }
}

impl fmt::Debug for AhPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AhPacket")
            .field("envelope", &self.envelope())
            .field("header", &self.header())
            .finish_non_exhaustive()
    }
}

/// The fields of an authentication header.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AhHeader<'a>(&'a [u8; AH_LEN]);

impl AhHeader<'_> {
    /// Security parameters index; with keepalived the source address.
    pub fn spi(self) -> Ipv4Addr {
        let [_, _, _, _, a, b, c, d, ..] = *self.0;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Sequence number, greater in every advert of a sender.
    pub fn sequence(self) -> u32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for AhHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AhHeader")
            .field("spi", &self.spi())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

/// An advert that goes out behind an authentication header; see [`Advert::ah`].
#[derive(Clone, Copy, Debug)]
pub struct AhAdvert<'a> {
    pub(super) advert: Advert<'a>,
    pub(super) key: &'a AhKey,
    pub(super) sequence: u32,
}

impl AhAdvert<'_> {
    /// Octets of the packet, IP header included.
    pub fn wire_len(&self) -> usize {
        IP_LEN + AH_LEN + self.advert.wire_len()
    }

    /// Appends the whole IPv4 packet to `buffer`, since the check value covers the IP header: `source`, `destination`
    /// and `hop_limit` of the envelope, and `id` as its identification. For a raw socket with `IP_HDRINCL`, where `id`
    /// must not be 0: the kernel would fill it in. The header's checksum is 0; the kernel fills that in.
    ///
    /// # Errors
    /// When `buffer` has no room for [`wire_len`](Self::wire_len) octets; nothing is written then.
    pub fn emit(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        hop_limit: u8,
        id: u16,
        buffer: &mut impl BufMut,
    ) -> Result<(), BufferTooSmall> {
        let need = self.wire_len();
        if buffer.remaining_mut() < need {
            return Err(BufferTooSmall {
                need,
                got: buffer.remaining_mut(),
            });
        }
        // At most 255 addresses: far below 2^16 octets.
        let [total_high, total_low] = (need as u16).to_be_bytes();
        let [id_high, id_low] = id.to_be_bytes();
        let [s0, s1, s2, s3] = source.octets();
        let [d0, d1, d2, d3] = destination.octets();
        #[rustfmt::skip]
        let ip: [u8; IP_LEN] = [
            0x45, TRAFFIC_CLASS, total_high, total_low,
            id_high, id_low, 0, 0,
            hop_limit, PROTOCOL_AH, 0, 0,
            s0, s1, s2, s3,
            d0, d1, d2, d3,
        ];
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        let mut header = [0; AH_LEN];
        header[..FIXED_LEN].copy_from_slice(&[PROTOCOL, LEN_FIELD, 0, 0, s0, s1, s2, s3, q0, q1, q2, q3]);
        let (message, data) =
            self.advert
                .unsigned(source.into(), destination.into(), ChecksumForm::MessageOnly);
        let addresses = self.advert.addresses.octets();
        // VRRPv2, which alone has authentication headers, has data.
        let data = data.as_ref().map_or(&[][..], |data| &data[..]);
        let icv = begin(self.key, &ip)
            .chain_update(header)
            .chain_update(message)
            .chain_update(addresses)
            .chain_update(data)
            .finalize();
        header[FIXED_LEN..].copy_from_slice(&icv.into_bytes()[..ICV_LEN]);
        buffer.put_slice(&ip);
        buffer.put_slice(&header);
        buffer.put_slice(&message);
        buffer.put_slice(addresses);
        buffer.put_slice(data);
        Ok(())
    }
}

/// What is signed begins with the IP header, without what may change on the way.
fn begin(key: &AhKey, ip: &[u8; IP_LEN]) -> Hmac<Md5> {
    let mut ip = *ip;
    // Type of service, flags and fragment offset, checksum.
    ip[1] = 0;
    ip[6..8].fill(0);
    ip[10..12].fill(0);
    if !Ipv4Addr::new(ip[16], ip[17], ip[18], ip[19]).is_multicast() {
        ip[8] = 0;
    }
    key.mac().chain_update(ip)
}

/// Why octets are not an IPv4 packet with an authentication header before VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AhError {
    /// Shorter than its headers, or than its total length.
    #[error("{got} octets where {need} are needed")]
    Truncated {
        /// Octets needed.
        need: usize,
        /// Octets received.
        got: usize,
    },
    /// Options may change on the way, and keepalived sends none.
    #[error("IP header begins with {got:#04x} instead of 0x45, IPv4 without options")]
    IpHeader {
        /// First octet received.
        got: u8,
    },
    /// Not the authentication header.
    #[error("IP protocol {got} instead of 51, authentication header")]
    Protocol {
        /// IP protocol received.
        got: u8,
    },
    /// Something else than VRRP behind the header.
    #[error("authentication header before protocol {got} instead of 112, VRRP")]
    NextHeader {
        /// IP protocol received.
        got: u8,
    },
    /// Another algorithm than HMAC-MD5-96.
    #[error("authentication header of length {got} instead of 4, a check value of 96 bits")]
    Length {
        /// Length field received.
        got: u8,
    },
}
