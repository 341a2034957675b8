//! One group's schedule, laid out as a table, and the cursor that all threads share.

use std::sync::atomic::{AtomicU64, Ordering};

use super::sequence::{apportion, length, sequence, work};

/// The longest table, in picks. A longer cycle is shared out among the *weights* by largest remainder (no
/// backend starves, and backends of one weight still get exactly the same), so a share is off by at most 1 in
/// 131,072.
pub(in crate::balance) const MAX_TABLE: u64 = 1 << 17;

/// The shortest table, in picks: shorter cycles are repeated, so that the seam between two runs is seldom
/// met.
const MIN_TABLE: usize = 512;

/// How often a search tries the schedule elsewhere before it goes through the members one by one.
const MAX_PROBES: u64 = 8;

/// Who takes part in a schedule, in the operator's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) struct Member {
    pub(in crate::balance) slot: u16,
    pub(in crate::balance) weight: u16,
}

/// The eligible backends of a group in the order of their turns.
///
/// A pick is one atomic addition and one look into the table, so that the picks of all threads together form
/// the one exact sequence.
#[derive(Debug)]
pub(in crate::balance) struct Ring {
    cursor: Cursor,
    /// The slot of each turn, for one cycle or several; empty if nobody is eligible, or if the cycle is too
    /// long.
    turns: Box<[u16]>,
    /// Whose cycle is longer than [`MAX_TABLE`].
    by_weight: Option<ByWeight>,
    /// The picks of one cycle.
    cycle: u64,
    members: Box<[Member]>,
    /// Where in the cycle the ring began, as a fraction of 2⁶⁴, and what of a step that fraction leaves over.
    origin: u64,
    leftover: u64,
    work: u64,
}

/// On lines of its own: every pick writes it, and every pick reads its neighbours.
#[derive(Debug)]
#[repr(align(128))]
struct Cursor {
    turn: AtomicU64,
    /// The turn that stood at the head of the table when it was last run through, which spares the pick a
    /// division: between the addition and whatever the picker does to its backend, there is nothing to wait
    /// for but the look-up.
    head: AtomicU64,
}

impl Ring {
    /// Lays out a schedule that starts at its beginning.
    pub(in crate::balance) fn new(members: Vec<Member>) -> Self {
        Self::starting_at(members, 0)
    }

    /// The schedule of `members`, which goes on where `self` is: as far through the new cycle as through the
    /// old one.
    ///
    /// If a rebuild began at the beginning, the heavy backends, which come first, would get everything while
    /// rebuilds are frequent.
    pub(in crate::balance) fn rebuilt(&self, members: Vec<Member>) -> Self {
        Self::starting_at(members, self.phase())
    }

    /// The slot of the next turn whose backend is `fit`.
    #[inline]
    pub(in crate::balance) fn next(&self, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let turn = self.cursor.turn.fetch_add(1, Ordering::Relaxed);
        let place = turn.wrapping_sub(self.cursor.head.load(Ordering::Relaxed));
        let slot = match self.turns.get(usize::try_from(place).unwrap_or(usize::MAX)) {
            Some(&slot) => slot,
            None => self.turn_round(turn)?,
        };
        if fit(slot) {
            Some(slot)
        } else {
            self.search(turn, fit)
        }
    }

    pub(in crate::balance) fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many steps it took to lay this out.
    pub(in crate::balance) const fn work(&self) -> u64 {
        self.work
    }

    fn starting_at(members: Vec<Member>, origin: u64) -> Self {
        let weights: Vec<u32> = members.iter().map(|member| u32::from(member.weight)).collect();
        let (mut turns, mut by_weight) = (Vec::new(), None);
        let (mut cycle, mut effort) = (length(&weights), work(&weights));
        if cycle > MAX_TABLE {
            let in_two_levels = ByWeight::new(&members);
            (cycle, effort) = (in_two_levels.turns.len() as u64, in_two_levels.work);
            by_weight = Some(in_two_levels);
        } else {
            turns.extend(
                sequence(&weights)
                    .into_iter()
                    .map(|index| members[usize::from(index)].slot),
            );
            if !turns.is_empty() && turns.len() < MIN_TABLE {
                turns = turns.repeat(MIN_TABLE.div_ceil(turns.len()));
            }
        }
        let scaled = u128::from(origin) * u128::from(cycle);
        Self {
            cursor: Cursor {
                turn: AtomicU64::new((scaled >> 64) as u64),
                head: AtomicU64::new(0),
            },
            turns: turns.into_boxed_slice(),
            by_weight,
            cycle,
            members: members.into_boxed_slice(),
            origin,
            leftover: scaled as u64,
            work: effort,
        }
    }

