//! Maglev's consistent hashing (Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load
//! Balancer*, NSDI 2016, §3.4), by weight.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Key;
use super::dice::{below, mix};
use super::placement::Placed;
use super::ring::{Member, Order, Ring};

/// The sizes of the table, both prime: the first as long as it is a hundred times the backends, which keeps
/// shares within 1 % (§5.3 of the paper).
const SIZES: [u32; 2] = [65_537, 655_373];

/// How many places a key tries before the backends are gone through one by one.
const MAX_PLACES: usize = 20;

const NOBODY: u16 = u16::MAX;

/// A table in which each backend has its share of the places, and most of them still after others have come
/// or gone.
#[derive(Debug)]
pub(super) struct Maglev {
    slots: Box<[u16]>,
    /// Everybody once, in the order of names.
    everybody: Box<[u16]>,
}

impl Maglev {
    /// Backends take places by the even schedule of their weights, each the first free one of its own list.
    ///
    /// The order is that of names, so that every proxy comes to the same table, in whatever order it was told
    /// of the backends.
    pub(super) fn new(placed: &[Placed]) -> Self {
        let mut by_name: Vec<&Placed> = placed.iter().collect();
        by_name.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let size = if placed.len() * 100 <= SIZES[0] as usize {
            SIZES[0]
        } else {
            SIZES[1]
        };
        let mut lists: Vec<List> = by_name.iter().map(|placed| List::new(placed, size)).collect();
        let turns = Ring::new(
            Order::Even,
            (0..)
                .zip(&by_name)
                .map(|(slot, placed)| Member {
                    slot,
                    weight: placed.member.weight,
                })
                .collect(),
        );
        let mut slots = vec![NOBODY; if placed.is_empty() { 0 } else { size as usize }];
        for _ in 0..slots.len() {
            let Some(turn) = turns.next(|_| true) else { break };
            let (list, placed) = (&mut lists[usize::from(turn)], by_name[usize::from(turn)]);
            // Somewhere in its list, which holds every place, there is a free one, since they are not all
            // taken yet.
            let free = loop {
                let place = list.step(size);
                if slots[place] == NOBODY {
                    break place;
                }
            };
            slots[free] = placed.member.slot;
        }
        Self {
            slots: slots.into_boxed_slice(),
            everybody: by_name.iter().map(|placed| placed.member.slot).collect(),
        }
    }

    /// Where `key` belongs; if that is not `fit`, elsewhere, so that a dead backend's keys spread over all the
    /// others, and no other's key moves.
    pub(super) fn find(&self, key: Key<'_>, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let mut hash = mix(hash(key)?);
        for _ in 0..MAX_PLACES {
            let slot = *self.slots.get(below(hash, self.slots.len() as u32) as usize)?;
            if fit(slot) {
                return Some(slot);
            }
            hash = mix(hash);
        }
        let (before, after) = self
            .everybody
            .split_at(below(hash, self.everybody.len() as u32) as usize);
        after.iter().chain(before).copied().find(|&slot| fit(slot))
    }
}

fn hash(key: Key<'_>) -> Option<u64> {
    match key {
        Key::Hash(hash) => Some(hash),
        Key::Bytes(bytes) => Some(xxh3_64(bytes)),
        Key::Ip(std::net::IpAddr::V4(ip)) => Some(xxh3_64(&ip.octets())),
        Key::Ip(std::net::IpAddr::V6(ip)) => Some(xxh3_64(&ip.octets())),
        Key::None | Key::Sticky(_) => None,
    }
}

/// A backend's list of places, the best first: all of them, `skip` being prime to their number.
struct List {
    next: u32,
    skip: u32,
}

impl List {
    fn new(placed: &Placed, size: u32) -> Self {
        let name = placed.id.as_str().as_bytes();
        Self {
            next: (xxh3_64_with_seed(name, 1) % u64::from(size)) as u32,
            skip: (xxh3_64_with_seed(name, 2) % u64::from(size - 1)) as u32 + 1,
        }
    }

