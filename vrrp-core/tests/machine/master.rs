//! RFC 9568 §6.4.3, RFC 3768 §6.4.3: Master.

use vrrp_core::Announcement;
use vrrp_core::Output::{AnnounceAddresses, HandOverAddresses, ReleaseAddresses};
use vrrp_core::{Demotion, Discard, Fault, Output, Reason, RivalCause, State};

use crate::support::*;

/// §6.4.3: "If a Shutdown event is received: cancel the Adver_Timer, send an ADVERTISEMENT with Priority = 0,
/// transition to Initialize". Row M1.
#[test]
fn shutdown_sends_priority_zero_before_it_releases() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100));
        let expected = [
            sends(0),
            ReleaseAddresses,
            changes(State::Master, State::Initialize, Reason::Shutdown),
        ];
        assert_eq!(bench.shutdown(), expected);
        assert_eq!(bench.router.poll_timeout(), None);
    }
}

/// §6.4.3: "If the Adver_Timer fires: send an ADVERTISEMENT, reset the Adver_Timer". Row M2.
#[test]
fn it_advertises_every_interval_and_keeps_the_beat_when_woken_late() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100).announce_delay(ms(0)));
        let start = bench.now;
        for beat in 1..=5 {
            bench.now = start + secs(beat) + ms(7);
            assert_eq!(bench.timeout(), [sends(100)]);
            assert_eq!(bench.router.poll_timeout(), Some(start + secs(beat + 1)));
        }
    }
}

#[test]
fn it_does_not_catch_up_on_adverts_that_it_missed() {
    let mut bench = Bench::master(v3(100).announce_delay(ms(0)));
    bench.wait(ms(5500));
    assert_eq!(bench.timeout(), [sends(100)]);
    assert_eq!(bench.deadline(), secs(1));
    assert_eq!(bench.timeout(), []);
}

#[test]
fn an_advert_that_is_sent_early_moves_the_beat_and_nothing_else() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100).announce_delay(ms(1500)));
        let due = bench.now + secs(1);
        assert_eq!(bench.router.advert_due(), Some(due));
        bench.wait(ms(900));
        assert_eq!(bench.timeout(), [], "not of itself");
        bench.router.handle_advert_early(bench.now);
        assert_eq!(bench.outputs(), [sends(100)]);
        assert_eq!(bench.router.advert_due(), Some(bench.now + secs(1)));
        assert_eq!(bench.deadline(), ms(600), "the announcement stays where it was");
    }
}

#[test]
fn who_keeps_silent_on_purpose_or_is_no_master_sends_nothing_early() {
    let mut offering = Bench::master(v3(100).demotion(Demotion::Yield));
    assert_eq!(offering.set_priority(80), [sends(0)]);
    let mut backup = Bench::started(v3(100));
    let mut stopped = Bench::new(v3(100));
    let mut faulty = Bench::started(v3(100));
    faulty.fault(Fault::Link);
    for bench in [&mut offering, &mut backup, &mut stopped, &mut faulty] {
        let before = bench.router.clone();
        assert_eq!(bench.router.advert_due(), None);
        bench.router.handle_advert_early(bench.now);
        assert_eq!(bench.outputs(), []);
        assert_eq!(bench.router, before);
    }
}

/// keepalived's garp_master_delay.
#[test]
fn it_announces_the_addresses_once_more_after_the_announce_delay() {
    let mut bench = Bench::master(v3(100).announce_delay(ms(2500)));
    let start = bench.now;
    let mut announced = Vec::new();
    while bench.now < start + secs(10) {
        if bench.expire().contains(&AnnounceAddresses(Announcement::Again)) {
            announced.push(bench.now - start);
        }
    }
    assert_eq!(announced, [ms(2500)]);
}

/// §6.4.3: "If the Priority in the ADVERTISEMENT is zero: send an ADVERTISEMENT, reset the Adver_Timer". Row M3.
#[test]
fn priority_zero_is_answered_at_once_and_resets_the_timer() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100));
        bench.wait(ms(400));
        assert_eq!(bench.hear(0), [sends(100)]);
        assert_eq!(bench.deadline(), secs(1));
        assert_eq!(bench.router.state(), State::Master);
    }
}

