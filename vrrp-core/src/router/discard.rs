//! Checks of an advert that need configuration, all made before any state is touched.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::{Role, VirtualRouter};
use crate::config::AddressMismatch;
use crate::{AdverInterval, Family, Packet, Priority, UnicastPeer, Version, Vrid};

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
    /// Type of authentication or password differ (RFC 2338 §7.1), or it is signed and we have no keys.
    #[error("authentication does not match")]
    Authentication,
    /// We want it signed, and it is not: no trailer in VRRPv3, no IP authentication header in VRRPv2.
    #[error("not authenticated")]
    Unauthenticated,
    /// Its MAC is not that of our key: another key, or it was changed on the way.
    #[error("wrong MAC: another key, or changed on the way")]
    Mac,
    /// Signed with a key that we do not have.
    #[error("HMAC key {got} is not one of ours")]
    UnknownKey {
        /// Number of the key.
        got: u8,
    },
    /// Signed too long ago or in the future: the hosts' clocks differ, or it is a capture.
    #[error(
        "signed {ahead_secs} s after our time, beyond the window of {window_secs} s: the clocks differ, or it is a capture"
    )]
    Window {
        /// By how many seconds the sender's clock is ahead of ours; negative when behind.
        ahead_secs: i32,
        /// The window, in seconds.
        window_secs: u16,
    },
    /// Its sequence number is not above the last of this sender: a capture, or the sender has started anew with an
    /// older clock.
    #[error("replayed: its sequence number is not above the last")]
    Replay,
    /// The SPI of its IP authentication header is not its source address, as with keepalived.
    #[error("SPI {got} is not the source address")]
    Spi {
        /// The SPI, as an address.
        got: Ipv4Addr,
    },
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
    /// The peer's TTL or hop limit is outside its limits.
    #[error("TTL {got} instead of {min} to {max}")]
    HopLimit {
        /// TTL or hop limit as received.
        got: u8,
        /// The peer's least.
        min: u8,
        /// The peer's greatest.
        max: u8,
    },
    /// Our own advert came back, or another host has our address.
    #[error("own source address {got}")]
    OwnAddress {
        /// Who sent it.
        got: IpAddr,
    },
    /// We own the addresses, are master, and ignore all others; see
    /// [`owner_ignore_adverts`](crate::ConfigBuilder::owner_ignore_adverts).
    #[error("the owner of the addresses ignores others")]
    Owner,
    /// The router is in Initialize or Fault (RFC 9568 §6.4.1: it waits for Startup).
    #[error("the router is not running")]
    NotRunning,
}

impl VirtualRouter {
    /// Makes every check that needs configuration; touches nothing.
    pub(super) fn check(&self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
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
        self.check_peer(packet)?;
        self.authenticate(now, packet)?;
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
        // Last, so that whatever else is wrong with it is told rather.
        if config.owner_ignore_adverts && config.is_owner() && matches!(self.role, Role::Master(_)) {
            return Err(Discard::Owner);
        }
        Ok(())
    }

    pub(super) fn has_our_addresses(&self, packet: &Packet<'_>) -> bool {
        packet
            .addresses()
            .same_set(self.config().addresses().as_addresses())
    }

    /// Unicast from a peer to a router that has peers, multicast to one that has none.
    fn check_peer(&self, packet: &Packet<'_>) -> Result<(), Discard> {
        let multicast = packet.envelope().destination.is_multicast();
        match self.config().peers() {
            [] if multicast => Ok(()),
            [] => Err(Discard::Peer { got: packet.source() }),
            peers => self.check_unicast(peers, multicast, packet),
        }
    }

    fn check_unicast(
        &self,
        peers: &[UnicastPeer],
        multicast: bool,
        packet: &Packet<'_>,
    ) -> Result<(), Discard> {
        let stranger = Discard::Peer { got: packet.source() };
        if multicast {
            return Err(stranger);
        }
        let known = |peer: &&UnicastPeer| peer.address() == packet.source();
        match peers.iter().find(known) {
            Some(peer) => {
                let (got, ttl) = (packet.envelope().hop_limit, peer.ttl_range());
                let (min, max) = (*ttl.start(), *ttl.end());
                if ttl.contains(&got) {
                    Ok(())
                } else {
                    Err(Discard::HopLimit { got, min, max })
                }
            }
            None if self.config().check_unicast_src() => Err(stranger),
            None => Ok(()),
        }
    }
}
