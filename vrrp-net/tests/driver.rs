//! The driver on a network in virtual time: what it does, in which order, and when.

mod fake;

use std::net::IpAddr;
use std::time::Duration;

use fake::{
    Acceptance, Act, Fact, OURS, Outcome, advert, fast_advert, ms, peer, run, run_attached, run_set,
    run_with, up, vip,
};
use vrrp_core::{
    AddressList, Config, Family, Fault, Priority, Reason, RivalCause, State, SyncGroup, Version,
    VirtualRouter, Vrid,
};
use vrrp_net::{
    AttachmentBuilder, DriverEvent, LinkState, MacAddr, RouterCommand, RouterSet, VirtualRoute, Vmac,
};

/// Three intervals and the skew time of priority 100.
const MASTER_DOWN: Duration = Duration::from_micros(3_609_375);

#[test]
fn a_takeover_advertises_then_acquires_then_announces_and_asks_who_else_later() {
    let outcome = run(&[100], MASTER_DOWN + ms(700), []);
    let expected = [
        (ms(0), Act::Prepare(1)),
        (MASTER_DOWN, Act::Advert(1, 100)),
        (MASTER_DOWN, Act::Acquire(vec![vip(1)])),
        (MASTER_DOWN, Act::Announce(vec![vip(1)], 5)),
        (MASTER_DOWN + ms(100), Act::Probe(vip(1))),
    ];
    assert_eq!(outcome.acts()[..5], expected);
}

#[test]
fn a_transition_is_told_when_it_is_done() {
    let outcome = run(&[255], ms(1), []);
    let told = outcome
        .log
        .iter()
        .position(|(_, act)| matches!(act, Act::Transition(..)))
        .unwrap();
    let announced = outcome
        .log
        .iter()
        .position(|(_, act)| matches!(act, Act::Announce(..)))
        .unwrap();
    assert!(announced < told);
}

#[test]
fn a_master_advertises_on_the_beat_and_announces_once_more_after_five_seconds() {
    let outcome = run(&[255], ms(6500), []);
    let adverts = outcome.times(|act| *act == Act::Advert(1, 255));
    assert_eq!(adverts, [0, 1000, 2000, 3000, 4000, 5000, 6000].map(ms));
    let announcements = outcome.times(|act| matches!(act, Act::Announce(..)));
    assert_eq!(announcements, [0, 5000].map(ms));
}

#[test]
fn shutdown_sends_priority_0_and_then_releases() {
    let outcome = run(&[255, 100], ms(1400), []);
    let end: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, _)| *at == ms(1400))
        .map(|(_, act)| act)
        .collect();
    assert_eq!(end[..2], [&Act::Advert(1, 0), &Act::Release(vec![vip(1)])]);
    // The backup says nothing.
    assert!(
        end[2..].iter().all(|act| matches!(act, Act::Transition(..))),
        "{end:?}"
    );
    assert_eq!(end.len(), 4);
}

#[test]
fn an_advert_in_the_queue_keeps_an_expired_timer_from_firing() {
    // Asleep from 3.5 s to 4 s; the timer ran out at 3.609 s, and the advert came at 3.55 s.
    let script = [(ms(3500), Fact::Pause(ms(500))), (ms(3550), advert(1, 150))];
    let outcome = run(&[100], ms(7000), script);
    assert_eq!(states(&outcome), [State::Backup, State::Initialize]);
    // Without it, it fires.
    let outcome = run(&[100], ms(7000), [(ms(3500), Fact::Pause(ms(500)))]);
    assert_eq!(outcome.transitions()[1].0, ms(4000));
    assert_eq!(states(&outcome)[1], State::Master);
}

