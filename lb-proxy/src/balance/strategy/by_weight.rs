//! Schedules in two levels: weights take turns, and the backends of a weight rotate.
//!
//! Within its group each backend is less than one turn off its share whatever the group gets, and the weights
//! take turns by [`chairman`]; together that keeps every backend less than one turn off.

use std::sync::atomic::{AtomicU64, Ordering};

use super::chairman;
use super::ring::{MAX_TABLE, Member};
use super::sequence::{apportion, gcd};

/// The shortest table of weights, in turns: where each weight's rotation stands is worked out once a run
/// through the table, which costs a division.
const MIN_TABLE: u64 = 1 << 12;

/// Members in groups of equal weight.
pub(super) struct Weights {
    /// In the order in which the operator first named them.
    groups: Vec<Weight>,
    /// Group by group, in the operator's order within each.
    slots: Vec<u16>,
    /// The turns after which every backend has had its exact share: Σ weights / gcd.
    cycle: u64,
    /// The turns after which every *weight* has had its exact share.
    rotation: u64,
}

/// All backends of one weight.
struct Weight {
    backends: usize,
    /// The sum of their weights.
    total: u64,
}

impl Weights {
    pub(super) fn new(members: &[Member]) -> Self {
        let mut ordered: Vec<usize> = (0..members.len()).collect();
        ordered.sort_by_key(|&index| members[index].weight); // stable: the operator's order within a weight
        let mut groups: Vec<&[usize]> = ordered
            .chunk_by(|&a, &b| members[a].weight == members[b].weight)
            .collect();
        groups.sort_unstable_by_key(|group| group[0]);
        let (mut sum, mut of_weights, mut of_totals) = (0, 0, 0);
        let weights = groups.iter().map(|group| {
            let weight = u64::from(members[group[0]].weight);
            let total = weight * group.len() as u64;
            (of_weights, of_totals) = (gcd(of_weights, weight), gcd(of_totals, total));
            sum += total;
            Weight {
                backends: group.len(),
                total,
            }
        });
        Self {
            groups: weights.collect(),
            slots: groups.concat().iter().map(|&index| members[index].slot).collect(),
            cycle: sum / of_weights.max(1),
            rotation: sum / of_totals.max(1),
        }
    }

    /// Σ weights / gcd.
    pub(super) const fn cycle(&self) -> u64 {
        self.cycle
    }

    /// How many steps it takes to lay the schedule out.
    pub(super) fn work(&self) -> u64 {
        let turns = self.rotation.min(MAX_TABLE) * u64::from(1 + self.groups.len().max(1).ilog2());
        let slots = self.slots.len() as u64;
        slots + turns + if self.cycle <= MAX_TABLE { self.cycle } else { 0 }
    }

    /// The slots of a whole cycle, turn by turn.
    pub(super) fn flat(&self) -> Vec<u16> {
        let order = self.order(self.rotation);
        let mut rotations = self.rotations();
        let mut turns = Vec::with_capacity(usize::try_from(self.cycle).unwrap_or(0));
        for _ in 0..self.cycle.checked_div(self.rotation).unwrap_or(0) {
            turns.extend(order.iter().map(|&group| {
                let rotation = &mut rotations[usize::from(group)];
                self.slots[rotation.first + rotation.step()]
            }));
        }
        turns
    }

    /// The groups of one rotation, turn by turn. If it is shorter than the weights ask for, they share it out
    /// as well as they can.
    fn order(&self, rotation: u64) -> Vec<u16> {
        let totals: Vec<u64> = self.groups.iter().map(|group| group.total).collect();
        chairman::assign(&apportion(&totals, rotation))
    }

    fn rotations(&self) -> Vec<Rotation> {
        let mut first = 0;
        let rotation = |group: &Weight| {
            first += group.backends;
            Rotation {
                first: first - group.backends,
                len: group.backends,
                next: 0,
                turns: 0,
            }
        };
        self.groups.iter().map(rotation).collect()
    }
}

