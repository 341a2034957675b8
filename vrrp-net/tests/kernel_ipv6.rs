//! IPv6 on the real kernel: addresses that serve at once, and neighbour advertisements as the RFC wants them.

mod node;

use std::fs;
use std::net::{IpAddr, SocketAddrV6, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use node::netlink::held;
use node::probe::{Asking, Echo, neighbour};
use node::{PATIENCE, Setup, ip, pause, within};
use rtnetlink::packet_route::address::AddressFlags;
use vrrp_core::State;
use vrrp_net::Vmac;
use vrrp_net::lab::{Frame, Host, Lab, LabTest, MacAddr};

const GATEWAY: &str = "fe80::200";
const VIP: &str = "2001:db8::100";
const VIPS: [&str; 2] = [GATEWAY, VIP];
/// Three adverts of 100 ms and a skew of 61 ms, and room for a busy machine. Duplicate address detection alone would
/// take a second.
const TAKEOVER: Duration = Duration::from_millis(800);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_client_is_served_again_within_the_takeover_bound() {
    LabTest::new().timeout(MINUTE).run(|| {
        let lab = lab();
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let vip = ip(VIP);
        let _echoes = [a, b].map(|host| Echo::start(host, vip));
        let high = Setup::new(a, 150, &VIPS).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &VIPS).start(b);
        low.wait_for(State::Backup);
        let served = |what: &str, by: MacAddr, takeover: &mut dyn FnMut()| {
            let asking = Asking::start(client, vip);
            pause(Duration::from_millis(100));
            takeover();
            pause(Duration::from_millis(100));
            let gap = asking.longest_gap();
            println!("{what}: {gap:?} without an answer");
            assert!(gap < TAKEOVER, "{what}: {gap:?} without an answer");
            assert_eq!(neighbour(client, vip), Some(by), "{what}");
        };
        let mut high = Some(high);
        served("planned stop", b.mac(), &mut || {
            high.take().unwrap().stop();
            low.wait_for(State::Master);
            assert_usable(b);
        });
        served("preemption", a.mac(), &mut || {
            let node = Setup::new(a, 150, &VIPS).start(a);
            node.wait_for(State::Master);
            assert_usable(a);
            high = Some(node);
        });
        low.wait_for(State::Backup);
        served("link cut", b.mac(), &mut || {
            lab.cut("a").unwrap();
            low.wait_for(State::Master);
        });
    });
}

/// The kernel finishes an address after it has been added. Whoever looked for it in between would ask again a second
/// later, and so would whoever connected.
#[test]
fn a_client_connects_to_both_addresses_as_soon_as_they_are_announced() {
    LabTest::new().timeout(MINUTE).run(|| {
        let lab = lab();
        let (a, client) = (lab.host("a"), lab.host("client"));
        for vmac in [None, Some(Vmac::new())] {
            let mut took = Vec::new();
            for _ in 0..10 {
                let setup = Setup::new(a, 255, &VIPS).attachment(|attachment| match &vmac {
                    Some(vmac) => attachment.vmac(vmac.clone()),
                    None => attachment,
                });
                let listener = a.run(|| TcpListener::bind("[::]:80").unwrap());
                let node = setup.start(a);
                node.wait_for(State::Master);
                let asked = Instant::now();
                for vip in VIPS {
                    let IpAddr::V6(address) = ip(vip) else {
                        unreachable!("all are IPv6")
                    };
                    let link_local = address.is_unicast_link_local();
                    let scope = if link_local { client.interface_index() } else { 0 };
                    let at = SocketAddrV6::new(address, 80, 0, scope);
                    client.run(|| TcpStream::connect_timeout(&at.into(), PATIENCE).unwrap());
                    listener.accept().unwrap();
                }
                took.push(asked.elapsed());
                node.stop();
            }
            took.sort_unstable();
            println!("connected to both within {took:?}");
            // The driver waits for the kernel, but not for long: on a machine that is busy with other tests it may be later.
            assert!(took[5] < TAKEOVER, "{took:?}");
        }
    });
}

