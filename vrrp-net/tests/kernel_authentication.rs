//! Authentication on real sockets: two of our nodes with HMAC or AH, and somebody on the link who has no key.

mod node;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use node::lan::trio;
use node::{A_WHILE, Node, PATIENCE, Setup, ip, pause};
use socket2::{Domain, Protocol, Socket, Type};
use vrrp_core::{
    AuthenticationConfig, ChecksumForm, GROUP_V4, HmacConfig, HmacKey, HmacKeys, HmacMode, PROTOCOL,
    PROTOCOL_AH, Priority, RivalCause, State, Version, VirtualRouter,
};
use vrrp_net::lab::{self, Capture, Frame, Host, Lab};
use vrrp_net::{DriverEvent, RouterCommand, Vmac};

const VIP: &str = "192.0.2.100";

fn key(id: u8) -> HmacKey {
    HmacKey::new(id, &[id ^ 0x5a; 32]).unwrap()
}

fn hmac() -> HmacConfig {
    HmacConfig::new(key(1))
}

fn setup(host: &Host, priority: u8, authentication: impl Into<AuthenticationConfig>) -> Setup {
    let authentication = authentication.into();
    let version = match authentication {
        AuthenticationConfig::Ah(_) | AuthenticationConfig::Simple(_) => Version::V2,
        AuthenticationConfig::None | AuthenticationConfig::Hmac(_) => Version::V3,
    };
    Setup::new(host, priority, &[VIP]).config(|config| {
        let config = config.version(version).authentication(authentication);
        match version {
            Version::V2 => config.adver_interval(vrrp_core::AdverInterval::DEFAULT),
            Version::V3 => config,
        }
    })
}

/// Two nodes of which `a` has been elected.
fn elected(lab: &Lab, authentication: &AuthenticationConfig) -> (Node, Node) {
    let (a, b) = (lab.host("a"), lab.host("b"));
    let high = setup(a, 200, authentication.clone()).start(a);
    high.wait_for(State::Master);
    let low = setup(b, 100, authentication.clone()).start(b);
    low.wait_for(State::Backup);
    (high, low)
}

/// Sends an IPv4 packet with its header on a host's interface, whatever its source.
fn inject(host: &Host, protocol: u8, packet: &[u8]) -> io::Result<()> {
    host.run(|| {
        let protocol = Protocol::from(i32::from(protocol));
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol))?;
        socket.set_header_included_v4(true)?;
        socket.bind_device(Some(host.interface().as_bytes()))?;
        let destination = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        socket.send_to(packet, &SocketAddrV4::new(destination, 0).into())?;
        Ok(())
    })
}

/// An advert of a router, as an IPv4 packet.
fn packet(router: &mut VirtualRouter, unix_time: Duration, priority: u8) -> Vec<u8> {
    router.set_wall_clock(Duration::ZERO, unix_time);
    let IpAddr::V4(source) = router.source() else {
        panic!("IPv4");
    };
    let advert = router.next_advert(Duration::ZERO, Priority::new(priority));
    let mut packet = vec![
        0x45, 0xc0, 0, 0, 0, 0, 0, 0, 255, PROTOCOL, 0, 0, 0, 0, 0, 0, 224, 0, 0, 18,
    ];
    packet[12..16].copy_from_slice(&source.octets());
    advert
        .emit(
            source.into(),
            GROUP_V4.into(),
            ChecksumForm::PseudoHeader,
            &mut packet,
        )
        .unwrap();
    packet[3] = packet.len() as u8;
    packet
}

fn unix_time() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
}

/// The adverts of a host so far, as IPv4 packets.
fn packets_of(capture: &mut Capture, source: &str) -> Vec<Vec<u8>> {
    let of = |frame: &&Frame| {
        frame.ip().is_some_and(|packet| {
            packet.source == ip(source) && [PROTOCOL, PROTOCOL_AH].contains(&packet.protocol)
        })
    };
    let frames = capture.frames().iter().filter(of);
    frames
        .map(|frame| {
            let len = usize::from(u16::from_be_bytes([frame.payload()[2], frame.payload()[3]]));
            frame.payload()[..len].to_vec()
        })
        .collect()
}

/// Priority in a captured advert.
fn advertised(packet: &[u8]) -> u8 {
    let headers = if packet[9] == PROTOCOL_AH { 20 + 24 } else { 20 };
    packet[headers + 2]
}

/// Number of the key in a captured advert with trailer.
fn key_id(packet: &[u8]) -> Option<u8> {
    (packet.len() == 20 + 12 + 28).then(|| packet[20 + 12 + 1])
}

