//! Smooth weighted round robin, written out for one whole cycle.

/// One cycle of nginx's smooth weighted round robin over `weights`, as indices; its length is Σ weights /
/// gcd.
///
/// nginx keeps a `current` per peer, and each pick adds every weight, takes the largest (the first, if
/// equal), and lowers it by the total: O(n) a step. With weights that stand still, `current` after t steps is
/// t·wᵢ − W·countᵢ. So among peers of *equal* weight the one with the lowest count leads, then the lowest
/// index: they take turns in index order. Only the leaders of the distinct weights have to be compared:
/// O(length × distinct weights) in all, and the same sequence.
///
/// Every weight must be above 0, and there may be at most 65,536 of them.
pub(super) fn sequence(weights: &[u32]) -> Vec<u16> {
    debug_assert!(
        weights.iter().all(|&weight| weight > 0),
        "a weight of 0 takes no turn"
    );
    let gcd = of_all(weights) as i64;
    let total = weights.iter().map(|&weight| i64::from(weight)).sum::<i64>() / gcd;
    let mut order: Vec<u16> = (0..=u16::MAX).take(weights.len()).collect();
    order.sort_by_key(|&index| weights[usize::from(index)]); // stable: index order within a weight
    let mut rotations: Vec<Rotation<'_>> = order
        .chunk_by(|&a, &b| weights[usize::from(a)] == weights[usize::from(b)])
        .map(|members| Rotation { members, next: 0 })
        .collect();
    // A key holds the leader's `current` above its index turned round, so that one comparison settles ties
    // too.
    let gains: Vec<i64> = rotations
        .iter()
        .map(|rotation| i64::from(weights[usize::from(rotation.leader())]) / gcd * KEY)
        .collect();
    let mut keys: Vec<i64> = rotations.iter().map(|rotation| tie(rotation.leader())).collect();

    let length = usize::try_from(total).expect("at most 65,536 weights of 32 bits");
    let mut sequence = Vec::with_capacity(length);
    for _ in 0..length {
        let (mut best, mut best_key) = (0, i64::MIN);
        for (group, (key, gain)) in keys.iter_mut().zip(&gains).enumerate() {
            *key += gain;
            if *key > best_key {
                (best, best_key) = (group, *key);
            }
        }
        let rotation = &mut rotations[best];
        let picked = rotation.leader();
        sequence.push(picked);
        keys[best] -= tie(picked);
        if rotation.advance() {
            keys[best] -= total * KEY; // all have been picked once more, so the leader's count is one higher
        }
        keys[best] += tie(rotation.leader());
    }
    sequence
}

/// How many steps of work [`sequence`] takes for these weights.
pub(super) fn work(weights: &[u32]) -> u64 {
    let mut distinct = weights.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    length(weights).saturating_mul(distinct.len() as u64)
}

/// The length of one cycle over `weights`: Σ weights / gcd.
pub(super) fn length(weights: &[u32]) -> u64 {
    weights.iter().map(|&weight| u64::from(weight)).sum::<u64>() / of_all(weights)
}

/// Shares out `length` turns in proportion to `totals`, by largest remainder, each at least one turn.
///
/// The sum is `length`, or a little more where tiny totals were raised to one turn.
pub(super) fn apportion(totals: &[u64], length: u64) -> Vec<u32> {
    let sum: u128 = totals.iter().map(|&total| u128::from(total)).sum();
    let exact = |total: u64| u128::from(total) * u128::from(length);
    let mut turns: Vec<u64> = totals
        .iter()
        .map(|&total| {
            u64::try_from(exact(total) / sum)
                .expect("a part of `length`")
                .max(1)
        })
        .collect();
    let left = length.saturating_sub(turns.iter().sum());
    let mut by_remainder: Vec<usize> = (0..totals.len()).collect();
    // What was raised to one turn has had more than its remainder.
    let remainder = |index: usize| exact(totals[index]).saturating_sub(u128::from(turns[index]) * sum);
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(remainder(index)));
    for &index in by_remainder
        .iter()
        .cycle()
        .take(usize::try_from(left).expect("a table fits in memory"))
    {
        turns[index] += 1;
    }
    turns
        .into_iter()
        .map(|turns| u32::try_from(turns).expect("a table is shorter than 2³²"))
        .collect()
}

