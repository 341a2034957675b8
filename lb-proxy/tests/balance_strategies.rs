//! Strategies that look at what backends are doing, and by lot.

use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, HashKind, Key, Outcome, Pick, Reader, Strategy, Tried, Upstream, UpstreamConfig,
};

const NOW: Duration = Duration::from_secs(100);
const ALL: [Strategy; 10] = [
    Strategy::Weighted,
    Strategy::NginxWeighted,
    Strategy::RoundRobin,
    Strategy::LeastConn,
    Strategy::PowerOfTwo,
    Strategy::Random,
    Strategy::Hash(HashKind::Maglev),
    Strategy::Hash(HashKind::Ketama),
    Strategy::Hash(HashKind::Modulo),
    Strategy::IpHash,
];

#[test]
fn least_conn_heeds_requests_under_way_and_their_ends() {
    let upstream = of(Strategy::LeastConn, &[1, 1, 1]);
    let mut reader = upstream.reader();
    let mut held: Vec<Pick> = (0..30).map(|_| pick(&mut reader)).collect();
    assert_eq!(active(&upstream), [10, 10, 10]);
    held.retain(|pick| pick.slot() != 1);
    assert_eq!(active(&upstream), [10, 0, 10]);
    held.extend((0..10).map(|_| pick(&mut reader)));
    assert_eq!(active(&upstream), [10, 10, 10]);
}

#[test]
fn least_conn_spreads_requests_under_way_by_weight() {
    let upstream = of(Strategy::LeastConn, &[6, 3, 2, 1]);
    let mut reader = upstream.reader();
    let _held: Vec<Pick> = (0..1_200).map(|_| pick(&mut reader)).collect();
    assert_eq!(active(&upstream), [600, 300, 200, 100]);
}

#[test]
fn least_conn_among_thousands_leaves_nobody_far_above_the_mean() {
    let upstream = of(Strategy::LeastConn, &vec![1; 2_000]);
    let mut reader = upstream.reader();
    let _held: Vec<Pick> = (0..10_000).map(|_| pick(&mut reader)).collect();
    let most = active(&upstream).into_iter().max().unwrap();
    assert!(most <= 7, "{most} for 5 on the average");
}

#[test]
fn power_of_two_leaves_slow_backends_to_the_end() {
    let upstream = of(Strategy::PowerOfTwo, &[1, 1, 1, 1]);
    let (mut reader, mut now) = (upstream.reader(), NOW);
    let mut counts = [0_u32; 4];
    for _ in 0..4_000 {
        let pick = reader.pick(now, &Tried::new()).unwrap();
        counts[usize::from(pick.slot())] += 1;
        now += Duration::from_millis(if pick.slot() == 2 { 80 } else { 8 });
        pick.finish(now, Outcome::Success);
    }
    // At random it would have 1,000. It is tried again as its average fades.
    assert!(counts[2] >= 1 && counts[2] < 100, "{counts:?}");
    assert!(
        counts.iter().filter(|&&count| count > 800).count() == 3,
        "{counts:?}"
    );
}

#[test]
fn power_of_two_is_not_drawn_to_a_backend_that_fails_quickly() {
    let backends = (0..3).map(|n| backend(n, 1).max_fails(0));
    let config = UpstreamConfig::builder("app")
        .strategy(Strategy::PowerOfTwo)
        .backends(backends);
    let upstream = Upstream::new(config.build().unwrap());
    let (mut reader, mut now) = (upstream.reader(), NOW);
    let mut failing = 0;
    for _ in 0..1_000 {
        let pick = reader.pick(now, &Tried::new()).unwrap();
        if pick.slot() == 0 {
            failing += 1;
            now += Duration::from_micros(50);
            pick.finish(now, Outcome::Failure);
        } else {
            now += Duration::from_millis(5);
            pick.finish(now, Outcome::Success);
        }
    }
    assert!(failing < 100, "{failing} of 1000 to the one that fails");
}

#[test]
fn power_of_two_gives_a_new_backend_one_request_until_it_has_answered() {
    let upstream = of(Strategy::PowerOfTwo, &[1, 1]);
    let mut reader = upstream.reader();
    let [one, other] = [(); 2].map(|()| pick(&mut reader));
    assert_ne!(one.slot(), other.slot());
    one.finish(NOW + Duration::from_millis(5), Outcome::Success);
    let later = NOW + Duration::from_millis(5);
    for _ in 0..10 {
        let next = reader.pick(later, &Tried::new()).unwrap();
        assert_ne!(next.slot(), other.slot());
        next.finish(later + Duration::from_millis(5), Outcome::Success);
    }
    drop(other);
}