#[test]
fn a_master_that_stood_still_steps_down_before_it_sends_or_reads_anything() {
    // Stopped just before its advert of 2 s was due, for longer than Master_Down_Interval (3.004 s for the owner).
    // What came meanwhile would have made it advertise.
    let script = [
        (ms(1999), Fact::Pause(ms(3010))),
        (ms(2500), advert(1, 100)),
        (ms(2600), Fact::Removed(vip(1))),
    ];
    let outcome = run(&[255], ms(5500), script);
    let woken: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, _)| *at == ms(5009))
        .map(|(_, act)| act)
        .collect();
    let [Act::Release(released), Act::Transition(0, transition)] = woken[..] else {
        panic!("{woken:?}");
    };
    assert_eq!(released[..], [vip(1)]);
    assert_eq!(
        (transition.to, transition.reason),
        (State::Backup, Reason::Paused)
    );
    assert_eq!(outcome.counters.pauses, 1);
}

#[test]
fn a_master_stopped_right_after_an_advert_steps_down_after_the_master_down_interval_as_well() {
    // 3.03 s from the advert at 1 s: a backup of the same priority has taken over, though the timer is but 2.03 s late.
    let outcome = run(&[255], ms(4500), [(ms(1001), Fact::Pause(ms(3030)))]);
    assert_eq!(outcome.counters.pauses, 1);
    assert_eq!(states(&outcome)[1], State::Backup);
}

#[test]
fn a_process_stopped_between_the_clock_and_the_advert_steps_down_as_well() {
    // The timer of 1 s has run out, and the process is stopped while it looks whether anything has come.
    let outcome = run(&[255], ms(4500), [(ms(1000), Fact::Stall(ms(3100)))]);
    assert_eq!(outcome.times(|act| *act == Act::Advert(1, 255)), [ms(0)]);
    assert_eq!(states(&outcome)[1], State::Backup);
    assert_eq!(outcome.transitions()[1].1.reason, Reason::Paused);
    assert_eq!(outcome.counters.pauses, 1);
    assert!(outcome.times(|act| matches!(act, Act::Renew(_))).is_empty());
}

#[test]
fn a_backup_stopped_on_the_way_to_mastership_does_not_take_the_addresses() {
    let end = MASTER_DOWN * 2 + ms(9999);
    let outcome = run(&[100], end, [(MASTER_DOWN, Fact::Stall(ms(10_000)))]);
    assert!(
        outcome
            .times(|act| matches!(act, Act::Acquire(_) | Act::Announce(..) | Act::Advert(..)))
            .is_empty()
    );
    assert_eq!(
        states(&outcome),
        [State::Backup, State::Master, State::Backup, State::Initialize]
    );
}

#[test]
fn a_short_delay_is_no_pause() {
    let outcome = run(&[255], ms(3500), [(ms(1001), Fact::Pause(ms(1500)))]);
    assert_eq!(outcome.counters.pauses, 0);
    assert_eq!(
        outcome.times(|act| *act == Act::Advert(1, 255)),
        [0, 1000, 2501, 3000].map(ms)
    );
    assert_eq!(outcome.counters.max_lateness, ms(501));
}

#[test]
fn a_backup_that_stood_still_listens_for_a_whole_interval_again() {
    let outcome = run(&[100], ms(20_000), [(ms(100), Fact::Pause(ms(10_000)))]);
    assert_eq!(outcome.counters.pauses, 1);
    assert_eq!(outcome.transitions()[1].0, ms(10_100) + MASTER_DOWN);
}

#[test]
fn what_can_not_be_sent_is_counted_and_the_loop_goes_on() {
    let script = [(ms(500), Fact::Sending(false)), (ms(2500), Fact::Sending(true))];
    let outcome = run(&[255], ms(3500), script);
    assert_eq!(outcome.counters.send_errors, 2);
    assert_eq!(
        outcome.times(|act| *act == Act::Advert(1, 255)),
        [0, 3000].map(ms)
    );
    assert_eq!(states(&outcome), [State::Master, State::Initialize]);
}

