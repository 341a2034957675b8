//! A backend at random, by weight, in two look-ups at any number of backends.

use super::dice::{Dice, below};
use super::ring::{Member, Ring};

/// How often a draw that is not fit is drawn again before the schedule is asked.
const MAX_DRAWS: usize = 8;

/// Vose's alias method (M. D. Vose, *A linear algorithm for generating random numbers with a given
/// distribution*, 1991): one column a member, each shared by at most two.
#[derive(Debug)]
pub(super) struct Urn(Box<[Column]>);

#[derive(Clone, Copy, Debug)]
struct Column {
    /// The part of 2³² that is `own`'s.
    share: u32,
    own: u16,
    other: u16,
}

impl Urn {
    pub(super) fn new(members: &[Member]) -> Self {
        let count = members.len() as u64;
        let full: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let mut left: Vec<u64> = members
            .iter()
            .map(|member| u64::from(member.weight) * count)
            .collect();
        let mut columns: Vec<Column> = members
            .iter()
            .map(|&Member { slot, .. }| Column {
                share: u32::MAX,
                own: slot,
                other: slot,
            })
            .collect();
        let (mut light, mut heavy): (Vec<usize>, Vec<usize>) =
            (0..members.len()).partition(|&index| left[index] < full);
        while let (Some(low), Some(&high)) = (light.pop(), heavy.last()) {
            columns[low].share = ((u128::from(left[low]) << 32) / u128::from(full)) as u32;
            columns[low].other = members[high].slot;
            left[high] -= full - left[low];
            if left[high] < full {
                heavy.pop();
                light.push(high);
            }
        }
        Self(columns.into_boxed_slice())
    }

    /// One member's slot; `None` if there are none.
    #[inline]
    pub(super) fn draw(&self, dice: &mut Dice) -> Option<u16> {
        let roll = dice.roll();
        let column = self.0.get(below(roll, self.0.len() as u32) as usize)?;
        Some(if (roll as u32) < column.share {
            column.own
        } else {
            column.other
        })
    }

    /// One member's slot that is `fit`.
    #[inline]
    pub(super) fn next(&self, ring: &Ring, dice: &mut Dice, fit: impl Fn(u16) -> bool) -> Option<u16> {
        match self.draw(dice).filter(|&slot| fit(slot)) {
            Some(slot) => Some(slot),
            None => self.again(dice, &fit).or_else(|| ring.next(fit)),
        }
    }

    /// The first of some more draws that is `fit`.
    #[cold]
    pub(super) fn again(&self, dice: &mut Dice, fit: impl Fn(u16) -> bool) -> Option<u16> {
        (1..MAX_DRAWS).find_map(|_| self.draw(dice).filter(|&slot| fit(slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Order;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn nobody_can_be_drawn_from_an_empty_urn() {
        assert_eq!(Urn::new(&[]).draw(&mut Dice::new(1)), None);
    }

    #[test]
    fn the_only_fit_one_is_found() {
        let members = members(&vec![1; 1_000]);
        let (urn, ring) = (Urn::new(&members), Ring::new(Order::Even, members));
        let mut dice = Dice::new(1);
        assert_eq!(urn.next(&ring, &mut dice, |slot| slot == 321), Some(321));
        assert_eq!(urn.next(&ring, &mut dice, |_| false), None);
    }

    #[test]
    fn who_is_not_fit_leaves_its_draws_to_the_others_by_weight() {
        let members = members(&[4, 3, 1]);
        let (urn, ring) = (Urn::new(&members), Ring::new(Order::Even, members));
        let mut dice = Dice::new(5);
        let second = (0..40_000)
            .filter(|_| urn.next(&ring, &mut dice, |slot| slot != 0).unwrap() == 1)
            .count();
        assert!(second.abs_diff(30_000) < 500, "{second}");
    }

    proptest! {
        /// The columns hold exactly what the weights say, to one part in 2³¹.
        #[test]
        fn shares_are_those_of_the_weights(weights in vec(1_u32..70_000, 1..60)) {
            let Urn(columns) = Urn::new(&members(&weights));
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let mut shares = vec![0_u64; weights.len()];
            for column in &columns {
                shares[usize::from(column.own)] += u64::from(column.share);
                shares[usize::from(column.other)] += (1 << 32) - u64::from(column.share);
            }
            for (&share, &weight) in shares.iter().zip(&weights) {
                let (is, ideal) = (share as f64 / weights.len() as f64, f64::from(weight) / total as f64);
                prop_assert!((is / 4_294_967_296.0 - ideal).abs() < 1e-8, "{is} for {ideal}");
            }
        }
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        (0..)
            .zip(weights)
            .map(|(slot, &weight)| Member { slot, weight })
            .collect()
    }
}
