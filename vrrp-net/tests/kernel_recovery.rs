//! Links that flap, interfaces that lose their name, addresses of interfaces that change: two nodes agree again by
//! themselves.

mod node;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use node::netlink::{held, with_netlink};
use node::routing::set_link;
use node::{Node, PATIENCE, Setup, has, ip, pause, within};
use rtnetlink::LinkUnspec;
use vrrp_core::{Fault, Reason, State};
use vrrp_net::DriverEvent;
use vrrp_net::lab::{self, Capture, Host, Lab, LabTest, MacAddr};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
const ROUTE: &str = "198.51.100.0/24";
/// How long a change takes that an advert every 100 ms brings about, on a busy machine.
const SETTLED: Duration = Duration::from_millis(1500);

#[test]
fn a_link_that_flaps_50_times_leaves_one_master_with_the_address_and_nothing_behind() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let start = |host, priority| {
            Setup::new(host, priority, &[VIP])
                .attachment(|attachment| {
                    let to: IpNet = ROUTE.parse().unwrap();
                    let route = vrrp_net::VirtualRoute::builder(to).dev("eth0").src(ip(VIP));
                    attachment.route(route.build().unwrap())
                })
                .start(host)
        };
        let high = start(a, 150);
        high.wait_for(State::Master);
        let low = start(b, 100);
        low.wait_for(State::Backup);
        let mut random = 1_u64;
        for _ in 0..50 {
            for up in [false, true] {
                set_link(a, "eth0", up);
                // Mostly too short for anything to happen, at times long enough for the other to take over.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pause(Duration::from_millis(
                    [0, 1, 5, 20, 450][(random >> 33) as usize % 5],
                ));
            }
        }
        let took = within(PATIENCE, || is_sole_master(a, b, &[VIP]));
        println!("agreed {took:?} after the last flap");
        within(PATIENCE, || routes(a) == 1 && routes(b) == 0);
        // And so it stays.
        high.take_events();
        low.take_events();
        pause(SETTLED);
        assert!(is_sole_master(a, b, &[VIP]));
        assert_eq!(held(a, VIP).len(), 1);
        for node in [&high, &low] {
            let events = node.take_events();
            assert!(transitions(&events).is_empty(), "{events:?}");
        }
        assert_eq!(
            lab.host("client").arp_who_has(ip4(VIP), ANSWERS).unwrap(),
            [a.mac()]
        );
        high.stop();
        low.wait_for(State::Master);
        low.stop();
        for host in [a, b] {
            assert!(!has(host, VIP));
            assert_eq!(routes(host), 0);
        }
    });
}

#[test]
fn while_an_interface_has_another_name_the_other_node_serves_and_gives_back_afterwards() {
    lab::test(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let client = lab.host("client");
        // No lease ends: whatever is left behind is so for good.
        let high = Setup::new(a, 150, &[VIP])
            .attachment(|attachment| attachment.lease(None))
            .start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        for _ in 0..3 {
            rename(a, "eth0", "away0");
            let (_, transition) = high.wait_for(State::Fault);
            assert_eq!(transition.reason, Reason::Fault(Fault::Link));
            low.wait_for(State::Master);
            // On the interface by its other name as well.
            within(PATIENCE, || !has(a, VIP) && has(b, VIP));
            assert_eq!(client.arp_who_has(ip4(VIP), ANSWERS).unwrap(), [b.mac()]);
            rename(a, "away0", "eth0");
            high.wait_for(State::Master);
            low.wait_for(State::Backup);
            within(PATIENCE, || is_sole_master(a, b, &[VIP]));
            assert_eq!(client.arp_who_has(ip4(VIP), ANSWERS).unwrap(), [a.mac()]);
        }
    });
}

/// Of two nodes of one priority the one with the higher address wins.
#[test]
fn adverts_come_from_the_new_address_of_an_interface_and_a_tie_is_decided_by_it() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let theirs = Setup::new(b, 100, &[VIP]).start(b);
        theirs.wait_for(State::Master);
        let ours = Setup::new(a, 100, &[VIP]).start(a);
        ours.wait_for(State::Backup);

        // As backup, from .10 to .12; the master is 192.0.2.11.
        change_address(a, "192.0.2.10/24", "192.0.2.12/24");
        pause(SETTLED);
        let events = theirs.take_events();
        assert!(transitions(&events).is_empty(), "{events:?}");
        part_and_heal(&lab, &ours);
        // The loser's transition says whom it has heard.
        let (_, transition) = theirs.wait_for(State::Backup);
        assert!(superseded_by(transition.reason, "192.0.2.12"), "{transition:?}");
        within(PATIENCE, || is_sole_master(a, b, &[VIP]));

        // As master, from .12 to .9, with both for a moment: it goes on as master.
        ours.take_events();
        change_address(a, "192.0.2.12/24", "192.0.2.9/25");
        within(PATIENCE, || {
            adverts_from(&mut capture, a.mac())
                .last()
                .map(|(_, source)| *source)
                == Some(ip("192.0.2.9"))
        });
        let changed = Instant::now();
        pause(SETTLED);
        let late = adverts_from(&mut capture, a.mac());
        let late: Vec<_> = late.iter().filter(|(at, _)| *at > changed).collect();
        assert!(
            late.len() > 3 && late.iter().all(|(_, source)| *source == ip("192.0.2.9")),
            "{late:?}"
        );
        let events = ours.take_events();
        assert!(transitions(&events).is_empty(), "{events:?}");
        part_and_heal(&lab, &theirs);
        let (_, transition) = ours.wait_for(State::Backup);
        assert!(superseded_by(transition.reason, "192.0.2.11"), "{transition:?}");
        within(PATIENCE, || is_sole_master(b, a, &[VIP]));
    });
}

