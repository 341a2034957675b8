//! The settings of passive health: what failed requests make of a backend.

use std::time::Duration;

use super::config::ConfigError;

/// When failed requests eject a backend, for how long, and how many may be out at a time.
///
/// Three rules eject, whichever is met first: [`max_fails`](super::BackendConfig::max_fails) of the backend
/// (nginx's), [`consecutive`](Self::consecutive), and [`ratio`](Self::ratio). The last two are off unless
/// set; with `max_fails` at its default of 1 they have nothing left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until an upstream has them"]
pub struct Passive {
    pub(super) consecutive: u32,
    pub(super) ratio_percent: u8,
    pub(super) min_volume: u32,
    pub(super) window: Duration,
    pub(super) base_ejection: Option<Duration>,
    pub(super) max_ejection: Duration,
    pub(super) max_ejected_percent: u8,
    pub(super) keep_last: bool,
}

impl Passive {
    /// The default: no rule besides `max_fails`; each ejection in a row twice as long as the one before, from
    /// `fail_timeout` up to 5 minutes; at most half of the backends out, and never the last one.
    pub const fn new() -> Self {
        Self {
            consecutive: 0,
            ratio_percent: 0,
            min_volume: 20,
            window: Duration::from_secs(10),
            base_ejection: None,
            max_ejection: Duration::from_secs(300),
            max_ejected_percent: 50,
            keep_last: true,
        }
    }

    /// As nginx: `max_fails` alone, every ejection one `fail_timeout`, and all may be out at a time.
    pub const fn nginx() -> Self {
        Self {
            max_ejection: Duration::ZERO,
            max_ejected_percent: 100,
            keep_last: false,
            ..Self::new()
        }
    }

    /// Ejects after so many failures with no success between them (Envoy's `consecutive_5xx`); default 0,
    /// which is never.
    pub const fn consecutive(mut self, failures: u32) -> Self {
        self.consecutive = failures;
        self
    }

    /// Ejects when at least `percent` of a backend's requests within [`window`](Self::window) failed, if
    /// there were at least [`min_volume`](Self::min_volume); default 0, which is never; at most 100.
    ///
    /// It is reckoned when a request fails, so that successes cost nothing. The window opens with the first
    /// failure after a time without, and slides in eighths.
    pub const fn ratio(mut self, percent: u8) -> Self {
        self.ratio_percent = percent;
        self
    }

    /// Sets of how many requests a ratio must be to count; default 20. Cancelled ones are not among them.
    pub const fn min_volume(mut self, requests: u32) -> Self {
        self.min_volume = requests;
        self
    }

    /// Sets the time over which the ratio is taken; default 10 s, and not 0 if there is a ratio.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a first ejection is; by default the backend's
    /// [`fail_timeout`](super::BackendConfig::fail_timeout).
    pub const fn base_ejection(mut self, time: Duration) -> Self {
        self.base_ejection = Some(time);
        self
    }

    /// Sets up to which time ejections in a row double; default 5 minutes, and at or below the base none
    /// does.
    ///
    /// One follows in a row if it comes of the probe that the last one ended with, or soon after: each base
    /// time in which the backend is up takes one doubling back.
    pub const fn max_ejection(mut self, time: Duration) -> Self {
        self.max_ejection = time;
        self
    }

    /// Sets how many of the backends may be ejected at a time, in percent, rounded up, and one always;
    /// default 50, at most 100.
    ///
    /// Primaries are counted by themselves, and spares too. It does not hold for primaries while a spare
    /// stands ready: that is what spares are for.
    pub const fn max_ejected_percent(mut self, percent: u8) -> Self {
        self.max_ejected_percent = percent;
        self
    }

    /// Whether the last backend that is up is kept whatever it does; default yes.
    pub const fn keep_last(mut self, keep: bool) -> Self {
        self.keep_last = keep;
        self
    }

    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        if self.ratio_percent > 100 {
            return Err(ConfigError::Percent {
                name: "ratio",
                got: self.ratio_percent,
            });
        }
        if self.max_ejected_percent > 100 {
            return Err(ConfigError::Percent {
                name: "max_ejected_percent",
                got: self.max_ejected_percent,
            });
        }
        if self.ratio_percent > 0 && self.window.is_zero() {
            return Err(ConfigError::ZeroWindow);
        }
        Ok(())
    }

    /// The length of an ejection that follows on `level` others.
    pub(super) fn ejection(&self, fail_timeout: Duration, level: u32) -> Duration {
        let base = self.base(fail_timeout);
        let doubled = base.saturating_mul(1_u32.checked_shl(level).unwrap_or(u32::MAX));
        doubled.min(self.max_ejection.max(base))
    }

    /// The length of a first ejection.
    pub(super) fn base(&self, fail_timeout: Duration) -> Duration {
        self.base_ejection.unwrap_or(fail_timeout)
    }

    /// Whether one more of `present` backends may be ejected when `ejected` are already.
    pub(super) fn allows(&self, ejected: usize, present: usize) -> bool {
        let allowed = (present * usize::from(self.max_ejected_percent)).div_ceil(100);
        ejected < allowed.max(1)
    }
}

impl Default for Passive {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ejections_double_up_to_the_longest() {
        let passive = Passive::new().max_ejection(60 * SECOND);
        let lengths: Vec<u64> = (0..5)
            .map(|level| passive.ejection(10 * SECOND, level).as_secs())
            .collect();
        assert_eq!(lengths, [10, 20, 40, 60, 60]);
        assert_eq!(passive.ejection(10 * SECOND, u32::MAX), 60 * SECOND);
        assert_eq!(passive.base_ejection(SECOND).ejection(10 * SECOND, 1), 2 * SECOND);
        assert_eq!(Passive::nginx().ejection(10 * SECOND, 7), 10 * SECOND);
        assert_eq!(Passive::new().ejection(900 * SECOND, 3), 900 * SECOND);
        assert_eq!(Passive::new().ejection(Duration::ZERO, 3), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let percent = |name, got| Err(ConfigError::Percent { name, got });
        assert_eq!(Passive::new().ratio(101).check(), percent("ratio", 101));
        let cap = Passive::new().max_ejected_percent(200);
        assert_eq!(cap.check(), percent("max_ejected_percent", 200));
        let no_time = Passive::new().window(Duration::ZERO);
        assert_eq!(no_time.check(), Ok(()));
        assert_eq!(no_time.ratio(50).check(), Err(ConfigError::ZeroWindow));
    }

    #[test]
    fn the_cap_always_allows_one() {
        let passive = Passive::new();
        assert!(passive.allows(0, 2) && !passive.allows(1, 2));
        assert!(passive.allows(1, 3) && !passive.allows(2, 3));
        assert!(passive.allows(4, 10) && !passive.allows(5, 10));
        assert!(Passive::new().max_ejected_percent(0).allows(0, 9));
        assert!(Passive::nginx().allows(1, 2));
    }
}