#[test]
fn two_nodes_elect_take_over_and_hand_over_with_hmac() {
    lab::test(|| {
        let lab = trio();
        let mut capture = lab.capture().unwrap();
        let (high, low) = elected(&lab, &hmac().into());
        pause(A_WHILE);
        low.assert_no_transition();
        lab.cut_silently("a").unwrap();
        low.wait_for(State::Master);
        lab.heal("a").unwrap();
        low.wait_for(State::Backup);
        high.stop();
        low.wait_for(State::Master);
        low.stop();
        let packets = packets_of(&mut capture, "192.0.2.10");
        assert!(packets.len() > 8);
        assert!(packets.iter().all(|packet| key_id(packet) == Some(1)));
    });
}

/// Over IPv6 the checksum covers the trailer, over IPv4 it does not.
#[test]
fn two_nodes_elect_take_over_and_hand_over_with_hmac_over_ipv6_and_by_unicast() {
    lab::test(|| {
        for (vip, address, unicast) in [
            ("fe80::100", link_local as fn(&Host) -> IpAddr, false),
            ("fe80::100", link_local, true),
            (VIP, own_ipv4, true),
        ] {
            let lab = trio();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let mut capture = lab.capture().unwrap();
            // Before one of them is master.
            let (of_a, of_b) = (address(a), address(b));
            let start = |host: &Host, priority, peer: IpAddr| {
                let peers = if unicast { vec![peer] } else { vec![] };
                Setup::new(host, priority, &[vip])
                    .config(|config| config.authentication(hmac().into()).peers(&peers))
                    .start(host)
            };
            let high = start(a, 200, of_b);
            high.wait_for(State::Master);
            let low = start(b, 100, of_a);
            low.wait_for(State::Backup);
            pause(A_WHILE);
            low.assert_no_transition();
            assert_eq!(low.handle.counters().malformed.total(), 0);
            high.stop();
            low.wait_for(State::Master);
            low.stop();
            let adverts = capture.frames().iter().filter_map(Frame::vrrp);
            let trailing = adverts.filter(|advert| advert.payload.len() == 8 + advert_address(vip) + 28);
            assert!(trailing.count() > 8);
        }
    });
}

fn advert_address(vip: &str) -> usize {
    if ip(vip).is_ipv4() { 4 } else { 16 }
}

fn own_ipv4(host: &Host) -> IpAddr {
    first(host, IpAddr::is_ipv4)
}

fn link_local(host: &Host) -> IpAddr {
    first(host, |address| match address {
        IpAddr::V6(address) => address.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    })
}

fn first(host: &Host, wanted: fn(&IpAddr) -> bool) -> IpAddr {
    let addresses = host.addresses().unwrap();
    addresses.iter().map(ipnet::IpNet::addr).find(wanted).unwrap()
}

/// Adverts go out of the virtual MAC's interface and come in on the one that carries it.
#[test]
fn authentication_and_a_virtual_mac_go_together() {
    lab::test(|| {
        for authentication in [hmac().into(), AuthenticationConfig::ah("secret").unwrap()] {
            let lab = trio();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let mut capture = lab.capture().unwrap();
            let start = |host, priority| {
                setup(host, priority, authentication.clone())
                    .attachment(|attachment| attachment.vmac(Vmac::new()))
                    .start(host)
            };
            let high = start(a, 200);
            high.wait_for(State::Master);
            let low = start(b, 100);
            low.wait_for(State::Backup);
            high.stop();
            low.wait_for(State::Master);
            assert_eq!(low.handle.counters().send_errors, 0);
            low.stop();
            let signed = |frame: &&Frame| {
                frame
                    .ip()
                    .is_some_and(|ip| [PROTOCOL, PROTOCOL_AH].contains(&ip.protocol))
            };
            let mut adverts = capture.frames().iter().filter(signed);
            assert!(adverts.all(|frame| frame.source().octets() == [0, 0, 0x5e, 0, 1, 51]));
        }
    });
}

