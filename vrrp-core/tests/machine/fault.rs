//! Fault: keepalived's state of a router that is started and can't serve.

use vrrp_core::Output::ReleaseAddresses;
use vrrp_core::{Discard, Fault, Reason, State};

use crate::support::*;

/// Row F1. keepalived sends the 0 twice; once is enough, as there is no timer to miss it.
#[test]
fn a_master_at_fault_stops_at_once() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100));
        let expected = [
            sends(0),
            ReleaseAddresses,
            changes(State::Master, State::Fault, Reason::Fault(Fault::Link)),
        ];
        assert_eq!(bench.fault(Fault::Link), expected);
        assert_eq!(bench.router.poll_timeout(), None);
        assert_eq!(bench.router.master(), None);
    }
}

/// Row F2.
#[test]
fn a_backup_at_fault_stops_its_timer_and_sends_nothing() {
    let mut bench = Bench::started(v3(100));
    let expected = [changes(State::Backup, State::Fault, Reason::Fault(Fault::Check))];
    assert_eq!(bench.fault(Fault::Check), expected);
    assert_eq!(bench.router.poll_timeout(), None);
}

/// Row F3.
#[test]
fn an_advert_in_fault_is_counted_and_nothing_else() {
    for priority in [0, 1, 200, 255] {
        let mut bench = Bench::started(v3(100));
        bench.fault(Fault::Link);
        let before = bench.router.clone();
        assert_eq!(
            bench.receive(&Heard::new(v3(100), priority)),
            Err(Discard::NotRunning)
        );
        assert_eq!(bench.router.take_counters().discards.not_running, 1);
        assert_eq!(bench.router, before);
    }
}

/// Row F4: it was deaf, so it listens for a whole interval, by its own settings.
#[test]
fn recovery_makes_it_a_backup_that_knows_nothing_of_before() {
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(300), HIGHER, 200);
    bench.fault(Fault::Link);
    bench.wait(secs(60));
    assert_eq!(
        bench.recovery(Fault::Link),
        [changes(State::Fault, State::Backup, Reason::Recovered)]
    );
    assert_eq!(bench.deadline(), us(3_609_375));
    assert_eq!(bench.router.master(), None);
}

/// Row F5: an owner comes back after one interval, in which it hears whether another owner is there.
#[test]
fn an_owner_recovers_after_one_interval_and_its_skew() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 255));
        bench.fault(Fault::Link);
        bench.recovery(Fault::Link);
        assert_eq!(bench.router.state(), State::Backup);
        assert_eq!(
            bench.deadline(),
            us(1_003_906) + std::time::Duration::from_nanos(250)
        );
        bench.hear(254);
        assert_eq!(
            bench.expire(),
            takes_over(State::Backup, 255, Reason::Preempted(peer(HIGHER, 254)))
        );
    }
}

#[test]
fn it_recovers_when_the_last_fault_clears() {
    let mut bench = Bench::started(v3(100));
    bench.fault(Fault::Link);
    assert_eq!(bench.fault(Fault::Check), []);
    assert_eq!(bench.fault(Fault::Check), []);
    assert_eq!(bench.recovery(Fault::Link), []);
    assert_eq!(bench.router.state(), State::Fault);
    assert_eq!(bench.router.faults().iter().collect::<Vec<_>>(), [Fault::Check]);
    assert_eq!(bench.recovery(Fault::Addresses), []);
    assert_eq!(bench.recovery(Fault::Check).len(), 1);
}

#[test]
fn a_router_starts_in_fault_when_one_stands() {
    let mut bench = Bench::new(v3(255));
    assert_eq!(bench.fault(Fault::SourceAddress), []);
    let expected = [changes(
        State::Initialize,
        State::Fault,
        Reason::Fault(Fault::SourceAddress),
    )];
    assert_eq!(bench.startup(), expected);
}

#[test]
fn a_fault_that_clears_before_startup_leaves_no_trace() {
    let mut bench = Bench::new(v3(255));
    bench.fault(Fault::Link);
    assert_eq!(bench.recovery(Fault::Link), []);
    assert_eq!(
        bench.startup(),
        takes_over(State::Initialize, 255, Reason::Startup)
    );
}

#[test]
fn shutdown_in_fault_sends_nothing_and_remembers_the_fault() {
    let mut bench = Bench::master(v3(100));
    bench.fault(Fault::Link);
    assert_eq!(
        bench.shutdown(),
        [changes(State::Fault, State::Initialize, Reason::Shutdown)]
    );
    bench.startup();
    assert_eq!(bench.router.state(), State::Fault);
}

#[test]
fn a_priority_set_in_fault_counts_after_recovery() {
    let mut bench = Bench::started(v3(100));
    bench.fault(Fault::Link);
    assert_eq!(bench.set_priority(1), []);
    bench.recovery(Fault::Link);
    assert_eq!(
        bench.deadline(),
        us(3_996_093) + std::time::Duration::from_nanos(750)
    );
}
