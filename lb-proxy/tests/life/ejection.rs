//! When requests get a backend ejected, for how long, and when they must not.

use std::time::Duration;

use lb_proxy::balance::{BackendState, ConfigError, Outcome, Passive, Reason};

use crate::support::{at, backend, config, fail, order, pick_id, state, status, succeed, upstream};

#[test]
fn the_last_backend_up_is_never_ejected() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    assert!(fail(&mut reader, at(0), "a").is_some());
    for _ in 0..5 {
        assert_eq!(fail(&mut reader, at(1), "b"), None);
    }
    assert_eq!(order(&mut reader, at(1), 3), "bbb");
    let kept = status(&upstream, "b");
    assert_eq!(
        (kept.state, kept.ejections, kept.withheld_ejections, kept.fails),
        (BackendState::Up, 0, 5, 5)
    );
    // With the other one back, the next failure counts with those before it.
    succeed(&mut reader, at(10), "a");
    assert!(fail(&mut reader, at(11), "b").is_some());
}

#[test]
fn no_more_than_a_share_is_out_at_a_time() {
    let backends = ["a", "b", "c", "d", "e"].map(backend);
    let (upstream, mut reader) = upstream(config(backends).passive(Passive::new().max_ejected_percent(40)));
    for id in ["a", "b"] {
        assert!(fail(&mut reader, at(0), id).is_some());
    }
    assert_eq!(fail(&mut reader, at(0), "c"), None);
    assert_eq!(state(&upstream, "c"), BackendState::Up);
    succeed(&mut reader, at(10), "a");
    assert!(
        fail(&mut reader, at(10), "c").is_some(),
        "there is room for one more"
    );
}

#[test]
fn a_spare_that_stands_ready_lets_every_primary_be_ejected() {
    let (_, mut reader) = upstream(config([backend("a"), backend("b"), backend("x").spare(true)]));
    assert!(fail(&mut reader, at(0), "a").is_some());
    assert!(fail(&mut reader, at(0), "b").is_some());
    assert_eq!(order(&mut reader, at(0), 3), "xxx");
    assert_eq!(
        fail(&mut reader, at(0), "x"),
        None,
        "now the spare is the last one"
    );
    assert_eq!(order(&mut reader, at(0), 3), "xxx");
}

#[test]
fn ejections_in_a_row_take_twice_as_long_up_to_the_longest() {
    let passive = Passive::new().max_ejection(at(35));
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]).passive(passive));
    let until = || status(&upstream, "a").ejected_until;
    let transition = fail(&mut reader, at(0), "a").unwrap();
    assert_eq!(
        (transition.ejected_until, transition.reason),
        (Some(at(10)), Reason::MaxFails)
    );
    for (probe, next) in [(10, 30), (30, 65), (65, 100)] {
        assert_eq!(order(&mut reader, at(probe - 1), 3), "bbb");
        assert_eq!(fail(&mut reader, at(probe), "a"), None);
        assert_eq!(until(), Some(at(next)));
        assert_eq!(order(&mut reader, at(next - 1), 3), "bbb");
    }
    assert_eq!(
        succeed(&mut reader, at(100), "a").unwrap().reason,
        Reason::Recovered
    );
    assert_eq!((until(), status(&upstream, "a").ejections), (None, 1));
}

#[test]
fn time_without_failures_takes_doublings_back() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    let length = |now: u64| status(&upstream, "a").ejected_until.unwrap() - at(now);
    fail(&mut reader, at(0), "a");
    fail(&mut reader, at(10), "a"); // out until 30
    succeed(&mut reader, at(30), "a");
    fail(&mut reader, at(31), "a");
    assert_eq!(length(31), at(40), "it was hardly back: the third in a row");
    succeed(&mut reader, at(71), "a");
    fail(&mut reader, at(92), "a");
    assert_eq!(length(92), at(20), "two base times up take two of three back");
    succeed(&mut reader, at(112), "a");
    fail(&mut reader, at(500), "a");
    assert_eq!(length(500), at(10));
}

#[test]
fn requests_from_before_the_ejection_do_not_make_it_twice_as_long() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    let slow: Vec<_> = (0..20).map(|_| pick_id(&mut reader, at(0), "a")).collect();
    fail(&mut reader, at(0), "a");
    for pick in slow {
        pick.finish(at(3), Outcome::Timeout);
    }
    // nginx: the time counts from the last failure.
    assert_eq!(status(&upstream, "a").ejected_until, Some(at(13)));
}