/// The backends of a weight, taking turns.
struct Rotation {
    first: usize,
    len: usize,
    next: usize,
    turns: u64,
}

impl Rotation {
    fn step(&mut self) -> usize {
        let member = self.next;
        self.next = if member + 1 == self.len { 0 } else { member + 1 };
        self.turns += 1;
        member
    }
}

/// A table that says which weight has its turn. Its length does not grow with the backends, and the rotation
/// within a weight goes on from run to run by the number of the run alone.
#[derive(Debug)]
pub(super) struct ByWeight {
    turns: Box<[Turn]>,
    groups: Box<[Group]>,
    slots: Box<[u16]>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    group: u16,
    /// Whose turn of the group this would be, had the group begun with the first at the table's head.
    member: u16,
}

#[derive(Debug)]
struct Group {
    first: u32,
    len: u32,
    /// How far the rotation goes in one run through the table: less than `len`.
    shift: u32,
    /// Which run through the table was asked for last, in the upper half, and which member had the group's
    /// first turn in it, in the lower one.
    start: AtomicU64,
}

impl ByWeight {
    pub(super) fn new(weights: &Weights) -> Self {
        let order = weights.order(weights.rotation.min(MAX_TABLE));
        let mut rotations = weights.rotations();
        let repeats = MIN_TABLE.div_ceil(order.len().max(1) as u64) as usize;
        let mut turns = Vec::with_capacity(order.len() * repeats);
        for _ in 0..repeats {
            turns.extend(order.iter().map(|&group| Turn {
                group,
                member: rotations[usize::from(group)].step() as u16,
            }));
        }
        let groups = rotations.iter().map(|rotation| Group {
            first: rotation.first as u32,
            len: rotation.len as u32,
            shift: rotation.next as u32,
            start: AtomicU64::new(0),
        });
        Self {
            turns: turns.into_boxed_slice(),
            groups: groups.collect(),
            slots: weights.slots.as_slice().into(),
        }
    }

    /// The turns of one run through the table.
    pub(super) const fn len(&self) -> usize {
        self.turns.len()
    }

    /// The turns after which everything begins anew, or fewer if those are more than anyone lives to see.
    pub(super) fn period(&self) -> u64 {
        let runs = self.groups.iter().fold(1_u64, |runs, group| {
            let own = u64::from(group.len) / gcd(u64::from(group.len), u64::from(group.shift)).max(1);
            runs / gcd(runs, own) * own.min(u64::MAX / runs)
        });
        runs.saturating_mul(self.len() as u64)
    }

    /// The slot of a turn of the present run; `None` beyond its end.
    #[inline]
    pub(super) fn get(&self, run: u64, place: usize) -> Option<u16> {
        let turn = self.turns.get(place)?;
        let group = &self.groups[usize::from(turn.group)];
        let known = group.start.load(Ordering::Relaxed);
        let start = if (known >> 32) as u32 == run as u32 {
            known as u32
        } else {
            group.begin(run)
        };
        Some(self.slots[group.member(start, turn.member)])
    }

    /// The slot of a turn of any run.
    pub(super) fn look_up(&self, run: u64, place: usize) -> Option<u16> {
        let turn = self.turns.get(place)?;
        let group = &self.groups[usize::from(turn.group)];
        Some(self.slots[group.member(group.start_of(run), turn.member)])
    }
}

impl Group {
    /// Where its members are in the table's slots, the one `member` places behind `start`.
    #[inline]
    fn member(&self, start: u32, member: u16) -> usize {
        let place = start + u32::from(member);
        (self.first + if place < self.len { place } else { place - self.len }) as usize
    }

    #[cold]
    fn begin(&self, run: u64) -> u32 {
        let start = self.start_of(run);
        // One value, so that a run and the start of another never meet. Threads that are still in the run
        // before may put that back, which costs another division and nothing else.
        self.start.store(run << 32 | u64::from(start), Ordering::Relaxed);
        start
    }

    fn start_of(&self, run: u64) -> u32 {
        let len = u64::from(self.len);
        (run % len * u64::from(self.shift) % len) as u32
    }
}
