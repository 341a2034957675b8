//! What keeps a router from serving.

use core::fmt;

/// One thing that a virtual router can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The interface is missing, down, or without carrier.
    Link,
    /// The interface has no address to send adverts from.
    SourceAddress,
    /// A check without weight fails, or has not reported yet.
    Check,
    /// The virtual addresses could not be added.
    Addresses,
    /// Another member of its sync group is at fault.
    SyncGroup,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::Link,
        Self::SourceAddress,
        Self::Check,
        Self::Addresses,
        Self::SyncGroup,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "link down",
            Self::SourceAddress => "no source address",
            Self::Check => "check failed",
            Self::Addresses => "virtual addresses refused",
            Self::SyncGroup => "another member of the sync group is at fault",
        })
    }
}

/// The faults that stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults(u8);

impl Faults {
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one stands.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Those that stand.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }

    pub(super) fn insert(&mut self, fault: Fault) {
        self.0 |= fault.bit();
    }

    pub(super) fn remove(&mut self, fault: Fault) {
        self.0 &= !fault.bit();
    }
}
