//! The order of turns, who takes part, and what a request that tries again gets.

use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, BackendId, BackendState, Key, Outcome, Pick, Reader, Strategy, Tried, Upstream,
    UpstreamConfig,
};
use proptest::collection::vec;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(100);

#[test]
fn a_fresh_upstream_begins_its_sequence_at_the_beginning() {
    let upstream = weighted(&[5, 1, 1]);
    assert_eq!(order(&mut upstream.reader(), 14), "abaaacaabaaaca");
    let upstream = of(Strategy::NginxWeighted, &[5, 1, 1]);
    assert_eq!(order(&mut upstream.reader(), 14), "aabacaaaabacaa");
}

#[test]
fn readers_and_the_upstream_share_one_sequence() {
    let upstream = of(Strategy::NginxWeighted, &[5, 3, 2]);
    let (mut one, mut other) = (upstream.reader(), upstream.reader());
    let mut seen = String::new();
    for turn in 0..30 {
        seen += &match turn % 3 {
            0 => order(&mut one, 1),
            1 => order(&mut other, 1),
            _ => upstream.pick(NOW, &Tried::new()).unwrap().id().to_string(),
        };
    }
    assert_eq!(seen, "abcaabacba".repeat(3));
}

#[test]
fn round_robin_alternates_whatever_the_weights() {
    let upstream = of(Strategy::RoundRobin, &[9, 1, 4]);
    assert_eq!(order(&mut upstream.reader(), 6), "abcabc");
}

#[test]
fn weight_0_takes_no_turn_in_any_schedule() {
    for strategy in [Strategy::RoundRobin, Strategy::Weighted, Strategy::NginxWeighted] {
        let upstream = of(strategy, &[1, 0, 1]);
        assert_eq!(order(&mut upstream.reader(), 4), "acac");
        assert_eq!(upstream.status().backends[1].state, BackendState::Drain);
    }
}

#[test]
fn a_backend_that_is_down_takes_no_turn() {
    let upstream = Upstream::new(config([
        backend("a", 2),
        backend("b", 1).down(true),
        backend("c", 1),
    ]));
    assert_eq!(order(&mut upstream.reader(), 6), "acaaca");
    assert_eq!(upstream.status().backends[1].state, BackendState::Down);
}

#[test]
fn spares_are_used_only_while_no_primary_can_be() {
    let upstream = Upstream::new(config([
        backend("a", 1),
        backend("x", 2).spare(true),
        backend("b", 1),
        backend("y", 1).spare(true),
    ]));
    let mut reader = upstream.reader();
    assert_eq!(order(&mut reader, 4), "abab");
    for id in ["a", "b"] {
        upstream.set_down(NOW, &id.into(), true).unwrap();
    }
    assert_eq!(order(&mut reader, 3), "xyx");
    upstream.set_down(NOW, &"b".into(), false).unwrap();
    assert_eq!(order(&mut reader, 3), "bbb");
}

#[test]
fn a_request_goes_from_tried_primaries_to_spares_and_to_nobody_twice() {
    let upstream = Upstream::new(config([
        backend("a", 7),
        backend("b", 1),
        backend("x", 1).spare(true),
        backend("c", 1),
    ]));
    let mut reader = upstream.reader();
    for _ in 0..50 {
        let mut tried = Tried::new();
        let mut seen = Vec::new();
        while let Some(pick) = reader.pick(NOW, &tried) {
            tried.insert(&pick);
            seen.push(pick.id().to_string());
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert_eq!(seen.pop().as_deref(), Some("x"));
        seen.sort();
        assert_eq!(seen, ["a", "b", "c"]);
    }
}

#[test]
fn a_request_can_try_every_one_of_many_backends_once() {
    let backends = (0..300).map(|n| backend(&n.to_string(), 1 + n % 3));
    let mut reader = Upstream::new(config(backends)).reader();
    let mut tried = Tried::new();
    let mut ids = Vec::new();
    while let Some(pick) = reader.pick(NOW, &tried) {
        assert!(!tried.contains(pick.slot()));
        tried.insert(&pick);
        ids.push(pick.id().clone());
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), tried.len()), (300, 300));
}

