//! The backend with the fewest requests under way beside its weight.

use super::dice::{Dice, below};
use super::ring::{Member, Ring};

/// Up to how many members all are compared.
const MAX_COMPARED: usize = 32;

/// Of how many a request gets the least loaded one if there are more.
const SAMPLE: usize = 16;

/// How often the schedule is asked which of several that are equally loaded it is.
const MAX_PROBES: usize = 8;

/// nginx's `least_conn`: the least `load` / weight. Among equals the schedule decides.
///
/// Whose turn it is and who has nothing to do is taken at once, which is all there is to do while there are
/// fewer requests than backends. Otherwise up to [`MAX_COMPARED`] are all compared, and of more a
/// [`SAMPLE`] that the schedule draws by weight. So the work is bounded and nothing has to be kept in order
/// by those who begin and end requests; and of 16 the least loaded one is hardly ever more than one request
/// above the least of all.
#[derive(Debug)]
pub(super) struct Least {
    /// By slot; 0 for who is not a member.
    weights: Box<[u32]>,
}

impl Least {
    pub(super) fn new(members: &[Member]) -> Self {
        Self {
            weights: by_slot(members, |weight| weight),
        }
    }

    #[inline]
    pub(super) fn next(
        &self,
        ring: &Ring,
        dice: &mut Dice,
        load: impl Fn(u16) -> u64,
        fit: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let first = ring.next(&fit)?;
        let first_load = load(first);
        if first_load == 0 {
            return Some(first);
        }
        Some(self.compare(ring, dice.roll(), (first, first_load), load, fit))
    }

    /// The least loaded, or `first` if it is as little loaded as that.
    fn compare(
        &self,
        ring: &Ring,
        roll: u64,
        first: (u16, u64),
        load: impl Fn(u16) -> u64,
        fit: impl Fn(u16) -> bool,
    ) -> u16 {
        let members = ring.members();
        let less_than = |least: (u16, u64), slot: u16| {
            let load = load(slot);
            (self.is_less((slot, load), least) && fit(slot)).then_some((slot, load))
        };
        let mut least = first;
        if members.len() > MAX_COMPARED {
            for slot in ring.elsewhere(roll).take(SAMPLE - 1) {
                least = less_than(least, slot).unwrap_or(least);
            }
            return least.0;
        }
        let (before, after) = members.split_at(below(roll, members.len() as u32) as usize);
        for member in after.iter().chain(before) {
            least = less_than(least, member.slot).unwrap_or(least);
        }
        if least.0 == first.0 {
            return first.0;
        }
        // Others may be as little loaded: by weight, then, and not by place.
        ring.elsewhere(roll)
            .take(MAX_PROBES)
            .find(|&slot| !self.is_less(least, (slot, load(slot))) && fit(slot))
            .unwrap_or(least.0)
    }

    fn is_less(&self, a: (u16, u64), b: (u16, u64)) -> bool {
        a.1 * self.weight(b.0) < b.1 * self.weight(a.0)
    }

    fn weight(&self, slot: u16) -> u64 {
        self.weights.get(usize::from(slot)).copied().unwrap_or(0).into()
    }
}

/// What `of` makes of the weights, by slot.
pub(super) fn by_slot<T: Copy + Default>(members: &[Member], of: impl Fn(u32) -> T) -> Box<[T]> {
    let slots = members.iter().map(|member| usize::from(member.slot) + 1).max();
    let mut by_slot = vec![T::default(); slots.unwrap_or(0)];
    for member in members {
        by_slot[usize::from(member.slot)] = of(member.weight);
    }
    by_slot.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::ring::Order;
    use super::*;

    #[test]
    fn the_least_loaded_is_taken_whatever_the_schedule_says() {
        let mut world = World::new(&[1; 10]);
        world.loads = RefCell::new(vec![3, 3, 3, 3, 3, 3, 2, 3, 3, 3]);
        for _ in 0..20 {
            assert_eq!(world.next(|_| true), Some(6));
        }
        assert_ne!(world.next(|slot| slot != 6), Some(6));
    }

    #[test]
    fn load_counts_beside_the_weight() {
        let mut world = World::new(&[4, 1]);
        for (loads, least) in [([4, 0], 1), ([3, 1], 0), ([5, 1], 1), ([8, 3], 0)] {
            world.loads = RefCell::new(loads.to_vec());
            assert_eq!(world.next(|_| true), Some(least), "{loads:?}");
        }
    }

    #[test]
    fn idle_backends_take_turns_by_weight() {
        let mut world = World::new(&[5, 1, 1]);
        let picks: Vec<_> = (0..7).map(|_| world.next(|_| true).unwrap()).collect();
        assert_eq!(picks, [0, 1, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn equally_loaded_backends_share_by_weight_beside_a_loaded_one() {
        let mut world = World::new(&[30, 6, 2]);
        world.loads = RefCell::new(vec![300, 6, 2]);
        let mut counts = [0_u32; 3];
        for _ in 0..8_000 {
            counts[usize::from(world.next(|_| true).unwrap())] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!(counts[1].abs_diff(6_000) < 600, "{counts:?}");
    }

    #[test]
    fn requests_that_stay_spread_in_proportion_to_the_weights() {
        let mut world = World::new(&[6, 3, 2, 1]);
        for _ in 0..1_200 {
            world.begin();
        }
        assert_eq!(*world.loads.borrow(), [600, 300, 200, 100]);
    }

    #[test]
    fn among_many_nobody_is_far_above_the_least() {
        let mut world = World::new(&[1; 500]);
        let mut dice = Dice::new(9);
        let mut held = Vec::new();
        for _ in 0..20_000 {
            held.push(world.begin());
            if held.len() > 4_000 {
                let gone = held.swap_remove(below(dice.roll(), held.len() as u32) as usize);
                world.loads.borrow_mut()[usize::from(gone)] -= 1;
            }
        }
        // At random, somebody would have some 20.
        let most = *world.loads.borrow().iter().max().unwrap();
        assert!(most <= 10, "{most} on one, for 8 on the average");
    }

    #[test]
    fn nobody_fit_means_nobody() {
        assert_eq!(World::new(&[1, 1]).next(|_| false), None);
        assert_eq!(World::new(&[]).next(|_| true), None);
    }

    struct World {
        ring: Ring,
        least: Least,
        dice: Dice,
        loads: RefCell<Vec<u64>>,
    }

    impl World {
        fn new(weights: &[u32]) -> Self {
            let members: Vec<Member> = (0..)
                .zip(weights)
                .map(|(slot, &weight)| Member { slot, weight })
                .collect();
            Self {
                least: Least::new(&members),
                ring: Ring::new(Order::Even, members),
                dice: Dice::new(1),
                loads: RefCell::new(vec![0; weights.len()]),
            }
        }

        fn next(&mut self, fit: impl Fn(u16) -> bool) -> Option<u16> {
            let load = |slot: u16| self.loads.borrow()[usize::from(slot)];
            self.least.next(&self.ring, &mut self.dice, load, fit)
        }

        fn begin(&mut self) -> u16 {
            let slot = self.next(|_| true).unwrap();
            self.loads.borrow_mut()[usize::from(slot)] += 1;
            slot
        }
    }
}
