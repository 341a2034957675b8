//! The higher priority is master, whoever was there first.

use std::net::IpAddr;
use std::time::Instant;

use vrrp_core::{Reason, State};
use vrrp_net::lab;

use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::{Protocol, V2, V3};
use crate::steady::steadily;
use crate::world::{PATIENCE, THEIRS, World};

#[test]
fn v2_our_lower_node_gives_way_to_keepalived() {
    lab::test(|| steadily(V2, || our_lower_node_gives_way(V2)));
}

#[test]
fn v3_our_lower_node_gives_way_to_keepalived() {
    lab::test(|| steadily(V3, || our_lower_node_gives_way(V3)));
}

#[test]
fn v2_our_higher_node_preempts_keepalived() {
    lab::test(|| steadily(V2, || our_higher_node_preempts(V2)));
}

#[test]
fn v3_our_higher_node_preempts_keepalived() {
    lab::test(|| steadily(V3, || our_higher_node_preempts(V3)));
}

/// Ours serves alone; a higher keepalived joins.
fn our_lower_node_gives_way(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let mut node = Node::start(world.ours(), Setup::new(protocol, 100));
    node.expect_state(State::Master, protocol.master_down_interval(100) + PATIENCE);
    world.expect_held_by(&["ours"]);

    let joins = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 150);
    let wait = protocol.master_down_interval(150) + PATIENCE;
    let first = world.their_advert(joins, None, wait);
    assert_eq!(first.priority, 150);
    node.expect_state(State::Backup, PATIENCE);
    keepalived.expect_log("Entering MASTER STATE", PATIENCE);
    let last = node.transitions().last().copied().unwrap();
    assert!(
        matches!(last.reason, Reason::Superseded(peer) if peer.address == IpAddr::V4(THEIRS)
            && peer.priority.get() == 150),
        "{last:?}"
    );
    world.expect_held_by(&["theirs"]);
    world.expect_announced_by("theirs", first.at);
    node.assert_content();
}

/// keepalived serves alone; ours joins with a higher priority.
fn our_higher_node_preempts(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 100);
    world.their_advert(starts, None, protocol.master_down_interval(100) + PATIENCE);
    world.expect_held_by(&["theirs"]);

    let joins = Instant::now();
    let mut node = Node::start(world.ours(), Setup::new(protocol, 150));
    node.expect_state(State::Master, protocol.master_down_interval(150) + PATIENCE);
    let first = world.our_advert(joins, None, PATIENCE);
    assert_eq!(first.priority, 150);
    // It waits as long as if there were nobody.
    protocol.assert_after_master_down(150, first.at - joins);
    let last = node.transitions().last().copied().unwrap();
    assert!(
        matches!(last.reason, Reason::Preempted(peer) if peer.address == IpAddr::V4(THEIRS)
            && peer.priority.get() == 100),
        "{last:?}"
    );
    keepalived.expect_backup_again(PATIENCE);
    world.expect_held_by(&["ours"]);
    world.expect_announced_by("ours", first.at);
    node.assert_content();
}
