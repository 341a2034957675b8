//! A backend that comes back gets its share by and by.

use std::time::Duration;

use lb_proxy::balance::{Outcome, Reader, Strategy, Upstream};

use crate::support::{at, backend, config, fail, pick, share, status, succeed, upstream};

/// As long as makes a step a second.
const LENGTH: Duration = Duration::from_secs(31);

#[test]
fn after_a_failure_the_share_grows_from_a_32nd_to_the_whole() {
    let (upstream, mut reader) = come_back(Strategy::Weighted);
    // Both weigh the same, so b has 32 parts beside a's growing 1 to 31.
    for (second, parts) in [(10, 1), (11, 2), (25, 16), (40, 31)] {
        upstream.handle_timeout(at(second));
        let picks = 100 * (32 + parts);
        let got = share(&mut reader, at(second), picks, "a");
        assert!(
            got.abs_diff(100 * parts) <= 2,
            "{got} of {picks} at {second} s, where {parts} of {} parts are its",
            32 + parts
        );
    }
    upstream.handle_timeout(at(41));
    assert_eq!(share(&mut reader, at(41), 1_000, "a"), 500);
    assert_eq!(status(&upstream, "a").slow_start, None);
}

#[test]
fn shares_grow_under_round_robin_too() {
    let (_, mut reader) = come_back(Strategy::RoundRobin);
    assert_eq!(share(&mut reader, at(10), 330, "a"), 10);
}

#[test]
fn growing_takes_32_steps_at_the_most_each_announced() {
    let (upstream, _) = come_back(Strategy::Weighted);
    let mut steps = 0;
    let mut percents = vec![status(&upstream, "a").slow_start.unwrap().percent];
    while let Some(due) = upstream.poll_timeout() {
        steps += 1;
        let before = status(&upstream, "a").slow_start.unwrap();
        assert_eq!(before.until, at(10) + LENGTH);
        upstream.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(
            status(&upstream, "a").slow_start,
            Some(before),
            "early calls are harmless"
        );
        upstream.handle_timeout(due);
        percents.extend(status(&upstream, "a").slow_start.map(|start| start.percent));
    }
    assert_eq!(steps, 31);
    assert_eq!((percents[0], *percents.last().unwrap()), (3, 96));
    assert!(percents.is_sorted());
}

#[test]
fn nobody_starts_slowly_when_the_process_does_or_when_first_added() {
    let slow = |id| backend(id).slow_start(LENGTH);
    let (upstream, _) = upstream(config([slow("a"), slow("m").mandatory(true)]));
    upstream.replace(
        at(5),
        config([slow("a"), slow("m").mandatory(true), slow("b")])
            .build()
            .unwrap(),
    );
    // A check that fails at first, and one that only then says something.
    upstream.set_check(at(5), &"b".into(), false).unwrap();
    for id in ["b", "m"] {
        assert!(upstream.set_check(at(6), &id.into(), true).unwrap().is_some());
    }
    for backend in upstream.status().backends {
        assert_eq!(backend.slow_start, None, "{}", backend.id);
    }
    assert_eq!(upstream.poll_timeout(), None);
}

#[test]
fn a_backend_that_never_worked_does_not_start_slowly_once_it_does() {
    let (upstream, mut reader) = upstream(config([backend("a").slow_start(LENGTH), backend("b")]));
    fail(&mut reader, at(0), "a");
    succeed(&mut reader, at(10), "a");
    assert_eq!(status(&upstream, "a").slow_start, None);
}

#[test]
fn a_failed_check_of_one_that_worked_is_a_failure() {
    let (upstream, mut reader) = upstream(config([backend("a").slow_start(LENGTH), backend("b")]));
    succeed(&mut reader, at(0), "a");
    upstream.set_check(at(1), &"a".into(), false).unwrap();
    upstream.set_check(at(2), &"a".into(), true).unwrap();
    assert!(status(&upstream, "a").slow_start.is_some());
    // It fails again on its way up: nothing is left of that.
    upstream.set_check(at(3), &"a".into(), false).unwrap();
    assert_eq!(status(&upstream, "a").slow_start, None);
    assert_eq!(upstream.poll_timeout(), None);
}

#[test]
fn what_the_operator_takes_out_comes_back_whole() {
    let (upstream, mut reader) = upstream(config([backend("a").slow_start(LENGTH), backend("b")]));
    succeed(&mut reader, at(0), "a");
    for out in [true, false] {
        upstream.set_down(at(1), &"a".into(), out).unwrap();
    }
    for out in [true, false] {
        upstream.set_drain(at(2), &"a".into(), out).unwrap();
    }
    assert_eq!(status(&upstream, "a").slow_start, None);
}

#[test]
fn the_only_one_up_gets_everything_however_slowly_it_starts() {
    let (upstream, mut reader) = come_back(Strategy::Weighted);
    upstream.set_down(at(10), &"b".into(), true).unwrap();
    assert_eq!(share(&mut reader, at(10), 50, "a"), 50);
}

#[test]
fn a_new_set_without_slow_start_ends_it() {
    let (upstream, mut reader) = come_back(Strategy::Weighted);
    let now = config([backend("a"), backend("b")]).build().unwrap();
    upstream.replace(at(11), now);
    assert_eq!(share(&mut reader, at(11), 100, "a"), 50);
    assert_eq!(upstream.poll_timeout(), None);
}

/// Two backends of one weight, of which `a` comes back from a failure at 10 s.
fn come_back(strategy: Strategy) -> (Upstream, Reader) {
    let backends = [backend("a").slow_start(LENGTH), backend("b")];
    let (upstream, mut reader) = upstream(config(backends).strategy(strategy));
    succeed(&mut reader, at(0), "a");
    fail(&mut reader, at(0), "a");
    let probe = pick(&mut reader, at(10));
    assert_eq!(probe.id().as_str(), "a");
    probe.finish(at(10), Outcome::Success);
    (upstream, reader)
}
