//! RFC 9568 §6.4.2, RFC 3768 §6.4.2: Backup.

use vrrp_core::{Reason, State};

use crate::support::*;

/// §6.4.2: "If a Shutdown event is received, then cancel the Active_Down_Timer and transition to Initialize". It does
/// not advertise: it is not master. Row B1.
#[test]
fn shutdown_stops_the_timer_and_sends_nothing() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100));
        assert_eq!(
            bench.shutdown(),
            [changes(State::Backup, State::Initialize, Reason::Shutdown)]
        );
        assert_eq!(bench.router.poll_timeout(), None);
    }
}

/// §6.4.2: "If the Active_Down_Timer fires": an advert, the addresses, an announcement, and the Adver_Timer runs by
/// our own interval. Row B2, trap 12.
#[test]
fn the_master_down_timer_makes_it_master() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100));
        assert_eq!(bench.expire(), takes_over(State::Backup, 100, Reason::MasterDown));
        assert_eq!(bench.now, secs(1000) + us(3_609_375));
        assert_eq!(bench.deadline(), secs(1));
    }
}

/// The interval learned from the old master is not ours. Row B2, trap 10.
#[test]
fn a_new_master_advertises_by_its_own_interval() {
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(300), HIGHER, 200);
    bench.expire();
    assert_eq!(bench.deadline(), secs(1));
    assert_eq!(bench.router.master_adver_interval(), centis(100));
    assert_eq!(
        bench.router.advert(bench.router.priority()),
        Bench::started(v3(100)).router.advert(bench.router.priority())
    );
}

/// §6.4.2: "If the Priority in the ADVERTISEMENT is zero, then set the Active_Down_Timer to Skew_Time". Row B3.
#[test]
fn priority_zero_arms_the_skew_time() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100));
        bench.hear(200);
        bench.wait(ms(500));
        assert_eq!(bench.hear(0), []);
        assert_eq!(bench.deadline(), us(609_375));
        assert_eq!(bench.router.master(), None);
        assert_eq!(
            bench.expire(),
            takes_over(State::Backup, 100, Reason::MasterStopped)
        );
    }
}

/// VRRPv2's skew time does not scale with the interval, VRRPv3's scales with the master's. Row B3, trap 6.
#[test]
fn the_skew_after_priority_zero_scales_in_version_3_alone() {
    let mut two = Bench::started(v2(100).adver_interval(centis(1000)));
    two.hear(0);
    assert_eq!(two.deadline(), us(609_375));
    let mut three = Bench::started(v3(100));
    three.hear_every(centis(1000), HIGHER, 200);
    three.hear(0);
    assert_eq!(three.deadline(), us(6_093_750));
}

/// Priority 0 stands for whoever sent it; a router that was never master may speed up a takeover, as the RFC has it.
/// Trap 18.
#[test]
fn priority_zero_of_any_sender_arms_the_skew_time() {
    let mut bench = Bench::started(v3(100));
    bench.hear_from(HIGHER, 200);
    bench.hear_from(LOWER, 0);
    assert_eq!(bench.deadline(), us(609_375));
    bench.hear_from(HIGHER, 200);
    assert_eq!(bench.deadline(), us(3_609_375));
}

/// §6.4.2: "If Preempt_Mode is False, or if the Priority in the ADVERTISEMENT is greater than or equal to the local
/// Priority": set Active_Adver_Interval, recompute, reset the timer. Row B4, trap 4.
#[test]
fn an_advert_of_at_least_our_priority_teaches_its_interval_and_rearms() {
    for priority in [100, 101, 255] {
        let mut bench = Bench::started(v3(100));
        bench.wait(secs(3));
        assert_eq!(bench.hear_every(centis(300), HIGHER, priority), []);
        assert_eq!(bench.router.master_adver_interval(), centis(300));
        assert_eq!(bench.router.skew_time(), us(1_828_125));
        assert_eq!(bench.deadline(), us(10_828_125));
        assert_eq!(bench.router.master(), Some(peer(HIGHER, priority)));
    }
}

/// The sender's address is not compared in Backup. Row B4, trap 2.
#[test]
fn equal_priority_is_followed_whatever_the_address() {
    for source in [LOWER, HIGHER] {
        let mut bench = Bench::started(v3(100));
        bench.wait(secs(3));
        assert_eq!(bench.hear_from(source, 100), []);
        assert_eq!(bench.deadline(), us(3_609_375));
    }
}

