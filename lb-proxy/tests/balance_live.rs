//! Changes while requests run: what stays, what goes, and that no thread loses or sees anything that it must
//! not.

#![allow(clippy::disallowed_methods, reason = "threads are what is tested")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, BackendState, BackendStatus, Diff, Outcome, Reader, Tried, Upstream, UpstreamConfig,
};

const NOW: Duration = Duration::from_secs(100);

#[test]
fn replacing_the_set_keeps_counters_health_and_requests_under_way() {
    let upstream = Upstream::new(config([backend("a"), backend("b"), backend("c")]));
    let mut reader = upstream.reader();
    let [a, b, c] = [(); 3].map(|()| reader.pick(NOW, &Tried::new()).unwrap());
    a.finish(NOW, Outcome::Failure);
    b.finish(NOW, Outcome::Success);
    upstream.set_check(NOW, &"b".into(), false).unwrap();

    let diff = upstream.replace(
        NOW,
        config([backend("d"), backend("b").weight(7), backend("a"), backend("e")]),
    );
    let expected = Diff {
        added: ids(&["d", "e"]),
        removed: ids(&["c"]),
        changed: ids(&["b"]),
    };
    assert_eq!(diff, expected);

    let status = upstream.status();
    let summary = |status: &BackendStatus| {
        (
            status.id.to_string(),
            status.state,
            status.active,
            status.requests,
            status.failures,
        )
    };
    assert_eq!(
        status.backends.iter().map(summary).collect::<Vec<_>>(),
        [
            ("d".into(), BackendState::Up, 0, 0, 0),
            ("b".into(), BackendState::Unhealthy, 0, 1, 0),
            ("a".into(), BackendState::Failed, 0, 1, 1),
            ("e".into(), BackendState::Up, 0, 0, 0),
        ]
    );
    assert_eq!(c.finish(NOW, Outcome::Failure), None); // its backend is gone
    assert_eq!(order(&mut reader, 4), "dede");
}

#[test]
fn requests_under_way_are_counted_exactly_through_any_number_of_replacements() {
    let upstream = Upstream::new(config([backend("a"), backend("b")]));
    let (mut reader, idle) = (upstream.reader(), upstream.reader());
    let held = [(); 2].map(|()| reader.pick(NOW, &Tried::new()).unwrap());
    let active = || {
        upstream
            .status()
            .backends
            .iter()
            .map(|backend| backend.active)
            .collect::<Vec<_>>()
    };
    for round in 0..5 {
        upstream.replace(
            NOW,
            config([backend("a"), backend("b"), backend(&round.to_string())]),
        );
        assert_eq!(active(), [1, 1, 0]);
    }
    drop((reader, idle)); // with the outdated snapshots
    assert_eq!(active(), [1, 1, 0]);
    drop(held);
    assert_eq!(active(), [0, 0, 0]);
}

#[test]
fn replacing_a_set_by_itself_changes_nothing_and_goes_on_in_the_sequence() {
    let set = || config([backend("a").weight(5), backend("b"), backend("c")]);
    let upstream = Upstream::new(set());
    let mut reader = upstream.reader();
    assert_eq!(order(&mut reader, 3), "aba");
    assert!(upstream.replace(NOW, set()).is_empty());
    assert_eq!(order(&mut reader, 4), "aaca");
}

#[test]
fn a_backend_that_moves_keeps_its_counters_and_loses_its_failures() {
    let upstream = Upstream::new(config([backend("a"), backend("b")]));
    let mut reader = upstream.reader();
    reader
        .pick(NOW, &Tried::new())
        .unwrap()
        .finish(NOW, Outcome::Failure);
    let moved = BackendConfig::new("a", ([192, 0, 2, 99], 80).into());
    upstream.replace(NOW, config([moved, backend("b")]));
    let a = &upstream.status().backends[0];
    assert_eq!(
        (a.state, a.requests, a.failures, a.address.to_string()),
        (BackendState::Up, 1, 1, "192.0.2.99:80".into())
    );
}