#[test]
fn leases_are_renewed_at_half_their_time_while_master() {
    // From 4 s on another is master.
    let outcome = run(
        &[100],
        ms(9000),
        [(ms(0), Fact::Pause(ms(0))), (ms(7500), advert(1, 200))],
    );
    let renewals = outcome.times(|act| matches!(act, Act::Renew(_)));
    assert_eq!(renewals, [1500, 3000].map(|after| MASTER_DOWN + ms(after)));
    assert_eq!(outcome.counters.renewals, 2);
}

#[test]
fn renewals_of_several_routers_come_together() {
    // Routers 1 and 2 are masters from the start, router 3 from 3.4 s on.
    let outcome = run(&[255, 255, 150], ms(8500), []);
    let batches: Vec<_> = outcome
        .log
        .iter()
        .filter_map(|(at, act)| {
            if let Act::Renew(n) = act {
                Some((*at, *n))
            } else {
                None
            }
        })
        .collect();
    // Due at 4.5 s are two; the third, due at 4.914 s, goes with them.
    let expected = [(1500, 2), (3000, 2), (4500, 3), (6000, 3), (7500, 3)];
    assert_eq!(batches, expected.map(|(at, n)| (ms(at), n)));
}

#[test]
fn a_renewal_that_takes_long_delays_no_advert_and_one_at_a_time_is_made() {
    let script = [(ms(0), Fact::RenewalTakes(ms(2900)))];
    let outcome = run(&[255, 255], ms(9500), script);
    let adverts = outcome.times(|act| *act == Act::Advert(1, 255));
    assert_eq!(adverts, (0..10).map(|n| ms(1000 * n)).collect::<Vec<_>>());
    // Due again at 3 s, 5.9 s and so on; the next begins when the last has ended.
    let renewals = outcome.times(|act| matches!(act, Act::Renew(2)));
    assert_eq!(renewals, [1500, 4400, 7300].map(ms));
    assert_eq!(outcome.counters.renewals, 4);
}

#[test]
fn what_was_left_of_a_renewal_is_renewed_at_once() {
    let script = [
        (ms(0), Fact::Addresses(Acceptance::Left)),
        (ms(0), Fact::RenewalTakes(ms(300))),
        (ms(2000), Fact::Addresses(Acceptance::Fine)),
    ];
    let outcome = run(&[255], ms(3200), script);
    let renewals = outcome.times(|act| matches!(act, Act::Renew(_)));
    assert_eq!(renewals, [1500, 1800].map(ms));
    assert_eq!(outcome.counters.renewals, 1);
}

#[test]
fn refused_addresses_are_a_fault_and_nobody_is_told_that_they_are_here() {
    let script = [
        (ms(0), Fact::Addresses(Acceptance::Refused)),
        (ms(5000), Fact::Addresses(Acceptance::Fine)),
    ];
    let outcome = run(&[100], ms(9500), script);
    let at_takeover: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, _)| *at == MASTER_DOWN)
        .map(|(_, act)| act)
        .collect();
    assert!(
        !at_takeover.iter().any(|act| matches!(act, Act::Announce(..))),
        "{at_takeover:?}"
    );
    assert_eq!(at_takeover[0], &Act::Advert(1, 100));
    // What was added in part is removed, and the others may serve.
    assert!(at_takeover.contains(&&Act::Release(vec![vip(1)])));
    assert!(at_takeover.contains(&&Act::Advert(1, 0)));
    let faults = outcome.transitions();
    assert_eq!(faults[2].1.reason, Reason::Fault(Fault::Addresses));
    assert!(matches!(
        outcome.events()[0],
        DriverEvent::AddressesRefused { router: 0, .. }
    ));
    // A second later it is a backup again, and takes over when nobody else has.
    assert_eq!(faults[3].0, MASTER_DOWN + ms(1000));
    assert_eq!(faults[3].1.to, State::Backup);
    assert_eq!(faults[4].0, MASTER_DOWN + ms(1000) + MASTER_DOWN);
    assert_eq!(faults[4].1.to, State::Master);
    assert_eq!(outcome.counters.address_errors, 1);
}