#[test]
fn all_addresses_are_announced_and_again_after_the_delay() {
    LabTest::new().timeout(MINUTE).run(|| {
        let lab = lab();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let node = Setup::new(a, 255, &VIPS)
            .config(|config| config.announce_delay(Duration::from_millis(400)))
            .attachment(|attachment| {
                attachment
                    .address(ip(GATEWAY))
                    .address(ip(VIP))
                    // Held, and not advertised: virtual_ipaddress_excluded.
                    .address(ip("2001:db8::101"))
            })
            .start(a);
        node.wait_for(State::Master);
        for vip in [GATEWAY, VIP, "2001:db8::101"] {
            let of = |frame: &&Frame| {
                let advert = frame.neighbor_advert();
                advert.is_some_and(|advert| ip(vip) == advert.target)
            };
            within(PATIENCE, || capture.frames().iter().filter(of).count() >= 10);
            let frames: Vec<Frame> = capture.frames().iter().filter(of).cloned().collect();
            assert_eq!(frames.len(), 10, "{vip}");
            let again = frames[5].at - frames[4].at;
            assert!(again > Duration::from_millis(350), "{vip}: again after {again:?}");
            for frame in &frames {
                let advert = frame.neighbor_advert().unwrap();
                // RFC 4861 §7.2.6, RFC 9568 §6.4.2: from all to all, Override, and not an answer.
                assert!(advert.overrides && !advert.solicited && !advert.router);
                assert_eq!((advert.mac, frame.source()), (Some(a.mac()), a.mac()));
                assert_eq!(frame.destination(), MacAddr::new(0x33, 0x33, 0, 0, 0, 1));
                let ip = frame.ip().unwrap();
                assert_eq!((ip.source, ip.hop_limit), (IpAddr::V6(advert.target), 255));
            }
        }
    });
}

/// RFC 9568 §6.4.2: the Router flag says whether the interface forwards, at the time of the announcement.
#[test]
fn a_host_that_forwards_says_that_it_is_a_router() {
    LabTest::new().timeout(MINUTE).run(|| {
        for forwards in [false, true] {
            let lab = lab();
            let (a, client) = (lab.host("a"), lab.host("client"));
            let value = if forwards { "1" } else { "0" };
            a.run(|| fs::write("/proc/sys/net/ipv6/conf/all/forwarding", value).unwrap());
            let mut capture = lab.capture().unwrap();
            let node = Setup::new(a, 255, &VIPS).start(a);
            node.wait_for(State::Master);
            let IpAddr::V6(vip) = ip(VIP) else {
                unreachable!("it is IPv6")
            };
            // The kernel's own answers say the same.
            within(PATIENCE, || {
                client.ndp_who_has(vip, Duration::from_millis(100)).unwrap() == [a.mac()]
            });
            let adverts: Vec<_> = capture
                .frames()
                .iter()
                .filter_map(Frame::neighbor_advert)
                .collect();
            assert!(adverts.iter().any(|advert| advert.solicited));
            assert!(adverts.iter().any(|advert| !advert.solicited));
            assert!(
                adverts.iter().all(|advert| advert.router == forwards),
                "{adverts:?}"
            );
        }
    });
}

/// RFC 9568 §6.4.1, §6.4.3: a master is in the solicited-node group of each address, a backup in none.
#[test]
fn only_a_master_listens_for_who_looks_for_the_addresses() {
    LabTest::new().timeout(MINUTE).run(|| {
        let lab = lab();
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let groups = |host: &Host| {
            let all = host.run(|| fs::read_to_string("/proc/thread-self/net/igmp6").unwrap());
            [
                "ff0200000000000000000001ff000200",
                "ff0200000000000000000001ff000100",
            ]
            .map(|group| all.contains(group))
        };
        let high = Setup::new(a, 150, &VIPS).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &VIPS).start(b);
        low.wait_for(State::Backup);
        within(PATIENCE, || groups(a) == [true; 2]);
        assert_eq!(groups(b), [false; 2]);
        high.stop();
        low.wait_for(State::Master);
        within(PATIENCE, || groups(b) == [true; 2] && groups(a) == [false; 2]);
        let IpAddr::V6(gateway) = ip(GATEWAY) else {
            unreachable!("it is IPv6")
        };
        let answers = client.ndp_who_has(gateway, Duration::from_millis(200)).unwrap();
        assert_eq!(answers, [b.mac()]);
    });
}

#[test]
fn of_equal_priorities_the_greater_link_local_address_wins() {
    LabTest::new().timeout(MINUTE).run(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        lab.cut_path("a", "b").unwrap();
        lab.cut_path("b", "a").unwrap();
        // The link-local addresses follow from the MACs: b's is greater.
        let [low, high] = [a, b].map(|host| Setup::new(host, 100, &VIPS).start(host));
        for node in [&low, &high] {
            node.wait_for(State::Master);
        }
        lab.heal_all().unwrap();
        low.wait_for(State::Backup);
        pause(Duration::from_millis(500));
        assert!(held(a, VIP).is_empty() && !held(b, VIP).is_empty());
    });
}

/// Neither does duplicate address detection go on, nor has it failed.
fn assert_usable(host: &Host) {
    for vip in VIPS {
        let flags = held(host, vip)[0].flags;
        assert!(
            !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
            "{flags:?}"
        );
    }
}

/// Hosts that look for duplicates, as they do everywhere.
fn lab() -> Lab {
    let lab = Lab::builder()
        .host("a", ["2001:db8::10/64"])
        .host("b", ["2001:db8::11/64"])
        .host("client", ["2001:db8::20/64"])
        .build()
        .unwrap();
    for host in lab.hosts() {
        host.run(|| {
            for interface in ["all", "eth0"] {
                fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/accept_dad"), "1").unwrap();
            }
        });
    }
    lab
}
