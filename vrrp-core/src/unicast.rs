//! Peers of a virtual router that sends to hosts instead of to the group.

use core::net::IpAddr;

use crate::Family;
use crate::config::ConfigError;

/// A host that adverts go to and come from (`unicast_peer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnicastPeer {
    address: IpAddr,
    min_ttl: u8,
    max_ttl: u8,
}

impl UnicastPeer {
    /// A peer whose adverts are accepted with any TTL or hop limit. keepalived sends 255 over IPv4, and over IPv6 the
    /// kernel's default of 64.
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            min_ttl: 0,
            max_ttl: u8::MAX,
        }
    }

    /// Refuses adverts that come with less (`min_ttl`): 255 for a peer on the link, 254 for one behind a router, if it
    /// sends 255. Default: 0.
    #[must_use]
    pub const fn min_ttl(self, min_ttl: u8) -> Self {
        Self { min_ttl, ..self }
    }

    /// Refuses adverts that come with more (`max_ttl`), which have passed fewer routers than they should. Default: 255.
    #[must_use]
    pub const fn max_ttl(self, max_ttl: u8) -> Self {
        Self { max_ttl, ..self }
    }

    /// Its address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Least and greatest TTL or hop limit of its adverts.
    pub const fn ttl_range(&self) -> core::ops::RangeInclusive<u8> {
        self.min_ttl..=self.max_ttl
    }

    pub(crate) fn check(&self, family: Family, before: &[Self]) -> Result<(), ConfigError> {
        let peer = self.address;
        if Family::of(&peer) != family {
            return Err(ConfigError::PeerFamily { family, peer });
        }
        let broadcast = matches!(peer, IpAddr::V4(address) if address.is_broadcast());
        if peer.is_multicast() || peer.is_unspecified() || broadcast {
            return Err(ConfigError::PeerAddress { peer });
        }
        if before.iter().any(|other| other.address == peer) {
            return Err(ConfigError::PeerTwice { peer });
        }
        if self.min_ttl > self.max_ttl {
            let (min, max) = (self.min_ttl, self.max_ttl);
            return Err(ConfigError::PeerTtl { peer, min, max });
        }
        Ok(())
    }
}

impl From<IpAddr> for UnicastPeer {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}
