//! Units of the protocol as types, so that a priority can't be passed for an id, nor seconds for centiseconds.

use core::fmt;
use core::num::NonZeroU8;
use core::time::Duration;

use crate::Version;

/// Virtual Router Identifier, 1 to 255 (RFC 9568 §5.2.3). Unique per link and address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// Makes an id; `None` for 0, which the protocol does not allow.
    #[inline]
    pub const fn new(vrid: u8) -> Option<Self> {
        match NonZeroU8::new(vrid) {
            Some(vrid) => Some(Self(vrid)),
            None => None,
        }
    }

    /// The id as the octet on the wire.
    #[inline]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority in an advert (RFC 9568 §5.2.4): 255 owns the addresses, 1 to 254 back them up, 0 gives up mastership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The master has stopped taking part; backups take over after their skew time.
    pub const STOP: Self = Self(0);
    /// What a backup has unless configured: 100.
    pub const DEFAULT: Self = Self(100);
    /// The highest of a router that doesn't own the addresses.
    pub const MAX_BACKUP: Self = Self(254);
    /// The router owns the addresses: they are its own, and it is master whenever it runs.
    pub const OWNER: Self = Self(255);

    /// Makes a priority from the octet on the wire.
    #[inline]
    pub const fn new(priority: u8) -> Self {
        Self(priority)
    }

    /// The octet on the wire.
    #[inline]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Time between two adverts of a master: 10 ms to 40.95 s in VRRPv3, whole seconds to 255 s in VRRPv2.
///
/// Kept in centiseconds, the unit of VRRPv3; VRRPv2 puts whole seconds on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdverInterval {
    cs: u16,
}

impl AdverInterval {
    /// One second, the default of both versions.
    pub const DEFAULT: Self = Self { cs: 100 };
    /// Longest interval that VRRPv3's 12 bits hold: 40.95 s.
    pub const MAX_V3_CS: u16 = 4095;
    /// Longest interval that VRRPv2's octet holds: 255 s.
    pub const MAX_V2_SECS: u16 = 255;

    /// Makes an interval of so many centiseconds; `None` for 0 and above 25,500, which neither version can send.
    #[inline]
    pub const fn from_centis(cs: u16) -> Option<Self> {
        if cs == 0 || cs > Self::MAX_V2_SECS * 100 {
            None
        } else {
            Some(Self { cs })
        }
    }

    /// Makes an interval of so many seconds; `None` for 0 (VRRPv2's octet can't say it).
    #[inline]
    pub const fn from_secs(secs: u8) -> Option<Self> {
        // u8 to u16 loses nothing; `From` is not const.
        Self::from_centis(secs as u16 * 100)
    }

    /// The interval in centiseconds.
    #[inline]
    pub const fn centis(self) -> u16 {
        self.cs
    }

    /// The interval as time.
    #[inline]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.cs as u64 * 10)
    }

    /// Whether `version` can put this interval on the wire.
    #[inline]
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.cs % 100 == 0,
            Version::V3 => self.cs <= Self::MAX_V3_CS,
        }
    }
}

impl Default for AdverInterval {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for AdverInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} s", self.cs / 100, self.cs % 100)
    }
}
