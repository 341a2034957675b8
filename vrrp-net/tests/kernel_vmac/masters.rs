//! Only the master sends from the virtual MAC, and of two one is left.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::State;
use vrrp_net::Vmac;
use vrrp_net::lab::{Frame, Host, LabTest, MacAddr};

use crate::node::netlink::held;
use crate::node::{PATIENCE, Setup, ip, pause, within};
use crate::world::{MINUTE, World, who_has};

/// Where reports of MLDv2 go (RFC 3810 §5.2.14).
const MLD: MacAddr = MacAddr(0x33, 0x33, 0, 0, 0, 0x16);

/// A switch sends what is for the virtual MAC to where it last saw a frame from it: one of a router that has stepped down
/// would take the address from its master.
#[test]
fn nothing_leaves_from_the_virtual_mac_but_the_masters_frames() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let start = |host: &Host, priority| {
                Setup::new(host, priority, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()))
                    .start(host)
            };
            let mut capture = lab.capture().unwrap();
            let low = start(b, 100);
            low.wait_for(State::Master);
            let high = start(a, 150);
            high.wait_for(State::Master);
            low.wait_for(State::Backup);
            // The kernel's reports of groups come after up to a second, twice.
            pause(Duration::from_millis(2500));
            let frames: Vec<Frame> = capture.frames().to_vec();
            let mut ports: Vec<u32> = frames
                .iter()
                .filter(|frame| frame.source() == *mac)
                .map(|frame| frame.interface_index)
                .collect();
            ports.dedup();
            assert_eq!(ports.len(), 2, "the first one's, then the other's alone");
            let reports = |frame: &&Frame| frame.source() == *mac && frame.destination() == MLD;
            let reports = frames.iter().filter(reports).count();
            assert_eq!(
                reports > 0,
                vips.len() > 1,
                "{reports} reports of groups were there to be seen"
            );
            drop((low, high));
        }
    });
}

/// Two masters that speak from one MAC: neither's interface may take the other's adverts for its own.
#[test]
fn a_healed_partition_leaves_one_master() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let [high, low] = [(a, 150), (b, 100)].map(|(host, priority)| {
                Setup::new(host, priority, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()))
                    .start(host)
            });
            high.wait_for(State::Master);
            for (from, to) in [("a", "b"), ("b", "a")] {
                lab.cut_path(from, to).unwrap();
            }
            low.wait_for(State::Master);
            lab.heal_all().unwrap();
            low.wait_for(State::Backup);
            let vip = ip(vips.last().unwrap());
            within(PATIENCE, || held(b, vips[0]).is_empty());
            assert_eq!(who_has(lab.host("client"), vip), [*mac]);
            assert_eq!(high.handle.counters().conflicts, 0);
        }
    });
}

/// RFC 9568 §6.4.3: whoever has the greater primary address wins, which is not the virtual one that both share.
#[test]
fn of_equal_priorities_the_greater_address_of_the_interface_below_wins() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let capture = lab.capture().unwrap();
            let start = |host: &Host| {
                Setup::new(host, 100, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()))
                    .start(host)
            };
            // Cut apart, both become master; the lower one has been it for longer.
            lab.cut_path("a", "b").unwrap();
            lab.cut_path("b", "a").unwrap();
            let nodes = [start(a), start(b)];
            for node in &nodes {
                node.wait_for(State::Master);
            }
            lab.heal_all().unwrap();
            nodes[0].wait_for(State::Backup);
            let sources: Vec<IpAddr> = capture
                .stop()
                .iter()
                .filter(|frame| frame.source() == *mac)
                .filter_map(|frame| Some(frame.vrrp()?.source))
                .collect();
            let own = |host: &Host| host.addresses().unwrap().into_iter().map(|net| net.addr());
            let own: Vec<IpAddr> = own(a).chain(own(b)).collect();
            assert!(
                sources.len() > 2 && sources.iter().all(|source| own.contains(source)),
                "{sources:?}"
            );
        }
    });
}
