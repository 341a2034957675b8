//! Settings that keepalived has beside the RFC: announcements, reassertion, the last advert, delays.

use vrrp_core::Output::{AnnounceAddresses, HandOverAddresses};
use vrrp_core::{Announcement, Fault, Output, Reason, State};

use crate::support::*;

/// The announcements until `end`, as time since now.
fn announcements(bench: &mut Bench, end: std::time::Duration) -> Vec<(std::time::Duration, Announcement)> {
    let start = bench.now;
    let mut announced = Vec::new();
    while bench.router.poll_timeout().is_some_and(|at| at <= start + end) {
        for output in bench.expire() {
            if let AnnounceAddresses(announcement) = output {
                announced.push((bench.now - start, announcement));
            }
        }
    }
    announced
}

/// keepalived's garp_master_refresh.
#[test]
fn announcements_are_refreshed_for_as_long_as_it_is_master() {
    let mut bench = Bench::master(v3(100).announce_delay(secs(5)).announce_refresh(secs(2)));
    let expected = [
        (secs(2), Announcement::Refresh),
        (secs(4), Announcement::Refresh),
        (secs(5), Announcement::Again),
        (secs(6), Announcement::Refresh),
        (secs(8), Announcement::Refresh),
    ];
    assert_eq!(announcements(&mut bench, secs(9)), expected);
    bench.hear(200);
    assert_eq!(bench.deadline(), us(3_609_375));
}

#[test]
fn one_that_is_due_twice_is_made_once() {
    let mut bench = Bench::master(v3(100).announce_delay(secs(4)).announce_refresh(secs(2)));
    let expected = [
        (secs(2), Announcement::Refresh),
        (secs(4), Announcement::Again),
        (secs(6), Announcement::Refresh),
    ];
    assert_eq!(announcements(&mut bench, secs(7)), expected);
}

/// keepalived's garp_lower_prio_delay.
#[test]
fn a_losing_advert_has_a_delay_of_its_own() {
    let config = v3(100)
        .announce_delay(secs(5))
        .lower_prio_announce_delay(Some(secs(2)));
    let mut bench = Bench::master(config);
    bench.wait(ms(500));
    assert_eq!(bench.hear(99), [sends(100), reasserts()]);
    assert_eq!(
        announcements(&mut bench, secs(20)),
        [(secs(2), Announcement::Reassert)]
    );
}

#[test]
fn without_a_delay_of_its_own_it_is_an_interval_and_the_announce_delay_after_that() {
    let mut bench = Bench::master(v3(100).announce_delay(secs(3)));
    bench.wait(ms(500));
    bench.hear(99);
    let expected = [(secs(1), Announcement::Reassert), (secs(4), Announcement::Again)];
    assert_eq!(announcements(&mut bench, secs(20)), expected);
    let mut bench = Bench::master(v3(100).announce_delay(ms(300)));
    bench.wait(ms(500));
    bench.hear(99);
    assert_eq!(
        announcements(&mut bench, secs(20)),
        [(ms(300), Announcement::Reassert)]
    );
}

/// keepalived's lower_prio_no_advert; RFC 5798 §6.4.3 discards.
#[test]
fn without_reassertion_a_losing_advert_is_counted_and_nothing_else() {
    let mut bench = Bench::master(v3(100).reassert(false));
    bench.wait(ms(400));
    let deadline = bench.router.poll_timeout();
    assert_eq!(bench.hear(99), []);
    assert_eq!(bench.router.poll_timeout(), deadline);
    assert_eq!(bench.router.counters().lower_received_as_master, 1);
    assert_eq!(bench.hear(0), [sends(100)], "a stop is answered all the same");
}

/// keepalived's higher_prio_send_advert. The loser of a healed split heard the winner first: its last advert is the
/// first that the winner hears, and makes it announce the addresses.
#[test]
fn the_last_advert_of_a_loser_makes_the_winner_announce_again() {
    let mut winner = Bench::master(v3(100));
    winner.wait(secs(60));
    let mut loser = Bench::master(v3(90));
    assert_eq!(loser.hear_from(HIGHER, 100), superseded(90, peer(HIGHER, 100)));
    assert_eq!(winner.hear_from(LOWER, 90), [sends(100), reasserts()]);
    assert_eq!(loser.hear_from(HIGHER, 100), [], "it ends there");
}

#[test]
fn the_last_advert_can_be_left_out() {
    let mut bench = Bench::master(v3(90).higher_prio_send_advert(false));
    let expected = [
        HandOverAddresses,
        changes(
            State::Master,
            State::Backup,
            Reason::Superseded(peer(HIGHER, 100)),
        ),
    ];
    assert_eq!(bench.hear(100), expected);
}

#[test]
fn as_many_adverts_may_go_missing_as_configured() {
    for (adverts, version, expected) in [
        (1, BOTH[0], us(1_609_375)),
        (5, BOTH[0], us(5_609_375)),
        (1, BOTH[1], us(1_609_375)),
        (100, BOTH[1], us(100_609_375)),
    ] {
        let mut bench = Bench::started(builder(version, 100).down_timer_adverts(adverts));
        assert_eq!(bench.deadline(), expected);
        bench.wait(ms(100));
        bench.hear(200);
        assert_eq!(bench.deadline(), expected);
        bench.hear(0);
        assert_eq!(bench.deadline(), us(609_375), "a stop is a stop");
    }
}

/// keepalived's vrrp_startup_delay.
#[test]
fn a_delayed_start_hears_and_says_nothing_until_then() {
    for priority in [100, 255] {
        let mut bench = Bench::new(v3(priority).startup_delay(secs(7)));
        assert_eq!(bench.startup(), []);
        assert_eq!(bench.router.state(), State::Initialize);
        assert_eq!(bench.deadline(), secs(7));
        bench.wait(secs(3));
        assert_eq!(bench.startup(), [], "starting twice puts nothing off");
        assert_eq!(bench.deadline(), secs(4));
        assert!(bench.receive(&Heard::new(v3(100), 200)).is_err());
        assert_eq!(bench.timeout(), []);
        let started = bench.expire();
        let state = bench.router.state();
        assert_eq!(
            state,
            if priority == 255 {
                State::Master
            } else {
                State::Backup
            }
        );
        assert!(started.contains(&changes(State::Initialize, state, Reason::Startup)));
    }
}

#[test]
fn a_delayed_start_can_be_called_off_and_meets_faults() {
    let mut bench = Bench::new(v3(100).startup_delay(secs(7)));
    bench.startup();
    assert_eq!(bench.shutdown(), []);
    assert_eq!(bench.router.poll_timeout(), None);
    bench.startup();
    assert_eq!(bench.fault(Fault::Link), []);
    let expected: [Output; 1] = [changes(
        State::Initialize,
        State::Fault,
        Reason::Fault(Fault::Link),
    )];
    assert_eq!(bench.expire(), expected);
}