#[test]
fn a_retry_reaches_the_backend_that_took_the_place_of_the_one_tried() {
    let upstream = Upstream::new(config([backend("a")]));
    let mut reader = upstream.reader();
    let pick = reader.pick(NOW, &Tried::new()).unwrap();
    let mut tried = Tried::new();
    tried.insert(&pick);
    upstream.replace(NOW, config([backend("b")]));
    assert_eq!(reader.pick(NOW, &tried).unwrap().id().as_str(), "b");
}

#[test]
fn weights_change_while_the_sequence_goes_on() {
    let upstream = Upstream::new(config([backend("a").weight(5), backend("b"), backend("c")]));
    let mut reader = upstream.reader();
    upstream.set_weight(NOW, &"a".into(), 1).unwrap();
    let cycle = order(&mut reader, 3);
    assert!(["abc", "bca", "cab"].contains(&&*cycle), "{cycle}");
    upstream.set_weight(NOW, &"b".into(), 0).unwrap();
    assert!(!order(&mut reader, 10).contains('b'));
    assert_eq!(upstream.status().backends[1].state, BackendState::Drain);
}

#[test]
fn slots_are_taken_again_and_do_not_grow_with_changes() {
    let upstream = Upstream::new(config([backend("0"), backend("1")]));
    let mut reader = upstream.reader();
    for round in 1..200 {
        upstream.replace(
            NOW,
            config([backend(&round.to_string()), backend(&(round + 1).to_string())]),
        );
        assert!(reader.pick(NOW, &Tried::new()).unwrap().slot() < 4);
    }
}

#[test]
fn picks_of_eight_threads_add_up_while_weights_change() {
    const PICKS: u64 = 20_000;
    let upstream = Upstream::new(config((0..20).map(|n| backend(&n.to_string()).max_fails(0))));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pickers: Vec<_> = (0..8)
            .map(|thread| {
                let mut reader = upstream.reader();
                scope.spawn(move || {
                    for pick in 0..PICKS {
                        let outcome = if (pick + thread) % 10 == 0 {
                            Outcome::Failure
                        } else {
                            Outcome::Success
                        };
                        reader
                            .pick(NOW, &Tried::new())
                            .expect("all are up")
                            .finish(NOW, outcome);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut round = 0_u16;
            while !done.load(Ordering::Relaxed) {
                round = round.wrapping_add(1);
                upstream
                    .set_weight(NOW, &(round % 20).to_string().into(), 1 + round % 7)
                    .unwrap();
            }
        });
        pickers.into_iter().for_each(|picker| picker.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let backends = upstream.status().backends;
    assert_eq!(
        backends.iter().map(|backend| backend.requests).sum::<u64>(),
        8 * PICKS
    );
    assert_eq!(
        backends.iter().map(|backend| backend.failures).sum::<u64>(),
        8 * PICKS / 10
    );
    assert!(
        backends
            .iter()
            .all(|backend| backend.active == 0 && backend.requests > 0)
    );
}

#[test]
fn picks_of_all_threads_form_one_exact_sequence() {
    let upstream = Upstream::new(config([
        backend("a").weight(5),
        backend("b").weight(3),
        backend("c").weight(2),
    ]));
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut reader = upstream.reader();
            scope.spawn(move || (0..10_000).for_each(|_| drop(reader.pick(NOW, &Tried::new()))));
        }
    });
    let requests: Vec<_> = upstream
        .status()
        .backends
        .iter()
        .map(|backend| backend.requests)
        .collect();
    assert_eq!(requests, [40_000, 24_000, 16_000]);
}

#[test]
fn no_thread_picks_a_removed_backend_once_replace_has_returned() {
    let upstream = Upstream::new(config([backend("keep"), backend("0")]));
    // The ids below this one were removed before it was set.
    let oldest = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            let (mut reader, oldest, upstream) = (upstream.reader(), &oldest, &upstream);
            scope.spawn(move || {
                for _ in 0..30_000 {
                    let removed_below = oldest.load(Ordering::SeqCst);
                    for pick in [reader.pick(NOW, &Tried::new()), upstream.pick(NOW, &Tried::new())] {
                        let pick = pick.expect("one is always up");
                        let id: u64 = pick.id().as_str().parse().unwrap_or(u64::MAX);
                        assert!(
                            id >= removed_below,
                            "{id} was removed; {removed_below} is the oldest"
                        );
                    }
                }
            });
        }
        for round in 1..300 {
            upstream.replace(NOW, config([backend("keep"), backend(&round.to_string())]));
            oldest.store(round, Ordering::SeqCst);
        }
    });
}

