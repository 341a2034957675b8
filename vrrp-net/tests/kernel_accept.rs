//! Addresses that a master holds without accepting packets to them, on the real kernel.

mod node;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use ipnet::IpNet;
use node::routing::netlink;
use node::{Node, PATIENCE, Setup, has, ip, within};
use rtnetlink::RouteMessageBuilder;
use std::net::Ipv4Addr;
use vrrp_core::{AddressList, Config, Priority, State, Version, Vrid};
use vrrp_net::lab::{self, Host, Lab};
use vrrp_net::{Attachment, RouterCommand};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
const LINK_LOCAL: &str = "fe80::200";
/// An answer comes in far less than a millisecond.
const SILENCE: Duration = Duration::from_millis(200);
const PORT: u16 = 4000;

#[test]
fn packets_to_an_address_that_is_not_accepted_are_dropped_and_arp_is_answered() {
    lab::test(|| {
        let lab = lab();
        let (a, c) = (lab.host("a"), lab.host("c"));
        let _echo = echo(a);
        let refusing = |accept| {
            let node = Setup::new(a, 254, &[VIP])
                .attachment(|attachment| attachment.accept(accept))
                .start(a);
            node.wait_for(State::Master);
            node
        };
        let node = refusing(false);
        assert!(!answers(c, VIP));
        assert!(answers(c, "192.0.2.10"), "its own address is another matter");
        assert!(answers(a, VIP), "what it sends to itself was not received");
        assert_eq!(c.arp_who_has(v4(VIP), SILENCE).unwrap(), [a.mac()]);
        node.stop();
        // By hand it is an address like any other.
        a.add_address(net("192.0.2.100/32")).unwrap();
        within(PATIENCE, || answers(c, VIP));
        a.remove_address(net("192.0.2.100/32")).unwrap();
        let node = refusing(true);
        within(PATIENCE, || answers(c, VIP));
        node.stop();
    });
}

#[test]
fn packets_to_an_ipv6_address_are_dropped_and_neighbours_are_answered() {
    lab::test(|| {
        let lab = lab();
        let (a, c) = (lab.host("a"), lab.host("c"));
        let _echo = echo(a);
        let setup = Setup::new(a, 254, &[LINK_LOCAL, VIP6]);
        let node = setup.attachment(|attachment| attachment.accept(false)).start(a);
        node.wait_for(State::Master);
        assert!(!answers(c, VIP6) && !answers(c, LINK_LOCAL));
        assert!(answers(c, "2001:db8::10"));
        for vip in [VIP6, LINK_LOCAL] {
            assert_eq!(c.ndp_who_has(vip.parse().unwrap(), SILENCE).unwrap(), [a.mac()]);
        }
        // A neighbour is also asked directly, to see whether it is still there: that goes to the address itself.
        assert!(answers_unicast_solicitation(c, a, VIP6));
        node.stop();
        a.add_address(net("2001:db8::100/128")).unwrap();
        within(PATIENCE, || answers(c, VIP6));
    });
}

#[test]
fn forwarding_through_an_address_that_is_not_accepted_goes_on() {
    lab::test(|| {
        let lab = lab();
        let (a, c, d) = (lab.host("a"), lab.host("c"), lab.host("d"));
        let _echo = echo(d);
        a.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1")).unwrap();
        // The other side of the router.
        a.add_address(net("198.51.100.1/24")).unwrap();
        route(c, "198.51.100.0/24", VIP);
        route(d, "192.0.2.0/24", "198.51.100.1");
        assert!(!answers(c, "198.51.100.7"), "nobody has the address");
        let node = Setup::new(a, 254, &[VIP])
            .attachment(|attachment| attachment.accept(false))
            .start(a);
        node.wait_for(State::Master);
        within(PATIENCE, || answers(c, "198.51.100.7"));
        assert!(!answers(c, VIP));
    });
}

#[test]
fn the_owner_of_the_addresses_accepts_in_any_case() {
    lab::test(|| {
        let lab = lab();
        let (a, c) = (lab.host("a"), lab.host("c"));
        let _echo = echo(a);
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.accept(false))
            .start(a);
        node.wait_for(State::Master);
        within(PATIENCE, || answers(c, VIP));
    });
}