#[test]
fn each_refusal_is_followed_by_a_longer_wait() {
    let outcome = run(
        &[100],
        ms(200_000),
        [(ms(0), Fact::Addresses(Acceptance::Refused))],
    );
    let tries = outcome.times(|act| matches!(act, Act::Acquire(_)));
    let waits: Vec<_> = tries
        .windows(2)
        .map(|pair| (pair[1] - pair[0] - MASTER_DOWN).as_secs())
        .collect();
    assert_eq!(waits[..7], [1, 2, 4, 8, 16, 32, 60]);
}

#[test]
fn a_lease_that_can_not_be_renewed_is_a_fault() {
    let outcome = run(
        &[255],
        ms(2000),
        [(ms(100), Fact::Addresses(Acceptance::Refused))],
    );
    assert_eq!(states(&outcome)[1], State::Fault);
    assert_eq!(outcome.transitions()[1].0, ms(1500));
}

#[test]
fn an_address_made_somebody_elses_is_served_and_not_renewed() {
    let outcome = run(
        &[255],
        ms(2000),
        [(ms(100), Fact::Addresses(Acceptance::Foreign))],
    );
    assert_eq!(states(&outcome), [State::Master, State::Initialize]);
    assert_eq!(outcome.counters.renewals, 0);
}

#[test]
fn an_address_that_somebody_removes_is_put_back_at_once() {
    let outcome = run(
        &[255, 100],
        ms(900),
        [(ms(500), Fact::Removed(vip(1))), (ms(600), Fact::Removed(vip(2)))],
    );
    assert_eq!(
        outcome.times(|act| matches!(act, Act::Acquire(_))),
        [0, 500].map(ms)
    );
    let restored = DriverEvent::AddressRestored {
        router: 0,
        address: vip(1),
    };
    assert_eq!(outcome.events(), [&restored]);
    // A backup holds none, so nothing of its is missing.
    assert_eq!(outcome.counters.restored, 1);
}

#[test]
fn whoever_removes_an_address_all_the_time_is_not_fought_all_the_time() {
    let removals = (0..300).map(|n| (ms(500 + n), Fact::Removed(vip(1))));
    let outcome = run(&[255], ms(2400), removals);
    let restored = outcome.times(|act| matches!(act, Act::Acquire(_)));
    // The first takes the address at the start. One more comes a second after the last that was let pass.
    assert_eq!(restored, [0, 500, 501, 502, 503, 504, 1505].map(ms));
    assert_eq!(outcome.counters.restored, 6);
}

#[test]
fn whoever_removes_routes_all_the_time_is_not_fought_all_the_time() {
    let removals = (0..300).map(|n| (ms(500 + n), Fact::RoutesRemoved(1)));
    let outcome = run_attached(&[255], up(), with_a_route, ms(2400), removals);
    let restored: Vec<_> = outcome
        .acts()
        .into_iter()
        .filter_map(|(at, act)| match act {
            Act::AddRoutes(count) => Some((at, count)),
            _ => None,
        })
        .collect();
    let at_once = [500, 501, 502, 503, 504].map(|at| (ms(at), 1));
    assert_eq!(restored[..5], at_once);
    // All that went in the meantime comes back together, a second after the first that had to wait.
    assert_eq!(restored[5..], [(ms(1505), 295)]);
    assert_eq!(outcome.counters.restored, 6);
}

#[test]
fn a_report_of_routes_that_misses_none_uses_up_nothing() {
    let reports = (0..300).map(|n| (ms(500 + n), Fact::RoutesRemoved(0)));
    let script = reports.chain([(ms(900), Fact::RoutesRemoved(1))]);
    let outcome = run_attached(&[255], up(), with_a_route, ms(2400), script);
    assert_eq!(outcome.times(|act| *act == Act::AddRoutes(1)), [ms(900)]);
}

