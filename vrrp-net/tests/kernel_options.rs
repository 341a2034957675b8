//! Options of virtual addresses, and many of them, on the real kernel.

mod node;

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use node::lan::pair;
use node::netlink::held;
use node::routing::{add_interface, routes};
use node::{PATIENCE, Setup, has, ip, pause, within};
use rtnetlink::packet_route::address::AddressFlags;
use vrrp_core::State;
use vrrp_net::lab::{self, Host};
use vrrp_net::{Broadcast, DriverEvent, PreferredLft, Scope, VirtualAddress};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";

#[test]
fn addresses_of_ipv4_have_the_options_that_they_are_given() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let one = |address: &str| VirtualAddress::new(net(address));
        let node = master(
            a,
            &[VIP],
            [
                one("192.0.2.100/32"),
                one("192.0.2.101/24").broadcast(Broadcast::Last),
                one("192.0.2.102/24")
                    .broadcast(Broadcast::First)
                    .no_prefix_route(),
                one("192.0.2.103/32").broadcast(Broadcast::Address([192, 0, 2, 127].into())),
                one("192.0.2.104/32").peer(ip("203.0.113.1")).labelled("eth0:far"),
                one("192.0.2.105/32").preferred_lft(PreferredLft::For(Duration::ZERO)),
                one("192.0.2.106/32").preferred_lft(PreferredLft::Forever),
                one("192.0.2.107/32").scope(Scope::LINK),
            ],
        );
        let only = |address| {
            let mut held = held(a, address);
            assert_eq!(held.len(), 1, "{held:?}");
            held.remove(0)
        };
        let plain = only("192.0.2.100");
        assert_eq!((plain.scope, plain.broadcast, plain.peer), (0, None, ip(VIP)));
        assert_eq!((plain.valid, plain.preferred), (3, 3));
        let last = only("192.0.2.101");
        assert_eq!((last.scope, last.broadcast), (0, Some([192, 0, 2, 255].into())));
        let first = only("192.0.2.102");
        assert_eq!(first.broadcast, Some([192, 0, 2, 0].into()));
        assert!(first.flags.contains(AddressFlags::Noprefixroute));
        assert_eq!(only("192.0.2.103").broadcast, Some([192, 0, 2, 127].into()));
        let far = only("192.0.2.104");
        assert_eq!(
            (far.peer, far.label.as_deref()),
            (ip("203.0.113.1"), Some("eth0:far"))
        );
        assert_eq!(routes(a, "203.0.113.1/32").len(), 1, "the kernel's own");
        assert_eq!((only("192.0.2.105").valid, only("192.0.2.105").preferred), (3, 0));
        assert!(only("192.0.2.105").flags.contains(AddressFlags::Deprecated));
        assert_eq!(only("192.0.2.106").preferred, 3);
        assert_eq!(only("192.0.2.107").scope, 253);
        // Renewed as they were added, and all removed again.
        pause(Duration::from_millis(1700));
        let far = only("192.0.2.104");
        assert!(far.valid >= 2 && far.peer == ip("203.0.113.1"), "{far:?}");
        assert_eq!(only("192.0.2.105").preferred, 0);
        node.stop();
        for n in 100..=107 {
            assert!(!has(a, &format!("192.0.2.{n}")), "192.0.2.{n}");
        }
        assert!(routes(a, "203.0.113.1/32").is_empty());
        assert!(has(a, "192.0.2.10"));
    });
}