#[test]
fn virtual_routers_do_not_disturb_each_other() {
    lab::test(|| {
        let lab = lab();
        let (a, c) = (lab.host("a"), lab.host("c"));
        let _echo = echo(a);
        // Two in one process, and one in another.
        let routers = [
            ("192.0.2.101", false),
            ("192.0.2.102", true),
            ("192.0.2.103", false),
        ];
        let routers: Vec<_> = (1..)
            .zip(routers)
            .map(|(vrid, (vip, accept))| router(vrid, vip, accept))
            .collect();
        let node = Node::start(a, routers).unwrap();
        let other = Setup::new(a, 254, &["192.0.2.104"]).attachment(|attachment| attachment.accept(false));
        let other = other.start(a);
        other.wait_for(State::Master);
        within(PATIENCE, || {
            ["192.0.2.101", "192.0.2.102", "192.0.2.103"]
                .iter()
                .all(|vip| has(a, vip))
        });
        let answering = || {
            (1..=4)
                .filter(|n| answers(c, &format!("192.0.2.10{n}")))
                .collect::<Vec<_>>()
        };
        assert_eq!(answering(), [2]);
        node.handle
            .command(RouterCommand::Shutdown { router: 0 })
            .unwrap();
        within(PATIENCE, || !has(a, "192.0.2.101"));
        a.add_address(net("192.0.2.101/32")).unwrap();
        assert_eq!(answering(), [1, 2]);
        node.stop();
        for vip in ["192.0.2.102/32", "192.0.2.103/32"] {
            a.add_address(net(vip)).unwrap();
        }
        assert_eq!(answering(), [1, 2, 3]);
        other.stop();
    });
}

fn router(vrid: u8, vip: &str, accept: bool) -> (Config, Attachment) {
    let list = AddressList::new(&[ip(vip)]).unwrap();
    let config = Config::builder(Vrid::new(vrid).unwrap(), list)
        .version(Version::V3)
        .priority(Priority::new(254))
        .adver_interval(vrrp_core::AdverInterval::from_centis(10).unwrap());
    let attachment = Attachment::builder("eth0").accept(accept);
    (config.build().unwrap(), attachment.build().unwrap())
}

/// A program that answers whatever comes on port 4000, of both families, until the host goes.
fn echo(host: &Host) -> std::thread::JoinHandle<()> {
    let (ready, begun) = std::sync::mpsc::channel();
    let thread = host.spawn_thread(move || {
        // Of a wildcard address the kernel answers from wherever it likes, so with a connected peer none would match.
        let socket = UdpSocket::bind(("::", PORT)).unwrap();
        ready.send(()).unwrap();
        let mut buffer = [0; 16];
        while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], peer);
        }
    });
    begun.recv().unwrap();
    thread.unwrap()
}

/// Whether the program behind an address answers a host.
fn answers(host: &Host, address: &str) -> bool {
    let scope = if ip(address).is_ipv6() {
        host.interface_index()
    } else {
        0
    };
    let to = match ip(address) {
        std::net::IpAddr::V4(address) => SocketAddr::from((address, PORT)),
        std::net::IpAddr::V6(address) => std::net::SocketAddrV6::new(address, PORT, 0, scope).into(),
    };
    host.run(|| {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket.send_to(b"anyone?", to).is_ok() && socket.recv_from(&mut [0; 16]).is_ok()
    })
}

/// Whether `target` answers a neighbour solicitation that goes to the address itself.
fn answers_unicast_solicitation(host: &Host, target: &Host, address: &str) -> bool {
    let source: std::net::Ipv6Addr = "2001:db8::20".parse().unwrap();
    let wanted: std::net::Ipv6Addr = address.parse().unwrap();
    let mut capture = host
        .capture_if(move |frame| {
            frame
                .neighbor_advert()
                .is_some_and(|advert| advert.target == wanted)
        })
        .unwrap();
    host.send_frame(&solicitation(host, target, source, wanted))
        .unwrap();
    capture.next_frame(SILENCE).is_some()
}

/// RFC 4861 §4.3, with the source's link-layer address (option 1).
fn solicitation(
    host: &Host,
    target: &Host,
    source: std::net::Ipv6Addr,
    wanted: std::net::Ipv6Addr,
) -> Vec<u8> {
    let mac = |mac: lab::MacAddr| mac.octets();
    let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(wanted.octets());
    icmp.extend([1, 1]);
    icmp.extend(mac(host.mac()));
    let mut pseudo: Vec<u8> = [source.octets(), wanted.octets()].concat();
    pseudo.extend((icmp.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&icmp);
    let sum: u32 = pseudo
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) as u16 + (folded >> 16) as u16);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = [mac(target.mac()), mac(host.mac())].concat();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((icmp.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend(source.octets());
    frame.extend(wanted.octets());
    frame.extend(icmp);
    frame
}

fn route(host: &Host, to: &str, via: &str) {
    let to: ipnet::Ipv4Net = to.parse().unwrap();
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .gateway(v4(via))
        .build();
    netlink(host, async |handle| {
        handle.route().add(message).execute().await.unwrap();
    });
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24", "2001:db8::10/64"])
        .host("c", ["192.0.2.20/24", "2001:db8::20/64"])
        .host("d", ["198.51.100.7/24"])
        .build()
        .unwrap()
}

fn v4(address: &str) -> Ipv4Addr {
    address.parse().unwrap()
}

fn net(net: &str) -> IpNet {
    net.parse().unwrap()
}