/// One advert for all peers: the same number and MAC of HMAC, and of AH the same number with a MAC for each, since it
/// covers the destination. An identification of 0 would be the kernel's to fill in, after the packet was signed.
#[test]
fn all_unicast_peers_get_the_same_sequence_number() {
    lab::test(|| {
        for authentication in [hmac().into(), AuthenticationConfig::ah("secret").unwrap()] {
            let lab = trio();
            let a = lab.host("a");
            let mut capture = lab.capture().unwrap();
            let peers = [ip("192.0.2.11"), ip("192.0.2.12")];
            let node = setup(a, 200, authentication.clone())
                .config(|config| config.peers(&peers))
                .start(a);
            node.wait_for(State::Master);
            pause(A_WHILE);
            node.stop();
            let packets = packets_of(&mut capture, "192.0.2.10");
            let to = |host: u8| packets.iter().filter(move |packet| packet[19] == host);
            assert!(to(11).count() >= 2 && to(11).count() == to(12).count());
            for (one, other) in to(11).zip(to(12)) {
                if one[9] == PROTOCOL_AH {
                    assert_eq!(one[28..32], other[28..32], "sequence number");
                    assert_ne!(one[32..44], other[32..44], "check value");
                    assert!(one[4..6] != [0, 0] && one[4..6] != other[4..6], "identification");
                } else {
                    assert_eq!(one[one.len() - 28..], other[other.len() - 28..]);
                }
            }
        }
    });
}

/// The window covers both: what keeps a capture out is its sequence number.
#[test]
fn a_capture_that_is_played_again_moves_nobody() {
    lab::test(|| {
        let ah = AuthenticationConfig::ah("secret").unwrap();
        // Without authentication it does: so the capture arrives, and would be believed.
        for (authentication, moved) in [
            (AuthenticationConfig::None, true),
            (hmac().into(), false),
            (ah, false),
        ] {
            let lab = trio();
            let mut capture = lab.capture().unwrap();
            let (high, low) = elected(&lab, &authentication);
            pause(A_WHILE);
            high.stop();
            low.wait_for(State::Master);
            let captured = packets_of(&mut capture, "192.0.2.10");
            assert!(captured.iter().any(|packet| advertised(packet) == 200));
            for packet in captured.iter().filter(|packet| advertised(packet) == 200) {
                inject(lab.host("c"), packet[9], packet).unwrap();
            }
            if moved {
                low.wait_for(State::Backup);
            } else {
                pause(A_WHILE);
                low.assert_no_transition();
            }
            low.stop();
        }
    });
}

#[test]
fn an_advert_without_the_key_moves_nobody_and_is_told_as_a_rival() {
    lab::test(|| {
        let lab = trio();
        let (high, low) = elected(&lab, &hmac().into());
        for foreign in [
            AuthenticationConfig::None,
            HmacConfig::new(HmacKey::new(1, &[7; 32]).unwrap()).into(),
            HmacConfig::new(key(9)).into(),
        ] {
            let c = lab.host("c");
            let foreign = setup(c, 254, foreign).start(c);
            foreign.wait_for(State::Master);
            assert_eq!(high.wait_for_rival(), RivalCause::Authentication);
            foreign.stop();
            low.assert_no_transition();
            high.assert_no_transition();
            // Forgotten after three intervals of silence.
            pause(A_WHILE);
        }
        high.stop();
        low.stop();
    });
}

/// Both sides would be master, and each must say why.
#[test]
fn a_clock_that_is_off_by_more_than_the_window_is_told_with_how_much() {
    lab::test(|| {
        let lab = trio();
        let a = lab.host("a");
        let node = setup(a, 100, hmac()).start(a);
        node.wait_for(State::Master);
        let config = setup_config(hmac());
        let mut other = VirtualRouter::new(config, ip("192.0.2.12"));
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let late = unix_time() - Duration::from_secs(60);
            inject(lab.host("c"), PROTOCOL, &packet(&mut other, late, 254)).unwrap();
            pause(Duration::from_millis(100));
            let told = node.take_events().into_iter().find_map(|event| match event {
                DriverEvent::Rival { rival, .. } => Some(rival),
                _ => None,
            });
            if let Some(rival) = told {
                assert_eq!(rival.peer.address, ip("192.0.2.12"));
                let RivalCause::Clock { ahead_secs } = rival.cause else {
                    panic!("{rival:?}");
                };
                assert!((-61..=-59).contains(&ahead_secs), "{ahead_secs}");
                break;
            }
            assert!(std::time::Instant::now() < deadline, "not told");
        }
        // Set right, it is heard, and higher.
        inject(lab.host("c"), PROTOCOL, &packet(&mut other, unix_time(), 254)).unwrap();
        node.wait_for(State::Backup);
        node.stop();
    });
}

