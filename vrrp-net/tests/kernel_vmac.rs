//! Virtual MAC addresses on the real kernel: what clients see of a takeover, and what they don't.

mod node;

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use node::netlink::{held, interface};
use node::probe::{Asking, Echo, neighbour};
use node::{PATIENCE, Setup, ip, pause, within};
use vrrp_core::{AdverInterval, AuthenticationConfig, State, Version};
use vrrp_net::lab::{Frame, Host, Lab, LabTest, MacAddr};
use vrrp_net::{DriverEvent, Vmac};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
/// Three adverts of 100 ms and a skew of 61 ms, and room for a busy machine.
const TAKEOVER: Duration = Duration::from_millis(800);

#[test]
fn the_clients_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv4(), &Vmac::new()));
}

#[test]
fn the_clients_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv4(), &Vmac::new().xmit_base(true)));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv6(), &Vmac::new()));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(&World::ipv6(), &Vmac::new().xmit_base(true)));
}

/// Until the next advert, a switch that was led astray sends to the wrong port.
const INTERVAL: Duration = Duration::from_millis(100);
/// Where reports of MLDv2 go (RFC 3810 §5.2.14).
const MLD: MacAddr = MacAddr(0x33, 0x33, 0, 0, 0, 0x16);
const MINUTE: Duration = Duration::from_secs(60);

/// A planned stop, preempting back, and a cut link; and each frame from the virtual MAC is the master's.
fn moves(world: &World, vmac: &Vmac) {
    let World { lab, vips, mac } = world;
    let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
    let vip = ip(vips.last().unwrap());
    let start = |host: &Host, priority| {
        Setup::new(host, priority, vips)
            .attachment(|attachment| attachment.vmac(vmac.clone()))
            .start(host)
    };
    let _echoes = [a, b].map(|host| Echo::start(host, vip));
    let mut capture = lab.capture().unwrap();
    let mut frames = Vec::new();

    let high = start(a, 150);
    high.wait_for(State::Master);
    let low = start(b, 100);
    low.wait_for(State::Backup);
    within(PATIENCE, || client_reaches(client, vip));
    assert_eq!(neighbour(client, vip), Some(*mac));
    let keeps_its_entry = |what: &str, limit: Duration, takeover: &mut dyn FnMut()| {
        let asking = Asking::start(client, vip);
        pause(Duration::from_millis(100));
        takeover();
        pause(Duration::from_millis(100));
        let gap = asking.longest_gap();
        println!("{what}: {gap:?} without an answer");
        assert!(gap < limit, "{what}: {gap:?} without an answer");
        assert_eq!(neighbour(client, vip), Some(*mac), "{what}");
    };

    let mut high = Some(high);
    keeps_its_entry("planned stop", TAKEOVER, &mut || {
        high.take().unwrap().stop();
        low.wait_for(State::Master);
    });
    frames.extend(capture.frames().to_vec());
    keeps_its_entry("preemption", INTERVAL, &mut || {
        let node = start(a, 150);
        node.wait_for(State::Master);
        low.wait_for(State::Backup);
        high = Some(node);
    });
    keeps_its_entry("link cut", TAKEOVER, &mut || {
        lab.cut("a").unwrap();
        low.wait_for(State::Master);
    });
    let told = neighbour_messages(capture.frames(), vip);
    assert!(!told.is_empty());
    assert!(told.iter().all(|teller| teller == mac), "{told:?}");
    for node in [low, high.unwrap()] {
        let counters = node.handle.counters();
        assert_eq!((counters.send_errors, counters.announce_errors), (0, 0));
        assert_eq!((counters.address_errors, counters.conflicts), (0, 0));
        node.stop();
    }
}

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

/// Else the client would take the MAC of the interface below for that of the address.
#[test]
fn a_master_that_speaks_for_the_address_does_not_give_another_mac_for_it() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, client) = (lab.host("a"), lab.host("client"));
            let vip = ip(vips.last().unwrap());
            let other = if vip.is_ipv4() {
                "192.0.2.77/24"
            } else {
                "2001:db8::77/64"
            };
            let other: ipnet::IpNet = other.parse().unwrap();
            client.add_address(other).unwrap();
            let mut capture = lab.capture().unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(State::Master);
            let heard = client.run(|| UdpSocket::bind((other.addr(), 9)).unwrap());
            heard.set_read_timeout(Some(PATIENCE)).unwrap();
            // It has to ask for the client's MAC first.
            a.run(|| {
                UdpSocket::bind((vip, 0))
                    .unwrap()
                    .send_to(&[1], (other.addr(), 9))
            })
            .unwrap();
            assert_eq!(heard.recv_from(&mut [0; 8]).unwrap().1.ip(), vip);
            let asked = |frame: &Frame| frame.source() == a.mac() && frame.vrrp().is_none();
            assert!(capture.wait_for(PATIENCE, asked).is_some());
            let told = neighbour_messages(capture.frames(), vip);
            assert!(
                !told.is_empty() && told.iter().all(|teller| teller == mac),
                "{told:?}"
            );
        }
    });
}

