//! Passive health by the clock, as nginx has it: `max_fails` and `fail_timeout`, and what active checks and
//! spares make of it.

use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, BackendState, Outcome, Passive, Pick, Reader, Reason, Transition, Tried, UnknownBackend,
    Upstream, UpstreamConfig,
};

#[test]
fn a_failure_takes_a_backend_out_from_the_very_next_pick() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    let transition = fail(&mut reader, at(1), "a");
    let expected = Transition {
        id: "a".into(),
        from: BackendState::Up,
        to: BackendState::Failed,
        since: at(1),
        reason: Reason::MaxFails,
        ejected_until: Some(at(11)),
    };
    assert_eq!(transition, Some(expected));
    assert_eq!(order(&mut reader, at(1), 5), "bbbbb");
    let status = &upstream.status().backends[0];
    assert_eq!(
        (status.state, status.since, status.failures),
        (BackendState::Failed, at(1), 1)
    );
}

#[test]
fn a_failed_backend_gets_one_probe_a_fail_timeout_until_one_succeeds() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    fail(&mut reader, at(0), "a");
    assert_eq!(order(&mut reader, at(9), 3), "bbb");

    // Due: the next request is the probe, and the only one, whether it fails at once or hangs.
    let probe = pick(&mut reader, at(10));
    assert_eq!(probe.id().as_str(), "a");
    assert_eq!(order(&mut reader, at(10), 5), "bbbbb");
    assert_eq!(probe.finish(at(12), Outcome::Failure), None);
    assert_eq!(order(&mut reader, at(21), 3), "bbb"); // fail_timeout counts from the failure
    let probe = pick(&mut reader, at(22));
    assert_eq!(probe.id().as_str(), "a");
    assert_eq!(order(&mut reader, at(31), 3), "bbb");
    let second = pick(&mut reader, at(32)); // the first hangs still; another one a fail_timeout
    assert_eq!(second.id().as_str(), "a");
    assert_eq!(order(&mut reader, at(32), 3), "bbb");

    let transition = second.finish(at(33), Outcome::Success).unwrap();
    assert_eq!(
        (transition.from, transition.to),
        (BackendState::Failed, BackendState::Up)
    );
    let back = order(&mut reader, at(33), 4);
    assert!(back == "abab" || back == "baba", "{back}");
    drop(probe);
    assert_eq!(upstream.status().backends[0].state, BackendState::Up);
}

#[test]
fn a_cancelled_probe_proves_nothing() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    fail(&mut reader, at(0), "a");
    drop(pick(&mut reader, at(10)));
    assert_eq!(upstream.status().backends[0].state, BackendState::Failed);
    assert_eq!(order(&mut reader, at(19), 2), "bb");
    assert_eq!(order(&mut reader, at(20), 2), "ab");
}

#[test]
fn failures_add_up_to_max_fails_within_fail_timeout() {
    let (upstream, mut reader) = upstream([backend("a").max_fails(3), backend("b")]);
    assert_eq!(fail(&mut reader, at(0), "a"), None);
    succeed(&mut reader, at(5), "a"); // begun within the window: nginx does not let it make up for the failure
    assert_eq!(fail(&mut reader, at(6), "a"), None);
    assert!(fail(&mut reader, at(7), "a").is_some());
    assert_eq!(upstream.status().backends[0].state, BackendState::Failed);
}

#[test]
fn a_success_after_the_window_forgets_failures() {
    let (upstream, mut reader) = upstream([backend("a").max_fails(2), backend("b")]);
    fail(&mut reader, at(0), "a");
    succeed(&mut reader, at(10), "a");
    assert_eq!(fail(&mut reader, at(11), "a"), None);
    assert_eq!(upstream.status().backends[0].state, BackendState::Up);
    assert!(fail(&mut reader, at(12), "a").is_some());
}

#[test]
fn a_request_from_before_the_failure_does_not_bring_a_backend_back() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    let slow = pick_id(&mut reader, at(0), "a");
    fail(&mut reader, at(1), "a");
    assert_eq!(slow.finish(at(30), Outcome::Success), None);
    assert_eq!(upstream.status().backends[0].state, BackendState::Failed);
}

