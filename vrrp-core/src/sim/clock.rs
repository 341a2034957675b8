//! A node's own clock, which runs a little fast or slow.

use core::time::Duration;

/// How a node's clock relates to the time of the simulation. The default is exact.
///
/// Drivers count from an epoch of their own and by a quartz of their own, so two nodes agree neither on the time nor
/// on how long a second is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    epoch: Duration,
    drift_ppm: i32,
}

impl Clock {
    /// Fastest and slowest drift: one part in a hundred, far beyond any quartz.
    pub const MAX_DRIFT_PPM: i32 = 10_000;

    /// A clock that shows `epoch` when the simulation begins, and gains `drift_ppm` microseconds a second (loses,
    /// when negative). Drift beyond [`Clock::MAX_DRIFT_PPM`] is brought into range.
    pub fn new(epoch: Duration, drift_ppm: i32) -> Self {
        Self {
            epoch,
            drift_ppm: drift_ppm.clamp(-Self::MAX_DRIFT_PPM, Self::MAX_DRIFT_PPM),
        }
    }

    /// What the clock shows.
    pub(super) fn local(self, now: Duration) -> Duration {
        self.epoch + scale(now, self.rate(), MILLION)
    }

    /// The first instant at which the clock shows at least `local`.
    pub(super) fn global(self, local: Duration) -> Duration {
        let since = local.saturating_sub(self.epoch);
        let mut now = scale(since, MILLION, self.rate());
        // Both conversions round down; a timer that fires a nanosecond early would fire for nothing.
        while self.local(now) < local {
            now += Duration::from_nanos(1);
        }
        now
    }

    /// How long `local` can take, at most.
    pub(super) fn longest(self, local: Duration) -> Duration {
        scale(local, MILLION, self.rate()) + Duration::from_nanos(2)
    }

    fn rate(self) -> u128 {
        // At most a hundredth off a million, so never negative.
        (MILLION as i128 + i128::from(self.drift_ppm)).unsigned_abs()
    }
}

const MILLION: u128 = 1_000_000;

fn scale(time: Duration, by: u128, per: u128) -> Duration {
    if by == per {
        return time;
    }
    let nanos = time.as_nanos() * by / per;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_met_early_and_at_most_two_nanoseconds_late() {
        for drift in [-10_000, -37, 0, 1, 250, 10_000] {
            let clock = Clock::new(Duration::from_secs(5), drift);
            for nanos in [0, 1, 7, 3_609_375_000, 86_400_000_000_001] {
                let deadline = Duration::from_secs(5) + Duration::from_nanos(nanos);
                let now = clock.global(deadline);
                assert!(clock.local(now) >= deadline);
                let before = now.saturating_sub(Duration::from_nanos(2));
                assert!(now == Duration::ZERO || clock.local(before) < deadline || before == now);
            }
        }
    }

    #[test]
    fn a_fast_clock_gains_its_drift() {
        let clock = Clock::new(Duration::ZERO, 100);
        assert_eq!(
            clock.local(Duration::from_secs(10)),
            Duration::from_micros(10_001_000)
        );
        assert_eq!(
            Clock::new(Duration::ZERO, 1_000_000),
            Clock::new(Duration::ZERO, 10_000)
        );
    }
}
