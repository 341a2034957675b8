//! What nodes put on the wire, byte for byte as keepalived 2.2.7 does; and what they make of what others put there.

mod node;

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::IpNet;
use node::{PATIENCE, Setup, hex, ip, within};
use vrrp_core::{AdverInterval, AuthenticationConfig, ConfigBuilder, Priority, State, Version, Vrid};
use vrrp_net::DriverEvent;
use vrrp_net::lab::{self, Capture, Frame, Lab};

#[test]
fn version_2_with_a_password_is_keepaliveds_bytes() {
    lab::test(|| {
        let setup = |config: ConfigBuilder| {
            config
                .version(Version::V2)
                .adver_interval(AdverInterval::DEFAULT)
                .authentication(AuthenticationConfig::simple("secret12").unwrap())
        };
        compare_ipv4(
            51,
            setup,
            "01005e00001202000000000a080045c0002c00010000ff701883c000020be00000122133960201015580c0000264c0000265\
             7365637265743132",
        );
    });
}

#[test]
fn version_3_is_keepaliveds_bytes() {
    lab::test(|| {
        compare_ipv4(
            54,
            |config| config,
            "01005e00001202000000000a080045c0002400010000ff70188bc000020be000001231369602000a1154c0000264c0000265",
        );
    });
}

/// The frame but for source MAC, IP identification and IP checksum, which are another machine's.
fn compare_ipv4(vrid: u8, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder, captured: &str) {
    let vips = &["192.0.2.100", "192.0.2.101"];
    let lab = Lab::builder().host("a", ["192.0.2.11/24"]).build().unwrap();
    let a = lab.host("a");
    let mut capture = lab.capture().unwrap();
    let node = with_vrid(a, vrid, 150, vips).config(change).start(a);
    node.wait_for(State::Master);
    let frame = capture
        .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
        .unwrap();
    let same = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for machine in [6..12, 18..20, 24..26] {
            bytes[machine].fill(0);
        }
        bytes
    };
    assert_eq!(same(&frame.bytes), same(&hex(captured)));
}

#[test]
fn version_3_on_ipv6_is_keepaliveds_bytes() {
    lab::test(|| {
        let lab = Lab::builder().host("a", ["fe80::ff:fe00:a/64"]).build().unwrap();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let source = ip("fe80::ff:fe00:a");
        let setup = with_vrid(a, 55, 150, &["fe80::200", "2001:db8::100"])
            .config(|config| config.adver_interval(AdverInterval::DEFAULT))
            .attachment(|attachment| attachment.source(source));
        let node = setup.start(a);
        node.wait_for(State::Master);
        let frame = capture
            .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
            .unwrap();
        // The flow label is random.
        let captured = hex(
            "33330000001202000000000a86dd6c053a6a002870fffe80000000000000000000fffe00000aff02000000000000000000000000\
             00123137960200640bf0fe80000000000000000000000000020020010db8000000000000000000000100",
        );
        let same = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[6..12].fill(0);
            bytes[15] &= 0xf0;
            bytes[16..18].fill(0);
            bytes
        };
        assert_eq!(same(&frame.bytes), same(&captured));
        assert_eq!(node.handle.counters().send_errors, 0);
    });
}

#[test]
fn a_takeover_advertises_first_and_announces_each_address_five_times() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.11/24"])
            .host("b", ["192.0.2.12/24"])
            .build()
            .unwrap();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let vips = [Ipv4Addr::new(192, 0, 2, 100), Ipv4Addr::new(192, 0, 2, 101)];
        let node = with_vrid(a, 1, 255, &["192.0.2.100", "192.0.2.101"]).start(a);
        node.wait_for(State::Master);
        let gratuitous = |frame: &Frame| frame.arp().filter(lab::Arp::is_gratuitous);
        within(PATIENCE, || {
            capture
                .frames()
                .iter()
                .filter(|frame| gratuitous(frame).is_some())
                .count()
                >= 10
        });
        let frames = capture.frames();
        let first_arp = frames.iter().position(|frame| frame.arp().is_some()).unwrap();
        let first_advert = frames.iter().position(|frame| frame.vrrp().is_some()).unwrap();
        assert!(first_advert < first_arp);
        let announced: Vec<_> = frames
            .iter()
            .filter_map(gratuitous)
            .map(|arp| arp.sender_ip)
            .collect();
        assert_eq!(announced, vips.repeat(5), "each once, then all again");
        for arp in frames.iter().filter_map(gratuitous) {
            assert_eq!(arp.sender_mac, a.mac());
            assert!(!arp.reply && arp.target_mac.is_broadcast());
        }
    });
}