#[test]
fn max_fails_0_turns_it_off() {
    let (_, mut reader) = upstream([backend("a").max_fails(0), backend("b")]);
    for _ in 0..20 {
        assert_eq!(fail(&mut reader, at(0), "a"), None);
    }
    assert_eq!(order(&mut reader, at(0), 2).len(), 2);
}

#[test]
fn fail_timeout_0_keeps_nobody_out() {
    let (_, mut reader) = upstream([backend("a").fail_timeout(Duration::ZERO), backend("b")]);
    fail(&mut reader, at(1), "a");
    assert!(order(&mut reader, at(1), 3).contains('a'));
}

#[test]
fn an_only_backend_is_tried_whatever_it_did() {
    let (upstream, mut reader) = upstream([backend("a")]);
    for second in 0..20 {
        assert_eq!(fail(&mut reader, at(second), "a"), None);
    }
    assert_eq!(upstream.status().backends[0].state, BackendState::Up);
}

#[test]
fn a_second_backend_that_is_down_makes_the_first_not_the_only_one() {
    let (_, mut reader) = upstream([backend("a"), backend("b").down(true)]);
    assert!(fail(&mut reader, at(0), "a").is_some());
    assert!(reader.pick(at(1), &Tried::new()).is_none());
}

#[test]
fn when_all_have_failed_nobody_is_picked_until_a_probe_is_due() {
    let (_, mut reader) = upstream([backend("a"), backend("b").fail_timeout(Duration::from_secs(3))]);
    fail(&mut reader, at(0), "a");
    fail(&mut reader, at(0), "b");
    assert!(reader.pick(at(2), &Tried::new()).is_none());
    succeed(&mut reader, at(3), "b");
    assert_eq!(order(&mut reader, at(3), 2), "bb");
}

#[test]
fn spares_stand_in_while_primaries_have_failed_and_probes_still_go_to_primaries() {
    let (_, mut reader) = upstream([backend("a"), backend("x").spare(true)]);
    fail(&mut reader, at(0), "a");
    assert_eq!(order(&mut reader, at(1), 3), "xxx");
    assert_eq!(order(&mut reader, at(10), 3), "axx");
    fail(&mut reader, at(11), "x");
    assert!(reader.pick(at(12), &Tried::new()).is_none());
    let mut tried = Tried::new();
    let mut seen = String::new();
    while let Some(pick) = reader.pick(at(30), &tried) {
        seen += pick.id().as_str();
        tried.insert(&pick);
    }
    assert_eq!(seen, "ax"); // both are due, and one request may try both
}

#[test]
fn a_failed_spare_is_not_probed_while_primaries_work() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b"), backend("x").spare(true)]);
    for id in ["a", "b"] {
        upstream.set_down(at(0), &id.into(), true).unwrap();
    }
    fail(&mut reader, at(0), "x");
    upstream.set_down(at(1), &"a".into(), false).unwrap();
    assert_eq!(order(&mut reader, at(100), 3), "aaa");
}

#[test]
fn a_probe_goes_to_no_backend_that_was_tried() {
    let (_, mut reader) = upstream([backend("a").fail_timeout(Duration::ZERO), backend("b")]);
    let pick = pick_id(&mut reader, at(0), "a");
    let mut tried = Tried::new();
    tried.insert(&pick);
    pick.finish(at(0), Outcome::Failure);
    for _ in 0..10 {
        assert_eq!(reader.pick(at(0), &tried).unwrap().id().as_str(), "b");
    }
}

#[test]
fn several_failed_backends_are_probed_each_by_a_request_of_its_own() {
    let (_, mut reader) = upstream([backend("a"), backend("b"), backend("c"), backend("d")]);
    for (second, id) in [(0, "a"), (1, "b"), (1, "c")] {
        fail(&mut reader, at(second), id);
    }
    assert_eq!(order(&mut reader, at(10), 3), "add");
    assert_eq!(order(&mut reader, at(11), 4), "bcdd");
    assert_eq!(order(&mut reader, at(19), 2), "dd");
    assert_eq!(order(&mut reader, at(30), 4), "abcd");
}

