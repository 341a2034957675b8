//! Checks of an advert that need configuration, all made before any state is touched.

use core::net::IpAddr;

use super::VirtualRouter;
use crate::config::{AddressMismatch, AuthenticationConfig};
use crate::{AdverInterval, Authentication, Family, Packet, Priority, Version, Vrid};

/// Why an advert was not acted upon. It changed counters and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// The caller gave it to the wrong router.
    #[error("VRID {got} instead of {expected}")]
    Vrid {
        /// Our VRID.
        expected: Vrid,
        /// The advert's.
        got: Vrid,
    },
    /// The caller gave it to a router of the other family.
    #[error("{got} instead of {expected}")]
    Family {
        /// Our family.
        expected: Family,
        /// The advert's.
        got: Family,
    },
    /// The sender speaks the other version (RFC 9568 §7.1).
    #[error("version {got} instead of {expected}")]
    Version {
        /// Our version.
        expected: Version,
        /// The advert's.
        got: Version,
    },
    /// Type of authentication or password differ (RFC 2338 §7.1).
    #[error("authentication does not match")]
    Authentication,
    /// VRRPv2 wants equal intervals (RFC 3768 §7.1). Both sides will be master: raise it as an alarm.
    #[error("advertisement interval {got} instead of {expected}: both sides will be master")]
    AdverInterval {
        /// Our interval.
        expected: AdverInterval,
        /// The advert's.
        got: AdverInterval,
    },
    /// The addresses are not ours, and the sender does not own them (RFC 3768 §7.1).
    #[error("addresses differ from ours")]
    Addresses,
    /// Not one of our unicast peers, or unicast to a multicast router, or multicast to a unicast one.
    #[error("{got} is not a peer")]
    Peer {
        /// Who sent it.
        got: IpAddr,
    },
    /// Our own advert came back, or another host has our address.
    #[error("own source address {got}")]
    OwnAddress {
        /// Who sent it.
        got: IpAddr,
    },
    /// The router is in Initialize or Fault (RFC 9568 §6.4.1: it waits for Startup).
    #[error("the router is not running")]
    NotRunning,
}

impl VirtualRouter {
    /// Makes every check that needs configuration; touches nothing.
    pub(super) fn check(&self, packet: &Packet<'_>) -> Result<(), Discard> {
        let config = self.config();
        if packet.vrid() != config.vrid() {
            return Err(Discard::Vrid {
                expected: config.vrid(),
                got: packet.vrid(),
            });
        }
        if packet.family() != config.family() {
            return Err(Discard::Family {
                expected: config.family(),
                got: packet.family(),
            });
        }
        if packet.version() != config.version() {
            return Err(Discard::Version {
                expected: config.version(),
                got: packet.version(),
            });
        }
        if packet.source() == self.source() {
            return Err(Discard::OwnAddress { got: packet.source() });
        }
        if !self.is_peer(packet) {
            return Err(Discard::Peer { got: packet.source() });
        }
        if !authentic(&config.authentication, packet.authentication()) {
            return Err(Discard::Authentication);
        }
        if config.version() == Version::V2 && packet.adver_interval() != config.adver_interval() {
            return Err(Discard::AdverInterval {
                expected: config.adver_interval(),
                got: packet.adver_interval(),
            });
        }
        if config.address_mismatch == AddressMismatch::Discard
            && packet.priority() != Priority::OWNER
            && !self.has_our_addresses(packet)
        {
            return Err(Discard::Addresses);
        }
        Ok(())
    }

    pub(super) fn has_our_addresses(&self, packet: &Packet<'_>) -> bool {
        packet
            .addresses()
            .same_set(self.config().addresses().as_addresses())
    }

    fn is_peer(&self, packet: &Packet<'_>) -> bool {
        let multicast = packet.envelope().destination.is_multicast();
        match self.config().peers() {
            [] => multicast,
            peers => !multicast && peers.contains(&packet.source()),
        }
    }
}

fn authentic(expected: &AuthenticationConfig, got: Authentication<'_>) -> bool {
    match (expected, got) {
        (AuthenticationConfig::None, Authentication::None) => true,
        (AuthenticationConfig::Simple(expected), Authentication::Simple(got)) => {
            // Every octet is compared, so that the time taken tells nothing of the password.
            expected
                .iter()
                .zip(got)
                .fold(0, |difference, (a, b)| difference | (a ^ b))
                == 0
        }
        _ => false,
    }
}