#[test]
fn nobody_eligible_means_no_pick() {
    let upstream = Upstream::new(config([backend("a", 1).down(true), backend("b", 0)]));
    assert!(upstream.reader().pick(NOW, &Tried::new()).is_none());
    assert!(upstream.pick(NOW, &Tried::new()).is_none());
}

#[test]
fn a_session_stays_on_its_backend_that_drains_and_leaves_one_that_cannot() {
    let upstream = weighted(&[1, 0, 1]);
    let mut reader = upstream.reader();
    let mut stick = |key: &[u8], tried: &Tried| {
        let pick = reader.pick_by(NOW, Key::Sticky(key), tried).unwrap();
        pick.id().to_string()
    };
    assert_eq!([(); 3].map(|()| stick(b"b", &Tried::new())).concat(), "bbb");
    assert_eq!([(); 4].map(|()| stick(b"nobody", &Tried::new())).concat(), "acac");

    let mut tried = Tried::new();
    tried.insert(&upstream.pick_by(NOW, Key::Sticky(b"b"), &Tried::new()).unwrap());
    assert_ne!(stick(b"b", &tried), "b");
    upstream.set_check(NOW, &"b".into(), false).unwrap();
    assert_ne!(stick(b"b", &Tried::new()), "b");
}

#[test]
fn a_session_tries_its_failed_backend_once_a_fail_timeout() {
    let upstream = weighted(&[1, 1]);
    let fail = |pick: Pick| pick.finish(NOW, Outcome::Failure);
    let mut stick = {
        let mut reader = upstream.reader();
        move |now| reader.pick_by(now, Key::Sticky(b"b"), &Tried::new()).unwrap()
    };
    fail(stick(NOW));
    assert_eq!(stick(NOW).id().as_str(), "a");
    let due = NOW + Duration::from_secs(10);
    assert_eq!(stick(due).id().as_str(), "b");
    assert_eq!(stick(due).id().as_str(), "a");
}

#[test]
fn a_choice_takes_the_turn_and_counts_nothing_until_it_begins() {
    let upstream = weighted(&[2, 1]);
    let mut reader = upstream.reader();
    assert_eq!(reader.choose(NOW, &Tried::new()).unwrap().id().as_str(), "a");
    assert_eq!(upstream.status().backends[0].requests, 0);
    let choice = reader.choose(NOW, &Tried::new()).unwrap();
    assert_eq!(choice.id().as_str(), "b");
    let pick = choice.begin();
    assert_eq!(
        (pick.address(), upstream.status().backends[1].active),
        (address(), 1)
    );
}

#[test]
fn requests_under_way_ended_and_failed_are_counted() {
    let upstream = Upstream::new(config([backend("a", 1).max_fails(0), backend("b", 0)]));
    let mut reader = upstream.reader();
    let mut picks: Vec<_> = (0..5).map(|_| reader.pick(NOW, &Tried::new()).unwrap()).collect();
    assert_eq!(counts(&upstream), (5, 5, 0));
    picks.pop().unwrap().finish(NOW, Outcome::Success);
    picks.pop().unwrap().finish(NOW, Outcome::Failure);
    drop(picks.pop());
    assert_eq!(counts(&upstream), (2, 5, 1));
    drop(picks);
    assert_eq!(counts(&upstream), (0, 5, 1));
}

