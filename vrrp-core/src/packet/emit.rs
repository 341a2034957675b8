//! From an advert to octets.

use bytes::BufMut;
use core::net::IpAddr;

use super::ah::AhAdvert;
use super::checksum::Sum;
use super::message::{AUTHENTICATION_LEN, HEADER_LEN};
use super::trailer::{self, TRAILER_LEN};
use super::{Authentication, ChecksumForm, Message, Version};
use crate::{Addresses, AdverInterval, AhKey, Family, HmacKey, Priority, Sequence, Vrid};

/// Octets of a simple text password; shorter ones are padded with zeros, longer ones cut.
pub const PASSWORD_LEN: usize = AUTHENTICATION_LEN;

/// The content of an advert, which can be put on the wire.
///
/// [`VirtualRouter::next_advert`](crate::VirtualRouter::next_advert) makes one from its config, and
/// [`Packet::advert`](super::Packet::advert) from what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    pub(crate) version: Version,
    pub(crate) vrid: Vrid,
    pub(crate) priority: Priority,
    pub(crate) adver_interval: AdverInterval,
    pub(crate) addresses: Addresses<'a>,
    pub(crate) authentication: Authentication<'a>,
    pub(crate) proof: Proof<'a>,
}

/// What an advert is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof<'a> {
    None,
    /// An IP authentication header before it, in VRRPv2.
    Ah {
        key: &'a AhKey,
        sequence: u32,
    },
    /// A trailer behind it, in VRRPv3.
    Hmac {
        key: &'a HmacKey,
        sequence: Sequence,
    },
}

impl<'a> Advert<'a> {
    /// Makes an advert by hand, for tools that send without a virtual router. No authentication.
    ///
    /// # Errors
    /// When no message can carry it; see [`AdvertError`].
    pub fn new(
        version: Version,
        vrid: Vrid,
        priority: Priority,
        adver_interval: AdverInterval,
        addresses: Addresses<'a>,
    ) -> Result<Self, AdvertError> {
        if version == Version::V2 && addresses.family() == Family::Ipv6 {
            return Err(AdvertError::Ipv6InV2);
        }
        if !adver_interval.fits(version) {
            return Err(AdvertError::AdverInterval {
                version,
                got: adver_interval,
            });
        }
        if addresses.is_empty() {
            return Err(AdvertError::NoAddresses);
        }
        Ok(Self {
            version,
            vrid,
            priority,
            adver_interval,
            addresses,
            authentication: Authentication::None,
            proof: Proof::None,
        })
    }

    /// The same advert with a simple text password (RFC 2338 §5.3.6).
    ///
    /// # Errors
    /// When it is a VRRPv3 advert, which has no passwords.
    pub fn with_password(self, password: &'a [u8; PASSWORD_LEN]) -> Result<Self, AdvertError> {
        if self.version == Version::V3 {
            return Err(AdvertError::PasswordInV3);
        }
        Ok(Self {
            authentication: Authentication::Simple(password),
            proof: Proof::None,
            ..self
        })
    }

    /// The same advert behind an IP authentication header with this sequence number: emit it with [`ah`](Self::ah).
    ///
    /// # Errors
    /// When it is a VRRPv3 advert.
    pub fn with_ah(self, key: &'a AhKey, sequence: u32) -> Result<Self, AdvertError> {
        if self.version == Version::V3 {
            return Err(AdvertError::PasswordInV3);
        }
        Ok(Self {
            authentication: Authentication::Ah,
            proof: Proof::Ah { key, sequence },
            ..self
        })
    }

    /// The same advert with an authentication trailer.
    ///
    /// # Errors
    /// When it is a VRRPv2 advert.
    pub fn with_hmac(self, key: &'a HmacKey, sequence: Sequence) -> Result<Self, AdvertError> {
        if self.version == Version::V2 {
            return Err(AdvertError::HmacInV2);
        }
        Ok(Self {
            proof: Proof::Hmac { key, sequence },
            ..self
        })
    }

