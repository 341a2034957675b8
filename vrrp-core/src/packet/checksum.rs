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

/// A ones' complement sum that is not yet folded.
///
/// It is summed in the machine's byte order and in words of 64 bits, whose carries collect in the upper half: neither
/// changes the folded sum but for its byte order (RFC 1071 §2 (B), (C)). Everything that a VRRP message consists of is
/// a multiple of four octets long, so there is no odd tail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u128);

impl Sum {
    /// Adds octets, a multiple of four of them.
    #[inline]
    pub(crate) fn add(mut self, octets: &[u8]) -> Self {
        debug_assert!(octets.len() % 4 == 0, "header, addresses and trailer are");
        let mut words = octets.chunks_exact(8);
        for word in &mut words {
            if let Ok(word) = word.try_into() {
                self.0 += u128::from(u64::from_ne_bytes(word));
            }
        }
        if let Ok(half) = words.remainder().try_into() {
            self.0 += u128::from(u32::from_ne_bytes(half));
        }
        self
    }

    /// Adds the pseudo-header of a VRRP message of `len` octets (RFC 9568 §5.2.8, RFC 8200 §8.1).
    ///
    /// Addresses of different families add nothing: the parser refuses them before it comes here.
    #[inline]
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

    /// Whether the message summed, its checksum included, carries the right one: the sum is then a zero of ones'
    /// complement, a multiple of 0xffff. (It is never the number 0: a message starts with its version.)
    #[inline]
    pub(crate) fn verifies(self) -> bool {
        self.word() % 0xffff == 0
    }

    /// The checksum to send, as octets, of a message summed with 0 in its place.
    #[inline]
    pub(crate) fn checksum(self) -> [u8; 2] {
        // The upper half of a word added to its two halves swapped is their sum with end-around carry.
        let word = self.word();
        let half = (word.wrapping_add(word.rotate_left(32)) >> 32) as u32;
        let quarter = (half.wrapping_add(half.rotate_left(16)) >> 16) as u16;
        (!quarter).to_ne_bytes()
    }

    /// The sum with its carries added in at the low end.
    #[inline]
    fn word(self) -> u64 {
        let (carries, low) = ((self.0 >> 64) as u64, self.0 as u64);
        let (word, carry) = low.overflowing_add(carries);
        // After an overflow `word` is less than `carries`, and has room for one more.
        word + u64::from(carry)
    }
}
