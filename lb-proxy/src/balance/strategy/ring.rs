//! One group's schedule, laid out as a table, and the cursor that all threads share.

use std::sync::atomic::{AtomicU64, Ordering};

use super::by_weight::{ByWeight, Weights};
use super::dice::mix;
use super::sequence;

/// The longest table, in turns. A longer cycle is laid out by weight; if the weights alone are still too
/// many, they share out this many turns by largest remainder: no backend starves, backends of one weight
/// still get exactly the same, and a share is off by at most 1 in 131,072.
pub(super) const MAX_TABLE: u64 = 1 << 17;

/// The shortest table, in turns: shorter cycles are repeated, so that the seam between two runs is seldom
/// met.
const MIN_TABLE: usize = 512;

/// How often a search tries the schedule elsewhere before it goes through the members one by one.
const MAX_PROBES: u64 = 8;

/// Who takes part in a schedule, in the operator's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) struct Member {
    pub(in crate::balance) slot: u16,
    /// Above 0, and in any unit: only what it is beside the others' counts.
    pub(in crate::balance) weight: u32,
}

/// Whose turn follows whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In two levels, by Tijdeman's chairman assignment: everybody less than one turn off its share.
    Even,
    /// nginx's sequence, as long as a cycle fits into a table.
    Nginx,
}

/// The eligible backends of a group in the order of their turns.
///
/// A pick is one atomic addition and one look into the table, so that the picks of all threads together form
/// the one exact sequence.
#[derive(Debug)]
pub(super) struct Ring {
    cursor: Cursor,
    turns: Turns,
    /// The turns after which everything begins anew.
    period: u64,
    members: Box<[Member]>,
    /// Where in the period the ring began, as a fraction of 2⁶⁴, and what of a step that fraction leaves
    /// over.
    origin: u64,
    leftover: u64,
    work: u64,
}

/// On lines of its own: every pick writes it, and every pick reads its neighbours.
#[derive(Debug)]
#[repr(align(128))]
struct Cursor {
    turn: AtomicU64,
    /// Which run through the table it is in, which spares the pick a division: between the addition and
    /// whatever the picker does to its backend, there is nothing to wait for but the look-up.
    run: AtomicU64,
}

#[derive(Debug)]
enum Turns {
    /// The slot of each turn, for one cycle or several; empty if nobody is eligible.
    Flat(Box<[u16]>),
    /// The cycle is longer than [`MAX_TABLE`].
    ByWeight(ByWeight),
}

impl Ring {
    /// Lays out a schedule that starts at its beginning.
    pub(super) fn new(order: Order, members: Vec<Member>) -> Self {
        Self::starting_at(order, members, 0)
    }

    /// The schedule of `members`, which goes on where `self` is: as far through the new period as through the
    /// old one.
    ///
    /// If a rebuild began at the beginning, the heavy backends, which come first, would get everything while
    /// rebuilds are frequent.
    pub(super) fn rebuilt(&self, order: Order, members: Vec<Member>) -> Self {
        Self::starting_at(order, members, self.phase())
    }

