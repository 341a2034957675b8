//! Many checks on one timer, in virtual time.

use core::num::NonZeroUsize;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ha_health::{CheckConfig, CheckConfigBuilder, CheckId, CheckSet, Failure, Outcome, Output};
use proptest::prelude::*;

/// Plays a set for so long; each probe takes `takes` and finds what `find` says. Gives when which run began.
fn play(
    set: &mut CheckSet,
    until: Duration,
    takes: Duration,
    find: impl Fn(CheckId) -> Outcome,
) -> Vec<(Duration, CheckId)> {
    let mut starts = Vec::new();
    let mut ends: BTreeSet<(Duration, CheckId)> = BTreeSet::new();
    loop {
        let end = ends.first().map(|(at, _)| *at);
        let Some(now) = set
            .poll_timeout()
            .into_iter()
            .chain(end)
            .min()
            .filter(|now| *now <= until)
        else {
            return starts;
        };
        if end == Some(now) {
            let (_, id) = ends.pop_first().unwrap();
            set.handle_result(now, id, find(id));
        } else {
            set.handle_timeout(now);
        }
        while let Some((id, output)) = set.poll_output() {
            if matches!(output, Output::Start { .. }) {
                starts.push((now, id));
                assert!(ends.insert((now + takes, id)));
            }
        }
        assert_eq!(set.running(), ends.len());
        assert!(set.running() <= set.limit().get());
    }
}

#[test]
fn first_runs_are_spread_and_none_waits_longer_than_its_interval() {
    let mut set = CheckSet::new(limit(10_000), 1);
    for _ in 0..10_000 {
        set.insert(ms(0), config().build().unwrap());
    }
    let starts = play(&mut set, ms(1999), ms(1), |_| Outcome::success());
    assert_eq!(starts.len(), 10_000);
    let mut at_once = BTreeMap::<_, usize>::new();
    for (at, _) in &starts {
        *at_once.entry(*at).or_default() += 1;
    }
    // 200 moments of 10 ms.
    assert!(at_once.values().all(|count| *count == 50), "{at_once:?}");
}

#[test]
fn a_few_checks_begin_nearly_at_once() {
    let mut set = CheckSet::new(limit(8), 1);
    for _ in 0..3 {
        set.insert(ms(0), config().build().unwrap());
    }
    let starts = play(&mut set, ms(20), ms(1), |_| Outcome::success());
    let at: Vec<_> = starts.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at, [0, 10, 20]);
}

#[test]
fn without_jitter_each_check_keeps_its_own_rhythm() {
    let mut set = CheckSet::new(limit(100), 1);
    let ids: Vec<_> = (0..50)
        .map(|_| set.insert(ms(0), config().build().unwrap()))
        .collect();
    let starts = play(&mut set, ms(20_000), ms(5), |_| Outcome::success());
    for (place, id) in ids.iter().enumerate() {
        let of: Vec<_> = starts
            .iter()
            .filter(|(_, of)| of == id)
            .map(|(at, _)| at.as_millis())
            .collect();
        let first = 10 * place as u128;
        let planned: Vec<_> = (0..)
            .map(|run| first + 2000 * run)
            .take_while(|at| *at <= 20_000)
            .collect();
        assert_eq!(of, planned);
    }
}

/// All at once would be a burst of 1,000 connections each two seconds.
#[test]
fn jitter_spreads_checks_that_were_in_step() {
    let config = config().jitter_percent(20).build().unwrap();
    let mut set = CheckSet::new(limit(1000), 1);
    for _ in 0..1000 {
        set.insert(ms(0), config.clone());
    }
    let starts = play(&mut set, ms(60_000), ms(1), |_| Outcome::success());
    let late: Vec<_> = starts.iter().filter(|(at, _)| *at >= ms(40_000)).collect();
    let in_100_ms = |from: u64| {
        let window = ms(from)..ms(from + 100);
        late.iter().filter(|(at, _)| window.contains(at)).count()
    };
    // 50 on average.
    let counts: Vec<_> = (40_000..59_900).step_by(100).map(in_100_ms).collect();
    assert!(
        counts.iter().all(|count| (15..=100).contains(count)),
        "{counts:?}"
    );
    // The seed is the set's, so another set does not follow.
    let mut other = CheckSet::new(limit(1000), 2);
    other.insert(ms(0), config);
    let theirs: Vec<_> = play(&mut other, ms(60_000), ms(1), |_| Outcome::success());
    let id = starts[0].1;
    let ours: Vec<_> = starts.into_iter().filter(|(_, of)| *of == id).collect();
    assert_ne!(ours, theirs);
}

#[test]
fn no_more_run_than_may_and_those_that_wait_come_in_their_order() {
    let mut set = CheckSet::new(limit(4), 1);
    for _ in 0..40 {
        set.insert(ms(0), config().build().unwrap());
    }
    // 4 at a time, 100 ms each: 40 take a second, and `play` holds the limit.
    let starts = play(&mut set, ms(9999), ms(100), |_| Outcome::success());
    assert_eq!(starts.len(), 5 * 40);
    let first: Vec<_> = starts[..40].iter().map(|(_, id)| *id).collect();
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(first, sorted);
}

#[test]
fn a_run_that_waits_for_room_is_not_skipped_and_does_not_fail() {
    let mut set = CheckSet::new(limit(1), 1);
    let ids: Vec<_> = (0..30)
        .map(|_| set.insert(ms(0), config().build().unwrap()))
        .collect();
    // 30 runs of 100 ms need 3 s, and all are due each 2 s.
    play(&mut set, ms(30_000), ms(100), |_| Outcome::success());
    for id in ids {
        let check = set.get(id).unwrap();
        assert_eq!((check.counters().skipped, check.counters().failures), (0, 0));
        assert!(
            (9..=11).contains(&check.counters().runs),
            "{:?}",
            check.counters()
        );
    }
}

