//! Networks, and whose word counts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// The network of `prefix_len` bits that `address` is in; more bits than the address has are all of them.
    #[must_use]
    pub fn new(address: IpAddr, prefix_len: u8) -> Self {
        match address {
            IpAddr::V4(address) => {
                let prefix_len = prefix_len.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
                Self {
                    address: Ipv4Addr::from_bits(address.to_bits() & mask).into(),
                    prefix_len,
                }
            }
            IpAddr::V6(address) => {
                let prefix_len = prefix_len.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
                Self {
                    address: Ipv6Addr::from_bits(address.to_bits() & mask).into(),
                    prefix_len,
                }
            }
        }
    }

    /// Whether `address` is in it. An IPv4 address of a dual-stack socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, last) = self.range();
        (first..=last).contains(&bits(address))
    }

    /// Its first and last address, as [`bits`].
    fn range(&self) -> (u128, u128) {
        let first = bits(self.address);
        let host_bits = match self.address {
            IpAddr::V4(_) => 32 - self.prefix_len,
            IpAddr::V6(_) => 128 - self.prefix_len,
        };
        let span = u128::MAX.checked_shr(128 - u32::from(host_bits)).unwrap_or(0);
        (first, first | span)
    }
}

/// All addresses in one order: IPv4 as IPv4-mapped IPv6.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self::new(address, 128)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// # Errors
    /// Not an address with an optional prefix length, or one with bits behind its prefix.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError::Syntax {
            text: text.to_owned(),
        };
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let Some(prefix_len) = prefix_len else {
            return Ok(address.into());
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits =
            (1..=3).contains(&prefix_len.len()) && prefix_len.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_len = prefix_len
            .parse()
            .ok()
            .filter(|&len: &u8| digits && len <= most)
            .ok_or_else(error)?;
        let network = Self::new(address, prefix_len);
        if network.address != address {
            return Err(NetworkError::HostBits {
                text: text.to_owned(),
                network,
            });
        }
        Ok(network)
    }
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not an address, or not a prefix length.
    #[error("{text:?} is not a network: write 10.0.0.0/8, 2001:db8::/32 or an address")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// The address has bits behind the prefix.
    #[error("{text} is an address within a network: write {network} for the network")]
    HostBits {
        /// What was given.
        text: String,
        /// The network that it is in.
        network: Network,
    },
}

/// The proxies in front of this one, whose word about the client counts. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedHops {
    /// First and last addresses; apart from each other, and in order.
    ranges: Box<[(u128, u128)]>,
}

impl TrustedHops {
    /// Whether that address is one of them.
    #[must_use]
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        if self.ranges.is_empty() {
            return false;
        }
        let address = bits(address);
        let following = self.ranges.partition_point(|&(first, _)| first <= address);
        following > 0 && address <= self.ranges[following - 1].1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<Network> for TrustedHops {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut ranges: Vec<(u128, u128)> = networks.into_iter().map(|network| network.range()).collect();
        ranges.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match apart.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => apart.push((first, last)),
            }
        }
        Self { ranges: apart.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_and_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "192.0.2.1/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("::1".parse::<Network>().unwrap().to_string(), "::1/128");
        for text in [
            "",
            "a",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0/8",
            "1.2.3.4/8/8",
            "10.0.0.0/256",
        ] {
            assert!(
                matches!(text.parse::<Network>(), Err(NetworkError::Syntax { .. })),
                "{text}"
            );
        }
        assert_eq!(
            "10.1.2.3/8".parse::<Network>().unwrap_err().to_string(),
            "10.1.2.3/8 is an address within a network: write 10.0.0.0/8 for the network"
        );
    }

    #[test]
    fn a_network_holds_what_its_prefix_says() {
        let holds = |network: &str, address: &str| {
            network
                .parse::<Network>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.255.255") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::") && !holds("2001:db8::/33", "2001:db8:8000::"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.0"));
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        let none = TrustedHops::default();
        assert!(none.is_empty() && !none.contains([0, 0, 0, 0].into()) && !none.contains([0; 16].into()));
    }

    proptest! {
        #[test]
        fn hops_are_trusted_if_one_of_their_networks_holds_them(
            networks in proptest::collection::vec((any::<u8>(), 0_u8..=128, any::<bool>()), 0..12),
            addresses in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 20),
        ) {
            let address = |a: u8, b: u8, four: bool| if four {
                IpAddr::from([10, a, 0, b])
            } else {
                IpAddr::from([0x2001, 0xdb8, u16::from(a), 0, 0, 0, 0, u16::from(b)])
            };
            let networks: Vec<Network> = networks
                .into_iter()
                .map(|(a, len, four)| Network::new(address(a, 0, four), len))
                .collect();
            let trusted: TrustedHops = networks.iter().copied().collect();
            for (a, b, four) in addresses {
                let address = address(a, b, four);
                let held = networks.iter().any(|network| network.contains(address));
                prop_assert_eq!(trusted.contains(address), held, "{} in {:?}", address, networks);
            }
        }
    }
}