#[test]
fn an_active_check_takes_a_backend_out_and_back_in() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    let transition = upstream.set_check(at(5), &"a".into(), false).unwrap().unwrap();
    assert_eq!(
        (transition.from, transition.to),
        (BackendState::Up, BackendState::Unhealthy)
    );
    assert_eq!(upstream.set_check(at(6), &"a".into(), false), Ok(None));
    assert_eq!(order(&mut reader, at(6), 3), "bbb");
    assert_eq!(upstream.status().backends[0].since, at(5));
    assert!(upstream.set_check(at(7), &"a".into(), true).unwrap().is_some());
    assert!(order(&mut reader, at(7), 2).contains('a'));
}

#[test]
fn an_unhealthy_backend_gets_no_probes_and_a_passed_check_forgets_failures() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    fail(&mut reader, at(0), "a");
    upstream.set_check(at(1), &"a".into(), false).unwrap();
    assert_eq!(order(&mut reader, at(60), 3), "bbb");
    let transition = upstream.set_check(at(61), &"a".into(), true).unwrap().unwrap();
    assert_eq!(transition.to, BackendState::Up);
}

#[test]
fn the_operator_s_word_stands_above_checks_weights_and_failures() {
    let (upstream, mut reader) = upstream([backend("a"), backend("b")]);
    let state = || upstream.status().backends[0].state;
    fail(&mut reader, at(0), "a");
    assert_eq!(state(), BackendState::Failed);
    upstream.set_weight(at(0), &"a".into(), 0).unwrap();
    assert_eq!(state(), BackendState::Drain);
    upstream.set_check(at(0), &"a".into(), false).unwrap();
    assert_eq!(state(), BackendState::Unhealthy);
    upstream.set_down(at(0), &"a".into(), true).unwrap();
    assert_eq!(state(), BackendState::Down);
    assert_eq!(order(&mut reader, at(60), 2), "bb");
}

#[test]
fn an_unknown_backend_is_told_as_such() {
    let (upstream, _) = upstream([backend("a")]);
    assert_eq!(
        upstream.set_check(at(0), &"z".into(), true),
        Err(UnknownBackend { id: "z".into() })
    );
}

#[test]
fn with_thousands_of_weights_a_failure_is_heeded_at_once_and_laid_out_when_there_is_time() {
    let backends = (0..3_000_u16).map(|n| backend(&n.to_string()).weight(1 + n % 40));
    let (upstream, mut reader) = upstream(backends);
    let first = pick(&mut reader, at(0));
    let id = first.id().clone();
    assert!(first.finish(at(0), Outcome::Failure).is_some());
    assert_eq!(upstream.poll_timeout(), Some(Duration::ZERO));
    let avoided = |reader: &mut Reader| (0..61_500).all(|_| *pick(reader, at(1)).id() != id);
    assert!(avoided(&mut reader));
    upstream.handle_timeout(at(1));
    assert_eq!(upstream.poll_timeout(), None);
    assert!(avoided(&mut reader));
    let probe = pick(&mut reader, at(10));
    assert_eq!(*probe.id(), id);
    probe.finish(at(10), Outcome::Success);
    upstream.handle_timeout(at(10));
    assert!(!avoided(&mut reader));
}

fn upstream(backends: impl IntoIterator<Item = BackendConfig>) -> (Upstream, Reader) {
    let config = UpstreamConfig::builder("app").backends(backends);
    let config = config.passive(Passive::nginx()).panic(false).build().unwrap();
    let upstream = Upstream::new(config);
    let reader = upstream.reader();
    (upstream, reader)
}

fn backend(id: &str) -> BackendConfig {
    BackendConfig::new(id, ([192, 0, 2, 1], 80).into())
}

const fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn pick(reader: &mut Reader, now: Duration) -> Pick {
    reader.pick(now, &Tried::new()).expect("somebody is up")
}

fn pick_id(reader: &mut Reader, now: Duration, id: &str) -> Pick {
    (0..100)
        .map(|_| pick(reader, now))
        .find(|pick| pick.id().as_str() == id)
        .expect("it takes turns")
}

fn fail(reader: &mut Reader, now: Duration, id: &str) -> Option<Transition> {
    pick_id(reader, now, id).finish(now, Outcome::Failure)
}

fn succeed(reader: &mut Reader, now: Duration, id: &str) {
    pick_id(reader, now, id).finish(now, Outcome::Success);
}

fn order(reader: &mut Reader, now: Duration, picks: usize) -> String {
    (0..picks).map(|_| pick(reader, now).id().to_string()).collect()
}
