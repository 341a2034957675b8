//! Slow start: a backend that comes back after a failure gets its share by and by.

use std::time::Duration;

/// In how many steps a share grows, so that a schedule is laid out anew that often at the most.
pub(super) const STEPS: u32 = 32;

/// The growing share of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ramp {
    began: Duration,
    length: Duration,
    /// 1 to [`STEPS`] − 1: the share, in parts of [`STEPS`].
    step: u32,
}

impl Ramp {
    /// A share that grows from `now` on to the whole in `length`; `None` if that is no time.
    pub(super) fn new(now: Duration, length: Duration) -> Option<Self> {
        (length >= Duration::from_nanos(u64::from(STEPS))).then_some(Self {
            began: now,
            length,
            step: 1,
        })
    }

    /// The share, in parts of [`STEPS`].
    pub(super) const fn step(&self) -> u32 {
        self.step
    }

    /// The share in percent, rounded down.
    pub(super) fn percent(&self) -> u8 {
        u8::try_from(self.step * 100 / STEPS).unwrap_or(100)
    }

    /// When the share is whole.
    pub(super) const fn until(&self) -> Duration {
        self.began.saturating_add(self.length)
    }

    /// When the share next grows.
    pub(super) fn next_step(&self) -> Duration {
        self.began.saturating_add(self.part().saturating_mul(self.step))
    }

    /// The ramp at `now`, with the share that is due; `None` when it is whole.
    pub(super) fn at(mut self, now: Duration) -> Option<Self> {
        let parts = now.saturating_sub(self.began).as_nanos() / self.part().as_nanos();
        let due = u32::try_from(parts).unwrap_or(STEPS).saturating_add(1);
        self.step = self.step.max(due);
        (self.step < STEPS).then_some(self)
    }

    /// The time between two steps: the first share is there at once, the whole at the end.
    fn part(&self) -> Duration {
        self.length / (STEPS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_in_equal_steps_to_the_whole() {
        let begin = Duration::from_secs(100);
        let mut ramp = Ramp::new(begin, Duration::from_secs(31)).unwrap();
        assert_eq!((ramp.step(), ramp.until()), (1, Duration::from_secs(131)));
        for step in 1..STEPS - 1 {
            assert_eq!(ramp.next_step(), begin + Duration::from_secs(u64::from(step)));
            let early = ramp.at(ramp.next_step() - Duration::from_nanos(1)).unwrap();
            assert_eq!(early, ramp, "spurious calls are harmless");
            ramp = ramp.at(ramp.next_step()).unwrap();
            assert_eq!(ramp.step(), step + 1);
        }
        assert_eq!(ramp.next_step(), ramp.until());
        assert_eq!(ramp.at(ramp.next_step()), None);
    }

    #[test]
    fn a_late_call_skips_steps_and_time_that_goes_back_takes_none() {
        let ramp = Ramp::new(Duration::ZERO, Duration::from_secs(31)).unwrap();
        let half = ramp.at(Duration::from_secs(16)).unwrap();
        assert_eq!(half.step(), 17);
        assert_eq!(half.at(Duration::from_secs(3)), Some(half));
        assert_eq!(ramp.at(Duration::from_secs(9_999)), None);
        assert_eq!(Ramp::new(Duration::ZERO, Duration::ZERO), None);
    }
}
