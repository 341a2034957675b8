//! Flap damping holds preemption back, and nothing else.

use vrrp_core::{Damping, Fault, Reason, State};

use crate::support::*;

/// Four changes in a minute hold preemption back for 20 s, then 40 s, up to 50 s.
fn damping() -> Damping {
    Damping::new(4, secs(60))
        .unwrap()
        .delays(secs(20), secs(50))
        .unwrap()
}

/// A router of priority 100 that has just lost mastership for the second time, of which each took no time.
fn flapped() -> Bench {
    let mut bench = Bench::master(v3(100).damping(Some(damping())));
    bench.hear(200);
    assert_eq!(bench.router.damped_until(), None, "two changes");
    bench.expire();
    bench.hear(200);
    assert_eq!(bench.router.damped_until(), Some(bench.now + secs(20)));
    bench
}

/// Adverts of a lower master each second until it is preempted, 100 of them at most; the time that took.
fn preempts_after(bench: &mut Bench) -> Option<std::time::Duration> {
    let start = bench.now;
    for _ in 0..100 {
        bench.hear(90);
        let next = bench.now + secs(1);
        if bench.router.poll_timeout().is_some_and(|at| at <= next) {
            bench.expire();
            return Some(bench.now - start);
        }
        bench.now = next;
    }
    None
}

#[test]
fn after_so_many_changes_a_lower_master_is_followed_until_the_hold_ends() {
    let mut bench = flapped();
    let took = preempts_after(&mut bench).expect("in the end");
    // The last advert that it follows comes in the twentieth second.
    assert!((secs(22)..secs(24)).contains(&took), "{took:?}");
    assert_eq!(bench.router.reason(), Some(Reason::Preempted(peer(HIGHER, 90))));
}

#[test]
fn each_hold_is_longer() {
    let mut bench = flapped();
    bench.wait(secs(20));
    // Taking over and losing it again, twice.
    for _ in 0..2 {
        bench.expire();
        bench.hear(200);
    }
    assert_eq!(bench.router.damped_until(), Some(bench.now + secs(40)));
}

#[test]
fn a_master_that_is_silent_or_stops_is_replaced_as_ever() {
    let mut bench = flapped();
    assert_eq!(bench.deadline(), us(3_609_375));
    assert_eq!(bench.expire(), takes_over(State::Backup, 100, Reason::MasterDown));

    let mut bench = flapped();
    bench.hear(0);
    assert_eq!(bench.deadline(), us(609_375));
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::MasterStopped)
    );
}

#[test]
fn an_election_below_it_is_left_to_others() {
    let mut bench = flapped();
    bench.hear(0);
    bench.hear(50);
    assert_eq!(bench.deadline(), us(3_609_375));
}

#[test]
fn startup_and_shutdown_do_not_count() {
    let mut bench = Bench::new(v3(100).damping(Some(damping())));
    for _ in 0..6 {
        bench.startup();
        bench.shutdown();
    }
    bench.startup();
    bench.expire();
    bench.shutdown();
    assert_eq!(bench.router.damped_until(), None);
}

#[test]
fn faults_count_where_they_cost_mastership() {
    let mut bench = Bench::started(v3(100).damping(Some(damping())));
    for _ in 0..10 {
        bench.fault(Fault::Check);
        bench.recovery(Fault::Check);
    }
    assert_eq!(bench.router.damped_until(), None, "a backup all the time");
    for _ in 0..2 {
        bench.expire();
        bench.fault(Fault::Check);
        bench.recovery(Fault::Check);
    }
    assert!(bench.router.damped_until().is_some());
}

/// RFC 9568 §6.1: an owner preempts whatever the settings.
#[test]
fn an_owner_is_never_held_back() {
    let mut bench = Bench::started(v3(255).damping(Some(damping())));
    for _ in 0..4 {
        bench.hear_from(HIGHER, 255);
        bench.expire();
    }
    assert!(bench.router.damped_until().is_some());
    bench.hear_from(HIGHER, 255);
    let deadline = bench.router.poll_timeout();
    bench.wait(ms(500));
    bench.hear(254);
    assert_eq!(bench.router.poll_timeout(), deadline);
}
