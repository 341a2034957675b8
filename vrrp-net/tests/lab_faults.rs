//! Faults of the virtual LAN, and seeing what goes over it.

use std::time::{Duration, Instant};

use vrrp_net::lab::{self, Frame, Host, Lab, MacAddr};

/// Long enough for a frame that comes; a frame crosses the switch in microseconds.
const COMES: Duration = Duration::from_secs(2);

/// Long enough to say that a frame does not come.
const STAYS_AWAY: Duration = Duration::from_millis(100);

/// Of those for private use (IEEE 802 local experimental), so that no stack answers.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

const VRRP_GROUP: MacAddr = MacAddr(1, 0, 0x5e, 0, 0, 18);

#[test]
fn a_cut_cable_is_seen_by_the_host_and_healed() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut("a").unwrap();
        assert!(!lab.host("a").has_carrier().unwrap());
        assert!(lab.host("b").has_carrier().unwrap());
        assert_eq!(paths(&lab), ["b>c", "c>b"]);
        lab.heal("a").unwrap();
        assert!(lab.host("a").has_carrier().unwrap());
        assert_eq!(paths(&lab), ALL_PATHS);
    });
}

#[test]
fn the_way_from_a_host_is_cut_alone() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut_from("a").unwrap();
        assert_eq!(paths(&lab), ["b>a", "b>c", "c>a", "c>b"]);
        assert!(lab.host("a").has_carrier().unwrap(), "nobody can see it");
        lab.heal("a").unwrap();
        assert_eq!(paths(&lab), ALL_PATHS);
    });
}

#[test]
fn the_way_to_a_host_is_cut_alone() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut_to("a").unwrap();
        assert_eq!(paths(&lab), ["a>b", "a>c", "b>c", "c>b"]);
        assert!(lab.host("a").has_carrier().unwrap(), "nobody can see it");
        lab.heal("a").unwrap();
        assert_eq!(paths(&lab), ALL_PATHS);
    });
}

#[test]
fn a_path_between_two_hosts_is_cut_in_one_direction() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut_path("a", "b").unwrap();
        assert_eq!(paths(&lab), ["a>c", "b>a", "b>c", "c>a", "c>b"]);
        lab.cut_path("c", "a").unwrap();
        assert_eq!(paths(&lab), ["a>c", "b>a", "b>c", "c>b"]);
        lab.heal_path("a", "b").unwrap();
        assert_eq!(paths(&lab), ["a>b", "a>c", "b>a", "b>c", "c>b"]);
    });
}

#[test]
fn a_silent_cut_isolates_and_no_carrier_tells() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut_silently("b").unwrap();
        assert_eq!(paths(&lab), ["a>c", "c>a"]);
        assert!(lab.hosts().iter().all(|host| host.has_carrier().unwrap()));
    });
}

#[test]
fn faults_add_up_and_healing_one_host_leaves_the_others() {
    lab::test(|| {
        let lab = three_hosts();
        lab.cut_from("a").unwrap();
        lab.cut_to("b").unwrap();
        lab.cut_from("a").unwrap();
        assert_eq!(paths(&lab), ["b>a", "b>c", "c>a"]);
        lab.heal("a").unwrap();
        assert_eq!(paths(&lab), ["a>c", "b>a", "b>c", "c>a"]);
        lab.cut("c").unwrap();
        lab.heal_all().unwrap();
        assert_eq!(paths(&lab), ALL_PATHS);
    });
}

#[test]
fn what_was_lost_on_the_cable_teaches_the_switch_nothing() {
    lab::test(|| {
        let lab = three_hosts();
        let virtual_mac = MacAddr::new(0, 0, 0x5e, 0, 1, 33);
        let (a, b, c) = (lab.host("a"), lab.host("b"), lab.host("c"));
        // The switch learns that the virtual MAC is behind b, and does not hear a claim it.
        b.send_frame(&frame(virtual_mac, MacAddr::broadcast())).unwrap();
        lab.cut_from("a").unwrap();
        a.send_frame(&frame(virtual_mac, MacAddr::broadcast())).unwrap();
        lab.heal("a").unwrap();
        let [mut at_a, mut at_b] = [a, b].map(|host| host.capture_if(is_ours).unwrap());
        c.send_frame(&frame(c.mac(), virtual_mac)).unwrap();
        assert!(
            at_b.wait_for(COMES, |frame| frame.destination() == virtual_mac)
                .is_some()
        );
        assert!(
            at_a.wait_for(STAYS_AWAY, |frame| frame.destination() == virtual_mac)
                .is_none()
        );
    });
}

#[test]
fn a_virtual_ip_is_seen_to_move_and_to_be_claimed_twice() {
    lab::test(|| {
        let lab = three_hosts();
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("c"));
        let answers = || client.arp_who_has([10, 0, 0, 100].into(), STAYS_AWAY).unwrap();
        let vip = "10.0.0.100/32".parse().unwrap();
        assert!(answers().is_empty());
        a.add_address(vip).unwrap();
        assert_eq!(answers(), [a.mac()]);
        b.add_address(vip).unwrap();
        let mut both = answers();
        both.sort_unstable();
        assert_eq!(both, [a.mac(), b.mac()]);
        a.remove_address(vip).unwrap();
        assert_eq!(answers(), [b.mac()]);
        assert_eq!(
            a.remove_address(vip).unwrap_err().kind(),
            std::io::ErrorKind::AddrNotAvailable
        );
    });
}

