//! Sequence numbers of the HMAC trailer: a time and a counter in one number of 64 bits.

use core::time::Duration;

use super::AntiReplay;

/// When an advert was signed: seconds, a fraction of 2^16 and a counter that tells adverts of one moment apart, most
/// significant first. Orders by serial number arithmetic (RFC 1982), so that it may wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// From the number on the wire.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The moment of a clock, with counter 0.
    pub const fn at(unix_time: Duration) -> Self {
        // Seconds wrap in 2106, on the wire too; the fraction is below 2^16.
        let seconds = (unix_time.as_secs() as u32) as u64;
        let fraction = ((unix_time.subsec_nanos() as u64) << 16) / 1_000_000_000;
        Self(seconds << 32 | fraction << 16)
    }

    /// As on the wire.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Seconds since the Unix epoch, modulo 2^32.
    pub const fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Fraction of the second, in parts of 2^16.
    pub const fn fraction(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Tells adverts of one moment apart.
    pub const fn counter(self) -> u16 {
        self.0 as u16
    }

    /// Whether it comes after another.
    pub const fn follows(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i64) > 0
    }

    /// By how many seconds it is ahead of a time; negative when behind.
    pub(crate) const fn ahead_of(self, unix_time: Duration) -> i32 {
        self.seconds().wrapping_sub(unix_time.as_secs() as u32) as i32
    }

    /// The next one to sign with at a time, after the last that was.
    ///
    /// It grows even when the clock stands still or was set back; but by time, a clock that was set back by more than
    /// the window would leave us with a number that nobody accepts, so it starts from the clock anew.
    pub(crate) fn next(
        last: Option<Self>,
        unix_time: Duration,
        anti_replay: AntiReplay,
        window: u16,
    ) -> Self {
        let clock = Self::at(unix_time);
        let Some(last) = last.filter(|last| !clock.follows(*last)) else {
            return clock;
        };
        if anti_replay == AntiReplay::Time && last.ahead_of(unix_time) > i32::from(window) {
            return clock;
        }
        Self(last.0.wrapping_add(1))
    }
}

/// What the wall clock said, and when: a router reads no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct WallClock {
    unix_time: Duration,
    at: Duration,
}

impl WallClock {
    pub(crate) fn new(now: Duration, unix_time: Duration) -> Self {
        Self { unix_time, at: now }
    }

    /// The time since the Unix epoch.
    pub(crate) fn time(self, now: Duration) -> Duration {
        self.unix_time + now.saturating_sub(self.at)
    }
}
