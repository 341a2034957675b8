//! The better one of two, by how long its requests take and how many it has.

use super::dice::Dice;
use super::least::by_slot;
use super::random::Urn;
use super::ring::{Member, Ring};

/// What stands for the latency of a backend that has not answered yet, but has been asked; in units of
/// [`Latency`](super::latency::Latency), 17 minutes. So a new backend gets one request, and more when that
/// has been answered, or when nobody has answered yet.
const UNANSWERED: f32 = 1e6 * 1e3;

/// Power of two choices (M. Mitzenmacher, 1996): two members drawn by weight, and of these the one that is
/// expected to answer first.
///
/// What is compared is latency × (1 + requests under way / weight), the weight being one beside the mean of
/// all: idle backends that are equally quick get shares by weight, and loaded ones loads by weight.
#[derive(Debug)]
pub(super) struct Two {
    urn: Urn,
    /// The mean weight over the weight, by slot.
    per_request: Box<[f32]>,
}

/// What is known of a backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) active: u64,
    /// In units of [`Latency`](super::latency::Latency).
    pub(super) latency: Option<u64>,
}

impl Two {
    pub(super) fn new(members: &[Member]) -> Self {
        let sum: f64 = members.iter().map(|member| f64::from(member.weight)).sum();
        let mean = sum / members.len().max(1) as f64;
        Self {
            urn: Urn::new(members),
            per_request: by_slot(members, |weight| (mean / f64::from(weight)) as f32),
        }
    }

    #[inline]
    pub(super) fn next(
        &self,
        ring: &Ring,
        dice: &mut Dice,
        load: impl Fn(u16) -> Load,
        fit: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let one = self.urn.next(ring, dice, &fit)?;
        let another = |slot: u16| slot != one && fit(slot);
        let other = match self.urn.draw(dice).filter(|&slot| another(slot)) {
            Some(slot) => slot,
            None => match self.urn.again(dice, another) {
                Some(slot) => slot,
                None => return Some(one),
            },
        };
        let (one_cost, other_cost) = (self.cost(one, load(one)), self.cost(other, load(other)));
        Some(if other_cost < one_cost { other } else { one })
    }

    #[inline]
    fn cost(&self, slot: u16, load: Load) -> f32 {
        let latency = match load.latency {
            Some(latency) => latency as f32,
            None if load.active == 0 => return 0.0,
            None => UNANSWERED,
        };
        let per_request = self
            .per_request
            .get(usize::from(slot))
            .copied()
            .unwrap_or(f32::MAX);
        latency * (1.0 + load.active as f32 * per_request)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Order;
    use super::*;

    #[test]
    fn the_quicker_and_the_less_loaded_wins() {
        let known = |active, latency| Load {
            active,
            latency: Some(latency),
        };
        for (loads, better) in [
            ([known(0, 100), known(0, 90)], 1),
            ([known(1, 100), known(0, 190)], 1),
            ([known(0, 100), known(1, 51)], 0),
            ([known(9, 1), known(0, 11)], 0),
        ] {
            let picks = picks(&[1, 1], 20, |slot| loads[usize::from(slot)], |_| true);
            assert!(picks.iter().all(|&slot| slot == better), "{loads:?}: {picks:?}");
        }
    }

    #[test]
    fn a_new_backend_gets_one_request_and_waits_for_its_answer() {
        let new = |active| {
            move |slot: u16| match slot {
                0 => Load {
                    active: 3,
                    latency: Some(5_000),
                },
                _ => Load {
                    active,
                    latency: None,
                },
            }
        };
        assert_eq!(picks(&[1, 1], 3, new(0), |_| true), [1, 1, 1]);
        assert_eq!(picks(&[1, 1], 3, new(1), |_| true), [0, 0, 0]);
    }

    #[test]
    fn equally_quick_idle_backends_share_by_weight() {
        let load = |_| Load {
            active: 0,
            latency: Some(1_000),
        };
        let heavy = picks(&[3, 1], 20_000, load, |_| true)
            .iter()
            .filter(|&&slot| slot == 0)
            .count();
        assert!(heavy.abs_diff(15_000) < 400, "{heavy}");
    }

    #[test]
    fn loads_even_out_by_weight() {
        let members = members(&[4, 2, 1, 1]);
        let (two, ring) = (Two::new(&members), Ring::new(Order::Even, members));
        let (mut loads, mut dice) = ([0_u64; 4], Dice::new(3));
        for _ in 0..8_000 {
            let load = |slot: u16| Load {
                active: loads[usize::from(slot)],
                latency: Some(1_000),
            };
            let slot = two.next(&ring, &mut dice, load, |_| true).unwrap();
            loads[usize::from(slot)] += 1;
        }
        for (load, ideal) in loads.iter().zip([4_000_u64, 2_000, 1_000, 1_000]) {
            assert!(load.abs_diff(ideal) < ideal / 10, "{loads:?}");
        }
    }

    #[test]
    fn the_only_fit_one_is_taken_whatever_it_costs() {
        let load = |slot| Load {
            active: u64::from(slot),
            latency: Some(1_000),
        };
        let fit = |slot| slot == 700;
        assert_eq!(picks(&vec![1; 1_000], 5, load, fit), [700; 5]);
        assert_eq!(picks(&[1], 2, load, |_| true), [0, 0]);
        assert!(picks(&[1, 1], 2, load, |_| false).is_empty());
    }

    fn picks(
        weights: &[u32],
        picks: usize,
        load: impl Fn(u16) -> Load,
        fit: impl Fn(u16) -> bool,
    ) -> Vec<u16> {
        let members = members(weights);
        let (two, ring) = (Two::new(&members), Ring::new(Order::Even, members));
        let mut dice = Dice::new(3);
        (0..picks)
            .filter_map(|_| two.next(&ring, &mut dice, &load, &fit))
            .collect()
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        (0..)
            .zip(weights)
            .map(|(slot, &weight)| Member { slot, weight })
            .collect()
    }
}