#[test]
fn a_virtual_ipv6_address_is_seen_to_move() {
    lab::test(|| {
        let lab = three_hosts();
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("c"));
        let answers = || {
            client
                .ndp_who_has("fd00::100".parse().unwrap(), STAYS_AWAY)
                .unwrap()
        };
        let vip = "fd00::100/128".parse().unwrap();
        assert!(answers().is_empty());
        a.add_address(vip).unwrap();
        assert_eq!(answers(), [a.mac()]);
        a.remove_address(vip).unwrap();
        b.add_address(vip).unwrap();
        assert_eq!(answers(), [b.mac()]);
    });
}

#[test]
fn a_capture_holds_both_directions_in_order() {
    lab::test(|| {
        let lab = three_hosts();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let before = Instant::now();
        let mut capture = a.capture_if(is_ours).unwrap();
        a.send_frame(&frame(a.mac(), b.mac())).unwrap();
        let sent = capture.next_frame(COMES).unwrap();
        b.send_frame(&frame(b.mac(), a.mac())).unwrap();
        let received = capture.next_frame(COMES).unwrap();
        assert!(sent.sent && !received.sent);
        assert_eq!((sent.source(), received.source()), (a.mac(), b.mac()));
        assert_eq!(sent.payload(), b"frame");
        let slack = Duration::from_millis(1);
        assert!(before <= sent.at + slack && sent.at <= received.at + slack && received.at <= Instant::now());
        assert_eq!(capture.next_frame(STAYS_AWAY), None);
        assert_eq!(capture.stop(), [sent, received]);
    });
}

#[test]
fn stopping_a_capture_loses_nothing_that_was_sent_before() {
    lab::test(|| {
        let lab = three_hosts();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let capture = b.capture_if(is_ours).unwrap();
        for _ in 0..100 {
            a.send_frame(&frame(a.mac(), b.mac())).unwrap();
        }
        // Delivery is by the sender's thread or a soft interrupt right after: the last one marks the end.
        let mut end = b.capture_if(is_ours).unwrap();
        a.send_frame(&frame(a.mac(), b.mac())).unwrap();
        end.next_frame(COMES).unwrap();
        assert_eq!(capture.stop().len(), 101);
    });
}

#[test]
fn the_switch_sees_each_frame_once() {
    lab::test(|| {
        let lab = three_hosts();
        let mut capture = lab.capture().unwrap();
        for host in lab.hosts() {
            host.send_frame(&frame(host.mac(), VRRP_GROUP)).unwrap();
        }
        for _ in lab.hosts() {
            capture.wait_for(COMES, is_ours).unwrap();
        }
        assert!(capture.wait_for(STAYS_AWAY, is_ours).is_none());
        assert_eq!(capture.frames().iter().filter(|frame| is_ours(frame)).count(), 3);
        assert_eq!(capture.missed(), 0);
    });
}

#[test]
fn the_switch_sends_unicast_to_its_port_alone() {
    lab::test(|| {
        let lab = three_hosts();
        let (a, b, c) = (lab.host("a"), lab.host("b"), lab.host("c"));
        b.send_frame(&frame(b.mac(), MacAddr::broadcast())).unwrap();
        let [mut at_b, mut at_c] = [b, c].map(|host| host.capture_if(is_ours).unwrap());
        a.send_frame(&frame(a.mac(), b.mac())).unwrap();
        assert!(at_b.wait_for(COMES, |frame| !frame.sent).is_some());
        assert!(at_c.wait_for(STAYS_AWAY, |frame| !frame.sent).is_none());
    });
}

const ALL_PATHS: [&str; 6] = ["a>b", "a>c", "b>a", "b>c", "c>a", "c>b"];

fn three_hosts() -> Lab {
    Lab::builder()
        .host("a", ["10.0.0.1/24", "fd00::1/64"])
        .host("b", ["10.0.0.2/24", "fd00::2/64"])
        .host("c", ["10.0.0.3/24", "fd00::3/64"])
        .build()
        .unwrap()
}

/// All paths that work, tried with multicast, broadcast and unicast, which must agree.
fn paths(lab: &Lab) -> Vec<String> {
    let mut captures: Vec<_> = lab
        .hosts()
        .iter()
        .map(|host| host.capture_if(|frame| !frame.sent && is_ours(frame)).unwrap())
        .collect();
    for sender in lab.hosts() {
        let others = lab
            .hosts()
            .iter()
            .map(Host::mac)
            .filter(|mac| *mac != sender.mac());
        for destination in others.chain([VRRP_GROUP, MacAddr::broadcast()]) {
            sender.send_frame(&frame(sender.mac(), destination)).unwrap();
        }
    }
    let _ = captures[0].wait_for(STAYS_AWAY, |_| false);
    let mut paths = Vec::new();
    for (receiver, capture) in lab.hosts().iter().zip(captures) {
        let frames = capture.stop();
        for sender in lab.hosts() {
            let came = |to: MacAddr| {
                frames
                    .iter()
                    .any(|f| f.source() == sender.mac() && f.destination() == to)
            };
            let kinds = [came(VRRP_GROUP), came(MacAddr::broadcast()), came(receiver.mac())];
            let path = format!("{}>{}", sender.name(), receiver.name());
            match kinds {
                [true, true, true] => paths.push(path),
                [false, false, false] => {}
                _ => panic!("on {path}, multicast, broadcast and unicast came: {kinds:?}"),
            }
        }
    }
    paths.sort_unstable();
    paths
}

fn frame(source: MacAddr, destination: MacAddr) -> Vec<u8> {
    [&destination.octets()[..], &source.octets(), &ETHERTYPE, b"frame"].concat()
}

fn is_ours(frame: &Frame) -> bool {
    frame.ethertype() == u16::from_be_bytes(ETHERTYPE)
}