#[test]
fn a_suspicion_goes_before_those_that_wait() {
    let mut set = CheckSet::new(limit(1), 1);
    let slow = config().interval(ms(60_000)).timeout(ms(1000));
    let ids: Vec<_> = (0..10)
        .map(|_| set.insert(ms(0), slow.clone().build().unwrap()))
        .collect();
    set.handle_timeout(ms(0));
    assert_eq!(started(&mut set), [ids[0]]);
    // Nine wait.
    set.handle_timeout(ms(200));
    assert_eq!(started(&mut set), []);
    set.handle_result(ms(210), ids[0], Outcome::success());
    assert_eq!(started(&mut set), [ids[1]]);
    // The first has been asked already, and the next would come in a minute.
    set.handle_suspicion(ms(60_000), ids[0]);
    set.handle_result(ms(60_001), ids[1], Outcome::success());
    assert_eq!(started(&mut set), [ids[0]]);
    set.handle_result(ms(60_002), ids[0], Failure::Refused.into());
    assert_eq!(started(&mut set), [ids[2]]);
}

#[test]
fn what_was_removed_is_gone_and_frees_its_room_when_its_run_has_ended() {
    let mut set = CheckSet::new(limit(1), 1);
    let [a, b] = [(); 2].map(|()| set.insert(ms(0), config().build().unwrap()));
    set.handle_timeout(ms(10));
    assert_eq!(started(&mut set), [a]);
    assert_eq!(set.remove(ms(20), a).unwrap().counters().runs, 1);
    assert!(set.get(a).is_none() && set.remove(ms(20), a).is_none());
    assert_eq!((set.len(), set.running()), (1, 1));
    assert_eq!(started(&mut set), []);
    set.handle_result(ms(30), a, Outcome::success());
    assert_eq!(started(&mut set), [b]);
    // Its place is used again, under another name.
    let c = set.insert(ms(40), config().build().unwrap());
    assert_ne!(a, c);
    set.handle_result(ms(40), a, Failure::Refused.into());
    assert_eq!(set.running(), 1);
    // One that nobody was told of yet.
    set.handle_result(ms(50), b, Outcome::success());
    set.handle_timeout(ms(1000));
    assert_eq!(set.running(), 1);
    set.remove(ms(1000), c);
    assert_eq!((set.len(), set.running()), (1, 0));
    assert_eq!(started(&mut set), []);
}

proptest! {
    /// Whatever comes, no run is begun twice or beyond the limit, each check that is there is asked again, and the heap of
    /// timers does not grow.
    #[test]
    fn nothing_is_lost_or_begun_twice(steps in prop::collection::vec((0_u8..6, 0_usize..20, 0_u64..400), 1..400), places in 1_usize..6) {
        let mut set = CheckSet::new(limit(places), 3);
        let mut ids: Vec<CheckId> = Vec::new();
        let mut on: BTreeSet<CheckId> = BTreeSet::new();
        let mut now = ms(0);
        let config = config().interval(ms(100)).timeout(ms(50)).fast_interval(ms(20)).fall(3).rise(2).jitter_percent(20).build().unwrap();
        for (step, which, wait) in steps {
            now += ms(wait);
            match step {
                0 => ids.push(set.insert(now, config.clone())),
                1 if !ids.is_empty() => {
                    let id = ids.swap_remove(which % ids.len());
                    prop_assert!(set.remove(now, id).is_some());
                }
                2 if !ids.is_empty() => set.handle_suspicion(now, ids[which % ids.len()]),
                3 | 4 => {
                    if let Some(id) = on.iter().nth(which % on.len().max(1)).copied() {
                        on.remove(&id);
                        let outcome = if wait % 2 == 0 { Outcome::success() } else { Failure::Refused.into() };
                        set.handle_result(now, id, outcome);
                    }
                }
                _ => set.handle_timeout(now),
            }
            while let Some((id, output)) = set.poll_output() {
                if matches!(output, Output::Start { .. }) {
                    prop_assert!(on.insert(id), "twice");
                    prop_assert!(ids.contains(&id), "gone");
                }
            }
            prop_assert_eq!(set.running(), on.len());
            prop_assert!(on.len() <= places);
            prop_assert_eq!(set.len(), ids.len());
        }
        let before: BTreeMap<_, _> = ids.iter().map(|id| (*id, set.get(*id).unwrap().counters().runs)).collect();
        for id in on {
            set.handle_result(now, id, Outcome::success());
        }
        while set.poll_output().is_some_and(|(id, output)| {
            if matches!(output, Output::Start { .. }) {
                set.handle_result(now, id, Outcome::success());
            }
            true
        }) {}
        play(&mut set, now + ms(1000), ms(1), |_| Outcome::success());
        for (id, runs) in before {
            prop_assert!(set.get(id).unwrap().counters().runs > runs, "forgotten");
        }
    }
}

fn started(set: &mut CheckSet) -> Vec<CheckId> {
    let outputs = std::iter::from_fn(|| set.poll_output());
    outputs
        .filter(|(_, output)| matches!(output, Output::Start { .. }))
        .map(|(id, _)| id)
        .collect()
}

fn config() -> CheckConfigBuilder {
    CheckConfig::builder("c").interval(ms(2000))
}

fn limit(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