fn setup_config(hmac: HmacConfig) -> vrrp_core::Config {
    vrrp_core::Config::builder(
        vrrp_core::Vrid::new(51).unwrap(),
        vrrp_core::AddressList::new(&[ip(VIP)]).unwrap(),
    )
    .version(Version::V3)
    .adver_interval(vrrp_core::AdverInterval::from_centis(10).unwrap())
    .authentication(hmac.into())
    .build()
    .unwrap()
}

/// Every step on one node and then on the other, while they run.
fn walk(high: &Node, low: &Node, steps: &[HmacConfig]) {
    for step in steps {
        for node in [low, high] {
            let (router, config) = (0, step.clone());
            node.handle
                .command(RouterCommand::Hmac { router, config })
                .unwrap();
            pause(A_WHILE);
        }
    }
    high.assert_no_transition();
    low.assert_no_transition();
}

#[test]
fn a_network_moves_to_hmac_without_a_transition() {
    lab::test(|| {
        let lab = trio();
        let receive_only = hmac().with_mode(HmacMode::ReceiveOnly);
        let (high, low) = elected(&lab, &receive_only.into());
        walk(&high, &low, &[hmac().with_mode(HmacMode::Permissive), hmac()]);
        high.stop();
        low.wait_for(State::Master);
        low.stop();
    });
}

/// The first step: one node has keys, the other knows nothing of them.
#[test]
fn a_node_that_only_receives_is_heard_by_one_without_keys_and_hears_it() {
    lab::test(|| {
        for mode in [HmacMode::ReceiveOnly, HmacMode::Permissive] {
            let lab = trio();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let plain = setup(a, 200, AuthenticationConfig::None).start(a);
            plain.wait_for(State::Master);
            let moving = setup(b, 100, hmac().with_mode(mode)).start(b);
            moving.wait_for(State::Backup);
            pause(A_WHILE);
            moving.assert_no_transition();
            plain.stop();
            moving.wait_for(State::Master);
            moving.stop();
        }
        let lab = trio();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let moving = setup(a, 200, hmac().with_mode(HmacMode::ReceiveOnly)).start(a);
        moving.wait_for(State::Master);
        let plain = setup(b, 100, AuthenticationConfig::None).start(b);
        plain.wait_for(State::Backup);
        pause(A_WHILE);
        plain.assert_no_transition();
        plain.stop();
        moving.stop();
    });
}

#[test]
fn keys_are_rotated_without_a_transition() {
    lab::test(|| {
        let lab = trio();
        let mut capture = lab.capture().unwrap();
        let (high, low) = elected(&lab, &hmac().into());
        let both = |active| hmac().with_keys(HmacKeys::new([key(1), key(2)], active).unwrap());
        walk(&high, &low, &[both(1), both(2), HmacConfig::new(key(2))]);
        high.stop();
        low.wait_for(State::Master);
        low.stop();
        let ids: Vec<_> = packets_of(&mut capture, "192.0.2.10")
            .iter()
            .map(|packet| key_id(packet))
            .collect();
        assert_eq!((ids.first(), ids.last()), (Some(&Some(1)), Some(&Some(2))));
        let first_new = ids.iter().position(|id| *id == Some(2)).unwrap();
        assert!(ids[first_new..].iter().all(|id| *id == Some(2)));
    });
}

/// A socket of protocol 51 costs every packet of IPsec a copy: it is there where a router needs it.
#[test]
fn the_socket_of_ah_is_open_where_a_router_uses_it() {
    lab::test(|| {
        let lab = trio();
        let a = lab.host("a");
        for (authentication, expected) in [
            (hmac().into(), false),
            (AuthenticationConfig::ah("secret").unwrap(), true),
        ] {
            let node = setup(a, 100, authentication).start(a);
            let sockets = a.run(|| std::fs::read_to_string("/proc/thread-self/net/raw").unwrap());
            assert_eq!(sockets.contains(":0033 "), expected, "{sockets}");
            assert!(sockets.contains(":0070 "), "{sockets}");
            node.stop();
        }
    });
}

#[test]
fn a_wrong_password_of_ah_is_told_as_a_rival() {
    lab::test(|| {
        let lab = trio();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let node = setup(a, 100, AuthenticationConfig::ah("secret").unwrap()).start(a);
        node.wait_for(State::Master);
        let other = setup(b, 200, AuthenticationConfig::ah("Secret").unwrap()).start(b);
        other.wait_for(State::Master);
        assert_eq!(node.wait_for_rival(), RivalCause::Authentication);
        node.assert_no_transition();
        assert_eq!(node.handle.counters().malformed.total(), 0);
        other.stop();
        node.stop();
    });
}
