//! The variants of VRRP that are tried, and their times as the RFCs give them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vrrp_core::{AdverInterval, Family, Version};

/// What both sides are configured to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// 2 or 3.
    pub version: u8,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// How VRRPv2 adverts are authenticated.
    pub authentication: Authentication,
    /// Adverts go to the other node's address instead of the group.
    pub unicast: bool,
    /// The addresses are on an interface with the virtual router's own MAC address.
    pub vmac: bool,
    /// Advertisement interval in centiseconds.
    pub interval_cs: u16,
}

/// Authentication of VRRPv2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// None.
    None,
    /// A password in the advert.
    Pass,
    /// keepalived's authentication header.
    Ah,
}

impl Authentication {
    /// The password of those that have one.
    pub const PASSWORD: &'static str = "1111";
}

impl Variant {
    /// VRRPv2, once a second, without a password, to the group.
    #[must_use]
    pub const fn v2() -> Self {
        Self {
            version: 2,
            ipv6: false,
            authentication: Authentication::None,
            unicast: false,
            vmac: false,
            interval_cs: 100,
        }
    }

    /// VRRPv3 over IPv4, to the group.
    #[must_use]
    pub const fn v3(interval_cs: u16) -> Self {
        Self {
            version: 3,
            interval_cs,
            ..Self::v2()
        }
    }

    /// The same over IPv6.
    #[must_use]
    pub const fn ipv6(self) -> Self {
        Self { ipv6: true, ..self }
    }

    /// The same with authentication.
    #[must_use]
    pub const fn authentication(self, authentication: Authentication) -> Self {
        Self {
            authentication,
            ..self
        }
    }

    /// The same to the other node's address.
    #[must_use]
    pub const fn unicast(self) -> Self {
        Self {
            unicast: true,
            ..self
        }
    }

    /// The same with virtual MAC addresses.
    #[must_use]
    pub const fn vmac(self) -> Self {
        Self { vmac: true, ..self }
    }

    /// The family as `vrrp_core` has it.
    #[must_use]
    pub fn family(self) -> Family {
        if self.ipv6 { Family::Ipv6 } else { Family::Ipv4 }
    }

    /// The version as `vrrp_core` has it.
    #[must_use]
    pub fn version(self) -> Version {
        if self.version == 2 {
            Version::V2
        } else {
            Version::V3
        }
    }

    /// Advertisement interval.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_millis(10) * u32::from(self.interval_cs)
    }

    /// Advertisement interval as `vrrp_core` has it.
    ///
    /// # Panics
    /// If it is one that can't be sent.
    #[must_use]
    pub fn adver_interval(self) -> AdverInterval {
        AdverInterval::from_centis(self.interval_cs).expect("the intervals that are tried can be sent")
    }

    /// RFC 3768 §6.1, RFC 9568 §6.1. Computed here anew: the machine's own is under test.
    #[must_use]
    pub fn skew_time(self, priority: u8) -> Duration {
        let whole = match self.version {
            2 => Duration::from_secs(1),
            _ => self.interval(),
        };
        whole * (256 - u32::from(priority)) / 256
    }

    /// RFC 3768 §6.1, RFC 9568 §6.1.
    #[must_use]
    pub fn master_down_interval(self, priority: u8) -> Duration {
        self.interval() * 3 + self.skew_time(priority)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.version)?;
        match (self.version, self.authentication) {
            (2, Authentication::None) => f.write_str(" no authentication")?,
            (2, Authentication::Pass) => f.write_str(" PASS")?,
            (2, Authentication::Ah) => f.write_str(" AH")?,
            _ => f.write_str(if self.ipv6 { " IPv6" } else { " IPv4" })?,
        }
        f.write_str(if self.unicast { " unicast" } else { " multicast" })?;
        if self.vmac {
            f.write_str(" vmac")?;
        }
        Ok(())
    }
}