#[test]
fn a_link_local_address_that_is_removed_and_another_that_is_added_move_the_adverts_to_it() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let vips = ["fe80::200", VIP6];
        let mut capture = lab.capture().unwrap();
        let high = Setup::new(a, 150, &vips).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &vips).start(b);
        low.wait_for(State::Backup);
        for net in a.addresses().unwrap() {
            let own = |address: IpAddr| !vips.map(ip).contains(&address);
            if matches!(net.addr(), IpAddr::V6(six) if six.is_unicast_link_local()) && own(net.addr()) {
                a.remove_address(net).unwrap();
            }
        }
        // Nothing to send from: the other serves.
        let (_, transition) = high.wait_for(State::Fault);
        assert_eq!(transition.reason, Reason::Fault(Fault::SourceAddress));
        low.wait_for(State::Master);
        within(PATIENCE, || is_sole_master(b, a, &vips));
        let added = Instant::now();
        a.add_address("fe80::99/64".parse().unwrap()).unwrap();
        high.wait_for(State::Master);
        low.wait_for(State::Backup);
        within(PATIENCE, || is_sole_master(a, b, &vips));
        pause(SETTLED);
        let adverts = adverts_from(&mut capture, a.mac());
        let late: Vec<_> = adverts.iter().filter(|(at, _)| *at > added).collect();
        assert!(
            late.len() > 3 && late.iter().all(|(_, source)| *source == ip("fe80::99")),
            "{late:?}"
        );
    });
}

/// How long answers to ARP are waited for.
const ANSWERS: Duration = Duration::from_millis(200);

/// Cuts host a off without a word, until the backup is master as well, and heals.
fn part_and_heal(lab: &Lab, backup: &Node) {
    lab.cut_silently("a").unwrap();
    backup.wait_for(State::Master);
    // A master that has just come up does not yet take the other for one.
    pause(Duration::from_millis(300));
    lab.heal("a").unwrap();
}

fn superseded_by(reason: Reason, address: &str) -> bool {
    matches!(reason, Reason::Superseded(peer) if peer.address == ip(address))
}

/// The other's address first, so that there always is one.
fn change_address(host: &Host, from: &str, to: &str) {
    let [from, to]: [IpNet; 2] = [from, to].map(|net| net.parse().unwrap());
    let own_network = from.trunc() != to.trunc();
    if own_network {
        host.add_address(to).unwrap();
    }
    host.remove_address(from).unwrap();
    if !own_network {
        // The kernel would remove it with the first of its network.
        host.add_address(to).unwrap();
    }
}

fn adverts_from(capture: &mut Capture, mac: MacAddr) -> Vec<(Instant, IpAddr)> {
    let adverts = capture.frames().iter().filter(|frame| frame.source() == mac);
    adverts
        .filter_map(|frame| Some((frame.at, frame.vrrp()?.source)))
        .collect()
}

fn is_sole_master(master: &Host, other: &Host, vips: &[&str]) -> bool {
    vips.iter().all(|vip| has(master, vip) && !has(other, vip))
}

fn routes(host: &Host) -> usize {
    node::routing::marked_routes(host).len()
}

fn transitions<E>(events: &[DriverEvent<E>]) -> Vec<&DriverEvent<E>> {
    let transition = |event: &&DriverEvent<E>| matches!(event, DriverEvent::Transition { .. });
    events.iter().filter(transition).collect()
}

fn rename(host: &Host, from: &str, to: &str) {
    let index = node::routing::interface_index(host, from);
    with_netlink(host, async |handle| {
        let change = LinkUnspec::new_with_index(index).name(to).build();
        handle.link().set(change).execute().await.unwrap();
    });
}

fn ip4(address: &str) -> std::net::Ipv4Addr {
    address.parse().unwrap()
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24", "2001:db8::10/64"])
        .host("b", ["192.0.2.11/24", "2001:db8::11/64"])
        .host("client", ["192.0.2.20/24"])
        .build()
        .unwrap()
}