    /// How to send an advert that needs an IP authentication header; `None` for all others.
    #[inline]
    pub fn ah(&self) -> Option<AhAdvert<'a>> {
        match self.proof {
            Proof::Ah { key, sequence } => Some(AhAdvert {
                advert: *self,
                key,
                sequence,
            }),
            Proof::None | Proof::Hmac { .. } => None,
        }
    }

    /// Protocol version.
    #[inline]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Which virtual router it speaks for.
    #[inline]
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// Priority of the sender.
    #[inline]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Interval between adverts.
    #[inline]
    pub const fn adver_interval(&self) -> AdverInterval {
        self.adver_interval
    }

    /// The addresses, at least one.
    #[inline]
    pub const fn addresses(&self) -> Addresses<'a> {
        self.addresses
    }

    /// VRRPv2 authentication; `None` in VRRPv3.
    #[inline]
    pub const fn authentication(&self) -> Authentication<'a> {
        self.authentication
    }

    /// Octets of the message with its trailer, without IP and authentication header.
    #[inline]
    pub const fn wire_len(&self) -> usize {
        let trailer = match (self.version, self.proof) {
            (Version::V2, _) => AUTHENTICATION_LEN,
            (Version::V3, Proof::Hmac { .. }) => TRAILER_LEN,
            (Version::V3, _) => 0,
        };
        HEADER_LEN + self.addresses.octets().len() + trailer
    }

    /// Appends the message to `buffer`.
    ///
    /// `source` and `destination` enter the checksum where it has a pseudo-header. `form` counts for VRRPv3 over
    /// IPv4 alone: the others have but one. The data of an authentication type other than the password is zeros. The
    /// trailer of HMAC counts for the checksum over IPv6 alone. An advert that needs an IP authentication header comes
    /// without it; see [`ah`](Self::ah).
    ///
    /// # Errors
    /// When `buffer` has no room for [`wire_len`](Self::wire_len) octets; nothing is written then.
    #[inline]
    pub fn emit(
        &self,
        source: IpAddr,
        destination: IpAddr,
        form: ChecksumForm,
        buffer: &mut impl BufMut,
    ) -> Result<(), BufferTooSmall> {
        let need = self.wire_len();
        if buffer.remaining_mut() < need {
            return Err(BufferTooSmall {
                need,
                got: buffer.remaining_mut(),
            });
        }
        if let Proof::Hmac { key, sequence } = self.proof {
            self.emit_signed(key, sequence, source, destination, form, buffer);
            return Ok(());
        }
        let (header, data) = self.unsigned(source, destination, form);
        buffer.put_slice(&header);
        buffer.put_slice(self.addresses.octets());
        if let Some(data) = &data {
            buffer.put_slice(data);
        }
        Ok(())
    }

    /// What stands before the addresses, and VRRPv2's data after them, of a message without trailer.
    // A call with two addresses costs a quarter of the whole.
    #[inline(always)]
    pub(super) fn unsigned(
        &self,
        source: IpAddr,
        destination: IpAddr,
        form: ChecksumForm,
    ) -> ([u8; HEADER_LEN], Option<[u8; AUTHENTICATION_LEN]>) {
        let addresses = self.addresses.octets();
        let mut header = self.header();
        let mut sum = Sum::default().add(&header).add(addresses);
        let data = self.authentication_data();
        if let Some(data) = &data {
            sum = sum.add(data);
        } else if form == ChecksumForm::PseudoHeader || source.is_ipv6() {
            // At most 255 addresses: far below 2^16 octets.
            let len = (HEADER_LEN + addresses.len()) as u16;
            sum = sum.add_pseudo_header(&source, &destination, len);
        }
        [header[6], header[7]] = sum.checksum();
        (header, data)
    }

    /// The message with its trailer. Out of line, so that adverts without one pay for no more than the question.
    #[cold]
    #[inline(never)]
    fn emit_signed(
        &self,
        key: &HmacKey,
        sequence: Sequence,
        source: IpAddr,
        destination: IpAddr,
        form: ChecksumForm,
        buffer: &mut impl BufMut,
    ) {
        let addresses = self.addresses.octets();
        let mut header = self.header();
        let trailer = trailer::sign(key, sequence, source, &header, addresses);
        let mut sum = Sum::default().add(&header).add(addresses);
        // At most 255 addresses: far below 2^16 octets.
        if source.is_ipv6() {
            let len = self.wire_len() as u16;
            sum = sum.add(&trailer).add_pseudo_header(&source, &destination, len);
        } else if form == ChecksumForm::PseudoHeader {
            let len = (HEADER_LEN + addresses.len()) as u16;
            sum = sum.add_pseudo_header(&source, &destination, len);
        }
        [header[6], header[7]] = sum.checksum();
        buffer.put_slice(&header);
        buffer.put_slice(addresses);
        buffer.put_slice(&trailer);
    }

    /// The header with checksum 0.
    #[inline]
    fn header(&self) -> [u8; HEADER_LEN] {
        let centis = self.adver_interval.centis();
        let [fifth, sixth] = match self.version {
            // The config holds VRRPv2 to whole seconds up to 255.
            Version::V2 => [self.authentication_type(), (centis / 100) as u8],
            Version::V3 => (centis & 0x0fff).to_be_bytes(),
        };
        let first = self.version.get() << 4 | Message::ADVERTISEMENT;
        // `AddressList` holds at most 255.
        let count = self.addresses.len() as u8;
        [
            first,
            self.vrid.get(),
            self.priority.get(),
            count,
            fifth,
            sixth,
            0,
            0,
        ]
    }

    #[inline]
    fn authentication_type(&self) -> u8 {
        match self.authentication {
            Authentication::None => 0,
            Authentication::Simple(_) => 1,
            Authentication::Ah => 2,
            Authentication::Other(kind) => kind,
        }
    }

    /// VRRPv2's authentication data, zeros without a password (RFC 3768 §5.3.10).
    #[inline]
    fn authentication_data(&self) -> Option<[u8; AUTHENTICATION_LEN]> {
        match (self.version, self.authentication) {
            (Version::V3, _) => None,
            (Version::V2, Authentication::Simple(password)) => Some(*password),
            (Version::V2, _) => Some([0; AUTHENTICATION_LEN]),
        }
    }
}

/// The buffer has no room for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{need} octets do not fit a buffer of {got}")]
pub struct BufferTooSmall {
    /// Octets of the message.
    pub need: usize,
    /// Octets that the buffer has left.
    pub got: usize,
}

/// Why no message can carry an advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvertError {
    /// VRRPv2 is for IPv4 alone (RFC 3768 §1).
    #[error("IPv6 addresses in a VRRPv2 advert")]
    Ipv6InV2,
    /// VRRPv2 carries whole seconds up to 255, VRRPv3 up to 40.95 s.
    #[error("VRRPv{version} can't carry an advertisement interval of {got}")]
    AdverInterval {
        /// The version asked for.
        version: Version,
        /// The interval asked for.
        got: AdverInterval,
    },
    /// An advert carries at least one address (RFC 9568 erratum 8299).
    #[error("no addresses")]
    NoAddresses,
    /// VRRPv3 has no passwords (RFC 5798 §9).
    #[error("a password in a VRRPv3 advert")]
    PasswordInV3,
    /// VRRPv2 has no trailer.
    #[error("an HMAC trailer on a VRRPv2 advert")]
    HmacInV2,
}
