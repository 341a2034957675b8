//! Two masters at once are told once, with the reason.

use vrrp_core::{AuthenticationConfig, Output, Reason, Rival, RivalCause, State, Version};

use crate::support::*;

/// A master of priority 100 for ten seconds.
fn settled(config: vrrp_core::ConfigBuilder) -> Bench {
    let mut bench = Bench::master(config.announce_delay(ms(0)));
    bench.wait(secs(10));
    bench.timeout();
    bench
}

/// What it tells of rivals while it hears `heard` each second for so many, and keeps its own beat.
fn told(bench: &mut Bench, heard: &Heard, times: u32) -> Vec<Rival> {
    let mut rivals = Vec::new();
    for _ in 0..times {
        let _ = bench.receive(heard);
        rivals.extend(bench.outputs().iter().filter_map(rival));
        bench.wait(secs(1));
        bench.router.handle_timeout(bench.now);
        rivals.extend(bench.outputs().iter().filter_map(rival));
    }
    rivals
}

fn rival(output: &Output) -> Option<Rival> {
    match output {
        Output::Rival(rival) => Some(*rival),
        _ => None,
    }
}

#[test]
fn one_that_goes_on_below_us_is_told_once() {
    for version in BOTH {
        let mut bench = settled(builder(version, 100));
        let heard = Heard::new(builder(version, 90), 90);
        let expected = Rival {
            peer: peer(HIGHER, 90),
            cause: RivalCause::Deaf,
        };
        assert_eq!(told(&mut bench, &heard, 20), [expected]);
        assert_eq!(bench.router.counters().rivals, 1);
        assert_eq!(bench.router.counters().lower_received_as_master, 20);
    }
}

#[test]
fn one_that_has_been_silent_in_between_is_told_again() {
    let mut bench = settled(v3(100));
    let heard = Heard::new(v3(90), 90);
    assert_eq!(told(&mut bench, &heard, 5).len(), 1);
    bench.wait(secs(4));
    assert_eq!(told(&mut bench, &heard, 5).len(), 1);
}

/// A partition has healed: the other gives way to our answer, and is told all the same.
#[test]
fn one_that_is_heard_once_has_parted() {
    let mut bench = settled(v3(100));
    let heard = Heard::new(v3(90), 90);
    bench.receive(&heard).unwrap();
    bench.wait(ms(1));
    // Its last advert.
    bench.receive(&heard).unwrap();
    bench.outputs();
    let mut rivals = Vec::new();
    for _ in 0..10 {
        rivals.extend(bench.expire().iter().filter_map(rival));
    }
    let cause = RivalCause::Parted;
    let peer = peer(HIGHER, 90);
    assert_eq!(rivals, [Rival { peer, cause }]);
}

#[test]
fn one_that_has_parted_is_told_of_by_a_master_that_speaks_early_too() {
    let mut bench = settled(v3(100));
    bench.hear(90);
    let mut rivals = Vec::new();
    for _ in 0..20 {
        bench.wait(ms(900));
        bench.router.handle_advert_early(bench.now);
        rivals.extend(bench.outputs().iter().filter_map(rival));
    }
    let peer = peer(HIGHER, 90);
    assert_eq!(
        rivals,
        [Rival {
            peer,
            cause: RivalCause::Parted
        }]
    );
}

/// The one that was preempted sends a last advert, and others may be slow to hear of it.
#[test]
fn within_an_interval_of_becoming_master_it_is_an_election() {
    let mut bench = Bench::master(v3(100).announce_delay(ms(0)));
    for _ in 0..9 {
        bench.wait(ms(100));
        bench.hear(90);
    }
    for _ in 0..10 {
        assert!(bench.expire().iter().all(|output| rival(output).is_none()));
    }
    assert_eq!(bench.router.counters().rivals, 0);
}

#[test]
fn a_stop_and_a_higher_advert_are_no_rivals() {
    let mut bench = settled(v3(100));
    assert_eq!(told(&mut bench, &Heard::new(v3(90), 0), 5), []);
    bench.hear(101);
    assert_eq!(bench.router.state(), State::Backup);
    assert_eq!(told(&mut bench, &Heard::new(v3(90), 90), 3), []);
}

#[test]
fn adverts_that_are_discarded_tell_the_cause() {
    let v3_rival = (
        Heard::new(v3(90), 90),
        v2(100),
        RivalCause::Version {
            ours: Version::V2,
            theirs: Version::V3,
        },
    );
    let interval = (
        Heard::new(v2(90).adver_interval(centis(200)), 90),
        v2(100),
        RivalCause::AdverInterval {
            ours: centis(100),
            theirs: centis(200),
        },
    );
    let password = (
        Heard::new(
            v2(90).authentication(AuthenticationConfig::simple("other").unwrap()),
            90,
        ),
        v2(100),
        RivalCause::Authentication,
    );
    let unicast = (Heard::new(v2(90), 90).to(OWN), v2(100), RivalCause::NotAPeer);
    let same = (Heard::new(v2(90), 90).from(OWN), v2(100), RivalCause::SameAddress);
    for (heard, config, cause) in [v3_rival, interval, password, unicast, same] {
        let mut bench = settled(config);
        let address = heard.source;
        let rivals = told(&mut bench, &heard, 10);
        let [rival] = rivals[..] else {
            panic!("{cause:?}: {rivals:?}")
        };
        assert_eq!((rival.peer.address, rival.cause), (address, cause));
        assert!(bench.router.state() == State::Master);
    }
}

/// Nobody knows what a single advert was that was refused.
#[test]
fn a_single_discarded_advert_is_not_told() {
    let mut bench = settled(v2(100));
    assert!(bench.receive(&Heard::new(v3(90), 90)).is_err());
    for _ in 0..10 {
        assert!(bench.expire().iter().all(|output| rival(output).is_none()));
    }
}

/// RFC 9568 §5.2.3: a VRID belongs to one virtual router on a link.
#[test]
fn another_virtual_router_of_our_vrid_is_told_as_such() {
    let other = vrrp_core::AddressList::new(&[ip("192.0.2.200")]).unwrap();
    let other = vrrp_core::Config::builder(vrrp_core::Vrid::new(51).unwrap(), other).version(Version::V3);
    let mut bench = settled(v3(100));
    let rivals = told(&mut bench, &Heard::new(other, 90), 10);
    assert_eq!(rivals.len(), 1);
    assert_eq!(rivals[0].cause, RivalCause::Addresses);
}

/// An attacker, or a loop in the network, does not make it tell for ever.
#[test]
fn more_rivals_than_can_be_told_apart_are_not_told() {
    let mut bench = settled(v3(100));
    let mut rivals = 0;
    for _ in 0..10 {
        for host in 100..200 {
            bench.hear_from(&format!("192.0.2.{host}"), 90);
        }
        bench.wait(secs(1));
        bench.router.handle_timeout(bench.now);
        bench.outputs();
        rivals = bench.router.counters().rivals;
    }
    assert_eq!(rivals, 4);
}

#[test]
fn a_rival_is_a_sentence_with_address_and_remedy() {
    let rival = Rival {
        peer: peer(HIGHER, 90),
        cause: RivalCause::AdverInterval {
            ours: centis(100),
            theirs: centis(200),
        },
    };
    assert_eq!(
        rival.to_string(),
        "192.0.2.11 of priority 90 is master too: its advertisement interval is 2.00 s, ours 1.00 s; set the same on both"
    );
    assert!(Reason::SyncGroup.to_string().contains("sync group"));
}
