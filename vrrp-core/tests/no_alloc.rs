//! Neither the codec nor a running virtual router allocates.
//!
//! A test binary of its own, since the counting allocator counts for the whole process (for each thread apart).

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use allocation_counter::measure;
use vrrp_core::{
    AddressList, AuthenticationConfig, ChecksumForm, Config, Discard, Envelope, GROUP_V4, GROUP_V6,
    HOP_LIMIT, HmacConfig, HmacKey, Packet, ParseError, Priority, State, Version, VirtualRouter, Vrid,
};

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(black_box(vec![1, 2, 3])));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn parse_accessors_and_errors_allocate_nothing() {
    for case in CASES {
        let (octets, envelope) = case.advert(20, Priority::new(150));
        allocates_nothing(|| {
            let packet = Packet::parse(&octets, &envelope).expect("a valid advert");
            black_box((
                packet.version(),
                packet.vrid(),
                packet.priority(),
                packet.adver_interval(),
            ));
            black_box((
                packet.authentication(),
                packet.family(),
                packet.checksum(),
                packet.source(),
            ));
            assert_eq!(packet.addresses().iter().count(), usize::from(case.addresses));
            black_box((packet.trailer(), packet.ah()));
            assert!(packet.addresses().same_set(packet.advert().addresses()));
        });
        let mut wrong = octets.clone();
        wrong[7] ^= 1;
        allocates_nothing(|| {
            assert!(matches!(
                Packet::parse(&wrong, &envelope),
                Err(ParseError::Checksum { .. })
            ));
            assert!(Packet::parse(&octets[1..], &envelope).is_err());
        });
    }
}

#[test]
fn emit_into_a_given_buffer_allocates_nothing() {
    for case in CASES {
        let router = case.router();
        let envelope = case.envelope(10);
        let mut buffer = [0; 8 + 255 * 16];
        allocates_nothing(|| {
            let advert = router.advert(router.priority());
            let mut rest = &mut buffer[..];
            advert
                .emit(
                    envelope.source,
                    envelope.destination,
                    ChecksumForm::PseudoHeader,
                    &mut rest,
                )
                .expect("room for the largest");
            assert_eq!(rest.len(), 8 + 255 * 16 - advert.wire_len());
            let mut none = [0; 0];
            assert!(
                advert
                    .emit(
                        envelope.source,
                        envelope.destination,
                        ChecksumForm::PseudoHeader,
                        &mut &mut none[..]
                    )
                    .is_err()
            );
        });
    }
}

/// From startup through takeover, a losing advert, a demotion and a stop, in both directions.
#[test]
fn a_running_router_allocates_nothing() {
    for case in CASES {
        let mut router = case.router();
        let (lower, envelope) = case.advert(20, Priority::new(50));
        let (higher, _) = case.advert(20, Priority::new(150));
        let (own, own_envelope) = case.advert(10, Priority::new(100));
        allocates_nothing(|| {
            let lower = Packet::parse(&lower, &envelope).expect("a valid advert");
            let higher = Packet::parse(&higher, &envelope).expect("a valid advert");
            let own = Packet::parse(&own, &own_envelope).expect("a valid advert");
            router.handle_startup(Duration::ZERO);
            drain(&mut router);
            let mut now = Duration::from_secs(1);
            for _ in 0..50 {
                router.handle_advert(now, &higher).expect("from a peer");
                drain(&mut router);
                assert!(matches!(
                    router.handle_advert(now, &own),
                    Err(Discard::OwnAddress { .. })
                ));
                now = router.poll_timeout().expect("a backup has a deadline");
                router.handle_timeout(now);
                drain(&mut router);
                assert_eq!(router.state(), State::Master);
                router.handle_advert(now, &lower).expect("from a peer");
                drain(&mut router);
                router.set_priority(now, Priority::new(80));
                drain(&mut router);
                router.set_priority(now, Priority::new(100));
                now = router.poll_timeout().expect("a master has a deadline");
                router.handle_timeout(now);
                drain(&mut router);
                router.handle_advert(now, &higher).expect("from a peer");
                drain(&mut router);
                assert_eq!(router.state(), State::Backup);
            }
            router.handle_shutdown(now);
            drain(&mut router);
        });
    }
}