#[test]
fn changes_of_several_writers_do_not_lose_each_other() {
    let upstream = Upstream::new(config((0..40).map(|n| backend(&n.to_string()))));
    thread::scope(|scope| {
        for writer in 0..4 {
            let upstream = &upstream;
            scope.spawn(move || {
                for n in (writer..40).step_by(4) {
                    let id = n.to_string().into();
                    upstream.set_weight(NOW, &id, 1 + n).unwrap();
                    upstream.set_check(NOW, &id, n % 2 == 0).unwrap();
                    upstream.set_down(NOW, &id, n % 3 == 0).unwrap();
                }
            });
        }
        scope.spawn(|| {
            let mut reader = upstream.reader();
            for _ in 0..2_000 {
                if let Some(pick) = reader.pick(NOW, &Tried::new()) {
                    pick.finish(NOW, Outcome::Failure);
                }
            }
        });
    });
    for (n, backend) in (0_u16..).zip(upstream.status().backends) {
        assert_eq!(backend.weight.get(), 1 + n);
        match backend.state {
            BackendState::Down => assert_eq!(n % 3, 0),
            BackendState::Unhealthy => assert!(n % 2 == 1 && n % 3 != 0),
            state => assert!(n % 2 == 0 && n % 3 != 0, "{n} is {state}"),
        }
    }
    assert_eq!(upstream.poll_timeout(), None);
}

#[test]
fn one_of_many_threads_gets_the_probe() {
    let upstream = Upstream::new(config([backend("a"), backend("b")]));
    for round in 0..50_u64 {
        let failed_at = Duration::from_secs(round * 1_000);
        let due = failed_at + Duration::from_secs(10);
        let mut reader = upstream.reader();
        loop {
            let pick = reader.pick(failed_at, &Tried::new()).unwrap();
            let last = pick.id().as_str() == "a";
            pick.finish(failed_at, if last { Outcome::Failure } else { Outcome::Success });
            if last {
                break;
            }
        }
        let probes = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                let mut reader = upstream.reader();
                let probes = &probes;
                scope.spawn(move || {
                    for _ in 0..20 {
                        if reader.pick(due, &Tried::new()).unwrap().id().as_str() == "a" {
                            probes.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(probes.into_inner(), 1, "round {round}");
        upstream.set_check(due, &"a".into(), false).unwrap();
        upstream.set_check(due, &"a".into(), true).unwrap();
    }
}

#[test]
fn an_upstream_s_end_does_not_trouble_its_requests() {
    let upstream = Upstream::new(config([backend("a"), backend("b")]));
    let pick = upstream.pick(NOW, &Tried::new()).unwrap();
    drop(upstream);
    assert_eq!(pick.finish(NOW, Outcome::Failure), None);
}

#[test]
fn handles_can_go_to_other_threads() {
    fn everywhere<T: Send + Sync + 'static>() {}
    fn elsewhere<T: Send + 'static>() {}
    everywhere::<Upstream>();
    elsewhere::<Reader>();
    everywhere::<lb_proxy::balance::Pick>();
}

fn order(reader: &mut Reader, picks: usize) -> String {
    (0..picks)
        .map(|_| reader.pick(NOW, &Tried::new()).unwrap().id().to_string())
        .collect()
}

fn ids(ids: &[&str]) -> Vec<lb_proxy::balance::BackendId> {
    ids.iter().map(|&id| id.into()).collect()
}

fn backend(id: &str) -> BackendConfig {
    BackendConfig::new(id, ([192, 0, 2, 1], 80).into())
}

fn config(backends: impl IntoIterator<Item = BackendConfig>) -> UpstreamConfig {
    UpstreamConfig::builder("app").backends(backends).build().unwrap()
}