#[test]
fn a_router_that_has_stepped_down_puts_no_routes_back() {
    let removals = (0..6).map(|n| (ms(4000 + n), Fact::RoutesRemoved(1)));
    let script = removals.chain([(ms(4100), advert(1, 200))]);
    let outcome = run_attached(&[100], up(), with_a_route, ms(6000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::AddRoutes(_))).len(), 5);
}

fn with_a_route(attachment: AttachmentBuilder) -> AttachmentBuilder {
    let to: ipnet::IpNet = "198.51.100.0/24".parse().unwrap();
    attachment.route(VirtualRoute::builder(to).dev(fake::INTERFACE).build().unwrap())
}

#[test]
fn a_router_that_has_stepped_down_puts_nothing_back() {
    let removals = (0..6).map(|n| (ms(4000 + n), Fact::Removed(vip(1))));
    let script = removals.chain([(ms(4100), advert(1, 200))]);
    let outcome = run(&[100], ms(6000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))).len(), 1 + 5);
}

#[test]
fn losing_adverts_are_answered_at_once_but_a_flood_of_them_with_few() {
    let answers = |script: Vec<_>| {
        let outcome = run(&[200], ms(4900), script);
        let adverts = outcome.times(|act| *act == Act::Advert(1, 200));
        let between = adverts.into_iter().filter(|at| (ms(4300)..ms(4700)).contains(at));
        (between.collect::<Vec<_>>(), outcome.counters.replies_withheld)
    };
    assert_eq!(answers(vec![(ms(4500), advert(1, 100))]), (vec![ms(4500)], 0));
    let flood = (0..4000).map(|n| (ms(4500) + Duration::from_micros(n * 25), advert(1, 100)));
    let (answered, withheld) = answers(flood.collect());
    assert_eq!((answered, withheld), (vec![ms(4500)], 3999));
    let stops = (0..4000).map(|n| (ms(4500) + Duration::from_micros(n * 25), advert(1, 0)));
    assert_eq!(answers(stops.collect()), (vec![ms(4500)], 3999));
}

#[test]
fn a_link_that_goes_is_a_fault_and_one_that_comes_a_recovery() {
    let down = LinkState { up: false, ..up() };
    let script = [(ms(500), Fact::Link(down)), (ms(800), Fact::Link(up()))];
    let outcome = run(&[255], ms(900), script);
    let transitions = outcome.transitions();
    assert_eq!(transitions[1].1.reason, Reason::Fault(Fault::Link));
    assert_eq!(transitions[1].0, ms(500));
    assert_eq!((transitions[2].0, transitions[2].1.from), (ms(800), State::Fault));
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_)))[0], ms(500));
}

#[test]
fn without_an_address_to_send_from_there_is_a_fault() {
    let bare = LinkState { ipv4: None, ..up() };
    let outcome = run_with(&[255], bare, ms(900), [(ms(500), Fact::Link(up()))]);
    let transitions = outcome.transitions();
    assert_eq!(transitions[0].1.reason, Reason::Fault(Fault::SourceAddress));
    assert_eq!((transitions[1].0, transitions[1].1.from), (ms(500), State::Fault));
}

#[test]
fn a_router_that_does_not_track_its_interface_goes_on_over_a_dead_link_but_not_without_one() {
    let down = LinkState { up: false, ..up() };
    let gone = LinkState {
        present: false,
        ..down
    };
    let script = [(ms(500), Fact::Link(down)), (ms(1500), Fact::Link(gone))];
    let outcome = run_attached(&[255], up(), |with| with.track_primary(false), ms(1900), script);
    assert_eq!(
        outcome.times(|act| *act == Act::Advert(1, 255)),
        [0, 1000].map(ms)
    );
    let (at, transition) = outcome.transitions()[1];
    assert_eq!((at, transition.reason), (ms(1500), Reason::Fault(Fault::Link)));
}

