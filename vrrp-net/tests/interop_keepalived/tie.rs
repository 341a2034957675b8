//! Equal priorities: when two masters hear each other again, the higher address stays.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use vrrp_core::{Reason, State};
use vrrp_net::{DriverEvent, MacAddr, lab};

use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::{Protocol, V2, V3};
use crate::steady::steadily;
use crate::world::{OURS, PATIENCE, VIP, World};

/// Above keepalived's.
const OURS_HIGHER: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 12);

#[test]
fn v2_our_lower_address_yields_once_the_cut_is_healed() {
    lab::test(|| steadily(V2, || the_higher_address_stays(V2, OURS)));
}

#[test]
fn v3_our_lower_address_yields_once_the_cut_is_healed() {
    lab::test(|| steadily(V3, || the_higher_address_stays(V3, OURS)));
}

#[test]
fn v2_our_higher_address_stays_once_the_cut_is_healed() {
    lab::test(|| steadily(V2, || the_higher_address_stays(V2, OURS_HIGHER)));
}

#[test]
fn v3_our_higher_address_stays_once_the_cut_is_healed() {
    lab::test(|| steadily(V3, || the_higher_address_stays(V3, OURS_HIGHER)));
}

fn the_higher_address_stays(protocol: Protocol, ours: Ipv4Addr) {
    keepalived::require();
    let mut world = World::with_our_address(ours);
    world.lab.cut_silently("ours").unwrap();
    let starts = Instant::now();
    let keepalived = Keepalived::start(world.theirs(), protocol, 100);
    let mut node = Node::start(world.ours(), Setup::new(protocol, 100));
    let wait = protocol.master_down_interval(100) + PATIENCE;
    node.expect_state(State::Master, wait);
    world.their_advert(starts, None, wait);
    keepalived.expect_log("Entering MASTER STATE", PATIENCE);
    assert!(world.holds("ours"));

    let healed = Instant::now();
    world.lab.heal("ours").unwrap();
    let (winner, losers_adverts) = if ours == OURS {
        node.expect_state(State::Backup, protocol.interval() + PATIENCE);
        let reason = node.transitions().last().unwrap().reason;
        assert!(
            matches!(reason, Reason::Superseded(peer) if peer.priority.get() == 100),
            "{reason:?}"
        );
        ("theirs", world.our_adverts(healed))
    } else {
        keepalived.expect_backup_again(protocol.interval() + PATIENCE);
        assert_eq!(node.state(), State::Master);
        ("ours", world.their_adverts(healed))
    };
    world.expect_held_by(&[winner]);
    // Only if the loser spoke first does the winner learn that somebody was led astray.
    if !losers_adverts.is_empty() {
        world.expect_announced_by(winner, healed);
    }
    // Ours asked, after taking over, who else has the address. keepalived may have answered once the cut was healed.
    let theirs = DriverEvent::Conflict {
        router: 0,
        address: IpAddr::V4(VIP),
        mac: MacAddr(world.theirs().mac().octets()),
    };
    node.assert_content_but(&theirs);
}
