//! The IP authentication header, unicast and IPv6: each variant through election, a cut, its healing and a planned stop,
//! with keepalived as the peer, in both roles.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use vrrp_core::{
    AddressList, AuthenticationConfig, Config, Envelope, GROUP_V4, PROTOCOL, PROTOCOL_AH, Packet, Priority,
    Reason, State, Vrid,
};
use vrrp_net::Attachment;
use vrrp_net::lab::{self, Capture, Frame, Host, Lab};

use crate::keepalived::{self, Keepalived};
use crate::node::Node;
use crate::protocol::{Protocol, V2, V3};
use crate::steady::steadily;
use crate::world::{OURS, PATIENCE, THEIRS, VIP, pause, wait_until};

const VIP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x130);

/// What both sides speak.
#[derive(Clone, Copy, Debug)]
struct Variant {
    protocol: Protocol,
    ipv6: bool,
    unicast: bool,
    auth_type: Option<&'static str>,
}

const AH_MULTICAST: Variant = Variant {
    protocol: V2,
    ipv6: false,
    unicast: false,
    auth_type: Some("AH"),
};
const AH_UNICAST: Variant = Variant {
    unicast: true,
    ..AH_MULTICAST
};
const PASS_UNICAST: Variant = Variant {
    auth_type: Some("PASS"),
    ..AH_UNICAST
};
const V3_UNICAST: Variant = Variant {
    protocol: V3,
    auth_type: None,
    ..AH_UNICAST
};
const V3_UNICAST_IPV6: Variant = Variant {
    ipv6: true,
    ..V3_UNICAST
};

macro_rules! in_both_roles {
    ($($variant:ident: $ours:ident $theirs:ident)*) => {$(
        #[test]
        fn $ours() {
            lab::test(|| steadily($variant.protocol, || ours_backs_keepalived($variant)));
        }

        #[test]
        fn $theirs() {
            lab::test(|| steadily($variant.protocol, || keepalived_backs_ours($variant)));
        }
    )*};
}

in_both_roles! {
    AH_MULTICAST: v2_ah_multicast_ours_as_backup v2_ah_multicast_ours_as_master
    AH_UNICAST: v2_ah_unicast_ours_as_backup v2_ah_unicast_ours_as_master
    PASS_UNICAST: v2_pass_unicast_ours_as_backup v2_pass_unicast_ours_as_master
    V3_UNICAST: v3_unicast_ipv4_ours_as_backup v3_unicast_ipv4_ours_as_master
    V3_UNICAST_IPV6: v3_unicast_ipv6_ours_as_backup v3_unicast_ipv6_ours_as_master
}

/// keepalived is master, then cut off, back, and stopped.
fn ours_backs_keepalived(variant: Variant) {
    keepalived::require();
    let protocol = variant.protocol;
    let mut pair = Pair::new(variant);
    let keepalived = pair.start_keepalived(200);
    let mut node = pair.start_ours(100);
    let elected = pair.first_advert(
        "theirs",
        Instant::now(),
        protocol.master_down_interval(200) + PATIENCE,
    );
    pause(protocol.master_down_interval(100));
    assert_eq!(node.state(), State::Backup, "it hears keepalived");
    assert!(pair.adverts_of("ours", elected).is_empty());

    pair.lab.cut_silently("theirs").unwrap();
    node.expect_state(State::Master, protocol.master_down_interval(100) + PATIENCE);
    assert_eq!(node.transitions().last().unwrap().reason, Reason::MasterDown);
    // Both are masters for a while, as after any split.
    pause(protocol.interval() * 2);
    pair.lab.heal("theirs").unwrap();
    node.expect_state(State::Backup, protocol.interval() * 2 + PATIENCE);
    let reason = node.transitions().last().unwrap().reason;
    assert!(
        matches!(reason, Reason::Superseded(peer) if peer.address == pair.address("theirs")),
        "{reason:?}"
    );
    pair.expect_held_by("theirs");

    let stops = Instant::now();
    keepalived.terminate();
    let zero = pair.advert_of_priority("theirs", 0, stops, PATIENCE);
    let first = pair.first_advert("ours", zero, protocol.master_down_interval(100) + PATIENCE);
    protocol.assert_after_skew(100, first - zero);
    node.expect_state(State::Master, PATIENCE);
    assert_eq!(node.transitions().last().unwrap().reason, Reason::MasterStopped);
    pair.expect_held_by("ours");
    node.assert_content();
    pair.assert_of_the_variant();
}