#[test]
fn signing_and_verifying_allocate_nothing() {
    let ah = AuthenticationConfig::ah("secret").expect("six octets");
    let hmac = HmacConfig::new(HmacKey::new(1, &[7; 32]).expect("long enough")).into();
    for (case, authentication) in [
        (case(Version::V2, false, 20), ah),
        (case(Version::V3, false, 20), hmac),
    ] {
        let mut ours = case.router_with(10, authentication.clone());
        let mut peer = case.router_with(20, authentication);
        let envelope = case.envelope(20);
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination) else {
            panic!("IPv4");
        };
        let mut buffer = [0; 2048];
        allocates_nothing(|| {
            ours.handle_startup(Duration::ZERO);
            drain(&mut ours);
            for second in 1..50 {
                let now = Duration::from_secs(second);
                let unix_time = Duration::from_secs(1_767_225_600) + now;
                ours.set_wall_clock(now, unix_time);
                peer.set_wall_clock(now, unix_time);
                let advert = peer.next_advert(now, Priority::new(150));
                let mut rest = &mut buffer[..];
                let form = ChecksumForm::PseudoHeader;
                let emitted = match advert.ah() {
                    Some(ah) => ah.emit(source, destination, HOP_LIMIT, 1, &mut rest),
                    None => advert.emit(envelope.source, envelope.destination, form, &mut rest),
                };
                emitted.expect("room for the largest");
                let (signed, left) = (advert.ah().is_some(), rest.len());
                let octets = &buffer[..buffer.len() - left];
                let packet = match signed {
                    true => Packet::parse_ah(octets),
                    false => Packet::parse(octets, &envelope),
                };
                let packet = packet.expect("own emission");
                ours.handle_advert(now, &packet).expect("signed");
                assert_eq!(ours.handle_advert(now, &packet), Err(Discard::Replay));
                drain(&mut ours);
            }
        });
    }
}

fn allocates_nothing(run: impl FnOnce()) {
    assert_eq!(measure(run).count_total, 0);
}

fn drain(router: &mut VirtualRouter) {
    while let Some(output) = router.poll_output() {
        let _ = black_box(output);
    }
}

#[derive(Clone, Copy)]
struct Case {
    version: Version,
    ipv6: bool,
    addresses: u8,
}

const CASES: [Case; 6] = [
    case(Version::V2, false, 1),
    case(Version::V2, false, 20),
    case(Version::V3, false, 1),
    case(Version::V3, false, 20),
    case(Version::V3, true, 1),
    case(Version::V3, true, 20),
];

const fn case(version: Version, ipv6: bool, addresses: u8) -> Case {
    Case {
        version,
        ipv6,
        addresses,
    }
}

impl Case {
    fn envelope(self, host: u8) -> Envelope {
        let (source, destination): (IpAddr, IpAddr) = if self.ipv6 {
            let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into());
            (source.into(), GROUP_V6.into())
        } else {
            (Ipv4Addr::new(192, 0, 2, host).into(), GROUP_V4.into())
        };
        Envelope {
            source,
            destination,
            hop_limit: HOP_LIMIT,
        }
    }

    fn router(self) -> VirtualRouter {
        self.router_with(10, AuthenticationConfig::None)
    }

    fn router_with(self, host: u8, authentication: AuthenticationConfig) -> VirtualRouter {
        let vips: Vec<IpAddr> = (0..self.addresses)
            .map(|n| match self.ipv6 {
                true => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n.into()).into(),
                false => Ipv4Addr::new(192, 0, 2, 100 + n).into(),
            })
            .collect();
        let vips = AddressList::new(&vips).expect("distinct addresses");
        let config = Config::builder(Vrid::new(33).expect("not 0"), vips)
            .version(self.version)
            .authentication(authentication)
            .build()
            .expect("valid");
        VirtualRouter::new(config, self.envelope(host).source)
    }

    fn advert(self, host: u8, priority: Priority) -> (Vec<u8>, Envelope) {
        let envelope = self.envelope(host);
        let mut octets = Vec::new();
        self.router()
            .advert(priority)
            .emit(
                envelope.source,
                envelope.destination,
                ChecksumForm::PseudoHeader,
                &mut octets,
            )
            .expect("a vector grows");
        (octets, envelope)
    }
}
