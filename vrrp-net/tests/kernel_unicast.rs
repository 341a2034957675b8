//! Unicast on real sockets: who is heard, from how far, and what the link sees.

mod node;

use node::lan::trio;
use node::{A_WHILE, Setup, has, ip, pause};
use vrrp_core::{RivalCause, State, UnicastPeer};
use vrrp_net::lab::{self, Host, Lab};

const VIP: &str = "192.0.2.100";
const A: &str = "192.0.2.10";
const B: &str = "192.0.2.11";

fn setup(host: &Host, priority: u8, peer: UnicastPeer) -> Setup {
    Setup::new(host, priority, &[VIP]).config(|config| config.peers(&[peer]))
}

fn peer(address: &str) -> UnicastPeer {
    UnicastPeer::new(ip(address))
}

/// A peer that seems to be behind a router is believed where the limit allows it.
#[test]
fn a_peer_is_heard_within_its_limits_of_ttl_alone() {
    lab::test(|| {
        for (min_ttl, heard) in [(253, true), (254, true), (255, false)] {
            let lab = trio();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let mut capture = lab.capture().unwrap();
            let far = setup(a, 200, peer(B))
                .attachment(|attachment| attachment.unicast_ttl(254))
                .start(a);
            far.wait_for(State::Master);
            let near = setup(b, 100, peer(A).min_ttl(min_ttl)).start(b);
            if heard {
                near.wait_for(State::Backup);
                pause(A_WHILE);
                near.assert_no_transition();
            } else {
                near.wait_for(State::Master);
                assert_eq!(near.wait_for_rival(), RivalCause::NotAPeer);
            }
            near.stop();
            far.stop();
            let adverts = capture.frames().iter().filter_map(lab::Frame::vrrp);
            let mut of_a = adverts.filter(|advert| advert.source == ip(A));
            assert!(of_a.all(|advert| advert.hop_limit == 254 && advert.destination == ip(B)));
        }
    });
}

#[test]
fn a_stranger_moves_nobody_unless_the_source_is_not_checked() {
    lab::test(|| {
        for (check, state) in [(true, State::Master), (false, State::Backup)] {
            let lab = trio();
            let (a, c) = (lab.host("a"), lab.host("c"));
            let node = setup(a, 100, peer(B))
                .config(|config| config.check_unicast_src(check))
                .start(a);
            node.wait_for(State::Master);
            let stranger = setup(c, 200, peer(A)).start(c);
            stranger.wait_for(State::Master);
            if state == State::Backup {
                node.wait_for(state);
            } else {
                pause(A_WHILE);
                node.assert_no_transition();
                assert!(has(a, VIP));
            }
            stranger.stop();
            node.stop();
        }
    });
}

/// `unicast_src_ip`: another address of the interface than its first.
#[test]
fn adverts_come_from_the_configured_source() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.10/24", "192.0.2.20/24", "2001:db8::20/64"])
            .host("b", ["192.0.2.11/24", "2001:db8::11/64"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        for (vip, of_a, of_b) in [
            (VIP, "192.0.2.20", B),
            ("fe80::100", "2001:db8::20", "2001:db8::11"),
        ] {
            let start = |host: &Host, priority, source: &str, peer: &str| {
                let source = ip(source);
                let peer = UnicastPeer::new(ip(peer)).min_ttl(255);
                Setup::new(host, priority, &[vip])
                    .config(|config| config.peers(&[peer]))
                    .attachment(|attachment| attachment.source(source))
                    .start(host)
            };
            let high = start(a, 200, of_a, of_b);
            high.wait_for(State::Master);
            let low = start(b, 100, of_b, of_a);
            low.wait_for(State::Backup);
            pause(A_WHILE);
            low.assert_no_transition();
            high.stop();
            low.wait_for(State::Master);
            low.stop();
        }
    });
}

/// The two kinds don't hear each other, whatever the priorities.
#[test]
fn multicast_and_unicast_routers_of_one_vrid_do_not_hear_each_other() {
    lab::test(|| {
        let lab = trio();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let unicast = setup(a, 100, peer(B)).start(a);
        unicast.wait_for(State::Master);
        let multicast = Setup::new(b, 200, &[VIP]).start(b);
        multicast.wait_for(State::Master);
        pause(A_WHILE);
        unicast.assert_no_transition();
        multicast.assert_no_transition();
        multicast.stop();
        unicast.stop();
    });
}

/// 224.0.0.18 in igmp, ff02::12 in igmp6.
#[test]
fn a_host_is_in_the_group_for_its_multicast_routers_alone() {
    lab::test(|| {
        let lab = trio();
        let a = lab.host("a");
        let groups = |host: &Host| {
            host.run(|| {
                let read = |file: &str| std::fs::read_to_string(file).unwrap().to_lowercase();
                let (v4, v6) = (
                    read("/proc/thread-self/net/igmp"),
                    read("/proc/thread-self/net/igmp6"),
                );
                let group_v6 = "ff020000000000000000000000000012";
                (v4.contains("120000e0"), v6.contains(group_v6))
            })
        };
        let node = setup(a, 100, peer(B)).start(a);
        assert_eq!(groups(a), (false, false));
        node.stop();
        let v6 = Setup::new(a, 100, &["fe80::100"])
            .config(|config| config.peers(&[ip("fe80::b")]))
            .start(a);
        assert_eq!(groups(a), (false, false));
        v6.stop();
        let node = Setup::new(a, 100, &[VIP]).start(a);
        assert_eq!(groups(a), (true, false));
        node.stop();
        let v6 = Setup::new(a, 100, &["fe80::100"]).start(a);
        assert_eq!(groups(a), (false, true));
        v6.stop();
    });
}

/// A master that knew it by another hardware address would send its adverts there.
#[test]
fn a_unicast_backup_that_comes_up_announces_its_own_address() {
    lab::test(|| {
        for unicast in [true, false] {
            let lab = trio();
            let b = lab.host("b");
            let mut capture = lab.capture().unwrap();
            let node = match unicast {
                true => setup(b, 100, peer(A)),
                false => Setup::new(b, 100, &[VIP]),
            };
            let node = node.start(b);
            node.wait_for(State::Backup);
            node.wait_for(State::Master);
            node.stop();
            let own = capture.frames().iter().filter_map(lab::Frame::arp).filter(|arp| {
                arp.is_gratuitous() && ip(&arp.sender_ip.to_string()) == ip(B) && arp.sender_mac == b.mac()
            });
            assert_eq!(own.count(), usize::from(unicast));
        }
        let lab = trio();
        let b = lab.host("b");
        let mut capture = lab.capture().unwrap();
        let node = Setup::new(b, 100, &["fe80::100"])
            .config(|config| config.peers(&[ip("fe80::a")]))
            .start(b);
        node.wait_for(State::Backup);
        node.wait_for(State::Master);
        node.stop();
        let own = capture.frames().iter().filter_map(lab::Frame::neighbor_advert);
        let own =
            own.filter(|advert| advert.target.to_string() != "fe80::100" && advert.mac == Some(b.mac()));
        assert!(own.count() >= 1);
    });
}