/// §6.4.3: "If the Priority in the ADVERTISEMENT is greater than the local Priority … cancel Adver_Timer, set
/// Active_Adver_Interval, recompute, set Active_Down_Timer, transition to Backup". Row M4.
#[test]
fn a_higher_advert_makes_it_backup() {
    let mut bench = Bench::master(v3(100));
    let outputs = bench.hear_every(centis(300), LOWER, 101);
    let silent = [
        HandOverAddresses,
        changes(State::Master, State::Backup, Reason::Superseded(peer(LOWER, 101))),
    ];
    assert_eq!(
        outputs, silent,
        "a third router would learn our interval from a last advert"
    );
    assert_eq!(bench.deadline(), us(10_828_125));
    assert_eq!(bench.router.master(), Some(peer(LOWER, 101)));

    let mut bench = Bench::master(v2(100));
    assert_eq!(bench.hear_from(LOWER, 101), superseded(100, peer(LOWER, 101)));
    assert_eq!(bench.deadline(), us(3_609_375));
}

/// Preempt_Mode counts in Backup alone. Row M4, trap 7.
#[test]
fn a_higher_advert_makes_it_backup_without_preempt_too() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100).preempt(false));
        assert_eq!(bench.hear_from(LOWER, 101), superseded(100, peer(LOWER, 101)));
    }
}

/// §6.4.3: "or if the Priority … is equal … and the primary IPvX Address of the sender is greater than the local
/// primary IPvX Address". Row M5, trap 2.
#[test]
fn of_equal_priorities_the_higher_address_stays_master() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100));
        assert_eq!(bench.hear_from(HIGHER, 100), superseded(100, peer(HIGHER, 100)));
        let mut bench = Bench::master(builder(version, 100));
        bench.hear_from(LOWER, 100);
        assert_eq!(bench.router.state(), State::Master);
    }
}

/// Addresses are compared as unsigned numbers in network order. Row M5.
#[test]
fn the_tie_break_is_unsigned_and_in_network_order() {
    for (source, wins) in [
        ("9.255.255.255", false),
        ("200.0.0.1", true),
        ("192.0.3.1", true),
        ("192.0.1.255", false),
    ] {
        let mut bench = Bench::master(v2(100));
        bench.hear_from(source, 100);
        assert_eq!(bench.router.state() == State::Backup, wins, "{source}");
    }
}

/// RFC 9568 §6.4.3 asserts the Active state; in VRRPv2, where RFC 3768 discards, keepalived does the same. The
/// Adver_Timer runs on. Rows M6 and M7.
#[test]
fn a_losing_advert_is_answered_at_once_and_the_addresses_are_announced() {
    for version in BOTH {
        for (source, priority) in [(HIGHER, 99), (LOWER, 100), (HIGHER, 1)] {
            let mut bench = Bench::master(builder(version, 100));
            bench.wait(ms(400));
            assert_eq!(bench.hear_from(source, priority), [sends(100), reasserts()]);
            assert_eq!(bench.deadline(), ms(600));
            assert_eq!(bench.router.counters().lower_received_as_master, 1);
        }
    }
}

/// keepalived announces again after its delay. Row M8. Ours does so after an interval too, by when the other master has
/// given way.
#[test]
fn announcements_for_losing_adverts_are_rate_limited_and_repeated() {
    let mut bench = Bench::master(v3(100));
    bench.wait(ms(100));
    assert_eq!(bench.hear(99), [sends(100), reasserts()]);
    for _ in 0..8 {
        bench.wait(ms(100));
        assert_eq!(bench.hear(99), [sends(100)]);
    }
    bench.wait(ms(200));
    assert_eq!(bench.hear(99), [sends(100), reasserts()]);
    let last = bench.now;
    let mut announced = Vec::new();
    while bench.now < last + secs(20) {
        for output in bench.expire() {
            if let AnnounceAddresses(announcement) = output {
                announced.push((bench.now - last, announcement));
            }
        }
    }
    assert_eq!(
        announced,
        [(secs(1), Announcement::Reassert), (secs(6), Announcement::Again)]
    );
}

