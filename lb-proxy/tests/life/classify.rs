//! What counts as a failure.

use lb_proxy::balance::{BackendState, Classify, FailOn, Outcome, Verdict};

use crate::support::{at, backend, config, pick_id, state, status, upstream};

#[test]
fn errors_and_timeouts_fail_and_answers_do_not() {
    for (outcome, fails) in [
        (Outcome::ConnectError, true),
        (Outcome::Timeout, true),
        (Outcome::Reset, true),
        (Outcome::BadResponse, true),
        (Outcome::Failure, true),
        (Outcome::Success, false),
        (Outcome::Status(200), false),
        (Outcome::Status(500), false),
        (Outcome::Cancelled, false),
    ] {
        let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
        let transition = pick_id(&mut reader, at(0), "a").finish(at(0), outcome);
        assert_eq!(transition.is_some(), fails, "{outcome:?}");
        assert_eq!(status(&upstream, "a").failures, u64::from(fails), "{outcome:?}");
    }
}

#[test]
fn listed_statuses_fail_and_others_bring_a_backend_back() {
    let listed = FailOn::errors().status(500).status(503);
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]).fail_on(listed));
    let mut answer = |now, status| pick_id(&mut reader, now, "a").finish(now, Outcome::Status(status));
    assert_eq!(answer(at(0), 502), None);
    assert_eq!(answer(at(0), 503).unwrap().to, BackendState::Failed);
    assert_eq!(answer(at(10), 500), None);
    assert_eq!(answer(at(30), 404).unwrap().to, BackendState::Up);
    assert_eq!(status(&upstream, "a").failures, 2);
}

#[test]
fn an_embedder_decides_about_every_answer() {
    /// A backend that says 200 to everything has lost its mind, and a busy one is left alone.
    #[derive(Debug)]
    struct Odd;
    impl Classify for Odd {
        fn classify(&self, outcome: Outcome) -> Verdict {
            match outcome {
                Outcome::Status(200) => Verdict::Failure,
                Outcome::Status(429) | Outcome::Timeout => Verdict::Neutral,
                _ => Verdict::Success,
            }
        }
    }
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]).classify(Odd));
    let mut end = |now, outcome| pick_id(&mut reader, now, "a").finish(now, outcome);
    assert_eq!(end(at(0), Outcome::Timeout), None);
    assert_eq!(end(at(0), Outcome::Reset), None);
    assert!(end(at(0), Outcome::Status(200)).is_some());
    assert_eq!(end(at(10), Outcome::Status(429)), None);
    assert_eq!(
        state(&upstream, "a"),
        BackendState::Failed,
        "neutral brings nobody back"
    );
    assert!(end(at(20), Outcome::Status(503)).is_some());
    // What the caller has judged is not asked about.
    assert!(end(at(20), Outcome::Failure).is_some());
    assert_eq!(status(&upstream, "a").failures, 2);
}

#[test]
fn another_classifier_takes_over_at_once() {
    let backends = || [backend("a"), backend("b")];
    let (upstream, mut reader) = upstream(config(backends()));
    let pick = pick_id(&mut reader, at(0), "a");
    let strict = FailOn::errors().status(404);
    upstream.replace(at(0), config(backends()).fail_on(strict).build().unwrap());
    assert!(pick.finish(at(0), Outcome::Status(404)).is_some());
}

#[test]
fn requests_that_end_without_a_word_are_counted_apart() {
    let (upstream, mut reader) = upstream(config([backend("a")]));
    let mut pick = || pick_id(&mut reader, at(0), "a");
    drop(pick());
    pick().finish(at(0), Outcome::Cancelled);
    pick().finish(at(0), Outcome::Success);
    pick().finish(at(0), Outcome::Failure);
    let held = pick();
    let status = status(&upstream, "a");
    assert_eq!(
        (status.requests, status.active, status.cancelled, status.failures),
        (5, 1, 2, 1)
    );
    drop(held);
}
