//! What happens to a packet on its way from one node to another.

use core::fmt;
use core::time::Duration;

/// One direction between two nodes. The default delivers everything after 100 µs.
///
/// Directions are apart because that is what breaks VRRP: a master that is heard but does not hear, and the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Least time on the way.
    pub delay: Duration,
    /// Time that a packet may take on top, drawn for each. Where it exceeds the time between two packets, they can
    /// overtake each other.
    pub jitter: Duration,
    /// Share of packets that get lost.
    pub loss_percent: u8,
    /// Share of packets that arrive twice.
    pub duplication_percent: u8,
    /// Whether nothing gets through.
    pub cut: bool,
}

impl Path {
    /// A path that delivers everything after `delay`.
    pub const fn after(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            loss_percent: 0,
            duplication_percent: 0,
            cut: false,
        }
    }

    /// A path that delivers nothing.
    pub const fn cut() -> Self {
        Self {
            cut: true,
            ..Self::after(Duration::ZERO)
        }
    }

    /// Most time on the way.
    pub fn longest(&self) -> Duration {
        self.delay + self.jitter
    }

    /// Whether every packet arrives.
    pub const fn delivers(&self) -> bool {
        !self.cut && self.loss_percent == 0
    }
}

impl Default for Path {
    fn default() -> Self {
        Self::after(Duration::from_micros(100))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut {
            return f.write_str("cut");
        }
        write!(f, "{:?}", self.delay)?;
        if !self.jitter.is_zero() {
            write!(f, " to {:?}", self.longest())?;
        }
        if self.loss_percent != 0 {
            write!(f, ", loses {} %", self.loss_percent)?;
        }
        if self.duplication_percent != 0 {
            write!(f, ", doubles {} %", self.duplication_percent)?;
        }
        Ok(())
    }
}