#[test]
fn a_router_that_tracks_its_source_is_in_fault_while_the_interface_lacks_it() {
    let source = up().ipv4.unwrap();
    let other = LinkState {
        ipv4: Some([192, 0, 2, 99].into()),
        ..up()
    };
    let script = || [(ms(500), Fact::Link(other)), (ms(800), Fact::Link(up()))];
    let tracked = run_attached(
        &[255],
        up(),
        |with| with.source(source.into()).track_source(true),
        ms(900),
        script(),
    );
    let transitions = tracked.transitions();
    assert_eq!(
        (transitions[1].0, transitions[1].1.reason),
        (ms(500), Reason::Fault(Fault::SourceAddress))
    );
    assert_eq!((transitions[2].0, transitions[2].1.from), (ms(800), State::Fault));
    let untracked = run_attached(&[255], up(), |with| with.source(source.into()), ms(900), script());
    assert_eq!(states(&untracked), [State::Master, State::Initialize]);
}

#[test]
fn recovering_from_one_fault_into_another_is_no_recovery() {
    let bare = LinkState {
        present: true,
        up: true,
        ipv4: None,
        ipv6: None,
    };
    let down = LinkState { up: false, ..up() };
    let outcome = run_with(
        &[255],
        down,
        ms(900),
        [(ms(500), Fact::Link(bare)), (ms(700), Fact::Link(up()))],
    );
    assert_eq!(outcome.transitions()[1].0, ms(700));
}

#[test]
fn a_stranger_that_answers_for_the_address_is_reported_and_the_last_master_is_not() {
    let (master, stranger) = (MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 3]));
    let asked = ms(100) + MASTER_DOWN + ms(110);
    let script = [
        (ms(100), advert(1, 200)),
        (asked, Fact::Claim(vip(1), OURS)),
        (asked, Fact::Claim(vip(1), master)),
        (asked, Fact::Claim(peer(), master)),
        (asked, Fact::Claim(vip(1), stranger)),
    ];
    let outcome = run(&[100], ms(8000), script);
    assert_eq!(outcome.times(|act| *act == Act::Probe(peer())).len(), 1);
    let conflict = DriverEvent::Conflict {
        router: 0,
        address: vip(1),
        mac: stranger,
    };
    assert_eq!(outcome.events(), [&conflict]);
    assert_eq!(outcome.counters.conflicts, 1);
    assert_eq!(states(&outcome)[1], State::Master, "and it goes on");
}

#[test]
fn a_superseded_master_keeps_its_addresses_until_the_winner_announces_them() {
    let winner = MacAddr([2, 0, 0, 0, 0, 2]);
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4007), Fact::Claim(vip(2), winner)),
        (ms(4013), Fact::Claim(vip(1), winner)),
    ];
    let outcome = run(&[100], ms(4500), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4013)]);
    let (at, transition) = outcome.transitions()[2];
    assert_eq!((at, transition.to), (ms(4000), State::Backup), "told at once");
}

#[test]
fn a_winner_that_announces_nothing_is_not_waited_for_longer_than_50_ms() {
    let outcome = run(&[100], ms(4500), [(ms(4000), advert(1, 200))]);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4050)]);
}

/// The winner's first advert has drawn the switch's traffic for the virtual MAC to it; or, where adverts come from the
/// interface below, its announcement will.
#[test]
fn a_superseded_master_keeps_a_virtual_mac_only_where_the_winners_adverts_leave_it_alone() {
    let winner = Vmac::default_mac(Family::Ipv4, Vrid::new(1).unwrap());
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4013), Fact::Claim(vip(1), winner)),
    ];
    for (xmit_base, released_at) in [(false, ms(4000)), (true, ms(4013))] {
        let vmac = || Vmac::new().xmit_base(xmit_base);
        let outcome = run_attached(&[100], up(), |with| with.vmac(vmac()), ms(4500), script.clone());
        assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [released_at]);
    }
}