    /// The slot of the next turn whose backend is `fit`.
    #[inline]
    pub(super) fn next(&self, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let turn = self.cursor.turn.fetch_add(1, Ordering::Relaxed);
        let run = self.cursor.run.load(Ordering::Relaxed);
        let place = turn.wrapping_sub(run.wrapping_mul(self.turns.len() as u64)) as usize;
        let slot = match self.turns.get(run, place) {
            Some(slot) => slot,
            None => self.run_anew(turn)?,
        };
        if fit(slot) {
            Some(slot)
        } else {
            self.search(turn, fit)
        }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many steps it took to lay this out.
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    fn starting_at(order: Order, members: Vec<Member>, origin: u64) -> Self {
        let (turns, period, work) = Turns::new(order, &members);
        let scaled = u128::from(origin) * u128::from(period);
        let ring = Self {
            cursor: Cursor {
                turn: AtomicU64::new((scaled >> 64) as u64),
                run: AtomicU64::new(0),
            },
            turns,
            period,
            members: members.into_boxed_slice(),
            origin,
            leftover: scaled as u64,
            work,
        };
        ring.run_anew((scaled >> 64) as u64);
        ring
    }

    /// How far through its period it is, as a fraction of 2⁶⁴; rounded up, so that as many steps come out
    /// again.
    fn phase(&self) -> u64 {
        if self.period == 0 {
            return self.origin;
        }
        let position = self.cursor.turn.load(Ordering::Relaxed) % self.period;
        let scaled = (u128::from(position) << 64) | u128::from(self.leftover);
        u64::try_from(scaled.div_ceil(u128::from(self.period))).unwrap_or(u64::MAX)
    }

    /// The slot of a turn beyond the present run, whose run then becomes the present one.
    #[cold]
    fn run_anew(&self, turn: u64) -> Option<u16> {
        // A thread that was delayed may put the run back, or not see it: the look-up checks that the turn is
        // within.
        let run = turn.checked_div(self.turns.len() as u64)?;
        self.cursor.run.store(run, Ordering::Relaxed);
        self.slot(turn)
    }

    /// The slot of any turn; `None` if nobody takes turns.
    fn slot(&self, turn: u64) -> Option<u16> {
        let len = self.turns.len() as u64;
        let (run, place) = (turn.checked_div(len)?, (turn % len) as usize);
        match &self.turns {
            Turns::Flat(slots) => slots.get(place).copied(),
            Turns::ByWeight(by_weight) => by_weight.look_up(run, place),
        }
    }

    /// Another turn than `turn`, whose backend is not fit.
    ///
    /// Not the next one: that would give a dead backend's whole share to whoever follows it. Double hashing
    /// over the schedule spreads it in proportion to the weights.
    #[cold]
    fn search(&self, turn: u64, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let hash = mix(turn);
        self.elsewhere(hash)
            .take(MAX_PROBES as usize)
            .find(|&slot| fit(slot))
            .or_else(|| self.scan(hash, fit))
    }

    /// Slots of turns that have nothing to do with each other, in proportion to the weights; for ever.
    pub(super) fn elsewhere(&self, hash: u64) -> impl Iterator<Item = u16> {
        let (start, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
        (0..).map_while(move |probe: u64| self.slot(start.wrapping_add(probe.wrapping_mul(step))))
    }

    /// The first member that is `fit`, beginning anywhere.
    fn scan(&self, hash: u64, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let start = (hash >> 32).checked_rem(self.members.len() as u64)?;
        let (before, after) = self.members.split_at(start as usize);
        after
            .iter()
            .chain(before)
            .map(|member| member.slot)
            .find(|&slot| fit(slot))
    }
}

impl Turns {
    /// The turns, the period, and the steps it took.
    fn new(order: Order, members: &[Member]) -> (Self, u64, u64) {
        if order == Order::Nginx {
            let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
            let cycle = sequence::length(&weights);
            if cycle <= MAX_TABLE {
                let order = sequence::sequence(&weights);
                let turns = order.into_iter().map(|index| members[usize::from(index)].slot);
                return (Self::flat(turns.collect()), cycle, sequence::work(&weights));
            }
        }
        let weights = Weights::new(members);
        if weights.cycle() <= MAX_TABLE {
            (Self::flat(weights.flat()), weights.cycle(), weights.work())
        } else {
            let by_weight = ByWeight::new(&weights);
            let period = by_weight.period();
            (Self::ByWeight(by_weight), period, weights.work())
        }
    }

    fn flat(mut cycle: Vec<u16>) -> Self {
        if !cycle.is_empty() && cycle.len() < MIN_TABLE {
            cycle = cycle.repeat(MIN_TABLE.div_ceil(cycle.len()));
        }
        Self::Flat(cycle.into_boxed_slice())
    }

    /// The turns of one run.
    #[inline]
    const fn len(&self) -> usize {
        match self {
            Self::Flat(slots) => slots.len(),
            Self::ByWeight(by_weight) => by_weight.len(),
        }
    }

    #[inline]
    fn get(&self, run: u64, place: usize) -> Option<u16> {
        match self {
            Self::Flat(slots) => slots.get(place).copied(),
            Self::ByWeight(by_weight) => by_weight.get(run, place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_take_turns() {
        for order in [Order::Even, Order::Nginx] {
            let ring = ring(order, &[7, 7, 7]);
            assert_eq!(ring.period, 3);
            assert_eq!(take(&ring, 6), [0, 1, 2, 0, 1, 2]);
        }
    }

    #[test]
    fn short_cycles_go_on_across_the_seams_of_the_table() {
        let ring = ring(Order::Nginx, &[5, 1, 1]);
        assert!(ring.turns.len() > MIN_TABLE && ring.turns.len() % 7 == 0);
        let turns = take(&ring, 7 * 1_000);
        assert!(turns.chunks(7).all(|cycle| cycle == [0, 0, 1, 0, 2, 0, 0]));
    }

    #[test]
    fn an_empty_ring_gives_nothing_and_keeps_its_phase() {
        let ring = ring(Order::Even, &[1, 1, 1, 1]);
        take(&ring, 2);
        let empty = ring.rebuilt(Order::Even, vec![]);
        assert_eq!(empty.next(|_| true), None);
        assert_eq!(
            take(&empty.rebuilt(Order::Even, members(&[1, 1, 1, 1])), 2),
            [2, 3]
        );
    }

    #[test]
    fn a_rebuild_goes_on_as_far_through_the_new_cycle() {
        for order in [Order::Even, Order::Nginx] {
            let ring = ring(order, &[5, 1, 1]);
            take(&ring, 7 + 3);
            let longer = ring.rebuilt(order, members(&[10, 2, 2, 14])); // a cycle of 14, of which 3/7 are over
            assert_eq!(longer.cursor.turn.load(Ordering::Relaxed), 6);
        }
    }

    #[test]
    fn rebuilds_between_all_picks_do_not_restart_at_the_heavy_end() {
        for order in [Order::Even, Order::Nginx] {
            let (wide, narrow) = (members(&[8, 1, 1]), members(&[8, 1]));
            let mut ring = Ring::new(order, wide.clone());
            let mut light = 0;
            for round in 0..900 {
                ring = ring.rebuilt(order, if round % 2 == 0 { &narrow } else { &wide }.clone());
                light += usize::from(take(&ring, 1)[0] != 0);
            }
            assert!(
                (90..=190).contains(&light),
                "{light} of 900 picks, where the weights say 100 to 180"
            );
        }
    }

    #[test]
    fn rotations_within_a_weight_do_not_restart_at_their_beginning() {
        let weights = |light| members(&[vec![light; 150], vec![1_009; 150]].concat());
        let mut ring = Ring::new(Order::Even, weights(997));
        assert!(matches!(ring.turns, Turns::ByWeight(_)));
        let mut counts = vec![0_u32; 300];
        for round in 0..12_000 {
            if round % 40 == 0 {
                ring = ring.rebuilt(Order::Even, weights(if round % 80 == 0 { 991 } else { 997 }));
            }
            counts[usize::from(take(&ring, 1)[0])] += 1;
        }
        for quarter in counts.chunks(75) {
            let sum: u32 = quarter.iter().sum();
            assert!(sum.abs_diff(3_000) < 400, "{sum} picks of a quarter, for 3,000");
        }
    }

    #[test]
    fn who_is_not_fit_is_passed_over_and_its_turns_are_spread_by_weight() {
        let ring = ring(Order::Even, &[6, 3, 3, 1]);
        let mut counts = [0_u32; 4];
        for _ in 0..13_000 {
            counts[usize::from(ring.next(|slot| slot != 0).unwrap())] += 1;
        }
        assert_eq!(counts[0], 0);
        // 3,000 turns of their own and 3/7 of the 6,000 that the first one leaves: 5,571.
        assert!(
            counts[1].abs_diff(5_571) < 300 && counts[2].abs_diff(5_571) < 300,
            "{counts:?}"
        );
        assert!(counts[3].abs_diff(1_857) < 200, "{counts:?}");
    }

    #[test]
    fn the_one_fit_member_is_found_among_many() {
        let ring = ring(Order::Even, &vec![1; 5_000]);
        for _ in 0..100 {
            assert_eq!(ring.next(|slot| slot == 4_321), Some(4_321));
        }
        assert_eq!(ring.next(|_| false), None);
    }

    #[test]
    fn a_cycle_beyond_the_cap_is_exact_as_long_as_its_weights_are_not() {
        let weights: Vec<u32> = (0..3_000).map(|index| 1 + index % 100).collect();
        let ring = ring(Order::Even, &weights);
        assert!(matches!(ring.turns, Turns::ByWeight(_)));
        stays_close(&ring, &weights, 400_000);
    }

    #[test]
    fn everybody_stays_close_across_many_runs_of_a_short_table_of_weights() {
        let weights: Vec<u32> = (0..30_010).map(|index| 1 + index % 10).collect();
        let ring = ring(Order::Even, &weights);
        assert!(matches!(ring.turns, Turns::ByWeight(_)));
        stays_close(&ring, &weights, 400_000);
    }

    #[test]
    fn weights_too_many_for_a_table_keep_shares_and_equality() {
        let weights: Vec<u32> = (0..3_000).map(|index| 100_003 + index % 100 * 7_919).collect();
        let ring = ring(Order::Nginx, &weights);
        let (picks, total) = (
            ring.turns.len() * 30,
            weights.iter().map(|&weight| f64::from(weight)).sum::<f64>(),
        );
        let mut counts = vec![0_u64; weights.len()];
        for slot in take(&ring, picks) {
            counts[usize::from(slot)] += 1;
        }
        for (index, &count) in counts.iter().enumerate() {
            let ideal = picks as f64 * f64::from(weights[index]) / total;
            assert!(
                (count as f64 - ideal).abs() <= 0.03 * ideal + 1.0,
                "{count} for {ideal}"
            );
            assert!(count.abs_diff(counts[index % 100]) <= 1);
        }
    }

    #[test]
    fn a_backend_of_a_tiny_share_is_not_starved() {
        let ring = ring(Order::Even, &[65_535, 65_535, 65_535, 1]);
        let counts = take(&ring, ring.turns.len());
        assert!(counts.contains(&3));
    }

    /// |count − t·w/W| < 1 for everybody at every turn. Between its own turns a backend only falls behind, so
    /// it is enough to look before and after them, and at the end.
    fn stays_close(ring: &Ring, weights: &[u32], turns: u64) {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let weights: Vec<u64> = weights.iter().map(|&weight| u64::from(weight)).collect();
        let mut counts = vec![0_u64; weights.len()];
        for turn in 0..turns {
            let slot = usize::from(ring.next(|_| true).unwrap());
            assert!(
                (turn * weights[slot]).abs_diff(counts[slot] * total) < total,
                "before turn {turn}"
            );
            counts[slot] += 1;
            assert!(
                ((turn + 1) * weights[slot]).abs_diff(counts[slot] * total) < total,
                "after turn {turn}"
            );
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((turns * weight).abs_diff(count * total) < total, "at the end");
        }
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        (0..)
            .zip(weights)
            .map(|(slot, &weight)| Member { slot, weight })
            .collect()
    }

    fn ring(order: Order, weights: &[u32]) -> Ring {
        Ring::new(order, members(weights))
    }

    fn take(ring: &Ring, picks: usize) -> Vec<u16> {
        (0..picks).map(|_| ring.next(|_| true).unwrap()).collect()
    }
}
