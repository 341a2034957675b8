//! Many measurements of a time, in little memory and with a known error.

use std::time::Duration;

/// Buckets in which the lower half of a power of two is told apart: an error of at most 1/64.
const STEPS: u64 = 64;
/// Doublings above the first [`STEPS`] microseconds: up to an hour.
const DOUBLINGS: u64 = 26;

/// Times from a microsecond to an hour, in buckets that grow with the time (as HDR histograms do): a quantile is at most
/// 1.6 % too high, or a microsecond.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        let buckets = usize::try_from(STEPS * (DOUBLINGS + 1)).expect("a few thousand");
        Self {
            buckets: vec![0; buckets],
            count: 0,
            max: Duration::ZERO,
        }
    }

    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The time that so many of them, from 0 to 1, don't exceed; zero if there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut passed = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return Duration::from_micros(upper(bucket as u64)).min(self.max);
            }
        }
        self.max
    }
}

/// The bucket of a time: one a microsecond at first, then [`STEPS`] a doubling.
fn bucket(micros: u64) -> usize {
    let bucket = if micros < STEPS {
        micros
    } else {
        let doubling = u64::from(micros.ilog2() - STEPS.ilog2());
        STEPS * (doubling + 1) + (micros >> doubling) - STEPS
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The time that all of a bucket are below.
fn upper(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket + 1;
    }
    let doubling = bucket / STEPS - 1;
    (bucket % STEPS + STEPS + 1) << doubling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_the_bucket_that_ends_above_it() {
        for micros in (0..5_000).chain([65_535, 65_536, 1_000_000, 3_599_999_999]) {
            let bucket = bucket(micros) as u64;
            assert!(micros < upper(bucket), "{micros} µs in {bucket}");
            assert!(
                bucket == 0 || micros >= upper(bucket - 1),
                "{micros} µs in {bucket}"
            );
            let error = upper(bucket) - micros;
            assert!(error <= 1 + micros / STEPS, "{micros} µs is {error} off");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut histogram = Histogram::new();
        for micros in 1..=1_000 {
            histogram.add(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 1_000);
        for (share, micros) in [(0.0, 1), (0.5, 500), (0.99, 990), (1.0, 1_000)] {
            let got = histogram.quantile(share).as_micros();
            assert!(
                (micros..=micros + 1 + micros / 64).contains(&got),
                "{share}: {got}"
            );
        }
        assert_eq!(histogram.max(), Duration::from_millis(1));
    }

    #[test]
    fn merged_histograms_are_as_one() {
        let mut left = Histogram::new();
        let mut right = Histogram::new();
        left.add(Duration::from_micros(10));
        right.add(Duration::from_secs(10_000));
        left.merge(&right);
        assert_eq!(left.count(), 2);
        assert_eq!(left.quantile(0.5), Duration::from_micros(11));
        assert_eq!(left.max(), Duration::from_secs(10_000));
    }

    #[test]
    fn without_a_time_every_quantile_is_zero() {
        assert_eq!(Histogram::new().quantile(0.99), Duration::ZERO);
    }
}
