//! The dice: SplitMix64, so that a seed means the same on every machine and in every version of every dependency.

use core::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014). Good enough to lose packets, and eight lines.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether a thing of this probability happens. 0 and 100 draw nothing, so that a clean path costs no dice.
    pub(super) fn percent(&mut self, percent: u8) -> bool {
        match percent {
            0 => false,
            100.. => true,
            _ => self.next() % 100 < u64::from(percent),
        }
    }

    /// A time from zero to `longest`, both included.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
        match nanos {
            0 => Duration::ZERO,
            _ => Duration::from_nanos(self.next() % (nanos + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_reference() {
        // Reference output of splitmix64.c by Sebastiano Vigna for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let drawn: [u64; 3] = core::array::from_fn(|_| rng.next());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn certain_and_impossible_draw_nothing() {
        let mut rng = Rng::new(7);
        assert!(rng.percent(100));
        assert!(!rng.percent(0));
        assert_eq!(rng.up_to(Duration::ZERO), Duration::ZERO);
        assert_eq!(rng.0, 7);
    }
}