/// Row B5.
#[test]
fn without_preempt_a_lower_advert_is_followed() {
    let mut bench = Bench::started(v3(100).preempt(false));
    bench.wait(secs(3));
    assert_eq!(bench.hear_every(centis(10), HIGHER, 1), []);
    assert_eq!(
        bench.deadline(),
        us(360_937) + std::time::Duration::from_nanos(500)
    );
}

/// RFC 3768 §6.4.2: "reset the Master_Down_Timer to Master_Down_Interval". Row B6.
#[test]
fn version_2_rearms_without_learning() {
    let mut bench = Bench::started(v2(100));
    bench.wait(secs(3));
    bench.hear(100);
    assert_eq!(bench.deadline(), us(3_609_375));
    let mut bench = Bench::started(v2(100).preempt(false));
    bench.wait(secs(3));
    bench.hear(1);
    assert_eq!(bench.deadline(), us(3_609_375));
}

/// §6.4.2: "Else … discard the ADVERTISEMENT": the timer runs on, the interval is not learned, and the takeover comes
/// when the timer fires, not on receipt. Row B7, trap 3.
#[test]
fn with_preempt_a_lower_advert_leaves_the_timer_alone() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100));
        bench.wait(secs(3));
        assert_eq!(bench.hear(99), []);
        assert_eq!(bench.router.state(), State::Backup);
        assert_eq!(bench.deadline(), us(609_375));
        assert_eq!(bench.router.master_adver_interval(), centis(100));
        assert_eq!(
            bench.expire(),
            takes_over(State::Backup, 100, Reason::Preempted(peer(HIGHER, 99)))
        );
    }
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(4095), HIGHER, 99);
    assert_eq!(bench.router.master_adver_interval(), centis(100));
}

/// Row B9, B10, trap 9: there is one timer, and it is that of the state and of the last advert.
#[test]
fn timeouts_before_the_deadline_do_nothing() {
    let mut bench = Bench::started(v3(100));
    bench.wait(us(3_609_374));
    bench.hear(200);
    let before = bench.router.clone();
    // When the timer would have fired had no advert come.
    bench.wait(us(1));
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.router, before);
    // When an advertisement timer would fire in Master.
    bench.wait(secs(1));
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.router, before);
}

#[test]
fn the_timer_fires_at_its_instant_and_not_before() {
    let mut bench = Bench::started(v3(100));
    bench.wait(us(3_609_375) - std::time::Duration::from_nanos(1));
    assert_eq!(bench.timeout(), []);
    bench.wait(std::time::Duration::from_nanos(1));
    assert_eq!(bench.timeout().len(), 4);
}

/// keepalived shifts the timer by the change of the skew time. Row B11.
#[test]
fn a_change_of_priority_shifts_the_timer_by_the_change_of_skew() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100));
        bench.wait(secs(1));
        assert_eq!(bench.set_priority(80), []);
        assert_eq!(bench.deadline(), us(2_609_375 + 78_125));
        bench.set_priority(254);
        assert_eq!(
            bench.deadline(),
            us(2_007_812) + std::time::Duration::from_nanos(500)
        );
        bench.set_priority(100);
        assert_eq!(bench.deadline(), us(2_609_375));
    }
}

#[test]
fn a_raise_that_makes_the_timer_overdue_fires_at_once() {
    let mut bench = Bench::started(v3(1));
    bench.hear(0);
    bench.wait(ms(500));
    bench.set_priority(254);
    assert!(bench.router.poll_timeout().unwrap() <= bench.now);
    assert_eq!(
        bench.timeout(),
        takes_over(State::Backup, 254, Reason::MasterStopped)
    );
}

#[test]
fn the_priority_of_an_owner_never_changes() {
    let mut bench = Bench::started(v3(255));
    assert_eq!(bench.set_priority(100), []);
    assert_eq!(bench.router.priority().get(), 255);
}

#[test]
fn a_lower_master_that_dies_while_it_was_followed_was_not_preempted() {
    let mut bench = Bench::started(v3(100).preempt(false));
    bench.hear(90);
    assert_eq!(bench.expire(), takes_over(State::Backup, 100, Reason::MasterDown));
}
