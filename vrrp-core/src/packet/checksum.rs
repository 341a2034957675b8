//! The Internet checksum (RFC 1071) over an advert, with and without pseudo-header.

use core::net::IpAddr;

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;

/// Which octets an advert's checksum covers.
///
/// RFC 9568 §5.2.8 wants the message alone for IPv4, while keepalived, FRR and others put the IPv4 pseudo-header
/// before it, and each drops what the other sends. So both are accepted, and what is sent is a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChecksumForm {
    /// Pseudo-header and message: VRRPv3 over IPv6 always, VRRPv3 over IPv4 as keepalived and FRR send it.
    #[default]
    PseudoHeader,
    /// Message alone: VRRPv2 always, VRRPv3 over IPv4 by the letter of RFC 9568.
    MessageOnly,
}

/// A ones' complement sum that is not yet folded, in the machine's byte order (RFC 1071 §2 (B)).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds octets at an even offset; an odd tail counts as padded with zero.
    pub(crate) fn add(mut self, octets: &[u8]) -> Self {
        let mut words = octets.chunks_exact(4);
        for word in &mut words {
            self.0 += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        }
        let tail = words.remainder();
        if !tail.is_empty() {
            let mut last = [0; 4];
            last[..tail.len()].copy_from_slice(tail);
            self.0 += u64::from(u32::from_ne_bytes(last));
        }
        self
    }

    /// Adds the pseudo-header of a VRRP message of `len` octets (RFC 9568 §5.2.8, RFC 8200 §8.1).
    ///
    /// Addresses of different families add nothing: the parser refuses them before it comes here.
    pub(crate) fn add_pseudo_header(self, source: &IpAddr, destination: &IpAddr, len: u16) -> Self {
        let [high, low] = len.to_be_bytes();
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self
                .add(&source.octets())
                .add(&destination.octets())
                .add(&[0, PROTOCOL, high, low]),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self
                .add(&source.octets())
                .add(&destination.octets())
                .add(&[0, 0, high, low, 0, 0, 0, PROTOCOL]),
            _ => self,
        }
    }

    /// The folded sum in the machine's byte order; 0xffff over a message that carries its right checksum.
    pub(crate) fn fold(self) -> u16 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        // Three folds bring any 34-bit sum below 2^16.
        sum as u16
    }

    /// The checksum to send, as octets.
    pub(crate) fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }
}