    /// How far through its cycle it is, as a fraction of 2⁶⁴; rounded up, so that as many steps come out
    /// again.
    fn phase(&self) -> u64 {
        if self.cycle == 0 {
            return self.origin;
        }
        let position = self.cursor.turn.load(Ordering::Relaxed) % self.cycle;
        let scaled = (u128::from(position) << 64) | u128::from(self.leftover);
        u64::try_from(scaled.div_ceil(u128::from(self.cycle))).unwrap_or(u64::MAX)
    }

    /// The slot of a turn beyond the table's end, which becomes the table's head.
    #[cold]
    fn turn_round(&self, turn: u64) -> Option<u16> {
        if !self.turns.is_empty() {
            // A thread that was delayed may put the head back, or not see it: the look-up checks that the
            // turn is within.
            self.cursor
                .head
                .store(turn - turn % self.turns.len() as u64, Ordering::Relaxed);
        }
        self.slot(turn)
    }

    /// The slot of any turn; `None` if nobody takes turns.
    fn slot(&self, turn: u64) -> Option<u16> {
        if let Some(by_weight) = &self.by_weight {
            return Some(by_weight.slot(turn));
        }
        self.turns
            .get((turn.checked_rem(self.turns.len() as u64)?) as usize)
            .copied()
    }

    /// Another turn than `turn`, whose backend is not fit.
    ///
    /// Not the next one: that would give a dead backend's whole share to whoever follows it. Double hashing
    /// over the schedule spreads it in proportion to the weights.
    #[cold]
    fn search(&self, turn: u64, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let hash = mix(turn);
        let (start, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
        (0..MAX_PROBES)
            .filter_map(|probe| self.slot(start + probe * step))
            .find(|&slot| fit(slot))
            .or_else(|| {
                let (before, after) = self
                    .members
                    .split_at((start % self.members.len() as u64) as usize);
                after
                    .iter()
                    .chain(before)
                    .map(|member| member.slot)
                    .find(|&slot| fit(slot))
            })
    }
}

/// A schedule in two levels: the table says which *weight* has its turn, and the backends of that weight
/// rotate. Its length does not grow with the backends, and the rotation goes on from cycle to cycle without
/// any state besides the cursor.
#[derive(Debug)]
struct ByWeight {
    turns: Box<[Turn]>,
    groups: Box<[Group]>,
    slots: Box<[u16]>,
    work: u64,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    group: u16,
    /// Which of its group's turns within the cycle this is, from 0.
    ordinal: u32,
}

#[derive(Debug)]
struct Group {
    first: usize,
    len: u64,
    turns_per_cycle: u64,
}

impl ByWeight {
    fn new(members: &[Member]) -> Self {
        let mut ordered = members.to_vec();
        ordered.sort_by_key(|member| member.weight); // stable: the operator's order within a weight
        let chunks: Vec<&[Member]> = ordered.chunk_by(|a, b| a.weight == b.weight).collect();
        let totals: Vec<u64> = chunks
            .iter()
            .map(|chunk| chunk.len() as u64 * u64::from(chunk[0].weight))
            .collect();
        let turns_per_cycle = apportion(&totals, MAX_TABLE);

        let mut ordinals = vec![0; chunks.len()];
        let turns = sequence(&turns_per_cycle).into_iter().map(|group| {
            let ordinal = ordinals[usize::from(group)];
            ordinals[usize::from(group)] += 1;
            Turn { group, ordinal }
        });
        let turns = turns.collect();
        let mut first = 0;
        let groups = chunks.iter().zip(ordinals).map(|(chunk, turns_per_cycle)| {
            let group = Group {
                first,
                len: chunk.len() as u64,
                turns_per_cycle: u64::from(turns_per_cycle),
            };
            first += chunk.len();
            group
        });
        Self {
            turns,
            groups: groups.collect(),
            slots: ordered.iter().map(|member| member.slot).collect(),
            work: work(&turns_per_cycle),
        }
    }