#[test]
fn addresses_of_ipv6_have_the_options_that_they_are_given() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let one = |address: &str| VirtualAddress::new(net(address));
        let node = master(
            a,
            &["fe80::200", VIP6],
            [
                one("fe80::200/64"),
                one("2001:db8::100/128"),
                one("2001:db8:1::1/64").manage_temp_addr().home(),
                one("2001:db8:2::1/64").no_prefix_route(),
                one("2001:db8:3::1/128").preferred_lft(PreferredLft::Forever),
                one("2001:db8:4::1/128").peer(ip("2001:db8:4::2")),
                one("2001:db8:5::1/128").dad(true),
            ],
        );
        let flags = |address: &str| held(a, address)[0].flags;
        assert!(flags("fe80::200").contains(AddressFlags::Nodad));
        assert!(!flags("fe80::200").contains(AddressFlags::Noprefixroute));
        assert!(flags(VIP6).contains(AddressFlags::Nodad | AddressFlags::Noprefixroute));
        assert_eq!(held(a, VIP6)[0].preferred, 0);
        let both = AddressFlags::Managetempaddr | AddressFlags::Homeaddress;
        assert!(flags("2001:db8:1::1").contains(both));
        assert_eq!(held(a, "2001:db8:1::1")[0].preferred, 3);
        assert!(flags("2001:db8:2::1").contains(AddressFlags::Noprefixroute));
        assert_eq!(held(a, "2001:db8:3::1")[0].preferred, 3);
        assert_eq!(held(a, "2001:db8:4::1")[0].peer, ip("2001:db8:4::2"));
        assert!(!flags("2001:db8:5::1").contains(AddressFlags::Nodad));
        node.stop();
        for address in [
            "fe80::200",
            VIP6,
            "2001:db8:1::1",
            "2001:db8:4::1",
            "2001:db8:5::1",
        ] {
            assert!(!has(a, address), "{address}");
        }
    });
}

#[test]
fn a_scope_that_its_subnet_does_not_have_is_named() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let vip = VirtualAddress::new(net("192.0.2.100/24")).scope(Scope::LINK);
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.address(vip))
            .start(a);
        let reason = node.wait_for_refusal();
        assert_eq!(
            reason,
            "192.0.2.100/24 of scope link: the subnet's first address on eth0 has another scope; use that one, or a \
             prefix of 32"
        );
    });
}

#[test]
fn a_preferred_lifetime_counts_from_when_the_address_was_added() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let short = |address: &str| {
            VirtualAddress::from(ip(address)).preferred_lft(PreferredLft::For(Duration::from_secs(2)))
        };
        let six = short("2001:db8:1::1");
        let node = master(
            a,
            &[VIP],
            [VirtualAddress::from(ip(VIP)), short("192.0.2.101"), six],
        );
        let deprecated = || {
            let flags = |address| held(a, address)[0].flags;
            ["192.0.2.101", "2001:db8:1::1"]
                .iter()
                .filter(|address| flags(address).contains(AddressFlags::Deprecated))
                .count()
        };
        assert_eq!(deprecated(), 0);
        // Its lease has been renewed meanwhile, at 1.5 s.
        let took = within(PATIENCE, || deprecated() == 2);
        assert!(took > Duration::from_millis(900), "after {took:?}");
        pause(Duration::from_secs(2));
        assert_eq!(deprecated(), 2, "and it stays so");
        assert!(!held(a, VIP)[0].flags.contains(AddressFlags::Deprecated));
        node.stop();
    });
}

#[test]
fn a_multicast_group_is_joined_while_master_and_never_announced() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let mut announced = lab.capture().unwrap();
        let group = VirtualAddress::from(ip("239.1.2.3")).autojoin();
        let node = master(a, &[VIP], [VirtualAddress::from(ip(VIP)), group]);
        let joined = || {
            a.run(|| {
                fs::read_to_string("/proc/thread-self/net/igmp")
                    .unwrap()
                    .contains("030201EF")
            })
        };
        assert!(joined());
        node.stop();
        assert!(!joined());
        let gratuitous = announced
            .frames()
            .iter()
            .filter_map(lab::Frame::arp)
            .filter(lab::Arp::is_gratuitous);
        let senders: Vec<_> = gratuitous.map(|arp| arp.sender_ip.to_string()).collect();
        assert!(
            !senders.is_empty() && senders.iter().all(|sender| sender == VIP),
            "{senders:?}"
        );
    });
}

