//! The master's processes are killed (SIGKILL): nobody says goodbye.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vrrp_core::{Reason, State};
use vrrp_net::lab;

use crate::keepalived::{self, Keepalived};
use crate::node::{Node, NodeProcess, Setup};
use crate::protocol::{Protocol, V2, V3};
use crate::steady::steadily;
use crate::world::{OURS, PATIENCE, THEIRS, World, wait_until};

#[test]
fn v2_keepalived_takes_over_from_our_killed_process_whose_address_expires() {
    lab::test(|| steadily(V2, || ours_is_killed(V2, Duration::from_secs(3))));
}

#[test]
fn v3_keepalived_takes_over_from_our_killed_process_whose_address_expires() {
    lab::test(|| steadily(V3, || ours_is_killed(V3, Duration::from_secs(1))));
}

#[test]
fn v2_ours_takes_over_from_a_killed_keepalived() {
    lab::test(|| steadily(V2, || theirs_is_killed(V2)));
}

#[test]
fn v3_ours_takes_over_from_a_killed_keepalived() {
    lab::test(|| steadily(V3, || theirs_is_killed(V3)));
}

fn ours_is_killed(protocol: Protocol, lease: Duration) {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 100);
    let mut setup = Setup::new(protocol, 200);
    setup.lease = lease;
    let node = NodeProcess::start(world.ours(), setup);
    world.our_advert(starts, None, protocol.master_down_interval(200) + PATIENCE);
    world.expect_held_by(&["ours"]);

    let killed = Instant::now();
    node.kill();
    // A worker of the kernel looks for expired addresses. It is some tenths of a second late at most, unless other
    // workers hold it up.
    let expiry = lease + Duration::from_secs(2);
    wait_until("the address of the killed process is gone", expiry, || {
        !world.holds("ours")
    });
    let gone = killed.elapsed();
    let first = world.their_advert(killed, None, protocol.master_down_interval(100) + PATIENCE);
    let last = world.wire.last_before(first.at, IpAddr::V4(OURS));
    assert_eq!(last.priority, 200, "it had no time to say 0");
    let took = first.at - last.at;
    println!(
        "{protocol}: keepalived took over {took:?} after the last advert, {:?} after the kill; \
         our address was gone {gone:?} after it, with a lease of {lease:?}",
        first.at - killed
    );
    protocol.assert_after_master_down(100, took);
    keepalived.expect_log("Entering MASTER STATE", PATIENCE);
    world.expect_held_by(&["theirs"]);
}

fn theirs_is_killed(protocol: Protocol) {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 200);
    let mut node = Node::start(world.ours(), Setup::new(protocol, 100));
    world.their_advert(starts, None, protocol.master_down_interval(200) + PATIENCE);
    world.expect_held_by(&["theirs"]);

    let killed = Instant::now();
    keepalived.kill();
    node.expect_state(State::Master, protocol.master_down_interval(100) + PATIENCE);
    assert_eq!(node.transitions().last().unwrap().reason, Reason::MasterDown);
    let first = world.our_advert(killed, None, PATIENCE);
    let last = world.wire.last_before(first.at, IpAddr::V4(THEIRS));
    assert_eq!(last.priority, 200, "it had no time to say 0");
    let took = first.at - last.at;
    println!(
        "{protocol}: ours took over {took:?} after the last advert, {:?} after the kill",
        first.at - killed
    );
    protocol.assert_after_master_down(100, took);
    world.expect_announced_by("ours", first.at);
    // keepalived's addresses have no lease: its host goes on answering. That is no stranger's conflict, and no
    // reason to hold back.
    world.expect_held_by(&["ours", "theirs"]);
    node.assert_content();
}
