//! The two forms of VRRPv3's checksum over IPv4. keepalived sends and takes the one with pseudo-header, which is our
//! default; the other, of the message alone as RFC 9568 §5.2.8 has it, keepalived drops.

use std::time::Instant;

use vrrp_core::{ChecksumForm, State};
use vrrp_net::lab;

use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::V3;
use crate::steady::steadily;
use crate::world::{PATIENCE, World, pause};

#[test]
fn keepalived_and_our_default_send_the_same_form() {
    lab::test(|| steadily(V3, the_same_form_is_sent));
}

/// Why the setting has the default that it has.
#[test]
fn keepalived_drops_the_message_only_form_and_there_are_two_masters() {
    lab::test(|| steadily(V3, the_message_only_form_is_dropped));
}

fn the_same_form_is_sent() {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), V3, 100);
    let node = Node::start(world.ours(), Setup::new(V3, 200));
    let ours = world.our_advert(starts, None, V3.master_down_interval(200) + PATIENCE);
    assert_eq!(ours.checksum, ChecksumForm::PseudoHeader);
    // A whole master-down interval in which keepalived takes our adverts.
    pause(V3.master_down_interval(100) + V3.interval());
    assert!(world.their_adverts(starts).is_empty());
    node.stop();
    let theirs = world.their_advert(starts, None, V3.master_down_interval(100) + PATIENCE);
    assert_eq!(theirs.checksum, ChecksumForm::PseudoHeader);
    assert!(!keepalived.log().contains("checksum"), "{}", keepalived.log());
}

fn the_message_only_form_is_dropped() {
    keepalived::require();
    let mut world = World::new();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), V3, 100);
    let mut setup = Setup::new(V3, 200);
    setup.checksum = ChecksumForm::MessageOnly;
    let mut node = Node::start(world.ours(), setup);
    let ours = world.our_advert(starts, None, V3.master_down_interval(200) + PATIENCE);
    assert_eq!(ours.checksum, ChecksumForm::MessageOnly);
    let theirs = world.their_advert(starts, None, V3.master_down_interval(100) + PATIENCE);
    keepalived.expect_log("Invalid VRRPv3 checksum", PATIENCE);
    world.expect_held_by(&["ours", "theirs"]);
    // Ours takes keepalived's form all the same: it answers each losing advert.
    let answers = world.our_adverts(theirs.at);
    assert!(
        answers
            .iter()
            .any(|answer| answer.at - theirs.at < V3.interval() / 2),
        "{answers:?}"
    );
    assert_eq!(node.state(), State::Master);
    node.assert_content();
}