#[test]
fn promote_secondaries_is_set_where_it_is_asked_for() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        add_interface(a, "vrrp0", "198.51.100.1/24");
        let path = |name: &str| format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
        for name in ["all", "eth0", "vrrp0"] {
            a.run(|| fs::write(path(name), "0")).unwrap();
        }
        let set = |name: &str| a.run(|| fs::read_to_string(path(name)).unwrap().trim() == "1");
        let start = |promote| {
            let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
                let there = VirtualAddress::from(ip("198.51.100.100")).on("vrrp0");
                let attachment = attachment.address(ip(VIP)).address(there);
                attachment.promote_secondaries(promote)
            });
            setup.start(a)
        };
        start(false).stop();
        assert!(!set("eth0") && !set("vrrp0"), "host prefixes need none");
        start(true).stop();
        assert!(set("eth0") && set("vrrp0"));
    });
}

/// More than an advert has room for: they are held and announced, and not advertised.
#[test]
fn three_hundred_excluded_addresses_come_and_go_in_bounded_time() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let all: Vec<String> = (0..300)
            .map(|n| format!("10.0.{}.{}", n / 250, n % 250 + 1))
            .collect();
        let setup = |host, priority| {
            Setup::new(host, priority, &[VIP]).attachment(|attachment| {
                let attachment = attachment.address(ip(VIP)).announce_repeat(2);
                all.iter()
                    .fold(attachment, |attachment, address| attachment.address(ip(address)))
            })
        };
        let low = setup(b, 100).start(b);
        low.wait_for(State::Master);
        let mut capture = lab.capture().unwrap();
        let started = Instant::now();
        let high = setup(a, 150).start(a);
        let (master_at, _) = high.wait_for(State::Master);
        let (backup_at, _) = low.wait_for(State::Backup);
        assert_eq!(count(a), 301);
        within(PATIENCE, || count(b) == 0);
        // All are announced; an ordinary user's capture holds some 270 frames that come at once.
        let announced = |frame: &lab::Frame| {
            let arp = frame.arp().filter(lab::Arp::is_gratuitous)?;
            (frame.source() == a.mac()).then_some(arp.sender_ip)
        };
        within(PATIENCE, || {
            let heard: HashSet<_> = capture.frames().iter().filter_map(announced).collect();
            heard.len() > 200
        });
        assert_eq!(high.handle.counters().announce_errors, 0);
        // An advert has the one address that is advertised: 8 octets and 4.
        let advert = capture
            .frames()
            .iter()
            .rev()
            .find_map(|frame| frame.vrrp().map(|ip| ip.payload.len()));
        assert_eq!(advert, Some(12));
        let stopped = Instant::now();
        high.stop();
        let released = stopped.elapsed();
        assert_eq!(count(a), 0);
        let (taken_over, _) = low.wait_for(State::Master);
        assert_eq!(count(b), 301);
        println!(
            "master {:?} after the start; then {:?} until the other was backup; released in {released:?}, taken over {:?} \
             after",
            master_at - started,
            backup_at.saturating_duration_since(master_at),
            taken_over - stopped
        );
        // The protocol's own part is 341 ms (Master_Down_Interval) and 61 ms (skew); what is left is for 300 addresses.
        assert!(released < Duration::from_millis(500), "released in {released:?}");
        assert!(taken_over - stopped < Duration::from_secs(1));
    });
}

fn count(host: &Host) -> usize {
    let addresses = host.addresses().unwrap();
    addresses.iter().filter(|net| net.prefix_len() == 32).count()
}

/// A node of priority 255 that has become master with these addresses.
fn master<const N: usize>(host: &Host, advertised: &[&str], addresses: [VirtualAddress; N]) -> node::Node {
    let setup = Setup::new(host, 255, advertised);
    let hold = |attachment| {
        addresses
            .into_iter()
            .fold(attachment, vrrp_net::AttachmentBuilder::address)
    };
    let node = setup.attachment(hold).start(host);
    node.wait_for_event(|event| match event {
        DriverEvent::AddressesRefused { reason, .. } => panic!("{reason}"),
        DriverEvent::Transition { transition, .. } => (transition.to == State::Master).then_some(()),
        _ => None,
    });
    node
}

fn net(net: &str) -> IpNet {
    net.parse().unwrap()
}