/// The backends of one weight, which take turns.
struct Rotation<'a> {
    members: &'a [u16],
    next: usize,
}

impl Rotation<'_> {
    fn leader(&self) -> u16 {
        self.members[self.next]
    }

    /// Whether that turned the rotation round.
    fn advance(&mut self) -> bool {
        self.next += 1;
        let round = self.next == self.members.len();
        if round {
            self.next = 0;
        }
        round
    }
}

const KEY: i64 = 1 << 16;

fn tie(index: u16) -> i64 {
    i64::from(u16::MAX - index)
}

/// The greatest common divisor of all, at least 1.
fn of_all(weights: &[u32]) -> u64 {
    weights.iter().fold(0, |a, &b| gcd(a, u64::from(b))).max(1)
}

pub(super) const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn nginx_reference_sequences_are_reproduced() {
        // One cycle each, observed on nginx.
        for (weights, expected) in [
            (&[1, 1][..], "ab"),
            (&[2, 1], "aba"),
            (&[3, 1], "aaba"),
            (&[5, 1, 1], "aabacaa"),
            (&[5, 3, 2], "abcaabacba"),
            (&[4, 3, 2, 1], "abcabdacba"),
            (&[1, 2, 3], "cbacbc"),
            (&[7, 3], "abaaabaaba"),
            (&[10, 1], "aaaaabaaaaa"),
            (&[6, 5, 4, 3, 2, 1], "abcdeabcafbdacbaedcba"),
        ] {
            assert_eq!(letters(&sequence(weights)), expected, "{weights:?}");
        }
    }

    #[test]
    fn weights_with_a_common_divisor_give_the_short_cycle() {
        assert_eq!(letters(&sequence(&[50, 10, 10])), "aabacaa");
    }

    #[test]
    fn apportioned_turns_add_up_and_starve_nobody() {
        assert_eq!(apportion(&[1, 1, 1], 10), [4, 3, 3]);
        assert_eq!(apportion(&[1_000_000, 1], 10), [9, 1]);
        assert_eq!(apportion(&[60, 30, 10], 100), [60, 30, 10]);
    }

    proptest! {
        #[test]
        fn the_sequence_is_the_naive_one(weights in vec(1_u32..=12, 1..24)) {
            let sequence = sequence(&weights);
            prop_assert_eq!(&sequence, &naive(&weights, sequence.len()));
        }

        #[test]
        fn the_sequence_is_the_naive_one_for_skewed_weights(weights in vec(prop_oneof![1_u32..4, 90..=100_u32], 1..12)) {
            let sequence = sequence(&weights);
            prop_assert_eq!(&sequence, &naive(&weights, sequence.len()));
        }

        #[test]
        fn each_gets_its_weight_exactly_in_a_cycle(weights in vec(1_u32..=200, 1..40)) {
            let gcd = of_all(&weights) as u32;
            let mut counts = vec![0; weights.len()];
            for index in sequence(&weights) {
                counts[usize::from(index)] += gcd;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn apportioned_turns_are_within_one_of_the_share(totals in vec(1_u64..1_000_000, 1..50)) {
            let (sum, length) = (totals.iter().sum::<u64>() as f64, 1_000_u64);
            let turns = apportion(&totals, length);
            for (&total, &turns) in totals.iter().zip(&turns) {
                prop_assert!((f64::from(turns) - total as f64 / sum * length as f64).abs() <= 1.0);
            }
        }
    }

    /// nginx's loop as it stands in `ngx_http_upstream_get_peer`, with weights that stand still.
    fn naive(weights: &[u32], picks: usize) -> Vec<u16> {
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut current = vec![0_i64; weights.len()];
        (0..picks)
            .map(|_| {
                let mut best = 0;
                for index in 0..weights.len() {
                    current[index] += i64::from(weights[index]);
                    if current[index] > current[best] {
                        best = index;
                    }
                }
                current[best] -= total;
                u16::try_from(best).unwrap()
            })
            .collect()
    }

    fn letters(sequence: &[u16]) -> String {
        sequence
            .iter()
            .map(|&index| char::from(b'a' + u8::try_from(index).unwrap()))
            .collect()
    }
}