#[test]
fn without_an_announce_delay_nothing_is_repeated() {
    let mut bench = Bench::master(v3(100).announce_delay(ms(0)));
    bench.hear(99);
    for _ in 0..10 {
        assert_eq!(bench.expire(), [sends(100)]);
    }
}

/// Rows M9: our own advert came back, or another host has our address. It wins nothing and loses nothing.
#[test]
fn its_own_source_address_is_no_other_master() {
    for priority in [0, 99, 100, 255] {
        let mut bench = Bench::master(v3(100));
        let before = bench.router.clone();
        let error = bench
            .receive(&Heard::new(v3(100), priority).from(OWN))
            .unwrap_err();
        assert_eq!(error, Discard::OwnAddress { got: ip(OWN) });
        assert_eq!(bench.router.take_counters().discards.own_address, 1);
        bench.router.take_counters();
        let mut before = before;
        before.take_counters();
        assert_eq!(bench.router, before);
    }
}

/// Row M11, trap 9: no master-down timer runs in Master.
#[test]
fn a_timeout_before_the_advertisement_is_due_does_nothing() {
    let mut bench = Bench::master(v3(100));
    let before = bench.router.clone();
    bench.wait(ms(999));
    assert_eq!(bench.timeout(), []);
    assert_eq!(bench.router, before);
}

/// Two that claim to own the addresses: a mistake of configuration, settled by address as any tie. Row M12.
#[test]
fn an_owner_yields_to_another_owner_of_higher_address_and_to_nobody_else() {
    let mut bench = Bench::master(v3(255));
    assert_eq!(bench.hear_from(HIGHER, 254), [sends(255), reasserts()]);
    assert_eq!(bench.hear_from(LOWER, 255), [sends(255)]);
    assert_eq!(bench.hear_from(HIGHER, 255), superseded(255, peer(HIGHER, 255)));
}

#[test]
fn an_owner_that_ignores_others_yields_to_nobody_answers_none_and_tells_of_them() {
    let mut bench = Bench::master(v3(255).owner_ignore_adverts(true));
    let due = bench.deadline();
    for (source, priority) in [(HIGHER, 254), (LOWER, 255), (HIGHER, 255), (HIGHER, 0)] {
        let heard = Heard::new(v3(255), priority).from(source);
        assert_eq!(bench.receive(&heard), Err(Discard::Owner));
        assert_eq!(bench.outputs(), []);
    }
    assert_eq!((bench.router.state(), bench.deadline()), (State::Master, due));
    assert_eq!(bench.router.counters().discards.owner, 4);
    // What is wrong with it in itself is what is told.
    let other_version = Heard::new(v2(100), 100);
    assert!(matches!(
        bench.receive(&other_version),
        Err(Discard::Version { .. })
    ));
    // One that goes on is a rival.
    let mut told = Vec::new();
    for _ in 0..20 {
        bench.wait(secs(1));
        let _ = bench.receive(&Heard::new(v3(255), 255));
        told.extend(bench.timeout());
    }
    let rivals: Vec<_> = told
        .iter()
        .filter_map(|output| match output {
            Output::Rival(rival) => Some(rival.cause),
            _ => None,
        })
        .collect();
    assert_eq!(rivals, [RivalCause::Owner], "{told:?}");

    // Whoever is no owner hears as ever.
    let mut bench = Bench::master(v3(254).owner_ignore_adverts(true));
    assert_eq!(bench.hear(255), superseded(254, peer(HIGHER, 255)));
}

/// Trap 15: an advert is made when it is sent.
#[test]
fn a_raised_priority_is_in_the_next_advert() {
    let mut bench = Bench::master(v3(100));
    bench.wait(ms(300));
    assert_eq!(bench.set_priority(150), []);
    assert_eq!(bench.deadline(), ms(700));
    assert_eq!(bench.expire(), [sends(150)]);
    assert_eq!(bench.hear_from(HIGHER, 149), [sends(150), reasserts()]);
}

#[test]
fn a_new_source_address_counts_in_the_tie_break_at_once() {
    let mut bench = Bench::master(v3(100));
    bench.router.set_source(ip("192.0.2.200"));
    bench.hear_from(HIGHER, 100);
    assert_eq!(bench.router.state(), State::Master);
    assert_eq!(bench.router.master(), Some(peer("192.0.2.200", 100)));
}