    fn slot(&self, turn: u64) -> u16 {
        let length = self.turns.len() as u64;
        let (cycle, place) = (turn / length, (turn % length) as usize);
        let Turn { group, ordinal } = self.turns[place];
        let group = &self.groups[usize::from(group)];
        // A search looks at turns of any number, hence wrapping.
        let turn = cycle
            .wrapping_mul(group.turns_per_cycle)
            .wrapping_add(u64::from(ordinal));
        self.slots[group.first + (turn % group.len) as usize]
    }
}

/// SplitMix64's finaliser: neighbouring turns come out unrelated.
const fn mix(mut turn: u64) -> u64 {
    turn = turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
    turn = (turn ^ (turn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    turn = (turn ^ (turn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    turn ^ (turn >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_take_turns() {
        let ring = ring(&[7, 7, 7]);
        assert_eq!(ring.cycle, 3);
        assert_eq!(take(&ring, 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn short_cycles_go_on_across_the_seams_of_the_table() {
        let ring = ring(&[5, 1, 1]);
        assert!(ring.turns.len() > MIN_TABLE && ring.turns.len() % 7 == 0);
        let turns = take(&ring, 7 * 1_000);
        assert!(turns.chunks(7).all(|cycle| cycle == [0, 0, 1, 0, 2, 0, 0]));
    }

    #[test]
    fn an_empty_ring_gives_nothing_and_keeps_its_phase() {
        let ring = ring(&[1, 1, 1, 1]);
        take(&ring, 2);
        let empty = ring.rebuilt(vec![]);
        assert_eq!(empty.next(|_| true), None);
        assert_eq!(take(&empty.rebuilt(members(&[1, 1, 1, 1])), 2), [2, 3]);
    }

    #[test]
    fn a_rebuild_goes_on_as_far_through_the_new_cycle() {
        let ring = ring(&[5, 1, 1]);
        take(&ring, 7 + 3);
        let longer = ring.rebuilt(members(&[10, 2, 2, 14])); // a cycle of 14, of which 3/7 are over
        assert_eq!(longer.cursor.turn.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn rebuilds_between_all_picks_do_not_restart_at_the_heavy_end() {
        let (wide, narrow) = (members(&[8, 1, 1]), members(&[8, 1]));
        let mut ring = Ring::new(wide.clone());
        let mut light = 0;
        for round in 0..900 {
            ring = ring.rebuilt(if round % 2 == 0 {
                narrow.clone()
            } else {
                wide.clone()
            });
            light += usize::from(take(&ring, 1)[0] != 0);
        }
        assert!(
            (90..=190).contains(&light),
            "{light} of 900 picks, where the weights say 100 to 180"
        );
    }

    #[test]
    fn who_is_not_fit_is_passed_over_and_its_turns_are_spread_by_weight() {
        let ring = ring(&[6, 3, 3, 1]);
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
        let ring = ring(&vec![1; 5_000]);
        for _ in 0..100 {
            assert_eq!(ring.next(|slot| slot == 4_321), Some(4_321));
        }
        assert_eq!(ring.next(|_| false), None);
    }

    #[test]
    fn a_cycle_beyond_the_cap_keeps_shares_and_equality() {
        let weights: Vec<u16> = (0..3_000).map(|index| 1 + index % 100).collect();
        let ring = ring(&weights);
        assert_eq!(ring.cycle, MAX_TABLE);
        let (picks, total) = (MAX_TABLE * 30, 3_000.0 / 100.0 * 5_050.0);
        let mut counts = vec![0_u64; weights.len()];
        for _ in 0..picks {
            counts[usize::from(ring.next(|_| true).unwrap())] += 1;
        }
        for (index, &count) in counts.iter().enumerate() {
            let ideal = picks as f64 * f64::from(weights[index]) / total;
            assert!(
                (count as f64 - ideal).abs() <= 0.03 * ideal + 1.0,
                "weight {}: {count} for {ideal}",
                weights[index]
            );
            assert!(
                count.abs_diff(counts[index % 100]) <= 1,
                "weight {}",
                weights[index]
            );
        }
    }

    #[test]
    fn a_backend_of_a_tiny_share_is_not_starved() {
        let ring = ring(&[65_535, 65_535, 65_535, 1]);
        let counts = take(&ring, usize::try_from(ring.cycle).unwrap());
        assert!(counts.contains(&3));
    }

    fn members(weights: &[u16]) -> Vec<Member> {
        (0..)
            .zip(weights)
            .map(|(slot, &weight)| Member { slot, weight })
            .collect()
    }

    fn ring(weights: &[u16]) -> Ring {
        Ring::new(members(weights))
    }

    fn take(ring: &Ring, picks: usize) -> Vec<u16> {
        (0..picks).map(|_| ring.next(|_| true).unwrap()).collect()
    }
}
