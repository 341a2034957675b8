//! How long a backend's requests take: a peak-sensitive moving average in one word.

use std::sync::atomic::{AtomicU64, Ordering};

/// The average, and when it was taken.
///
/// A request that took longer than the average lifts it at once; quicker ones lower it by and by, by half
/// within [`HALF_LIFE`], and so does time alone. So a backend that became slow is avoided from its first slow
/// answer on, and tried again later though nobody asked it meanwhile (the scheme of Finagle's Peak EWMA).
///
/// The upper half is the time in units of 2²⁰ ns (1 ms), the lower one the average in units of 2¹⁰ ns (1 µs).
/// Updates of two threads at once may lose one of the two samples.
#[derive(Debug)]
pub(in crate::balance) struct Latency(AtomicU64);

/// Nothing is measured.
const OFF: u64 = u64::MAX;
/// Nothing has been measured yet.
const UNKNOWN: u64 = 0;

/// In units of the time: 2¹³ × 2²⁰ ns, some 8.6 s.
const HALF_LIFE: u32 = 13;

/// A failure counts as an answer that took twice the average, and this (16 ms) at the least: a backend that
/// fails quickly must not look quick.
const MIN_PENALTY: u64 = 1 << 14;

impl Latency {
    /// Measures nothing until told to.
    pub(in crate::balance) const fn new() -> Self {
        Self(AtomicU64::new(OFF))
    }

    /// Whether it measures from here on; what it knows stays if it does already.
    pub(in crate::balance) fn set_measured(&self, measured: bool) {
        if measured {
            let _ = self
                .0
                .compare_exchange(OFF, UNKNOWN, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.0.store(OFF, Ordering::Relaxed);
        }
    }

    /// Takes a request into account that began and ended then, in nanoseconds.
    #[inline]
    pub(in crate::balance) fn observe(&self, began: u64, now: u64, failed: bool) {
        let known = self.0.load(Ordering::Relaxed);
        if known != OFF {
            self.update(known, began, now, failed);
        }
    }

    /// The average at `now`, in units of 2¹⁰ ns; `None` if nothing is known.
    #[inline]
    pub(in crate::balance) fn at(&self, now: u64) -> Option<u64> {
        let known = self.0.load(Ordering::Relaxed);
        (known != UNKNOWN && known != OFF).then(|| decayed(known as u32, elapsed(known, now)))
    }

    #[cold]
    fn update(&self, known: u64, began: u64, now: u64, failed: bool) {
        let mut sample = (now.saturating_sub(began) >> 10).clamp(1, u64::from(u32::MAX - 1)) as u32;
        let elapsed = elapsed(known, now);
        let average = decayed(known as u32, elapsed);
        if failed {
            sample = (2 * average)
                .clamp(MIN_PENALTY, u64::from(u32::MAX - 1))
                .max(sample.into()) as u32;
        }
        let new = if u64::from(sample) > average {
            u64::from(sample)
        } else {
            average + u64::from(sample) - decayed(sample, elapsed)
        };
        self.0.store(
            (now >> 20) << 32 | new.min(u64::from(u32::MAX - 1)),
            Ordering::Relaxed,
        );
    }
}

/// How long ago that was, in units of 2²⁰ ns; 0 if another thread was later.
#[inline]
fn elapsed(known: u64, now: u64) -> u32 {
    let elapsed = ((now >> 20) as u32).wrapping_sub((known >> 32) as u32);
    if elapsed > u32::MAX / 2 { 0 } else { elapsed }
}

/// `value` halved once a half-life, and in between along a parabola that is within 0.3 % of the curve.
#[inline]
fn decayed(value: u32, elapsed: u32) -> u64 {
    let (halvings, rest) = (elapsed >> HALF_LIFE, u64::from(elapsed & ((1 << HALF_LIFE) - 1)));
    // In units of 2⁻²⁶: 2⁻ˣ ≈ 1 − x (ln 2 − (ln 2 − ½) x).
    let factor = (1 << 26) - rest * (5_678 - (1_582 * rest >> HALF_LIFE));
    (u64::from(value) * factor >> 26)
        .checked_shr(halvings)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;

    #[test]
    fn nothing_is_measured_until_told_and_nothing_known_until_measured() {
        let latency = Latency::new();
        latency.observe(0, S, false);
        assert_eq!(latency.at(S), None);
        latency.set_measured(true);
        assert_eq!(latency.at(S), None);
        latency.observe(S, S + 5 * MS, false);
        latency.set_measured(true);
        assert_eq!(millis(latency.at(S + 5 * MS)), 5);
        latency.set_measured(false);
        assert_eq!(latency.at(S + 5 * MS), None);
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_quick_ones_by_and_by() {
        let latency = measured();
        latency.observe(S, S + 10 * MS, false);
        latency.observe(S, S + 100 * MS, false);
        assert_eq!(millis(latency.at(S + 100 * MS)), 100);
        let mut now = S + 100 * MS;
        for _ in 0..859 {
            now += 10 * MS;
            latency.observe(now - 10 * MS, now, false);
        }
        // A half-life of answers of 10 ms.
        assert!(
            (50..60).contains(&millis(latency.at(now))),
            "{}",
            millis(latency.at(now))
        );
    }

    #[test]
    fn an_average_that_nobody_renews_halves_again_and_again() {
        let latency = measured();
        latency.observe(0, 800 * MS, false);
        let at = |half_lives: u64| millis(latency.at(800 * MS + (half_lives << 33)));
        assert_eq!([at(0), at(1), at(2), at(3)], [800, 400, 200, 100]);
        assert_eq!(at(60), 0);
    }

    #[test]
    fn quick_failures_do_not_make_a_backend_look_quick() {
        let latency = measured();
        latency.observe(S, S + 40 * MS, false);
        latency.observe(S + 50 * MS, S + 51 * MS, true);
        assert!(millis(latency.at(S + 51 * MS)) >= 79);
        let new = measured();
        new.observe(S, S + MS / 10, true);
        assert!(millis(new.at(S)) >= 16);
    }

    #[test]
    fn clocks_of_threads_that_differ_do_no_harm() {
        let latency = measured();
        latency.observe(9 * S, 10 * S, false);
        latency.observe(10 * S, 9 * S, false);
        assert!(latency.at(9 * S).is_some());
        latency.observe(0, u64::MAX / 2, false);
        assert!(latency.at(u64::MAX / 2).is_some());
    }

    fn measured() -> Latency {
        let latency = Latency::new();
        latency.set_measured(true);
        latency
    }

    fn millis(average: Option<u64>) -> u64 {
        ((average.unwrap() << 10) + 500_000) / MS
    }
}
