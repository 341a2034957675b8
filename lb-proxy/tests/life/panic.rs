//! When nobody is up, anybody is used.

use lb_proxy::balance::{BackendState, Outcome, Passive, Tried};

use crate::support::{at, backend, config, fail, order, pick, pick_id, share, state, succeed, upstream};

#[test]
fn when_all_are_down_all_are_used_and_that_is_told() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b"), backend("x").spare(true)]));
    for id in ["a", "b", "x"] {
        assert_eq!(upstream.status().panic_since, None);
        upstream.set_check(at(5), &id.into(), false).unwrap();
    }
    let picks = order(&mut reader, at(6), 60);
    assert!(["a", "b", "x"].iter().all(|id| picks.contains(id)), "{picks}");
    let status = upstream.status();
    assert_eq!((status.panic_since, status.panic_requests), (Some(at(5)), 60));

    upstream.set_check(at(7), &"b".into(), true).unwrap();
    assert_eq!(order(&mut reader, at(7), 4), "bbbb");
    let status = upstream.status();
    assert_eq!((status.panic_since, status.panic_requests), (None, 60));
}

#[test]
fn without_panic_mode_nobody_is_used_then() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]).panic(false));
    for id in ["a", "b"] {
        upstream.set_check(at(5), &id.into(), false).unwrap();
    }
    assert!(reader.pick(at(6), &Tried::new()).is_none());
    assert_eq!(upstream.status().panic_since, None);
}

#[test]
fn what_the_operator_took_out_and_what_was_never_checked_stays_out() {
    let backends = [
        backend("a"),
        backend("b").down(true),
        backend("c").drain(true),
        backend("d").weight(0),
        backend("e").mandatory(true),
    ];
    let (upstream, mut reader) = upstream(config(backends));
    upstream.set_check(at(0), &"a".into(), false).unwrap();
    assert_eq!(order(&mut reader, at(0), 5), "aaaaa");
    upstream.set_down(at(0), &"a".into(), true).unwrap();
    assert!(reader.pick(at(0), &Tried::new()).is_none());
    assert_eq!(
        upstream.status().panic_since,
        None,
        "there is nobody to use in panic"
    );
}

#[test]
fn in_panic_shares_go_by_weight() {
    let (upstream, mut reader) = upstream(config([backend("a").weight(9), backend("b")]));
    for id in ["a", "b"] {
        upstream.set_check(at(0), &id.into(), false).unwrap();
    }
    let share = share(&mut reader, at(0), 2_000, "b");
    assert!(
        (120..300).contains(&share),
        "{share} of 2,000, where a tenth is 200"
    );
}

#[test]
fn a_request_in_panic_never_gets_the_same_backend_twice() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b"), backend("c")]));
    for id in ["a", "b", "c"] {
        upstream.set_check(at(0), &id.into(), false).unwrap();
    }
    for _ in 0..50 {
        let mut tried = Tried::new();
        while let Some(pick) = reader.pick(at(0), &tried) {
            assert!(!tried.contains(pick.slot()));
            tried.insert(&pick);
        }
        assert_eq!(tried.len(), 3);
    }
}

#[test]
fn having_tried_all_that_are_up_is_no_reason_to_panic() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    fail(&mut reader, at(0), "a");
    let mut tried = Tried::new();
    tried.insert(&pick(&mut reader, at(0)));
    assert!(reader.pick(at(0), &tried).is_none());
    assert_eq!(upstream.status().panic_requests, 0);
}

#[test]
fn in_panic_one_success_brings_a_failed_backend_back_at_once() {
    let all_may_fail = Passive::new().keep_last(false).max_ejected_percent(100);
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]).passive(all_may_fail));
    let early = pick_id(&mut reader, at(0), "a");
    for id in ["a", "b"] {
        assert!(fail(&mut reader, at(1), id).is_some());
    }
    assert_eq!(
        early.finish(at(2), Outcome::Success),
        None,
        "it began before the failure"
    );
    let transition = succeed(&mut reader, at(3), "a").unwrap();
    assert_eq!((transition.to, transition.since), (BackendState::Up, at(3)));
    assert_eq!(order(&mut reader, at(3), 3), "aaa");
    assert_eq!(state(&upstream, "b"), BackendState::Failed);
}

#[test]
fn a_success_does_not_overrule_an_active_check() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    for id in ["a", "b"] {
        upstream.set_check(at(0), &id.into(), false).unwrap();
    }
    assert_eq!(succeed(&mut reader, at(1), "a"), None);
    assert_eq!(state(&upstream, "a"), BackendState::Unhealthy);
}
