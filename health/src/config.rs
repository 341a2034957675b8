//! What a check is: its times and thresholds.

use alloc::boxed::Box;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::{WatchConfig, WatchConfigBuilder, Weight};

/// The settings of a check that runs at intervals, in keepalived's words. A value of this type is always valid.
///
/// | setting | default | range |
/// |---|---|---|
/// | `interval`: start to start | 1 s | [`MIN_TIME`](Self::MIN_TIME) to [`MAX_TIME`](Self::MAX_TIME) |
/// | `fast_interval` while a count of `rise` or `fall` is under way | = `interval` | the same |
/// | `down_interval` while down, but for that | = `interval` | the same |
/// | `jitter_percent` of each interval, shorter or longer | 0 | 0 to [`MAX_JITTER`](Self::MAX_JITTER) |
/// | `timeout` of one run | = `interval` | [`MIN_TIME`](Self::MIN_TIME) to [`MAX_TIME`](Self::MAX_TIME) |
/// | `rise`: successes in a row that bring it up | 1 | from 1 |
/// | `fall`: failures in a row that bring it down | 1 | from 1 |
/// | `init_fail`: down until it has risen | false | |
/// | `weight` | 0 (down means fault) | −253 to 253 |
///
/// `timeout` may be longer than `interval`: runs that fall due meanwhile are skipped. See keepalived.conf(5),
/// `vrrp_script`, and for `fast_interval` and `down_interval` `fastinter` and `downinter` of HAProxy. A check that is told its results instead has a [`WatchConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckConfig {
    counting: WatchConfig,
    interval: Duration,
    fast_interval: Duration,
    down_interval: Duration,
    timeout: Duration,
    jitter_percent: u8,
}

impl CheckConfig {
    /// The shortest interval and timeout: 1 ms. Below that a check is a busy loop.
    pub const MIN_TIME: Duration = Duration::from_millis(1);
    /// The longest interval and timeout: one day.
    pub const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
    /// The largest jitter, in percent of the interval.
    pub const MAX_JITTER: u8 = 50;
    /// The default interval: 1 s, as keepalived's.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

    /// Begins a config with the defaults; `name` is what people will read in logs and in the status.
    pub fn builder(name: impl Into<Box<str>>) -> CheckConfigBuilder {
        CheckConfigBuilder {
            counting: WatchConfig::builder(name),
            interval: Self::DEFAULT_INTERVAL,
            fast_interval: None,
            down_interval: None,
            timeout: None,
            jitter_percent: 0,
        }
    }

    /// Names the check.
    pub fn name(&self) -> &str {
        self.counting.name()
    }

    /// Gives the time from the start of one run to the start of the next.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Gives the interval that holds while a count is under way that may change the check.
    pub fn fast_interval(&self) -> Duration {
        self.fast_interval
    }

    /// Gives the interval that holds while the check is down and nothing says that it may come up.
    pub fn down_interval(&self) -> Duration {
        self.down_interval
    }

    /// Gives by how much each interval may be shorter or longer, in percent of it.
    pub fn jitter_percent(&self) -> u8 {
        self.jitter_percent
    }

    /// Gives the time that one run may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Gives the number of successes in a row that bring the check up.
    pub fn rise(&self) -> NonZeroU32 {
        self.counting.rise()
    }

    /// Gives the number of failures in a row that bring the check down.
    pub fn fall(&self) -> NonZeroU32 {
        self.counting.fall()
    }

    /// Says whether the check counts as down until it has risen.
    pub fn init_fail(&self) -> bool {
        self.counting.init_fail()
    }

    /// Gives what the check does to a priority; see [`effect`](crate::effect).
    pub fn weight(&self) -> Weight {
        self.counting.weight()
    }

    /// Gives all but the times.
    pub(crate) fn into_counting(self) -> WatchConfig {
        self.counting
    }
}

/// Collects settings; [`build`](Self::build) checks them all.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct CheckConfigBuilder {
    counting: WatchConfigBuilder,
    interval: Duration,
    fast_interval: Option<Duration>,
    down_interval: Option<Duration>,
    timeout: Option<Duration>,
    jitter_percent: u8,
}

impl CheckConfigBuilder {
    /// Sets the time from the start of one run to the start of the next. Default 1 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the interval while a count is under way that may change the check: it is up and has failed less than `fall`
    /// times, or down and has succeeded less than `rise` times. Default: the interval. So a check that asks seldom makes
    /// up its mind soon.
    pub fn fast_interval(mut self, interval: Duration) -> Self {
        self.fast_interval = Some(interval);
        self
    }

    /// Sets the interval while the check is down and its last run has failed. Default: the interval.
    pub fn down_interval(mut self, interval: Duration) -> Self {
        self.down_interval = Some(interval);
        self
    }

    /// Makes each interval shorter or longer by up to so many percent, another time each time, so that checks that were
    /// started together don't stay together. Default 0.
    pub fn jitter_percent(mut self, percent: u8) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// Sets the time that one run may take. Default: the interval.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the number of successes in a row that bring the check up. Default 1.
    pub fn rise(mut self, rise: u32) -> Self {
        self.counting = self.counting.rise(rise);
        self
    }

    /// Sets the number of failures in a row that bring the check down. Default 1.
    pub fn fall(mut self, fall: u32) -> Self {
        self.counting = self.counting.fall(fall);
        self
    }

    /// Counts the check as down until it has risen. By default it is neither up nor down before its first
    /// result, and that first result counts at once.
    pub fn init_fail(mut self, init_fail: bool) -> Self {
        self.counting = self.counting.init_fail(init_fail);
        self
    }

