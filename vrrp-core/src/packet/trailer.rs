//! The authentication trailer of VRRPv3, after the last address: type, key, sequence, MAC
//! (draft-cassen-vrrp-auth-hmac).

use core::fmt;
use core::net::IpAddr;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::message::HEADER_LEN;
use super::{Message, MessageError};
use crate::{HmacKey, Sequence};

/// Octets of the trailer.
pub(crate) const TRAILER_LEN: usize = PREFIX_LEN + MAC_LEN;
/// Octets before the MAC.
const PREFIX_LEN: usize = 12;
/// Octets of the MAC: HMAC-SHA256 cut in half.
const MAC_LEN: usize = 16;
/// The one type that is defined.
const HMAC_SHA256: u8 = 1;

/// The trailer of an authenticated VRRPv3 advert.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HmacTrailer<'a>(&'a [u8; TRAILER_LEN]);

impl<'a> HmacTrailer<'a> {
    #[inline]
    pub(super) fn new(octets: &'a [u8; TRAILER_LEN]) -> Result<Self, MessageError> {
        let [kind, _, high, low, ..] = *octets;
        let reserved = u16::from_be_bytes([high, low]);
        if kind != HMAC_SHA256 || reserved != 0 {
            return Err(MessageError::Trailer { kind, reserved });
        }
        Ok(Self(octets))
    }

    /// The whole trailer.
    #[inline]
    pub const fn octets(self) -> &'a [u8; TRAILER_LEN] {
        self.0
    }

    /// Number of the key that it was signed with.
    #[inline]
    pub const fn key_id(self) -> u8 {
        self.0[1]
    }

    /// When it was signed.
    #[inline]
    pub const fn sequence(self) -> Sequence {
        let [_, _, _, _, a, b, c, d, e, f, g, h, ..] = *self.0;
        Sequence::from_bits(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Whether the key has signed this message, from this source.
    pub(crate) fn verifies(self, key: &HmacKey, source: IpAddr, message: Message<'_>) -> bool {
        let Some((prefix, mac)) = self.0.split_first_chunk::<PREFIX_LEN>() else {
            return false;
        };
        let signed = signature(key, source, message.octets(), prefix);
        signed.verify_truncated_left(mac).is_ok()
    }
}

impl fmt::Debug for HmacTrailer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacTrailer")
            .field("key_id", &self.key_id())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

/// The trailer of a message that is given in two parts, header and addresses.
pub(super) fn sign(
    key: &HmacKey,
    sequence: Sequence,
    source: IpAddr,
    header: &[u8; HEADER_LEN],
    addresses: &[u8],
) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[0] = HMAC_SHA256;
    trailer[1] = key.id();
    trailer[4..PREFIX_LEN].copy_from_slice(&sequence.bits().to_be_bytes());
    let mac = begin(key, source, header)
        .chain_update(addresses)
        .chain_update(trailer)
        .finalize();
    trailer[PREFIX_LEN..].copy_from_slice(&mac.into_bytes()[..MAC_LEN]);
    trailer
}

fn signature(key: &HmacKey, source: IpAddr, message: &[u8], prefix: &[u8; PREFIX_LEN]) -> Hmac<Sha256> {
    let (header, addresses) = match message.split_first_chunk::<HEADER_LEN>() {
        Some(parts) => parts,
        None => (&[0; HEADER_LEN], message),
    };
    begin(key, source, header)
        .chain_update(addresses)
        .chain_update(prefix)
        .chain_update([0; MAC_LEN])
}

/// What is signed begins with family, version, VRID and source, so that no advert passes for one of another router or
/// sender; then comes the message with checksum 0, which the kernel may fill in after us.
fn begin(key: &HmacKey, source: IpAddr, header: &[u8; HEADER_LEN]) -> Hmac<Sha256> {
    let mut pseudo_header = [0; 20];
    let version = header[0] >> 4;
    let vrid = header[1];
    match source {
        IpAddr::V4(source) => {
            pseudo_header[..4].copy_from_slice(&[4, version, vrid, 0]);
            pseudo_header[4..8].copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            pseudo_header[..4].copy_from_slice(&[6, version, vrid, 0]);
            pseudo_header[4..].copy_from_slice(&source.octets());
        }
    }
    key.mac()
        .chain_update(pseudo_header)
        .chain_update(&header[..6])
        .chain_update([0; 2])
}
