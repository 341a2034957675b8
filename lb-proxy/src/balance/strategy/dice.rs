//! Draws that nobody needs to guard: which of several backends, never a secret.

/// SplitMix64 (Steele, Lea, Flood, 2014). A reader has its own, so that drawing is shared by nobody.
#[derive(Debug)]
pub(in crate::balance) struct Dice(u64);

/// 2⁶⁴ over the golden ratio, which is what SplitMix64 counts in.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// Dice of their own for every number.
    pub(in crate::balance) const fn new(number: u64) -> Self {
        Self(mix(number))
    }

    #[inline]
    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        finish(self.0)
    }
}

/// Neighbouring numbers come out unrelated.
#[inline]
pub(in crate::balance) const fn mix(number: u64) -> u64 {
    finish(number.wrapping_add(STEP))
}

#[inline]
const fn finish(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number below `limit` from the upper bits of a draw, all alike up to `limit`/2³².
#[inline]
pub(super) const fn below(draw: u64, limit: u32) -> u32 {
    (((draw >> 32) * limit as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_splitmix64() {
        // The first three of seed 0, from the authors' code.
        let mut dice = Dice(0);
        assert_eq!(
            [(); 3].map(|()| dice.roll()),
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f
            ]
        );
    }

    #[test]
    fn all_numbers_below_a_limit_come_up_equally_often() {
        let mut dice = Dice::new(7);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(dice.roll(), 7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 400),
            "{counts:?}"
        );
    }
}
