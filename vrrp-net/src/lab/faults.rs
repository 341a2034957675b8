//! What is broken in the LAN at the moment, and how it gets broken.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use super::nft::{self, Drop};

/// A fault that no interface shows: frames are lost in the switch while every carrier stays up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cut {
    /// Frames that come in at this port.
    From(u32),
    /// Frames that would go out at this port.
    To(u32),
    /// Frames that come in at the first port and would go out at the second.
    Path(u32, u32),
}

impl Cut {
    fn touches(self, port: u32) -> bool {
        match self {
            Self::From(a) | Self::To(a) => a == port,
            Self::Path(a, b) => a == port || b == port,
        }
    }
}

/// A fault could not be set or cleared.
#[derive(Debug)]
pub struct FaultError {
    pub(super) what: String,
    pub(super) source: io::Error,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't {}: {}", self.what, self.source)?;
        if nft::is_missing(&self.source) {
            f.write_str(" (losing frames silently needs a kernel with nf_tables for bridges: CONFIG_NF_TABLES_BRIDGE)")?;
        }
        Ok(())
    }
}

impl std::error::Error for FaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The silent cuts in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    cuts: BTreeSet<Cut>,
}

impl Faults {
    /// Adds cuts. Call in the switch's network namespace.
    pub(super) fn add(&mut self, cuts: impl IntoIterator<Item = Cut>) -> io::Result<()> {
        let mut next = self.cuts.clone();
        next.extend(cuts);
        self.replace(next)
    }

    /// Removes the cuts for which `heals` holds. Call in the switch's network namespace.
    pub(super) fn remove(&mut self, heals: impl Fn(Cut) -> bool) -> io::Result<()> {
        let next = self.cuts.iter().copied().filter(|cut| !heals(*cut)).collect();
        self.replace(next)
    }

    /// Removes every cut that concerns `port`. Call in the switch's network namespace.
    pub(super) fn remove_all_of(&mut self, port: u32) -> io::Result<()> {
        self.remove(|cut| cut.touches(port))
    }

    fn replace(&mut self, cuts: BTreeSet<Cut>) -> io::Result<()> {
        if cuts != self.cuts {
            let drops: Vec<Drop> = cuts.iter().copied().map(Drop::from).collect();
            nft::replace_drops(&drops)?;
            self.cuts = cuts;
        }
        Ok(())
    }
}

impl From<Cut> for Drop {
    fn from(cut: Cut) -> Self {
        match cut {
            // Before the bridge learns where the sender is: a frame that was lost on the cable teaches nothing.
            Cut::From(port) => Self::Arriving { input: port },
            Cut::To(port) => Self::Forwarded {
                input: None,
                output: port,
            },
            Cut::Path(from, to) => Self::Forwarded {
                input: Some(from),
                output: to,
            },
        }
    }
}