#[test]
fn a_stranger_that_claims_the_address_is_told_from_the_virtual_mac() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, .. } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let vip = ip(vips.last().unwrap());
            let theirs = ipnet::IpNet::from(vip);
            b.add_address(theirs).unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            let (_, (address, mac)) = node.wait_for_event(|event| match event {
                DriverEvent::Conflict { address, mac, .. } => Some((*address, mac.to_string())),
                _ => None,
            });
            assert_eq!((address, mac), (vip, b.mac().to_string()));
        }
    });
}

/// What hosts take as their gateway: it must answer on its own interface.
#[test]
fn a_link_local_address_on_a_virtual_mac_can_be_spoken_to() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv6();
        let (a, client) = (lab.host("a"), lab.host("client"));
        let node = Setup::new(a, 255, vips)
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        let gateway: Ipv6Addr = "fe80::200".parse().unwrap();
        let at = |port, index| SocketAddrV6::new(gateway, port, 0, index);
        let index = interface(a, "vrrp6.51").unwrap().index;
        let server = a.run(|| UdpSocket::bind(at(7, index)).unwrap());
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let asking = client.run(|| UdpSocket::bind("[::]:0").unwrap());
        asking.set_read_timeout(Some(PATIENCE)).unwrap();
        asking.send_to(&[1], at(7, client.interface_index())).unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
        server.send_to(&[2], from).unwrap();
        assert_eq!(asking.recv_from(&mut [0; 8]).unwrap().0, 1);
        assert_eq!(neighbour(client, gateway.into()), Some(*mac));
    });
}

#[test]
fn an_address_that_is_not_accepted_answers_for_the_virtual_mac_and_nothing_more() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, client) = (lab.host("a"), lab.host("client"));
            let vip = ip(vips.last().unwrap());
            let _echo = Echo::start(a, vip);
            for accept in [true, false] {
                let node = Setup::new(a, 150, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()).accept(accept))
                    .start(a);
                node.wait_for(State::Master);
                assert_eq!(who_has(client, vip), [*mac]);
                if accept {
                    within(PATIENCE, || client_reaches(client, vip));
                } else {
                    assert!(!client_reaches(client, vip));
                }
                node.stop();
            }
        }
    });
}

/// Each peer would learn the virtual MAC as that of the host.
#[test]
fn unicast_adverts_come_from_the_interface_below() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv4();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let node = Setup::new(a, 255, vips)
            .config(|config| config.peers(&[ip("192.0.2.11")]))
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        let advert = capture
            .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
            .unwrap();
        assert_eq!((advert.source(), advert.destination()), (a.mac(), b.mac()));
        assert_eq!(who_has(lab.host("client"), ip(vips[0])), [*mac]);
    });
}

#[test]
fn authenticated_adverts_come_from_the_virtual_mac_and_are_heard() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv4();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let start = |host: &Host, priority| {
            Setup::new(host, priority, vips)
                .config(|config| {
                    config
                        .version(Version::V2)
                        .adver_interval(AdverInterval::DEFAULT)
                        .authentication(AuthenticationConfig::ah("1111").unwrap())
                })
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(host)
        };
        let high = start(a, 255);
        high.wait_for(State::Master);
        let low = start(b, 254);
        low.wait_for(State::Backup);
        let authenticated = |frame: &Frame| frame.ip().is_some_and(|ip| ip.protocol == 51);
        let advert = capture.wait_for(PATIENCE, authenticated).unwrap();
        assert_eq!(advert.source(), *mac);
        assert_eq!(advert.ip().unwrap().source, ip("192.0.2.10"));
        // Longer than its Master_Down_Interval.
        pause(Duration::from_millis(3500));
        assert!(low.take_events().is_empty(), "it hears the master");
        assert_eq!(high.handle.counters().send_errors, 0);
    });
}

