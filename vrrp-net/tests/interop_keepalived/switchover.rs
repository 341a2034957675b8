//! A planned switchover with keepalived as the one that takes over: the hold afterwards, and its end.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vrrp_core::{Reason, State, SwitchoverEnd};
use vrrp_net::{DriverEvent, RouterCommand, lab};

use crate::client::Client;
use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::{Protocol, V2, v3};
use crate::steady::steadily;
use crate::world::{PATIENCE, THEIRS, World, pause, wait_until};

#[test]
fn v2_keepalived_takes_over_on_purpose_and_ours_is_held_until_it_dies() {
    lab::test(|| steadily(V2, || ours_switches_over(V2)));
}

#[test]
fn v3_at_500_ms_keepalived_takes_over_on_purpose_and_ours_is_held_until_it_dies() {
    lab::test(|| steadily(v3(50), || ours_switches_over(v3(50))));
}

fn ours_switches_over(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let keepalived = Keepalived::start(world.theirs(), protocol, 100);
    let mut node = Node::start(world.ours(), Setup::new(protocol, 200));
    node.expect_state(State::Master, protocol.master_down_interval(200) + PATIENCE);
    world.expect_held_by(&["ours"]);
    let client = Client::start(&world);
    pause(Duration::from_millis(100));

    let asked = Instant::now();
    node.command(RouterCommand::Switchover { router: 0 });
    let zero = world.our_advert(asked, Some(0), PATIENCE);
    let first = world.their_advert(asked, None, protocol.master_down_interval(100) + PATIENCE);
    let took = first.at - zero.at;
    protocol.assert_after_skew(100, took);
    node.expect_state(State::Backup, PATIENCE);
    world.expect_held_by(&["theirs"]);
    wait_until("the end is told", PATIENCE, || switchover(&mut node).is_some());
    let end = switchover(&mut node);
    assert!(
        matches!(end, Some(SwitchoverEnd::Done(peer)) if peer.address == IpAddr::V4(THEIRS)),
        "{end:?}"
    );
    let service = client.stop();
    let gap = service.longest_gap();
    println!(
        "{protocol}: keepalived took over {took:?} after our priority 0, longest gap of the client {gap:?}"
    );
    assert_eq!(service.answered_by(), ["ours", "theirs"]);
    assert!(gap < protocol.no_gap(100), "{gap:?}");

    // Ours is above, and would preempt by now.
    pause(protocol.master_down_interval(200) * 2);
    assert_eq!(node.state(), State::Backup);
    world.expect_held_by(&["theirs"]);
    keepalived.kill();
    node.expect_state(State::Master, protocol.master_down_interval(200) + PATIENCE);
    assert_eq!(node.transitions().last().unwrap().reason, Reason::MasterDown);
    assert!(world.holds("ours"));
}

fn switchover(node: &mut Node) -> Option<SwitchoverEnd> {
    node.events().iter().find_map(|event| match event {
        DriverEvent::Switchover { end, .. } => Some(*end),
        _ => None,
    })
}