    /// Sets what the check does to a priority. Default 0: while it is down, fault.
    pub fn weight(mut self, weight: Weight) -> Self {
        self.counting = self.counting.weight(weight);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, in the order of [`ConfigError`]'s variants.
    pub fn build(self) -> Result<CheckConfig, ConfigError> {
        self.counting.check_name()?;
        let in_range = |time: &Duration| (CheckConfig::MIN_TIME..=CheckConfig::MAX_TIME).contains(time);
        if !in_range(&self.interval) {
            return Err(ConfigError::IntervalOutOfRange { got: self.interval });
        }
        let fast_interval = self.fast_interval.unwrap_or(self.interval);
        let down_interval = self.down_interval.unwrap_or(self.interval);
        if let Some(got) = [fast_interval, down_interval]
            .into_iter()
            .find(|time| !in_range(time))
        {
            return Err(ConfigError::IntervalOutOfRange { got });
        }
        let timeout = self.timeout.unwrap_or(self.interval);
        if !in_range(&timeout) {
            return Err(ConfigError::TimeoutOutOfRange { got: timeout });
        }
        if self.jitter_percent > CheckConfig::MAX_JITTER {
            return Err(ConfigError::JitterOutOfRange {
                got: self.jitter_percent,
            });
        }
        Ok(CheckConfig {
            counting: self.counting.build()?,
            interval: self.interval,
            fast_interval,
            down_interval,
            timeout,
            jitter_percent: self.jitter_percent,
        })
    }
}

/// Why settings do not make a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name is empty.
    #[error("a check needs a name")]
    NameEmpty,
    /// The name has a control character, which would tear log lines.
    #[error("control character at byte {at} of the name of a check")]
    NameControl {
        /// Byte offset of the character.
        at: usize,
    },
    /// One of the intervals is outside of [`CheckConfig::MIN_TIME`] to [`CheckConfig::MAX_TIME`].
    #[error("interval {got:?} is out of range: 1 ms to 24 h")]
    IntervalOutOfRange {
        /// The interval given.
        got: Duration,
    },
    /// The timeout is outside of [`CheckConfig::MIN_TIME`] to [`CheckConfig::MAX_TIME`].
    #[error("timeout {got:?} is out of range: 1 ms to 24 h")]
    TimeoutOutOfRange {
        /// The timeout given.
        got: Duration,
    },
    /// The jitter is above [`CheckConfig::MAX_JITTER`].
    #[error("jitter of {got} % is out of range: 0 to {} %", CheckConfig::MAX_JITTER)]
    JitterOutOfRange {
        /// The jitter given, in percent.
        got: u8,
    },
    /// `rise` is 0.
    #[error("rise 0: a check needs at least 1 success to come up")]
    RiseZero,
    /// `fall` is 0.
    #[error("fall 0: a check needs at least 1 failure to go down")]
    FallZero,
    /// The weight is out of range.
    #[error("weight {got} is out of range: -{limit} to {limit}")]
    WeightOutOfRange {
        /// The weight given.
        got: i32,
        /// The largest weight for what is tracked; the smallest is its negative.
        limit: i32,
    },
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn defaults_are_those_of_keepalived() {
        let config = CheckConfig::builder("c").build().unwrap();
        assert_eq!(config.interval(), Duration::from_secs(1));
        assert_eq!(config.timeout(), Duration::from_secs(1));
        assert_eq!((config.rise().get(), config.fall().get()), (1, 1));
        assert!(!config.init_fail());
        assert_eq!(config.weight().get(), 0);
    }

    #[test]
    fn timeout_defaults_to_the_interval_whatever_the_order() {
        let interval = Duration::from_millis(250);
        assert_eq!(
            CheckConfig::builder("c")
                .interval(interval)
                .build()
                .unwrap()
                .timeout(),
            interval
        );
        let both = CheckConfig::builder("c")
            .timeout(Duration::from_secs(3))
            .interval(interval);
        assert_eq!(both.build().unwrap().timeout(), Duration::from_secs(3));
    }

    #[test]
    fn each_invalid_setting_has_its_own_error() {
        let builder = || CheckConfig::builder("c");
        let day = CheckConfig::MAX_TIME;
        let above = day + Duration::from_nanos(1);
        let below = Duration::from_micros(999);
        let cases = [
            (CheckConfig::builder(""), ConfigError::NameEmpty),
            (
                CheckConfig::builder("chk\nfake"),
                ConfigError::NameControl { at: 3 },
            ),
            (
                builder().interval(Duration::ZERO),
                ConfigError::IntervalOutOfRange { got: Duration::ZERO },
            ),
            (
                builder().interval(below),
                ConfigError::IntervalOutOfRange { got: below },
            ),
            (
                builder().interval(above),
                ConfigError::IntervalOutOfRange { got: above },
            ),
            (
                builder().timeout(below),
                ConfigError::TimeoutOutOfRange { got: below },
            ),
            (
                builder().timeout(above),
                ConfigError::TimeoutOutOfRange { got: above },
            ),
            (
                builder().fast_interval(below),
                ConfigError::IntervalOutOfRange { got: below },
            ),
            (
                builder().down_interval(above),
                ConfigError::IntervalOutOfRange { got: above },
            ),
            (
                builder().jitter_percent(51),
                ConfigError::JitterOutOfRange { got: 51 },
            ),
            (builder().rise(0), ConfigError::RiseZero),
            (builder().fall(0), ConfigError::FallZero),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build(), Err(error));
            assert!(!error.to_string().is_empty());
        }
        let edges = builder()
            .interval(CheckConfig::MIN_TIME)
            .timeout(day)
            .rise(u32::MAX)
            .fall(u32::MAX);
        assert!(edges.build().is_ok());
    }
}
