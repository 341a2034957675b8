//! A planned stop: priority 0, and the other takes over after its skew time, not its master-down interval.

use std::time::Instant;

use vrrp_core::{Reason, State};
use vrrp_net::lab;

use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::{Protocol, V2, V3};
use crate::steady::steadily;
use crate::world::{PATIENCE, World};

#[test]
fn v2_of_both_started_together_our_higher_node_serves_and_hands_over_when_it_stops() {
    lab::test(|| steadily(V2, || ours_hands_over(V2)));
}

#[test]
fn v3_of_both_started_together_our_higher_node_serves_and_hands_over_when_it_stops() {
    lab::test(|| steadily(V3, || ours_hands_over(V3)));
}

#[test]
fn v2_of_both_started_together_the_higher_keepalived_serves_and_hands_over_when_it_stops() {
    lab::test(|| steadily(V2, || theirs_hands_over(V2)));
}

#[test]
fn v3_of_both_started_together_the_higher_keepalived_serves_and_hands_over_when_it_stops() {
    lab::test(|| steadily(V3, || theirs_hands_over(V3)));
}

fn ours_hands_over(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 100);
    let mut node = Node::start(world.ours(), Setup::new(protocol, 200));
    node.expect_state(State::Master, protocol.master_down_interval(200) + PATIENCE);
    world.expect_held_by(&["ours"]);
    assert!(
        world.their_adverts(starts).is_empty(),
        "the lower one was master first"
    );
    node.assert_content();

    let stops = Instant::now();
    node.stop();
    let zero = world.our_advert(stops, Some(0), PATIENCE);
    let first = world.their_advert(zero.at, None, protocol.master_down_interval(100) + PATIENCE);
    let took = first.at - zero.at;
    println!("{protocol}: keepalived took over {took:?} after our priority 0");
    protocol.assert_after_skew(100, took);
    assert_eq!(
        world.our_adverts(stops).len(),
        1,
        "one advert of priority 0, and silence"
    );
    keepalived.expect_log("Entering MASTER STATE", PATIENCE);
    world.expect_held_by(&["theirs"]);
}

fn theirs_hands_over(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 200);
    let mut node = Node::start(world.ours(), Setup::new(protocol, 100));
    world.their_advert(starts, None, protocol.master_down_interval(200) + PATIENCE);
    world.expect_held_by(&["theirs"]);
    assert!(
        world.our_adverts(starts).is_empty(),
        "the lower one was master first"
    );
    assert_eq!(node.state(), State::Backup);

    let stops = Instant::now();
    keepalived.terminate();
    let zero = world.their_advert(stops, Some(0), PATIENCE);
    let first = world.our_advert(zero.at, None, protocol.master_down_interval(100) + PATIENCE);
    let took = first.at - zero.at;
    println!("{protocol}: ours took over {took:?} after keepalived's priority 0");
    protocol.assert_after_skew(100, took);
    node.expect_state(State::Master, PATIENCE);
    assert_eq!(node.transitions().last().unwrap().reason, Reason::MasterStopped);
    world.expect_held_by(&["ours"]);
    world.expect_announced_by("ours", first.at);
    node.assert_content();
}
