//! Requests that go on for hours: their outcome counts when it is known, not when they end.

use lb_proxy::balance::{BackendState, Outcome};

use crate::support::{at, backend, config, fail, pick_id, state, upstream};

#[test]
fn a_report_brings_a_failed_backend_back_while_the_request_goes_on() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    fail(&mut reader, at(0), "a");
    assert_eq!(state(&upstream, "a"), BackendState::Failed);
    let mut probe = pick_id(&mut reader, at(11), "a");
    let transition = probe.report(at(12), Outcome::Success).expect("it is back");
    assert_eq!(
        (transition.from, transition.to),
        (BackendState::Failed, BackendState::Up)
    );
    assert_eq!(upstream.status().backends[0].active, 1);
    assert!(probe.finish(at(40_000), Outcome::Success).is_none());
    let status = &upstream.status().backends[0];
    assert_eq!((status.active, status.failures, status.cancelled), (0, 1, 0));
}

#[test]
fn after_a_report_a_failure_counts_and_nothing_else_does() {
    let (upstream, mut reader) = upstream(config([backend("a").max_fails(2), backend("b")]));
    let counts = || {
        let status = &upstream.status().backends[0];
        (status.failures, status.fails, status.cancelled)
    };
    for (end, expected) in [
        (Outcome::Success, (0, 0, 0)),
        (Outcome::Cancelled, (0, 0, 0)),
        (Outcome::Reset, (1, 1, 0)),
        (Outcome::Timeout, (2, 2, 0)),
    ] {
        let mut pick = pick_id(&mut reader, at(1), "a");
        pick.report(at(1), Outcome::Success);
        pick.finish(at(2), end);
        assert_eq!(counts(), expected, "{end:?}");
    }
    assert_eq!(state(&upstream, "a"), BackendState::Failed);
}

/// A connection of before the ejection that breaks during it says nothing of how long it should be.
#[test]
fn an_old_connection_is_nobodys_probe() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    let mut old = pick_id(&mut reader, at(0), "a");
    old.report(at(0), Outcome::Success);
    fail(&mut reader, at(100), "a");
    let length = |now| upstream.status().backends[0].ejected_until.expect("ejected") - now;
    let before = length(at(100));
    old.finish(at(105), Outcome::Reset);
    assert_eq!(length(at(105)), before);
}