/// RFC 9568 §6.4.3: a master forwards what is sent to the virtual MAC.
#[test]
fn a_virtual_mac_forwards_if_the_interface_below_does() {
    LabTest::new().timeout(MINUTE).run(|| {
        for (world, name, setting) in [
            (World::ipv4(), "vrrp.51", "ipv4/conf/eth0/forwarding"),
            (World::ipv6(), "vrrp6.51", "ipv6/conf/eth0/forwarding"),
        ] {
            let World { lab, vips, .. } = &world;
            let a = lab.host("a");
            a.run(|| fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap());
            let capture = lab.capture().unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(State::Master);
            let of_vmac = setting.replace("eth0", name);
            let value = a.run(|| fs::read_to_string(format!("/proc/sys/net/{of_vmac}")).unwrap());
            assert_eq!(value.trim_end(), "1");
            let frames = capture.stop();
            let adverts: Vec<_> = frames.iter().filter_map(Frame::neighbor_advert).collect();
            assert_eq!(adverts.is_empty(), vips.len() == 1);
            assert!(
                adverts.iter().all(|advert| advert.router),
                "a router says that it is one"
            );
        }
    });
}

/// RFC 9568 §6.4.2, §6.4.3: a switch that doesn't know where the virtual MAC is sends its frames to all.
#[test]
fn a_backup_drops_frames_to_the_virtual_mac_and_a_master_forwards_them() {
    LabTest::new().timeout(MINUTE).run(|| {
        for (priority, state) in [(100, State::Backup), (255, State::Master)] {
            let World { lab, vips, mac } = &World::ipv4();
            let (a, client) = (lab.host("a"), lab.host("client"));
            client.add_address("192.0.2.77/24".parse().unwrap()).unwrap();
            a.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
            let mut capture = lab.capture().unwrap();
            let node = Setup::new(a, priority, vips)
                // It stays backup for half a minute.
                .config(|config| config.adver_interval(AdverInterval::from_centis(1000).unwrap()))
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(state);
            client.send_frame(&udp(client.mac(), *mac)).unwrap();
            let forwarded = |frame: &Frame| {
                let to = frame.ip().map(|ip| ip.destination);
                frame.source() == a.mac() && to == Some(ip("192.0.2.77"))
            };
            let wait = if state == State::Master {
                PATIENCE
            } else {
                Duration::from_millis(500)
            };
            let frame = capture.wait_for(wait, forwarded);
            assert_eq!(frame.is_some(), state == State::Master, "{state}");
        }
    });
}

/// UDP from 192.0.2.20 to 192.0.2.77, two hosts whom a router stands between.
fn udp(source: MacAddr, destination: MacAddr) -> Vec<u8> {
    let mut frame = [destination.octets(), source.octets()].concat();
    frame.extend([8, 0]);
    let mut header = [
        0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 20, 192, 0, 2, 77,
    ];
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    // Ports, length, no checksum, an octet.
    frame.extend([0, 9, 0, 9, 0, 9, 0, 0, 1]);
    frame
}

fn who_has(client: &Host, vip: IpAddr) -> Vec<MacAddr> {
    let wait = Duration::from_millis(200);
    match vip {
        IpAddr::V4(vip) => client.arp_who_has(vip, wait).unwrap(),
        IpAddr::V6(vip) => client.ndp_who_has(vip, wait).unwrap(),
    }
}

/// Which MAC addresses frames give for an address.
fn neighbour_messages(frames: &[Frame], vip: IpAddr) -> Vec<MacAddr> {
    let by_arp = |frame: &Frame| frame.arp().filter(|arp| vip == IpAddr::V4(arp.sender_ip));
    let by_ndp = |frame: &Frame| {
        frame
            .neighbor_advert()
            .filter(|advert| vip == IpAddr::V6(advert.target))
    };
    let arp = frames.iter().filter_map(by_arp).map(|arp| arp.sender_mac);
    let ndp = frames.iter().filter_map(by_ndp).filter_map(|advert| advert.mac);
    arp.chain(ndp).collect()
}

fn client_reaches(client: &Host, vip: IpAddr) -> bool {
    let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    client.run(|| {
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = socket.send_to(&[0; 4], (vip, 7));
        socket.recv_from(&mut [0; 8]).is_ok()
    })
}

/// Two routers, a client, and the addresses of one family.
struct World {
    lab: Lab,
    vips: &'static [&'static str],
    mac: MacAddr,
}

impl World {
    fn ipv4() -> Self {
        Self {
            lab: lab_of(["192.0.2.10/24", "192.0.2.11/24", "192.0.2.20/24"]),
            vips: &[VIP],
            mac: MacAddr::new(0, 0, 0x5e, 0, 1, 51),
        }
    }

    fn ipv6() -> Self {
        Self {
            lab: lab_of(["2001:db8::10/64", "2001:db8::11/64", "2001:db8::20/64"]),
            vips: &["fe80::200", VIP6],
            mac: MacAddr::new(0, 0, 0x5e, 0, 2, 51),
        }
    }
}

fn lab_of([a, b, client]: [&str; 3]) -> Lab {
    Lab::builder()
        .host("a", [a])
        .host("b", [b])
        .host("client", [client])
        .build()
        .unwrap()
}
