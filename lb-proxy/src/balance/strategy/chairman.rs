//! Tijdeman's chairman assignment, written out for one whole cycle.
//!
//! Parties of different sizes take the chair, one at a time. Every party should at every moment have had it
//! as often as its size says, and it can be done so that none is ever more than 1 − 1/(2n−2) turns away from
//! that, n being the number of parties; in general no better can be done (R. Tijdeman, *The chairman
//! assignment problem*, Discrete Mathematics 32, 1980).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One cycle, as indices into `chairs`, which says how often each party has the chair in it; the sum is the
/// cycle's length.
///
/// With λ = chairs/length, turn k (from 0) of a party may not come before the step t with t·λ − k ≥
/// 1/(2n−2), and it is due by (k + 1 − 1/(2n−2))/λ. Of those that may, the one due first takes the step. As
/// turns take whole steps, it is enough to compare whole steps; the first party wins a tie.
///
/// Takes O(length × log parties). Every party must have a turn, and there may be at most 65,536 of them in
/// at most 2¹⁸ turns.
pub(super) fn assign(chairs: &[u32]) -> Vec<u16> {
    debug_assert!(
        chairs.iter().all(|&chairs| chairs > 0),
        "who has no turn is no party"
    );
    let length: u64 = chairs.iter().map(|&chairs| u64::from(chairs)).sum();
    let steps = usize::try_from(length).expect("a table fits in memory");
    if chairs.len() < 2 {
        return vec![0; steps];
    }
    let slack = 2 * chairs.len() as u64 - 2;
    let release =
        |party: usize, turn: u64| (length * (slack * turn + 1)).div_ceil(slack * u64::from(chairs[party]));
    let due =
        |party: usize, turn: u64| length * (slack * (turn + 1) - 1) / (slack * u64::from(chairs[party]));

    let mut waiting = Waiting::new(steps, chairs.len());
    for party in 0..chairs.len() {
        waiting.until(release(party, 0), party);
    }
    let (mut ready, mut turns) = (BinaryHeap::new(), vec![0; chairs.len()]);
    (1..=steps)
        .map(|step| {
            waiting.over(step, |party| {
                ready.push(Reverse((due(party, turns[party]), party)));
            });
            let Reverse((_, party)) = ready.pop().expect("Tijdeman: somebody may always take a step");
            turns[party] += 1;
            waiting.until(release(party, turns[party]).max(step as u64 + 1), party);
            u16::try_from(party).expect("at most 65,536 parties")
        })
        .collect()
}

/// Who waits for which step: a list for each, threaded through one array.
struct Waiting {
    first: Vec<u32>,
    next: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

impl Waiting {
    fn new(steps: usize, parties: usize) -> Self {
        Self {
            first: vec![NOBODY; steps + 1],
            next: vec![NOBODY; parties],
        }
    }

    /// Forgets it if that is after the last step.
    fn until(&mut self, step: u64, party: usize) {
        let Some(first) = usize::try_from(step)
            .ok()
            .and_then(|step| self.first.get_mut(step))
        else {
            return;
        };
        self.next[party] = std::mem::replace(first, party as u32);
    }

    fn over(&mut self, step: usize, mut ready: impl FnMut(usize)) {
        let mut party = std::mem::replace(&mut self.first[step], NOBODY);
        while party != NOBODY {
            ready(party as usize);
            party = self.next[party as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn parties_take_turns_as_evenly_as_their_sizes_let_them() {
        for (chairs, expected) in [
            (&[3][..], "aaa"),
            (&[1, 1], "ab"),
            (&[2, 1], "aba"),
            (&[3, 1], "aaba"),
            (&[5, 2], "abaaaba"),
            (&[1, 2, 3], "cbcabc"),
        ] {
            let letters: String = assign(chairs)
                .iter()
                .map(|&party| char::from(b'a' + party as u8))
                .collect();
            assert_eq!(letters, expected, "{chairs:?}");
        }
    }

    proptest! {
        /// Tijdeman's bound, in whole numbers: |count·L − t·c| ≤ L − L/(2n−2).
        #[test]
        fn nobody_is_further_from_its_share_than_tijdeman_says(
            chairs in vec(prop_oneof![1_u32..8, 1_u32..300], 2..30),
        ) {
            let (length, slack) = (chairs.iter().sum::<u32>(), 2 * chairs.len() as u32 - 2);
            let mut counts = vec![0_u32; chairs.len()];
            for (step, party) in (1..).zip(assign(&chairs)) {
                counts[usize::from(party)] += 1;
                for (count, chairs) in counts.iter().zip(&chairs) {
                    let off = (count * length).abs_diff(step * chairs);
                    prop_assert!(slack * off <= (slack - 1) * length, "{off}/{length} after {step}");
                }
            }
            prop_assert_eq!(counts, chairs);
        }
    }
}