#[test]
fn an_ipv6_takeover_announces_by_neighbour_advertisement() {
    lab::test(|| {
        let lab = Lab::builder().host("a", ["2001:db8::11/64"]).build().unwrap();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let node = with_vrid(a, 55, 255, &["fe80::200", "2001:db8::100"]).start(a);
        node.wait_for(State::Master);
        for vip in ["fe80::200", "2001:db8::100"] {
            let of = |frame: &Frame| {
                let advert = frame.neighbor_advert()?;
                (ip(vip) == advert.target).then_some(advert)
            };
            within(PATIENCE, || capture.frames().iter().filter_map(of).count() >= 5);
            let advert = capture.frames().iter().find_map(of).unwrap();
            assert_eq!(advert.mac, Some(a.mac()));
            assert!(advert.overrides && !advert.solicited && !advert.router);
        }
    });
}

#[test]
fn the_configured_source_is_used_even_if_it_is_not_the_primary_address() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.11/24", "192.0.2.12/24"])
            .build()
            .unwrap();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let source = |address: &'static str| {
            move |attachment: vrrp_net::AttachmentBuilder| attachment.source(ip(address))
        };
        let node = with_vrid(a, 1, 255, &["192.0.2.100"])
            .attachment(source("192.0.2.12"))
            .start(a);
        node.wait_for(State::Master);
        assert_eq!(advert_source(&mut capture), ip("192.0.2.12"));
        // keepalived sends from an address that the host doesn't have as well.
        let node = with_vrid(a, 2, 255, &["192.0.2.101"])
            .attachment(source("192.0.2.99"))
            .start(a);
        node.wait_for(State::Master);
        within(PATIENCE, || advert_source(&mut capture) == ip("192.0.2.99"));
    });
}

#[test]
fn a_new_primary_address_becomes_the_source() {
    lab::test(|| {
        let lab = Lab::builder().host("a", ["192.0.2.11/24"]).build().unwrap();
        let a = lab.host("a");
        let mut capture = lab.capture().unwrap();
        let node = with_vrid(a, 1, 255, &["192.0.2.100"]).start(a);
        node.wait_for(State::Master);
        assert_eq!(advert_source(&mut capture), ip("192.0.2.11"));
        a.remove_address("192.0.2.11/24".parse().unwrap()).unwrap();
        node.wait_for(State::Fault);
        a.add_address("192.0.2.13/24".parse::<IpNet>().unwrap()).unwrap();
        node.wait_for(State::Master);
        within(PATIENCE, || advert_source(&mut capture) == ip("192.0.2.13"));
    });
}

#[test]
fn packets_that_concern_no_router_are_counted_by_reason() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.13/24"])
            .host("b", ["192.0.2.12/24"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let node = with_vrid(a, 1, 100, &["192.0.2.100"]).start(a);
        node.wait_for(State::Backup);
        // keepalived's advert of VRID 52 from 192.0.2.11, here sent by 192.0.2.12.
        let valid = "01005e00001202000000000a080045c0002800010000ff701887c000020be000001221346401\
                     0001b864c00002640000000000000000";
        let send = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = hex(valid);
            change(&mut frame);
            // IP header checksum: whoever changes the header owes a new one.
            frame[24..26].fill(0);
            let sum: u32 = frame[14..34]
                .chunks(2)
                .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
                .sum();
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            b.send_frame(&frame).unwrap();
        };
        send(&|_| {});
        // TTL, version, type, VRID, count, checksum.
        for (at, value) in [(22, 64), (34, 0x51), (34, 0x22), (35, 0), (37, 2), (41, 0)] {
            send(&|frame| frame[at] = value);
        }
        // A total length that cuts the message short.
        send(&|frame| frame[17] = 30);
        // Ethernet's padding is no part of it.
        send(&|frame| frame.extend([0; 4]));
        let counters = || node.handle.counters();
        within(PATIENCE, || {
            counters().malformed.total() + counters().unknown_vrid == 9
        });
        let malformed = counters().malformed;
        assert_eq!(counters().unknown_vrid, 2);
        assert_eq!(
            (
                malformed.hop_limit,
                malformed.version,
                malformed.kind,
                malformed.vrid_zero
            ),
            (1, 1, 1, 1)
        );
        assert_eq!((malformed.truncated, malformed.checksum), (2, 1));
        assert!(
            node.take_events()
                .iter()
                .all(|event| !matches!(event, DriverEvent::Conflict { .. }))
        );
    });
}

fn with_vrid(host: &lab::Host, vrid: u8, priority: u8, vips: &[&str]) -> Setup {
    Setup::with_vrid(host, Vrid::new(vrid).unwrap(), Priority::new(priority), vips)
}

fn advert_source(capture: &mut Capture) -> std::net::IpAddr {
    let advert = capture.wait_for(Duration::from_secs(5), |frame| frame.vrrp().is_some());
    advert.unwrap().vrrp().unwrap().source
}
