//! Adverts as long as the interface's MTU, and longer ones.

mod node;

use std::process::Command;

use node::{A_WHILE, PATIENCE, Setup, pause};
use vrrp_core::{AdverInterval, AuthenticationConfig, ConfigBuilder, HmacConfig, HmacKey, State, Version};
use vrrp_net::lab::{self, Frame, Host, Lab};

type Change = fn(ConfigBuilder) -> ConfigBuilder;

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// The IPv6 extension header of a fragment.
const FRAGMENT: u8 = 44;

#[test]
fn the_most_addresses_that_fit_go_out_in_one_packet_and_one_more_is_refused() {
    lab::test(|| {
        let plain = |config: ConfigBuilder| config;
        let hmac = |config: ConfigBuilder| {
            let key = HmacKey::new(1, &[7; 32]).unwrap();
            config.authentication(HmacConfig::new(key).into())
        };
        let cases: [(Change, u16, usize); 2] = [(plain, 90, 1488), (hmac, 89, 1500)];
        for (change, fitting, packet_len) in cases {
            let lab = pair();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let mut capture = lab.capture().unwrap();
            let high = ipv6(a, 150, fitting).config(change).start(a);
            high.wait_for(State::Master);
            let low = ipv6(b, 100, fitting).config(change).start(b);
            low.wait_for(State::Backup);
            let advert = capture
                .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
                .unwrap();
            assert_eq!(advert.bytes.len(), ETHERNET + packet_len);
            assert_eq!(u16::from(advert.vrrp().unwrap().payload[3]), fitting);
            pause(A_WHILE);
            low.assert_no_transition();
            high.assert_no_transition();
            assert!(!capture.frames().iter().any(is_fragment));
            low.stop();

            let refused = ipv6(b, 100, fitting + 1)
                .config(change)
                .try_start(b)
                .err()
                .unwrap();
            assert_eq!(
                refused.to_string(),
                format!(
                    "VRID 51 of IPv6: an advert takes {} octets, and eth0 has an MTU of 1500: advertise at most {fitting} \
                     addresses, and hold the others as excluded ones, or raise the MTU",
                    packet_len + 16
                )
            );
        }
    });
}

#[test]
fn a_greater_mtu_holds_all_that_the_count_can_say() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        mtu(a, 4128);
        let mut capture = a.capture().unwrap();
        let node = ipv6(a, 150, 255).start(a);
        node.wait_for(State::Master);
        let advert = capture
            .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
            .unwrap();
        assert_eq!(advert.bytes.len(), ETHERNET + 4128);
        node.stop();
        mtu(a, 4127);
        let refused = ipv6(a, 150, 255).try_start(a).err().unwrap().to_string();
        assert!(refused.contains("at most 254 addresses"), "{refused}");
    });
}

#[test]
fn ipv4_needs_less_and_an_authentication_header_counts() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let ah = |config: ConfigBuilder| {
            let secret = AuthenticationConfig::ah("1111").unwrap();
            config
                .version(Version::V2)
                .authentication(secret)
                .adver_interval(AdverInterval::DEFAULT)
        };
        let mut capture = lab.capture().unwrap();
        let node = ipv4(a, 255).config(ah).start(a);
        node.wait_for(State::Master);
        let behind_ah = |frame: &Frame| frame.ip().is_some_and(|ip| ip.protocol == 51);
        let advert = capture.wait_for(PATIENCE, behind_ah).unwrap();
        assert_eq!(advert.bytes.len(), ETHERNET + 1080);
        node.stop();
        mtu(a, 1079);
        let refused = ipv4(a, 255).config(ah).try_start(a).err().unwrap().to_string();
        assert!(
            refused.contains("1080 octets") && refused.contains("at most 254 addresses"),
            "{refused}"
        );
    });
}

/// Fragments may get through: to go on with them is better than to stop.
#[test]
fn a_master_whose_mtu_shrinks_goes_on() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let high = ipv6(a, 150, 90).start(a);
        high.wait_for(State::Master);
        let low = ipv6(b, 100, 90).start(b);
        low.wait_for(State::Backup);
        mtu(a, 1400);
        assert!(capture.wait_for(PATIENCE, is_fragment).is_some());
        pause(A_WHILE);
        low.assert_no_transition();
        high.assert_no_transition();
    });
}

fn is_fragment(frame: &Frame) -> bool {
    frame.ip().is_some_and(|ip| ip.protocol == FRAGMENT)
}

fn pair() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24", "fe80::a/64"])
        .host("b", ["192.0.2.11/24", "fe80::b/64"])
        .build()
        .unwrap()
}

fn ipv6(host: &Host, priority: u8, count: u16) -> Setup {
    numbered(
        host,
        priority,
        (1..=count).map(|number| format!("fe80::1:{number:x}")),
    )
}

fn ipv4(host: &Host, count: u16) -> Setup {
    numbered(host, 100, (0..count).map(|number| format!("198.51.100.{number}")))
}

fn numbered(host: &Host, priority: u8, addresses: impl Iterator<Item = String>) -> Setup {
    let addresses: Vec<String> = addresses.collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    Setup::new(host, priority, &addresses)
}

fn mtu(host: &Host, octets: u16) {
    let mut command = Command::new("ip");
    command.args(["link", "set", host.interface(), "mtu", &octets.to_string()]);
    let output = host.output(command).unwrap();
    assert!(output.status.success(), "{output:?}");
}
