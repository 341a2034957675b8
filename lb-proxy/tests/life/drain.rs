//! Running dry: sessions go on, new ones don't come.

use lb_proxy::balance::{BackendState, Key, Outcome, Reason, Tried, UnknownBackend};

use crate::support::{at, backend, config, order, state, status, upstream};

const STICKS_TO_A: Key<'_> = Key::Sticky(b"a");

#[test]
fn a_draining_backend_gets_what_sticks_to_it_and_nothing_else() {
    let backends = || [backend("a"), backend("b")];
    for drained in [
        backends().map(|one| {
            let drains = one.id().as_str() == "a";
            one.drain(drains)
        }),
        [backend("a").weight(0), backend("b")],
    ] {
        let (upstream, mut reader) = upstream(config(drained));
        assert_eq!(order(&mut reader, at(0), 4), "bbbb");
        for _ in 0..3 {
            let pick = reader.pick_by(at(0), STICKS_TO_A, &Tried::new()).unwrap();
            assert_eq!(pick.id().as_str(), "a");
            assert_eq!(pick.finish(at(0), Outcome::Success), None);
        }
        assert_eq!(status(&upstream, "a").requests, 3);
        assert_eq!(state(&upstream, "a"), BackendState::Drain);
    }
}

#[test]
fn it_drains_and_comes_back_at_run_time() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    let transition = upstream.set_drain(at(1), &"a".into(), true).unwrap().unwrap();
    assert_eq!(
        (transition.to, transition.reason, transition.since),
        (BackendState::Drain, Reason::Operator, at(1))
    );
    assert_eq!(order(&mut reader, at(1), 3), "bbb");
    assert_eq!(upstream.set_drain(at(2), &"a".into(), true), Ok(None));
    assert!(upstream.set_drain(at(3), &"a".into(), false).unwrap().is_some());
    assert_eq!(order(&mut reader, at(3), 4).replace('b', ""), "aa");
    assert_eq!(
        upstream.set_drain(at(3), &"z".into(), true),
        Err(UnknownBackend { id: "z".into() })
    );
}

#[test]
fn sessions_of_a_backend_that_is_down_or_unhealthy_go_elsewhere() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    let mut gets = || {
        let pick = reader.pick_by(at(0), STICKS_TO_A, &Tried::new()).unwrap();
        pick.id().to_string()
    };
    assert_eq!(gets(), "a");
    upstream.set_check(at(0), &"a".into(), false).unwrap();
    assert_eq!(gets(), "b");
    upstream.set_check(at(0), &"a".into(), true).unwrap();
    upstream.set_down(at(0), &"a".into(), true).unwrap();
    assert_eq!(gets(), "b");
}

#[test]
fn a_draining_backend_that_fails_loses_its_sessions_until_a_probe_of_theirs_succeeds() {
    let (upstream, mut reader) = upstream(config([backend("a").drain(true), backend("b")]));
    let mut stick = |now| reader.pick_by(now, STICKS_TO_A, &Tried::new()).unwrap();
    stick(at(0)).finish(at(0), Outcome::Failure);
    assert_eq!(state(&upstream, "a"), BackendState::Drain);
    assert_eq!(status(&upstream, "a").ejected_until, Some(at(10)));
    assert_eq!(stick(at(9)).id().as_str(), "b");
    let probe = stick(at(10));
    assert_eq!(probe.id().as_str(), "a");
    assert_eq!(stick(at(10)).id().as_str(), "b", "one is enough");
    probe.finish(at(10), Outcome::Success);
    assert_eq!(stick(at(10)).id().as_str(), "a");
}

#[test]
fn a_session_whose_backend_was_tried_goes_elsewhere() {
    let (_, mut reader) = upstream(config([backend("a"), backend("b")]));
    let mut tried = Tried::new();
    tried.insert(&reader.pick_by(at(0), STICKS_TO_A, &tried).unwrap());
    let second = reader.pick_by(at(0), STICKS_TO_A, &tried).unwrap();
    assert_eq!(second.id().as_str(), "b");
}