/// Ours is master, then cut off, back, and stopped.
fn keepalived_backs_ours(variant: Variant) {
    keepalived::require();
    let protocol = variant.protocol;
    let mut pair = Pair::new(variant);
    let keepalived = pair.start_keepalived(100);
    let mut node = pair.start_ours(200);
    node.expect_state(State::Master, protocol.master_down_interval(200) + PATIENCE);
    let elected = pair.first_advert("ours", Instant::now() - PATIENCE, PATIENCE);
    pause(protocol.master_down_interval(100));
    assert!(pair.adverts_of("theirs", elected).is_empty(), "it hears ours");

    pair.lab.cut_silently("ours").unwrap();
    keepalived.expect_log(
        "Entering MASTER STATE",
        protocol.master_down_interval(100) + PATIENCE,
    );
    pause(protocol.interval() * 2);
    pair.lab.heal("ours").unwrap();
    keepalived.expect_backup_again(protocol.interval() * 2 + PATIENCE);
    pair.expect_held_by("ours");
    assert_eq!(node.state(), State::Master);

    let stops = Instant::now();
    node.assert_content();
    node.stop();
    let zero = pair.advert_of_priority("ours", 0, stops, PATIENCE);
    let first = pair.first_advert("theirs", zero, protocol.master_down_interval(100) + PATIENCE);
    protocol.assert_after_skew(100, first - zero);
    pair.expect_held_by("theirs");
    pair.assert_of_the_variant();
}

/// Two hosts on a LAN, and what is said on it.
struct Pair {
    variant: Variant,
    lab: Lab,
    capture: Capture,
}

impl Pair {
    fn new(variant: Variant) -> Self {
        let lab = Lab::builder()
            .host("ours", [format!("{OURS}/24")])
            .host("theirs", [format!("{THEIRS}/24")])
            .build()
            .unwrap();
        let capture = lab.capture().unwrap();
        Self {
            variant,
            lab,
            capture,
        }
    }

    fn vip(&self) -> IpAddr {
        if self.variant.ipv6 {
            VIP6.into()
        } else {
            VIP.into()
        }
    }

    /// The address that a host's adverts come from.
    fn address(&self, host: &str) -> IpAddr {
        match (self.variant.ipv6, host) {
            (true, _) => link_local(self.lab.host(host)),
            (false, "ours") => OURS.into(),
            (false, _) => THEIRS.into(),
        }
    }

    fn start_ours(&self, priority: u8) -> Node {
        let host = self.lab.host("ours");
        let mut config = Config::builder(Vrid::new(33).unwrap(), AddressList::new(&[self.vip()]).unwrap())
            .version(self.variant.protocol.version)
            .adver_interval(self.variant.protocol.adver_interval())
            .priority(Priority::new(priority))
            .authentication(match self.variant.auth_type {
                Some("AH") => AuthenticationConfig::ah("1111").unwrap(),
                Some(_) => AuthenticationConfig::simple("1111").unwrap(),
                None => AuthenticationConfig::None,
            });
        if self.variant.unicast {
            config = config.peers(&[self.address("theirs")]);
        }
        let attachment = Attachment::builder(host.interface()).build().unwrap();
        Node::start_configured(host, config.build().unwrap(), attachment)
    }

