//! A process that stood still: trap 20. The driver says so, before it reads what has queued up.

use vrrp_core::Output::ReleaseAddresses;
use vrrp_core::{Reason, State};

use crate::support::*;

#[test]
fn a_master_steps_down_without_a_word() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100));
        bench.wait(secs(60));
        bench.router.handle_pause(bench.now);
        let expected = [
            ReleaseAddresses,
            changes(State::Master, State::Backup, Reason::Paused),
        ];
        assert_eq!(bench.outputs(), expected);
        assert_eq!(bench.deadline(), us(3_609_375));
    }
}

/// It was deaf; what it knows of the master still holds.
#[test]
fn a_backup_listens_for_a_whole_interval_of_the_master_again() {
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(300), HIGHER, 200);
    bench.wait(secs(60));
    bench.router.handle_pause(bench.now);
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.deadline(), us(10_828_125));
    assert_eq!(bench.router.master(), Some(peer(HIGHER, 200)));
}

#[test]
fn in_initialize_and_fault_nothing_changes() {
    let mut bench = Bench::new(v3(100));
    let before = bench.router.clone();
    bench.router.handle_pause(bench.now);
    assert_eq!(bench.router, before);
    let mut bench = Bench::started(v3(100));
    bench.fault(vrrp_core::Fault::Link);
    let before = bench.router.clone();
    bench.router.handle_pause(bench.now);
    assert_eq!(bench.router, before);
}

/// A short pause: adverts that queued up meanwhile re-arm the timer before the driver acts on it.
#[test]
fn a_queued_advert_that_is_read_first_prevents_a_takeover() {
    let mut bench = Bench::started(v3(100));
    bench.hear(200);
    bench.wait(secs(5));
    bench.hear(200);
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.router.state(), State::Backup);
}

/// As after a fault: it would preempt whoever it hears, so it need not wait longer than for another owner.
#[test]
fn an_owner_listens_for_one_interval() {
    let mut bench = Bench::master(v3(255));
    bench.wait(secs(60));
    bench.router.handle_pause(bench.now);
    assert_eq!(
        bench.outputs(),
        [
            ReleaseAddresses,
            changes(State::Master, State::Backup, Reason::Paused)
        ]
    );
    assert_eq!(
        bench.deadline(),
        us(1_003_906) + std::time::Duration::from_nanos(250)
    );
}