    fn step(&mut self, size: u32) -> usize {
        let place = self.next;
        self.next += self.skip;
        if self.next >= size {
            self.next -= size;
        }
        place as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::placement::tests::{names, placed};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn every_place_is_somebody_s_and_shares_follow_the_weights() {
        for weights in [vec![1; 3], vec![5, 3, 2, 1], vec![1, 100], (1..=100).collect()] {
            let maglev = Maglev::new(&placed(&names(weights.len()), &weights));
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0_u32; weights.len()];
            for &slot in &maglev.slots {
                counts[usize::from(slot)] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let ideal = f64::from(*weight) / f64::from(total) * 65_537.0;
                assert!((f64::from(*count) - ideal).abs() <= 2.0, "{count} for {ideal}");
            }
        }
    }

    #[test]
    fn keys_go_where_they_always_went_on_every_host() {
        let maglev = Maglev::new(&placed(&names(5), &[1; 5]));
        let found: Vec<_> = (0..12_u8)
            .map(|n| maglev.find(Key::Bytes(&[b'k', n]), |_| true).unwrap())
            .collect();
        assert_eq!(found, FROZEN);
    }

    #[test]
    fn the_operator_s_order_does_not_matter() {
        let names = names(7);
        let mut members = placed(&names, &[1, 2, 3, 4, 5, 6, 7]);
        let one = Maglev::new(&members);
        members.reverse();
        assert_eq!(one.slots, Maglev::new(&members).slots);
    }

    /// A place that changes hands needlessly belongs to who was pushed out by the new order of choices; there
    /// are fewer of these than of places that must change hands.
    #[test]
    fn few_keys_move_when_a_backend_goes() {
        for backends in [5, 20, 100] {
            let members = placed(&names(backends), &vec![1; backends]);
            let before = Maglev::new(&members);
            let gone = backends / 2;
            let mut rest = members;
            rest.remove(gone);
            let after = Maglev::new(&rest);
            let moved = before
                .slots
                .iter()
                .zip(&after.slots)
                .filter(|(a, b)| a != b)
                .count();
            let needed = 65_537 / backends;
            assert!(
                moved >= needed - 2 && moved <= needed * 2,
                "{moved} of 65537 moved, {needed} had to"
            );
        }
    }

    #[test]
    fn a_dead_backend_s_keys_spread_over_all_others_and_no_other_key_moves() {
        let maglev = Maglev::new(&placed(&names(4), &[1; 4]));
        let mut heirs = [0_u32; 4];
        for n in 0..40_000_u32 {
            let key = Key::Hash(n.into());
            let home = maglev.find(key, |_| true).unwrap();
            let now = maglev.find(key, |slot| slot != 2).unwrap();
            if home == 2 {
                heirs[usize::from(now)] += 1;
            } else {
                assert_eq!(home, now);
            }
        }
        assert_eq!(heirs[2], 0);
        assert!(
            [0, 1, 3].iter().all(|&heir| heirs[heir].abs_diff(3_333) < 300),
            "{heirs:?}"
        );
    }

    #[test]
    fn the_last_one_that_is_fit_is_found() {
        let maglev = Maglev::new(&placed(&names(3_000), &vec![1; 3_000]));
        for n in 0..50 {
            assert_eq!(maglev.find(Key::Hash(n), |slot| slot == 2_345), Some(2_345));
        }
        assert_eq!(maglev.find(Key::Hash(1), |_| false), None);
        assert_eq!(Maglev::new(&[]).find(Key::Hash(1), |_| true), None);
    }

    proptest! {
        #[test]
        fn a_key_moves_only_to_or_from_who_came_or_went(
            keys in vec(any::<u64>(), 1..40), dead in vec(any::<bool>(), 6),
        ) {
            let maglev = Maglev::new(&placed(&names(6), &[3, 1, 1, 2, 1, 1]));
            for key in keys.into_iter().map(Key::Hash) {
                let home = maglev.find(key, |_| true).unwrap();
                let found = maglev.find(key, |slot| !dead[usize::from(slot)]);
                prop_assert_eq!(found.is_none(), dead.iter().all(|&dead| dead));
                if !dead[usize::from(home)] {
                    prop_assert_eq!(found, Some(home));
                }
            }
        }
    }

    const FROZEN: [u16; 12] = [4, 0, 2, 0, 0, 0, 4, 0, 0, 4, 3, 4];
}