    #[track_caller]
    fn start_keepalived(&self, priority: u8) -> Keepalived {
        let host = self.lab.host("theirs");
        let Protocol { version, .. } = self.variant.protocol;
        let authentication = self.variant.auth_type.map_or(String::new(), |kind| {
            format!("authentication {{ auth_type {kind}\n auth_pass 1111\n }}")
        });
        let unicast = if self.variant.unicast {
            let (theirs, ours) = (self.address("theirs"), self.address("ours"));
            format!("unicast_src_ip {theirs}\n unicast_peer {{ {ours}\n }}")
        } else {
            String::new()
        };
        let config = format!(
            "vrrp_instance VI_1 {{
                version {}
                state BACKUP
                interface {}
                virtual_router_id 33
                priority {priority}
                advert_int {}
                {authentication}
                {unicast}
                virtual_ipaddress {{
                    {}
                }}
            }}
            ",
            version.get(),
            host.interface(),
            self.variant.protocol.interval().as_secs_f64(),
            self.vip(),
        );
        Keepalived::start_config(host, config)
    }

    /// When a host first advertised after a moment.
    #[track_caller]
    fn first_advert(&mut self, host: &str, since: Instant, timeout: Duration) -> Instant {
        self.advert(host, None, since, timeout)
    }

    #[track_caller]
    fn advert_of_priority(&mut self, host: &str, priority: u8, since: Instant, timeout: Duration) -> Instant {
        self.advert(host, Some(priority), since, timeout)
    }

    #[track_caller]
    fn advert(&mut self, host: &str, priority: Option<u8>, since: Instant, timeout: Duration) -> Instant {
        let mut found = None;
        wait_until(&format!("an advert of {host}"), timeout, || {
            let adverts = self.adverts_of(host, since);
            let wanted = |(_, of): &&(Instant, u8)| priority.is_none_or(|priority| priority == *of);
            found = adverts.iter().find(wanted).map(|(at, _)| *at);
            found.is_some()
        });
        found.unwrap()
    }

    /// Times and priorities of a host's adverts after a moment.
    fn adverts_of(&mut self, host: &str, since: Instant) -> Vec<(Instant, u8)> {
        let source = self.address(host);
        let frames = self.capture.frames().iter().filter(|frame| frame.at > since);
        frames
            .filter_map(|frame| Some((frame.at, read(frame)?)))
            .filter(|(_, packet)| packet.source() == source)
            .map(|(at, packet)| (at, packet.priority().get()))
            .collect()
    }

    /// Fails unless all adverts were what the test is about.
    #[track_caller]
    fn assert_of_the_variant(&mut self) {
        let variant = self.variant;
        let (ours, theirs) = (self.address("ours"), self.address("theirs"));
        let protocol = match variant.auth_type {
            Some("AH") => PROTOCOL_AH,
            _ => PROTOCOL,
        };
        let adverts = self.capture.frames().iter().filter(|frame| read(frame).is_some());
        for frame in adverts {
            let ip = frame.ip().unwrap();
            assert_eq!(ip.protocol, protocol, "{ip:?}");
            let (destination, hop_limit) = match (variant.unicast, ip.source == ours) {
                (false, _) => (GROUP_V4.into(), 255),
                (true, true) => (theirs, 255),
                // keepalived leaves the hop limit of unicast IPv6 to the kernel.
                (true, false) => (ours, if variant.ipv6 { 64 } else { 255 }),
            };
            assert_eq!((ip.destination, ip.hop_limit), (destination, hop_limit), "{ip:?}");
        }
    }

    #[track_caller]
    fn expect_held_by(&self, holder: &str) {
        let vip = self.vip();
        wait_until(&format!("the address on {holder} alone"), PATIENCE, || {
            ["ours", "theirs"].iter().all(|host| {
                let addresses = self.lab.host(host).addresses().unwrap();
                addresses.iter().any(|net| net.addr() == vip) == (*host == holder)
            })
        });
    }
}

/// The advert in a frame. One that our own parser refuses fails the test: both sides are well behaved.
fn read(frame: &Frame) -> Option<Packet<'_>> {
    let ip = frame.ip()?;
    let parsed = match ip.protocol {
        PROTOCOL => {
            let envelope = Envelope {
                source: ip.source,
                destination: ip.destination,
                hop_limit: ip.hop_limit,
            };
            Packet::parse(ip.payload, &envelope)
        }
        PROTOCOL_AH => Packet::parse_ah(frame.payload()),
        _ => return None,
    };
    Some(parsed.unwrap_or_else(|error| panic!("{} sent {:02x?}: {error}", ip.source, ip.payload)))
}

/// The address that the host has had from the start.
fn link_local(host: &Host) -> IpAddr {
    let addresses = host.addresses().unwrap();
    let own = |address: &IpAddr| match address {
        IpAddr::V6(v6) => v6.is_unicast_link_local() && *address != IpAddr::V6(VIP6),
        IpAddr::V4(_) => false,
    };
    addresses.iter().map(IpNet::addr).find(own).unwrap()
}