#[test]
fn the_first_ejection_has_a_length_of_its_own_if_set() {
    let passive = Passive::new().base_ejection(at(3));
    let (_, mut reader) = upstream(config([backend("a"), backend("b")]).passive(passive));
    let transition = fail(&mut reader, at(0), "a").unwrap();
    assert_eq!(transition.ejected_until, Some(at(3)));
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_them_begins_anew() {
    let passive = Passive::new().consecutive(3);
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (_, mut reader) = upstream(config(backends).passive(passive));
    for _ in 0..4 {
        assert_eq!(fail(&mut reader, at(0), "a"), None);
        assert_eq!(fail(&mut reader, at(0), "a"), None);
        succeed(&mut reader, at(0), "a");
    }
    fail(&mut reader, at(1), "a");
    fail(&mut reader, at(1), "a");
    let transition = fail(&mut reader, at(1), "a").unwrap();
    assert_eq!(
        (transition.to, transition.reason),
        (BackendState::Failed, Reason::Consecutive)
    );
    let late = succeed(&mut reader, at(11), "a").unwrap();
    assert_eq!(late.to, BackendState::Up, "by its probe");
}

#[test]
fn a_success_that_began_before_the_ejection_does_not_end_it() {
    let passive = Passive::new().consecutive(2);
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (upstream, mut reader) = upstream(config(backends).passive(passive));
    let slow = pick_id(&mut reader, at(0), "a");
    fail(&mut reader, at(0), "a");
    assert!(fail(&mut reader, at(0), "a").is_some());
    assert_eq!(slow.finish(at(5), Outcome::Success), None);
    assert_eq!(state(&upstream, "a"), BackendState::Failed);
}

#[test]
fn a_ratio_ejects_once_there_are_enough_requests() {
    let passive = Passive::new().ratio(50).min_volume(10);
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (upstream, mut reader) = upstream(config(backends).passive(passive));
    for _ in 0..4 {
        assert_eq!(fail(&mut reader, at(0), "a"), None);
        succeed(&mut reader, at(0), "a");
    }
    assert_eq!(fail(&mut reader, at(0), "a"), None, "there were 9 requests");
    let transition = fail(&mut reader, at(0), "a").unwrap();
    assert_eq!(transition.reason, Reason::Ratio);
    assert_eq!(status(&upstream, "a").failures, 6);
}

#[test]
fn a_ratio_below_the_limit_never_ejects() {
    let passive = Passive::new().ratio(30).min_volume(20);
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (_, mut reader) = upstream(config(backends).passive(passive));
    for second in 0..50 {
        assert_eq!(fail(&mut reader, at(second), "a"), None);
        for _ in 0..3 {
            succeed(&mut reader, at(second), "a");
        }
    }
}

#[test]
fn requests_beyond_the_window_and_cancelled_ones_do_not_count() {
    let passive = Passive::new().ratio(50).min_volume(4).window(at(8));
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (_, mut reader) = upstream(config(backends).passive(passive));
    for _ in 0..3 {
        assert_eq!(fail(&mut reader, at(0), "a"), None);
    }
    drop(pick_id(&mut reader, at(0), "a"));
    assert_eq!(fail(&mut reader, at(8), "a"), None, "the three are forgotten");
    for _ in 0..100 {
        succeed(&mut reader, at(9), "a");
    }
    for _ in 0..3 {
        assert_eq!(fail(&mut reader, at(10), "a"), None, "4 of 104");
    }
    // The window has slid past the hundred: 4 of 4.
    for _ in 0..3 {
        assert_eq!(fail(&mut reader, at(18), "a"), None);
    }
    assert!(fail(&mut reader, at(18), "a").is_some());
}

#[test]
fn what_got_a_backend_ejected_is_forgotten_when_it_comes_back() {
    let passive = Passive::new().ratio(50).min_volume(4);
    let backends = ["a", "b"].map(|id| backend(id).max_fails(0));
    let (_, mut reader) = upstream(config(backends).passive(passive));
    for _ in 0..3 {
        fail(&mut reader, at(0), "a");
    }
    assert!(fail(&mut reader, at(0), "a").is_some());
    succeed(&mut reader, at(10), "a");
    for _ in 0..3 {
        assert_eq!(fail(&mut reader, at(10), "a"), None);
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let build = |passive| config([backend("a")]).passive(passive).build();
    assert!(matches!(
        build(Passive::new().ratio(101)),
        Err(ConfigError::Percent {
            name: "ratio",
            got: 101
        })
    ));
    assert_eq!(
        build(Passive::new().ratio(1).window(Duration::ZERO)),
        Err(ConfigError::ZeroWindow)
    );
}