#[test]
fn a_change_of_strategy_takes_effect_with_the_next_pick() {
    let upstream = of(Strategy::Random, &[1, 1]);
    let mut reader = upstream.reader();
    for strategy in ALL {
        upstream.replace(NOW, config(strategy, &[1, 1]));
        assert_eq!(upstream.status().strategy, strategy);
        let picks: Vec<Pick> = (0..2).map(|_| pick(&mut reader)).collect();
        if strategy == Strategy::LeastConn {
            assert_ne!(picks[0].slot(), picks[1].slot());
        }
    }
}

#[test]
fn random_shares_follow_the_weights_and_readers_draw_apart() {
    let upstream = of(Strategy::Random, &[3, 2, 1]);
    let mut counts = [0_u32; 3];
    let mut sequences = Vec::new();
    for _ in 0..12 {
        let mut reader = upstream.reader();
        let slots: Vec<u16> = (0..5_000).map(|_| pick(&mut reader).slot()).collect();
        slots.iter().for_each(|&slot| counts[usize::from(slot)] += 1);
        let mut copy = reader.clone();
        let [one, other] =
            [&mut reader, &mut copy].map(|reader| (0..50).map(|_| pick(reader).slot()).collect::<Vec<_>>());
        assert_ne!(one, other);
        sequences.push(slots);
    }
    sequences.dedup();
    assert_eq!(sequences.len(), 12);
    for (count, ideal) in counts.into_iter().zip([30_000_u32, 20_000, 10_000]) {
        assert!(count.abs_diff(ideal) < 800, "{counts:?}");
    }
    drop(upstream.pick(NOW, &Tried::new()).unwrap());
}

#[test]
fn no_strategy_gives_a_request_a_backend_twice_or_one_that_is_out() {
    for strategy in ALL {
        let upstream = of(strategy, &[5, 1, 1, 3, 1, 2]);
        upstream.set_check(NOW, &"3".into(), false).unwrap();
        let mut reader = upstream.reader();
        for n in 0..50_u64 {
            let mut tried = Tried::new();
            let mut seen = Vec::new();
            let key = if n % 2 == 0 { Key::None } else { Key::Hash(n * n) };
            while let Some(pick) = reader.pick_by(NOW, key, &tried) {
                tried.insert(&pick);
                seen.push(pick.slot());
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 4, 5], "{strategy:?}");
        }
    }
}

#[test]
fn sessions_stay_with_every_strategy() {
    for strategy in ALL {
        let upstream = of(strategy, &[1, 1, 0, 1]);
        let mut reader = upstream.reader();
        for _ in 0..20 {
            let pick = reader.pick_by(NOW, Key::Sticky(b"2"), &Tried::new()).unwrap();
            assert_eq!(pick.id().as_str(), "2", "{strategy:?}");
        }
    }
}

#[test]
fn no_pick_of_any_strategy_allocates() {
    for strategy in ALL {
        let upstream = of(strategy, &(1..=50).collect::<Vec<u16>>());
        let mut reader = upstream.reader();
        let _held: Vec<Pick> = (0..200).map(|_| pick(&mut reader)).collect();
        let requests = || {
            for n in 0..500_u32 {
                let key = [
                    Key::Hash(n.into()),
                    Key::Ip(n.to_be_bytes().into()),
                    Key::Bytes(b"key"),
                    Key::Sticky(b"7"),
                ];
                let mut tried = Tried::new();
                for _ in 0..3 {
                    let pick = reader.pick_by(NOW, key[n as usize % 4], &tried).unwrap();
                    tried.insert(&pick);
                    pick.finish(NOW + Duration::from_millis(1), Outcome::Success);
                }
            }
        };
        assert_eq!(
            allocation_counter::measure(requests).count_total,
            0,
            "{strategy:?}"
        );
    }
}

fn pick(reader: &mut Reader) -> Pick {
    reader.pick(NOW, &Tried::new()).unwrap()
}

fn active(upstream: &Upstream) -> Vec<u64> {
    upstream
        .status()
        .backends
        .iter()
        .map(|backend| backend.active)
        .collect()
}

fn of(strategy: Strategy, weights: &[u16]) -> Upstream {
    Upstream::new(config(strategy, weights))
}

fn config(strategy: Strategy, weights: &[u16]) -> UpstreamConfig {
    let backends = (0..).zip(weights).map(|(n, &weight)| backend(n, weight));
    UpstreamConfig::builder("app")
        .strategy(strategy)
        .backends(backends)
        .build()
        .unwrap()
}

/// Backends called 0, 1, 2 and so on.
fn backend(n: u16, weight: u16) -> BackendConfig {
    BackendConfig::new(n.to_string(), ([192, 0, 2, 1], 80).into()).weight(weight)
}
