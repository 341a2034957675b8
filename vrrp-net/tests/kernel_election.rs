//! Two nodes on real sockets: who is master, and how the address moves.

mod node;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use node::lan::pair;
use node::{PATIENCE, Setup, has, ip, within};
use vrrp_core::{AdverInterval, AuthenticationConfig, Priority, Reason, State, Version};
use vrrp_net::RouterCommand;
use vrrp_net::lab::{self, Host, LabTest};

const VIP: &str = "192.0.2.100";
/// How often two nodes may be watched until nothing happens.
const WINDOWS: usize = 6;

#[test]
fn two_nodes_elect_the_higher_priority_with_version_3() {
    lab::test(|| elect(&[VIP], |setup| setup));
}

#[test]
fn two_nodes_elect_the_higher_priority_with_version_3_on_ipv6() {
    lab::test(|| elect(&["fe80::200", "2001:db8::100"], |setup| setup));
}

#[test]
fn two_nodes_elect_the_higher_priority_with_version_2_and_a_password() {
    lab::test(|| {
        elect(&[VIP], |setup| {
            setup.config(|config| {
                config
                    .version(Version::V2)
                    .adver_interval(AdverInterval::DEFAULT)
                    .authentication(AuthenticationConfig::simple("1111").unwrap())
            })
        });
    });
}

#[test]
fn two_nodes_elect_the_higher_priority_by_unicast() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        for (vips, of_a, of_b) in [
            (&[VIP][..], ip("192.0.2.10"), ip("192.0.2.11")),
            (&["fe80::200", "2001:db8::100"], link_local(a), link_local(b)),
        ] {
            let low = Setup::new(b, 100, vips)
                .config(|config| config.peers(&[of_a]))
                .start(b);
            low.wait_for(State::Master);
            let mut capture = lab.capture().unwrap();
            let high = Setup::new(a, 150, vips)
                .config(|config| config.peers(&[of_b]))
                .start(a);
            high.wait_for(State::Master);
            low.wait_for(State::Backup);
            assert_eq!(low.handle.counters().send_errors, 0);
            high.stop();
            low.stop();
            for frame in capture.frames().iter().filter(|frame| frame.vrrp().is_some()) {
                let packet = frame.vrrp().unwrap();
                assert!([of_a, of_b].contains(&packet.destination), "{packet:?}");
                assert_eq!(packet.hop_limit, 255);
            }
        }
    });
}

fn link_local(host: &Host) -> IpAddr {
    let link_local =
        |net: &IpNet| matches!(net.addr(), IpAddr::V6(address) if address.is_unicast_link_local());
    host.addresses()
        .unwrap()
        .iter()
        .find(|net| link_local(net))
        .unwrap()
        .addr()
}

/// A lower node alone becomes master, a higher one preempts it, stops, and the lower one takes over at once.
fn elect(vips: &[&str], change: impl Fn(Setup) -> Setup) {
    let lab = pair();
    let (a, b) = (lab.host("a"), lab.host("b"));
    let low = change(Setup::new(b, 100, vips)).start(b);
    low.wait_for(State::Master);
    assert!(vips.iter().all(|vip| has(b, vip)));

    let high = change(Setup::new(a, 150, vips)).start(a);
    high.wait_for(State::Master);
    let (_, transition) = low.wait_for(State::Backup);
    assert!(matches!(transition.reason, Reason::Superseded(peer) if peer.priority == Priority::new(150)));
    // The loser keeps them until it has heard the winner announce them.
    within(PATIENCE, || vips.iter().all(|vip| has(a, vip) && !has(b, vip)));
    for node in [&low, &high] {
        let counters = node.handle.counters();
        assert_eq!(
            (
                counters.send_errors,
                counters.announce_errors,
                counters.malformed.total()
            ),
            (0, 0, 0)
        );
    }

    high.stop();
    let (_, transition) = low.wait_for(State::Master);
    assert_eq!(transition.reason, Reason::MasterStopped);
    assert!(vips.iter().all(|vip| !has(a, vip) && has(b, vip)));
    low.stop();
    assert!(vips.iter().all(|vip| !has(b, vip)));
}

#[test]
fn a_cut_link_is_a_fault_and_healing_it_a_recovery() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = Setup::new(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);

        lab.cut("a").unwrap();
        let (_, transition) = high.wait_for(State::Fault);
        assert_eq!(transition.reason, Reason::Fault(vrrp_core::Fault::Link));
        within(Duration::from_millis(100), || !has(a, VIP));
        low.wait_for(State::Master);

        lab.heal("a").unwrap();
        high.wait_for(State::Master);
        low.wait_for(State::Backup);
    });
}

#[test]
fn a_silent_cut_makes_two_masters_and_healing_it_one() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = Setup::new(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        lab.cut_silently("a").unwrap();
        low.wait_for(State::Master);
        lab.heal("a").unwrap();
        low.wait_for(State::Backup);
        within(PATIENCE, || has(a, VIP) && !has(b, VIP));
        assert!(
            high.take_events()
                .iter()
                .all(|event| !matches!(event, vrrp_net::DriverEvent::Transition { .. }))
        );
    });
}

#[test]
fn a_lowered_priority_moves_the_address_to_the_backup() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = Setup::new(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        let priority = Priority::new(90);
        high.handle
            .command(RouterCommand::Priority { router: 0, priority })
            .unwrap();
        low.wait_for(State::Master);
        let (_, transition) = high.wait_for(State::Backup);
        assert!(matches!(transition.reason, Reason::Superseded(_)));
    });
}

#[test]
fn a_master_at_ten_milliseconds_is_followed_without_a_flap() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let fast =
            |config: vrrp_core::ConfigBuilder| config.adver_interval(AdverInterval::from_centis(1).unwrap());
        let high = Setup::new(a, 150, &[VIP]).config(fast).realtime().start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).config(fast).realtime().start(b);
        low.wait_for(State::Backup);
        // A machine that lets one of them wait for longer than a backup does says nothing about us.
        let steady = (0..WINDOWS).any(|_| {
            node::pause(Duration::from_secs(2));
            let events: Vec<_> = [&high, &low].iter().flat_map(|node| node.take_events()).collect();
            let lateness = [&high, &low].map(|node| node.handle.counters().max_lateness);
            println!("lateness {lateness:?}, {events:?}");
            events.is_empty()
        });
        assert!(steady);
        within(Duration::from_secs(10), || has(a, VIP) && !has(b, VIP));
        low.take_events();
        lab.cut_from("a").unwrap();
        low.wait_for(State::Master);
    });
}

#[test]
fn dropping_the_handle_stops_the_node() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = Setup::new(a, 150, &[VIP]).start(a);
        node.wait_for(State::Master);
        let node::Node { handle, events } = node;
        drop(handle);
        within(Duration::from_secs(1), || !has(a, VIP));
        drop(events);
    });
}
