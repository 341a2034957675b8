//! Adverts and claims of others that change nothing, or only what is told.

use std::time::Duration;

use vrrp_core::{RivalCause, State};
use vrrp_net::{DriverEvent, MacAddr};

use crate::fake::{Act, Fact, OURS, advert, ms, peer, run, vip};
use crate::{MASTER_DOWN, states};

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
fn another_master_is_told_once_with_its_address_and_the_cause() {
    let beat = |n: u64| (MASTER_DOWN + ms(1500 + 1000 * n), advert(1, 50));
    let outcome = run(&[100], MASTER_DOWN + ms(12_000), (0..10).map(beat));
    let [DriverEvent::Rival { router: 0, rival }] = outcome.events()[..] else {
        panic!("{:?}", outcome.events());
    };
    assert_eq!(rival.peer.address, peer());
    assert_eq!(rival.cause, RivalCause::Deaf);
}