#[test]
fn a_takeover_in_the_meantime_ends_the_wait_and_keeps_the_addresses() {
    let script = [
        (ms(4000), advert(1, 200)),
        // It stops at once, and its skew time of 22 ms at 10 cs is all that we wait.
        (ms(4001), fast_advert(1, 200)),
        (ms(4002), fast_advert(1, 0)),
    ];
    let outcome = run(&[200], ms(4500), script);
    let releases = outcome.times(|act| matches!(act, Act::Release(_)));
    assert_eq!(releases, [ms(4500)], "at the shutdown");
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))).len(), 2);
}

#[test]
fn nobody_is_waited_for_after_a_fault_or_a_shutdown() {
    let down = LinkState { up: false, ..up() };
    let script = [(ms(4000), advert(1, 200)), (ms(4010), Fact::Link(down))];
    let outcome = run(&[100], ms(4500), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4010)]);
    let outcome = run(&[100], ms(4010), [(ms(4000), advert(1, 200))]);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4010)]);
}

#[test]
fn a_wait_that_ended_while_the_process_stood_still_ends_before_anything_is_read() {
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4001), Fact::Pause(ms(500))),
        (ms(4100), Fact::Claim(vip(1), MacAddr([2, 0, 0, 0, 0, 2]))),
        (ms(4100), Fact::ReadingTakes(ms(3))),
    ];
    let outcome = run(&[100], ms(5000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4501)]);
}

#[test]
fn commands_reach_the_routers() {
    let priority = Priority::new(200);
    let script = [(
        ms(100),
        Fact::Command(RouterCommand::Priority { router: 0, priority }),
    )];
    let outcome = run(&[100], ms(4000), script);
    // The skew time is that of 200 from there on.
    assert_eq!(outcome.transitions()[1].0, Duration::from_micros(3_218_750));
    assert_eq!(outcome.times(|act| *act == Act::Advert(1, 200)).len(), 1);
}

#[test]
fn packets_of_nobody_are_counted_and_change_nothing() {
    let script = [
        (ms(100), advert(9, 255)),
        (ms(100), Fact::Packet(peer(), vec![0x31, 1])),
        (ms(100), Fact::Packet(peer(), Vec::new())),
    ];
    let outcome = run(&[100], ms(4000), script);
    assert_eq!(outcome.counters.unknown_vrid, 1);
    assert_eq!(outcome.counters.malformed.truncated, 2);
    assert_eq!(outcome.transitions()[1].0, MASTER_DOWN);
}

#[test]
fn a_flood_does_not_keep_a_master_from_advertising() {
    // A second's worth of packets, at 2 µs each.
    let cost = (ms(500), Fact::ReadingTakes(Duration::from_micros(2)));
    let flood = (0..500_000).map(|_| (ms(500), advert(9, 100)));
    let outcome = run(&[255], ms(2500), [cost].into_iter().chain(flood));
    let adverts = outcome.times(|act| *act == Act::Advert(1, 255));
    assert_eq!(adverts.len(), 3);
    // A round of reading is bounded, and a timer that runs out in one is acted upon after the next.
    assert!(adverts[1] - ms(1000) < ms(50), "{adverts:?}");
    assert_eq!(outcome.counters.unknown_vrid, 500_000);
}

fn states(outcome: &Outcome) -> Vec<State> {
    outcome
        .transitions()
        .into_iter()
        .map(|(_, transition)| transition.to)
        .collect()
}

