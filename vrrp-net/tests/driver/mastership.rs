//! Taking over, advertising on the beat, and giving up.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{AddressList, Config, Priority, State, Version, VirtualRouter, Vrid};
use vrrp_net::{RouterCommand, RouterSet};

use crate::fake::{Act, Fact, advert, ms, run, run_set, up, vip};
use crate::{MASTER_DOWN, states};

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
