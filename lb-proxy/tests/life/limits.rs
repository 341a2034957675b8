//! `max_conns`: kept by all threads together.

#![allow(clippy::disallowed_methods, reason = "threads are what is tested")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use lb_proxy::balance::{Key, Outcome, Refusal, Strategy, Tried};

use crate::support::{at, backend, config, order, pick, status, try_pick, upstream};

#[test]
fn a_full_backend_gets_nothing_and_full_is_told_apart_from_none() {
    let backends = [backend("a").max_conns(2), backend("b").max_conns(1)];
    let (upstream, mut reader) = upstream(config(backends));
    let held: Vec<_> = (0..3).map(|_| pick(&mut reader, at(0))).collect();
    assert_eq!(
        (status(&upstream, "a").active, status(&upstream, "b").active),
        (2, 1)
    );
    assert_eq!(try_pick(&mut reader, at(0)).unwrap_err(), Refusal::Full);
    let mut tried = Tried::new();
    held.iter().for_each(|pick| tried.insert(pick));
    let refusal = reader.pick_or_refusal(at(0), Key::None, &tried);
    assert_eq!(refusal.unwrap_err(), Refusal::NoBackend);

    let (of_b, of_a): (Vec<_>, Vec<_>) = held.into_iter().partition(|pick| pick.id().as_str() == "b");
    drop(of_b);
    assert_eq!(order(&mut reader, at(0), 3), "bbb");
    drop(of_a);
    for id in ["a", "b"] {
        upstream.set_down(at(0), &id.into(), true).unwrap();
    }
    assert_eq!(try_pick(&mut reader, at(0)).unwrap_err(), Refusal::NoBackend);
}

#[test]
fn every_way_for_a_request_to_end_frees_its_slot() {
    let (_, mut reader) = upstream(config([backend("a").max_conns(1).max_fails(0)]));
    for outcome in [
        Outcome::Success,
        Outcome::Failure,
        Outcome::Status(500),
        Outcome::Cancelled,
    ] {
        pick(&mut reader, at(0)).finish(at(0), outcome);
    }
    drop(pick(&mut reader, at(0)));
    let choice = reader.choose(at(0), &Tried::new()).unwrap();
    let begun = choice.begin();
    assert!(reader.choose(at(0), &Tried::new()).is_none());
    drop(begun);
    assert!(reader.choose(at(0), &Tried::new()).is_some());
}

#[test]
fn spares_help_out_when_every_primary_is_full() {
    let (_, mut reader) = upstream(config([backend("a").max_conns(1), backend("x").spare(true)]));
    let held = pick(&mut reader, at(0));
    assert_eq!(order(&mut reader, at(0), 2), "xx");
    drop(held);
    assert_eq!(order(&mut reader, at(0), 2), "aa");
}

#[test]
fn what_sticks_to_a_full_backend_goes_elsewhere() {
    let (_, mut reader) = upstream(config([backend("a").max_conns(1), backend("b")]));
    let mut stick = || reader.pick_by(at(0), Key::Sticky(b"a"), &Tried::new()).unwrap();
    let held = stick();
    assert_eq!((held.id().as_str(), stick().id().as_str()), ("a", "b"));
    drop(held);
    assert_eq!(stick().id().as_str(), "a");
}

#[test]
fn a_probe_needs_a_slot_too() {
    let (_, mut reader) = upstream(config([backend("a").max_conns(1), backend("b")]));
    let slow = pick(&mut reader, at(0));
    assert_eq!(slow.id().as_str(), "a");
    let (upstream, _) = (reader.clone(), ());
    drop(upstream);
    slow.finish(at(0), Outcome::Failure);
    let probe = pick(&mut reader, at(10));
    assert_eq!(probe.id().as_str(), "a");
    assert_eq!(
        order(&mut reader, at(30), 2),
        "bb",
        "the probe holds the slot still"
    );
    drop(probe);
    assert_eq!(order(&mut reader, at(60), 1), "a");
}

#[test]
fn limits_that_come_and_go_at_run_time_count_right() {
    let with = |max_conns| config([backend("a").max_conns(max_conns)]).build().unwrap();
    let (upstream, mut reader) = upstream(config([backend("a").max_conns(1)]));
    let limited = pick(&mut reader, at(0));
    upstream.replace(at(0), with(0));
    let unlimited: Vec<_> = (0..5).map(|_| pick(&mut reader, at(0))).collect();
    upstream.replace(at(0), with(2));
    let second = pick(&mut reader, at(0)); // the first limited one still holds its slot
    assert!(try_pick(&mut reader, at(0)).is_err());
    drop((limited, unlimited));
    let third = pick(&mut reader, at(0));
    assert!(try_pick(&mut reader, at(0)).is_err());
    upstream.replace(at(0), with(1));
    drop(second);
    assert!(try_pick(&mut reader, at(0)).is_err(), "one of one is under way");
    drop(third);
    assert!(try_pick(&mut reader, at(0)).is_ok());
}

#[test]
fn no_thread_ever_gets_a_slot_too_many() {
    for strategy in [Strategy::Weighted, Strategy::RoundRobin] {
        let backends = [
            backend("a").max_conns(3),
            backend("b").max_conns(1).weight(5),
            backend("c").max_conns(2),
        ];
        let (upstream, _) = upstream(config(backends).strategy(strategy));
        let counts: HashMap<_, _> = [("a", 3), ("b", 1), ("c", 2)]
            .map(|(id, max)| (id, (AtomicI64::new(0), max)))
            .into();
        thread::scope(|scope| {
            for number in 0..4 {
                let (mut reader, counts) = (upstream.reader(), &counts);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..5_000 {
                        if let Some(pick) = reader.pick(at(0), &Tried::new()) {
                            let (count, max) = &counts[pick.id().as_str()];
                            assert!(count.fetch_add(1, Ordering::SeqCst) < *max);
                            held.push(pick);
                        }
                        if held.len() > 2 || round % (3 + number) == 0 {
                            for pick in held.drain(..) {
                                counts[pick.id().as_str()].0.fetch_sub(1, Ordering::SeqCst);
                                pick.finish(at(0), Outcome::Success);
                            }
                        }
                    }
                    for pick in held {
                        counts[pick.id().as_str()].0.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let mut reader = upstream.reader();
        let all: Vec<_> = (0..6).map(|_| pick(&mut reader, at(0))).collect();
        assert!(
            try_pick(&mut reader, at(0)).is_err(),
            "no slot was lost, and none added"
        );
        drop(all);
    }
}