#[test]
fn each_reason_to_announce_has_a_repeat_of_its_own() {
    let refreshed = Config::builder(Vrid::new(1).unwrap(), AddressList::new(&[vip(1)]).unwrap())
        .version(Version::V3)
        .announce_refresh(ms(2000))
        .lower_prio_announce_delay(Some(ms(300)))
        .build()
        .unwrap();
    let router = VirtualRouter::new(refreshed, IpAddr::from([0, 0, 0, 0]));
    let outcome = run_set(
        RouterSet::from(router),
        up(),
        |attachment| {
            attachment
                .announce_repeat(4)
                .announce_refresh_repeat(2)
                .lower_prio_announce_repeat(Some(3))
        },
        MASTER_DOWN + ms(5500),
        [(MASTER_DOWN + ms(2500), advert(1, 50))],
    );
    let announced: Vec<_> = outcome
        .log
        .iter()
        .filter_map(|(at, act)| match act {
            Act::Announce(_, repeat) => Some((*at - MASTER_DOWN, *repeat)),
            _ => None,
        })
        .collect();
    // The second after the losing advert takes the place of the one after the takeover.
    let expected = [(0, 4), (2000, 2), (2500, 3), (2800, 3), (4000, 2)];
    assert_eq!(announced, expected.map(|(at, repeat)| (ms(at), repeat)));
}

#[test]
fn another_master_is_told_once_with_its_address_and_the_cause() {
    let beat = |n: u64| (MASTER_DOWN + ms(1500 + 1000 * n), advert(1, 50));
    let outcome = run(&[100], MASTER_DOWN + ms(12_000), (0..10).map(beat));
    let [DriverEvent::Rival { router: 0, rival }] = outcome.events()[..] else {
        panic!("{:?}", outcome.events());
    };
    assert_eq!(rival.peer.address, peer());
    assert_eq!(rival.cause, RivalCause::Deaf);
}

#[test]
fn a_sync_group_takes_over_and_stops_together() {
    let configs = [fake::config(1, 100), fake::config(2, 100)];
    let routers = configs.map(|config| VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0])));
    let group = SyncGroup::new([0, 1]).unwrap();
    let set = RouterSet::with_groups(routers.to_vec(), vec![group]).unwrap();
    // The second hears a master until 2 s; the first is superseded at 9 s.
    let script = [
        (ms(1000), advert(2, 200)),
        (ms(2000), advert(2, 200)),
        (ms(9000), advert(1, 200)),
    ];
    let outcome = run_set(set, up(), |attachment| attachment, ms(9500), script);
    let took = ms(2000) + MASTER_DOWN;
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))), [took, took]);
    assert_eq!(
        outcome.times(|act| matches!(act, Act::Transition(_, change) if change.from == State::Master)),
        [ms(9000), ms(9000)]
    );
    // The first has a last advert for its successor, the second calls for one.
    let last: Vec<_> = outcome
        .acts()
        .into_iter()
        .filter(|(at, act)| *at == ms(9000) && matches!(act, Act::Advert(..)))
        .map(|(_, act)| act)
        .filter(|act| *act != Act::Advert(2, 100))
        .collect();
    assert_eq!(last, [Act::Advert(1, 100), Act::Advert(2, 0)]);
}

/// The process is stopped between two effects of one member: none of the group serves after it.
#[test]
fn a_sync_group_that_stood_still_steps_down_together_before_it_sends_anything() {
    let configs = [fake::config(1, 100), fake::config(2, 100)];
    let routers = configs.map(|config| VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0])));
    let group = SyncGroup::new([0, 1]).unwrap();
    let set = RouterSet::with_groups(routers.to_vec(), vec![group]).unwrap();
    let script = [(MASTER_DOWN + ms(500), Fact::Pause(ms(20_000)))];
    let outcome = run_set(set, up(), |attachment| attachment, ms(24_200), script);
    let resumed = MASTER_DOWN + ms(20_500);
    let after: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, act)| {
            *at >= resumed && *at < ms(24_200) && matches!(act, Act::Advert(..) | Act::Release(_))
        })
        .collect();
    assert!(
        matches!(after[..], [(_, Act::Release(_)), (_, Act::Release(_))]),
        "{after:?}"
    );
}
