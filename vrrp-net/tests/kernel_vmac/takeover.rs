//! Over a takeover, the client's entry for the address stays as it is.

use std::time::Duration;

use vrrp_core::State;
use vrrp_net::Vmac;
use vrrp_net::lab::{Host, LabTest};

use crate::node::probe::{Asking, Echo, neighbour};
use crate::node::{PATIENCE, Setup, ip, pause, within};
use crate::world::{MINUTE, World, client_reaches, neighbour_messages};

/// Three adverts of 100 ms and a skew of 61 ms, and room for a busy machine.
const TAKEOVER: Duration = Duration::from_millis(800);

/// Until the next advert, a switch that was led astray sends to the wrong port.
const INTERVAL: Duration = Duration::from_millis(100);

#[test]
fn the_clients_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv4(), &Vmac::new()));
}

#[test]
fn the_clients_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv4(), &Vmac::new().xmit_base(true)));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv6(), &Vmac::new()));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv6(), &Vmac::new().xmit_base(true)));
}

/// A planned stop, preempting back, and a cut link; and each frame from the virtual MAC is the master's.
fn moves(world: &World, vmac: &Vmac) {
    let World { lab, vips, mac } = world;
    let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
    let vip = ip(vips.last().unwrap());
    let start = |host: &Host, priority| {
        Setup::new(host, priority, vips)
            .attachment(|attachment| attachment.vmac(vmac.clone()))
            .start(host)
    };
    let _echoes = [a, b].map(|host| Echo::start(host, vip));
    let mut capture = lab.capture().unwrap();
    let mut frames = Vec::new();

    let high = start(a, 150);
    high.wait_for(State::Master);
    let low = start(b, 100);
    low.wait_for(State::Backup);
    within(PATIENCE, || client_reaches(client, vip));
    assert_eq!(neighbour(client, vip), Some(*mac));
    let keeps_its_entry = |what: &str, limit: Duration, takeover: &mut dyn FnMut()| {
        let asking = Asking::start(client, vip);
        pause(Duration::from_millis(100));
        takeover();
        pause(Duration::from_millis(100));
        let gap = asking.longest_gap();
        println!("{what}: {gap:?} without an answer");
        assert!(gap < limit, "{what}: {gap:?} without an answer");
        assert_eq!(neighbour(client, vip), Some(*mac), "{what}");
    };

    let mut high = Some(high);
    keeps_its_entry("planned stop", TAKEOVER, &mut || {
        high.take().unwrap().stop();
        low.wait_for(State::Master);
    });
    frames.extend(capture.frames().to_vec());
    keeps_its_entry("preemption", INTERVAL, &mut || {
        let node = start(a, 150);
        node.wait_for(State::Master);
        low.wait_for(State::Backup);
        high = Some(node);
    });
    keeps_its_entry("link cut", TAKEOVER, &mut || {
        lab.cut("a").unwrap();
        low.wait_for(State::Master);
    });
    let told = neighbour_messages(capture.frames(), vip);
    assert!(!told.is_empty());
    assert!(told.iter().all(|teller| teller == mac), "{told:?}");
    for node in [low, high.unwrap()] {
        let counters = node.handle.counters();
        assert_eq!((counters.send_errors, counters.announce_errors), (0, 0));
        assert_eq!((counters.address_errors, counters.conflicts), (0, 0));
        node.stop();
    }
}