#[test]
fn states_are_shown_in_the_operator_s_words() {
    let words: Vec<_> = [
        BackendState::Up,
        BackendState::Failed,
        BackendState::Drain,
        BackendState::Unhealthy,
        BackendState::Down,
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert_eq!(words, ["up", "failed", "drain", "unhealthy", "down"]);
}

proptest! {
    /// Every backend gets exactly its weight in a cycle, wherever the cycle is cut.
    #[test]
    fn shares_are_exact_over_any_window_of_a_cycle(weights in vec(0_u16..40, 1..20), skip in 0_usize..500) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let upstream = weighted(&weights);
        let mut reader = upstream.reader();
        picks(&mut reader, skip);
        let cycle = weights.iter().map(|&weight| usize::from(weight)).sum();
        let mut counts = vec![0; weights.len()];
        for slot in picks(&mut reader, cycle) {
            counts[usize::from(slot)] += 1;
        }
        prop_assert_eq!(counts, weights);
    }

    /// Smoothness: |count − t·w/W| < 1 for every backend after every pick.
    #[test]
    fn nobody_is_ever_a_whole_request_off_its_share(
        weights in vec(prop_oneof![1_u16..10, 1_u16..200], 2..24),
    ) {
        let upstream = weighted(&weights);
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut counts = vec![0_u64; weights.len()];
        for (turn, slot) in (1..).zip(picks(&mut upstream.reader(), 2 * total as usize)) {
            counts[usize::from(slot)] += 1;
            for (count, &weight) in counts.iter().zip(&weights) {
                let off = (count * total).abs_diff(turn * u64::from(weight));
                prop_assert!(off < total, "{off}/{total} off after {turn} picks");
            }
        }
    }

    /// Many backends, and few different weights: the schedule of weights turns round often, the rotations
    /// within them seldom. A backend only falls behind between its own picks, so it is enough to look there.
    #[test]
    fn nobody_among_many_is_ever_a_whole_request_off_its_share(
        weights in vec((1_usize..400, 1_u16..60), 1..8),
    ) {
        let weights: Vec<u16> = weights.into_iter().flat_map(|(backends, weight)| vec![weight; backends]).collect();
        let upstream = weighted(&weights);
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut counts = vec![0_u64; weights.len()];
        for (turn, slot) in (0..).zip(picks(&mut upstream.reader(), total as usize + 1_000)) {
            let (weight, count) = (u64::from(weights[usize::from(slot)]), &mut counts[usize::from(slot)]);
            prop_assert!((*count * total).abs_diff(turn * weight) < total, "before pick {turn}");
            *count += 1;
            prop_assert!((*count * total).abs_diff((turn + 1) * weight) < total, "after pick {turn}");
        }
    }
}

fn picks(reader: &mut Reader, picks: usize) -> Vec<u16> {
    (0..picks)
        .map(|_| reader.pick(NOW, &Tried::new()).unwrap().slot())
        .collect()
}

fn order(reader: &mut Reader, picks: usize) -> String {
    (0..picks)
        .map(|_| reader.pick(NOW, &Tried::new()).unwrap().id().to_string())
        .collect()
}

fn counts(upstream: &Upstream) -> (u64, u64, u64) {
    let backend = &upstream.status().backends[0];
    (backend.active, backend.requests, backend.failures)
}

fn weighted(weights: &[u16]) -> Upstream {
    of(Strategy::Weighted, weights)
}

fn of(strategy: Strategy, weights: &[u16]) -> Upstream {
    let config = UpstreamConfig::builder("app")
        .strategy(strategy)
        .backends(backends(weights));
    Upstream::new(config.build().unwrap())
}

/// Backends called a, b, c and so on.
fn backends(weights: &[u16]) -> Vec<BackendConfig> {
    ('a'..='z')
        .map(String::from)
        .chain((26..).map(|n: u32| n.to_string()))
        .zip(weights)
        .map(|(id, &weight)| backend(&id, weight))
        .collect()
}

fn backend(id: &str, weight: u16) -> BackendConfig {
    BackendConfig::new(BackendId::from(id), address()).weight(weight)
}

fn address() -> std::net::SocketAddr {
    ([192, 0, 2, 1], 80).into()
}

fn config(backends: impl IntoIterator<Item = BackendConfig>) -> UpstreamConfig {
    UpstreamConfig::builder("app").backends(backends).build().unwrap()
}
