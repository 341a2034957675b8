//! How long the adverts are.

use super::Config;
use crate::packet::{AH_LEN, AUTHENTICATION_LEN, HEADER_LEN, IP_LEN, TRAILER_LEN};
use crate::{AddressList, AuthenticationConfig, Family, Version};

/// Octets of an IPv6 header without extensions (RFC 8200 §3).
const IPV6_LEN: usize = 40;

impl Config {
    /// Octets of the IP packet that an advert is, all headers of IP included: what the MTU of the interface must hold,
    /// since a fragment is dropped by many a filter on the way. With HMAC it is that of a signed one, whatever the mode.
    pub fn packet_len(&self) -> usize {
        let addresses = self.addresses.as_addresses();
        self.overhead() + addresses.octets().len()
    }

    /// How many addresses its adverts may carry to fit an MTU in octets, 255 at most. An Ethernet's MTU of 1500 holds
    /// 90 IPv6 addresses, 89 with HMAC, and 255 IPv4 addresses in any case.
    pub fn max_addresses(&self, mtu: usize) -> usize {
        let room = mtu.saturating_sub(self.overhead());
        (room / self.family().address_len()).min(AddressList::MAX)
    }

    /// Octets of the packet around the addresses.
    fn overhead(&self) -> usize {
        let ip = match (self.family(), &self.authentication) {
            (Family::Ipv6, _) => IPV6_LEN,
            (Family::Ipv4, AuthenticationConfig::Ah(_)) => IP_LEN + AH_LEN,
            (Family::Ipv4, _) => IP_LEN,
        };
        let trailer = match (self.version, &self.authentication) {
            (Version::V2, _) => AUTHENTICATION_LEN,
            (Version::V3, AuthenticationConfig::Hmac(_)) => TRAILER_LEN,
            (Version::V3, _) => 0,
        };
        ip + HEADER_LEN + trailer
    }
}
