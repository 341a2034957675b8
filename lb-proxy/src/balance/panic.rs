//! Panic mode: when nobody is up, anybody is better than nobody.

use std::sync::atomic::{AtomicU64, Ordering};

use super::strategy::mix;

/// Everybody whom the operator lets work, whatever checks and requests say.
///
/// It is at hand before it is needed, without a schedule: what it costs to make is one pass over the
/// backends.
#[derive(Debug)]
pub(super) struct Anyone {
    slots: Box<[u16]>,
    /// The sum of the weights up to and including each.
    cumulative: Box<[u64]>,
    turn: AtomicU64,
}

impl Anyone {
    /// Of these slots and weights, which are above 0.
    pub(super) fn new(members: impl Iterator<Item = (u16, u16)>) -> Self {
        let mut sum = 0;
        let (slots, cumulative): (Vec<u16>, Vec<u64>) = members
            .map(|(slot, weight)| {
                sum += u64::from(weight);
                (slot, sum)
            })
            .unzip();
        Self {
            slots: slots.into_boxed_slice(),
            cumulative: cumulative.into_boxed_slice(),
            turn: AtomicU64::new(0),
        }
    }

    /// One that is `fit`, by weight; whoever follows one that is not gets its share.
    pub(super) fn next(&self, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let total = *self.cumulative.last()?;
        let place = mix(self.turn.fetch_add(1, Ordering::Relaxed)) % total;
        let first = self.cumulative.partition_point(|&sum| sum <= place);
        let (before, after) = self.slots.split_at(first);
        after.iter().chain(before).copied().find(|&slot| fit(slot))
    }

    /// Whether one is `fit`.
    pub(super) fn any(&self, fit: impl Fn(u16) -> bool) -> bool {
        self.slots.iter().any(|&slot| fit(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_go_by_weight_and_nobody_fit_is_missed() {
        let anyone = Anyone::new([(3, 1), (7, 9), (9, 10)].into_iter());
        let count = |slot| (0..2_000).filter(|_| anyone.next(|_| true) == Some(slot)).count();
        assert!((60..140).contains(&count(3)), "a twentieth of 2,000 draws is 100");
        assert!((800..1_000).contains(&count(7)), "nine twentieths are 900");
        assert_eq!(anyone.next(|slot| slot == 3), Some(3));
        assert_eq!(anyone.next(|_| false), None);
        assert_eq!(Anyone::new(std::iter::empty()).next(|_| true), None);
    }
}
