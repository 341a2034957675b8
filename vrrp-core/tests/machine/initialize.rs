//! RFC 9568 §6.4.1, RFC 3768 §6.4.1: Initialize.

use vrrp_core::{ConfigError, Discard, Priority, Reason, State};

use crate::support::*;

/// §6.4.1: "If the Priority = 255 … Send an ADVERTISEMENT … broadcast a gratuitous ARP … Set the Adver_Timer to
/// Advertisement_Interval … Transition to the Active state". Row I1.
#[test]
fn the_owner_is_master_at_startup_and_advertises_before_it_announces() {
    for version in BOTH {
        let mut bench = Bench::new(builder(version, 255));
        assert_eq!(
            bench.startup(),
            takes_over(State::Initialize, 255, Reason::Startup)
        );
        assert_eq!(bench.deadline(), secs(1));
    }
}

/// §6.4.1: "Set the Active_Down_Timer to Active_Down_Interval … Transition to the Backup state". Row I2.
#[test]
fn every_other_priority_is_backup_for_the_master_down_interval() {
    for version in BOTH {
        for priority in [1, 100, 254] {
            let mut bench = Bench::new(builder(version, priority));
            let expected = [changes(State::Initialize, State::Backup, Reason::Startup)];
            assert_eq!(bench.startup(), expected);
            let skew = (256 - u64::from(priority)) * 1_000_000_000 / 256;
            assert_eq!(bench.deadline(), secs(3) + std::time::Duration::from_nanos(skew));
            assert_eq!(bench.router.master_adver_interval(), centis(100));
            assert_eq!(bench.router.master(), None);
        }
    }
}

/// A packet before startup has no one to act on it. Row I3, trap 8.
#[test]
fn an_advert_in_initialize_is_counted_and_nothing_else() {
    for priority in [0, 1, 100, 255] {
        let mut bench = Bench::new(v3(100));
        let before = bench.router.clone();
        assert_eq!(
            bench.receive(&Heard::new(v3(100), priority)),
            Err(Discard::NotRunning)
        );
        assert_eq!(bench.router.take_counters().discards.not_running, 1);
        assert_eq!(bench.router, before);
    }
}

/// A timer of an earlier life does nothing. Row I4, trap 9.
#[test]
fn a_timeout_in_initialize_does_nothing() {
    let mut bench = Bench::new(v3(100));
    let before = bench.router.clone();
    bench.wait(secs(1000));
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.router, before);
    assert_eq!(bench.router.poll_timeout(), None);
}

/// Row I5.
#[test]
fn a_shutdown_in_initialize_does_nothing() {
    let mut bench = Bench::new(v3(255));
    assert_eq!(bench.shutdown(), []);
    assert_eq!(bench.router.state(), State::Initialize);
}

/// RFC 9568 §5.2.4: 0 says that a master stops; no router can be configured so. Row I6.
#[test]
fn priority_zero_can_not_be_configured() {
    for version in BOTH {
        assert_eq!(
            builder(version, 0).build().unwrap_err(),
            ConfigError::PriorityZero
        );
    }
    let mut bench = Bench::started(v3(100));
    bench.set_priority(0);
    assert_eq!(bench.router.priority(), Priority::new(1));
}

#[test]
fn a_second_startup_does_nothing() {
    for config in [v3(100), v3(255)] {
        let mut bench = Bench::started(config);
        let before = bench.router.clone();
        bench.wait(ms(100));
        assert_eq!(bench.startup(), []);
        assert_eq!(bench.router, before);
    }
}

#[test]
fn a_router_can_start_again_after_a_shutdown_and_knows_nothing_of_before() {
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(300), HIGHER, 200);
    bench.shutdown();
    assert_eq!(
        bench.startup(),
        [changes(State::Initialize, State::Backup, Reason::Startup)]
    );
    assert_eq!(bench.deadline(), us(3_609_375));
    assert_eq!(bench.router.master(), None);
}
