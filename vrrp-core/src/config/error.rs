//! Why settings don't make a virtual router.

use core::net::IpAddr;
use core::time::Duration;

use crate::{AdverInterval, Family, Version};

/// Why settings don't make a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// 0 is what a master sends when it stops.
    #[error("priority 0: use 1 to 254, or 255 for the owner of the addresses")]
    PriorityZero,
    /// VRRPv2 is for IPv4.
    #[error("IPv6 addresses with VRRPv2: use version 3")]
    Ipv6InV2,
    /// The version can't put the interval on the wire.
    #[error("advertisement interval {got}: {}", interval_range(*.version))]
    AdverInterval {
        /// The version configured.
        version: Version,
        /// The interval configured.
        got: AdverInterval,
    },
    /// VRRPv3 has neither passwords nor the IP authentication header (RFC 5798 §9).
    #[error("a password or AH with VRRPv3, which has neither: use HMAC, or version 2 (IPv4)")]
    AuthenticationInV3,
    /// The HMAC trailer is for VRRPv3: other VRRPv2 routers would refuse the length.
    #[error("HMAC with VRRPv2: use version 3, or a password or AH")]
    HmacInV2,
    /// A simple text password is 1 to 8 octets.
    #[error("password of {got} octets: VRRPv2 carries 1 to 8")]
    PasswordLength {
        /// Octets given.
        got: usize,
    },
    /// An owner is master whenever it runs (RFC 9568 §6.1).
    #[error("priority 255 with preempt off: the owner of the addresses always preempts; use 254 or less")]
    OwnerWithoutPreempt,
    /// The delay is too long to be meant.
    #[error("preempt_delay {got:?}: use 0 to 1000 s")]
    PreemptDelay {
        /// The delay given.
        got: Duration,
    },
    /// The delay is too long to be meant.
    #[error("startup_delay {got:?}: use 0 to 1000 s")]
    StartupDelay {
        /// The delay given.
        got: Duration,
    },
    /// Announcing is broadcast, and every host on the link has to look at it.
    #[error("announce_refresh {got:?}: use 0 for none, or 1 s and more")]
    AnnounceRefresh {
        /// The period given.
        got: Duration,
    },
    /// A backup waits for one advert at least.
    #[error("down_timer_adverts {got}: use 1 to 100")]
    DownTimerAdverts {
        /// The number given.
        got: u8,
    },
    /// Peers are of the family of the addresses.
    #[error("peer {peer} of a virtual router of {family}: use an address of that family")]
    PeerFamily {
        /// Family of the virtual router.
        family: Family,
        /// The peer.
        peer: IpAddr,
    },
    /// A peer is one host.
    #[error("peer {peer} is not the address of a host: use the address that the peer sends its adverts from")]
    PeerAddress {
        /// The peer.
        peer: IpAddr,
    },
    /// One peer stands twice.
    #[error("peer {peer} stands twice: leave one out")]
    PeerTwice {
        /// The peer.
        peer: IpAddr,
    },
    /// No TTL is within the limits.
    #[error("peer {peer} with min_ttl {min} above max_ttl {max}: no advert could meet that")]
    PeerTtl {
        /// The peer.
        peer: IpAddr,
        /// Least TTL or hop limit.
        min: u8,
        /// Greatest TTL or hop limit.
        max: u8,
    },
}

fn interval_range(version: Version) -> &'static str {
    match version {
        Version::V2 => "VRRPv2 sends whole seconds, 1 to 255; use those, or version 3",
        Version::V3 => "VRRPv3 sends 0.01 s to 40.95 s",
    }
}
