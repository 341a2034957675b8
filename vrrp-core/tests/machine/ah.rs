//! The IP authentication header, in keepalived's form: captures, what is signed and what is not, sequence numbers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use vrrp_core::{
    AddressList, AhError, AhKey, AhPacket, AuthenticationConfig, Config, ConfigBuilder, Discard, GROUP_V4,
    Packet, ParseError, Priority, Version, VirtualRouter, Vrid,
};

use crate::support::*;

const CAPTURES: &str = include_str!("../data/keepalived-v2-ah.hex");
/// Of the captures: keepalived, and who heard it.
const SENDER: &str = "192.168.192.11";
const RECEIVER: &str = "192.168.192.10";

/// The IPv4 packets of a kind, in order.
fn captures(kind: &str) -> Vec<Vec<u8>> {
    let lines = CAPTURES.lines().filter(|line| line.starts_with(kind));
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let packet = |line: &str| -> Vec<u8> {
        let frame = line.rsplit('\t').next().unwrap();
        frame.as_bytes().chunks(2).skip(14).map(octet).collect()
    };
    let packets: Vec<_> = lines.map(packet).collect();
    assert_eq!(packets.len(), 3);
    packets
}

fn builder(kind: &str, password: &str) -> ConfigBuilder {
    let addresses = AddressList::new(&[ip("192.168.192.130")]).unwrap();
    let builder = Config::builder(Vrid::new(33).unwrap(), addresses)
        .version(Version::V2)
        .authentication(AuthenticationConfig::ah(password).unwrap());
    match kind {
        "unicast" => builder.peers(&[ip(SENDER)]),
        _ => builder,
    }
}

/// A backup that the captures are for.
fn receiver(kind: &str, password: &str) -> VirtualRouter {
    let mut router = VirtualRouter::new(builder(kind, password).build().unwrap(), ip(RECEIVER));
    router.handle_startup(secs(1000));
    while router.poll_output().is_some() {}
    router
}

fn hears(router: &mut VirtualRouter, packet: &[u8]) -> Result<(), Discard> {
    router.handle_advert(secs(1000), &Packet::parse_ah(packet).expect("well-formed"))
}

const KINDS: [&str; 2] = ["multicast", "unicast"];

#[test]
fn keepaliveds_adverts_verify_and_their_repetition_does_not() {
    for kind in KINDS {
        let mut router = receiver(kind, "1111");
        for packet in captures(kind) {
            assert_eq!(hears(&mut router, &packet), Ok(()), "{kind}");
            assert_eq!(hears(&mut router, &packet), Err(Discard::Replay), "{kind}");
        }
        assert_eq!(router.counters().adverts_received, 3);
        assert_eq!(router.counters().discards.replay, 3);
        assert_eq!(router.counters().stops_received, 1);
    }
}

#[test]
fn we_send_what_keepalived_sends() {
    for kind in KINDS {
        for packet in captures(kind) {
            let parsed = Packet::parse_ah(&packet).unwrap();
            let key = AhKey::new("1111").unwrap();
            let sequence = parsed.ah().unwrap().sequence();
            let advert = parsed.advert().with_ah(&key, sequence).unwrap();
            let envelope = parsed.envelope();
            let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination)
            else {
                panic!("IPv4");
            };
            let id = u16::from_be_bytes([packet[4], packet[5]]);
            let ah = advert.ah().unwrap();
            let mut octets = vec![0xa5; ah.wire_len()];
            let mut rest = &mut octets[..];
            ah.emit(source, destination, envelope.hop_limit, id, &mut rest)
                .unwrap();
            assert!(rest.is_empty());
            let mut expected = packet.clone();
            // The kernel fills the header's checksum in.
            expected[10..12].fill(0);
            assert_eq!(octets, expected, "{kind}");
            let mut short = &mut octets[1..];
            assert!(ah.emit(source, destination, 255, id, &mut short).is_err());
        }
    }
}

/// What routers may change on the way is left out: type of service, flags and fragment offset, checksum, and with
/// keepalived the TTL in unicast alone.
#[test]
fn every_bit_is_signed_but_for_what_may_change_on_the_way() {
    for kind in KINDS {
        let packet = &captures(kind)[0];
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mutable = match bit / 8 {
                1 | 6 | 7 | 10 | 11 => true,
                8 => kind == "unicast",
                _ => false,
            };
            let mut router = receiver(kind, "1111");
            let before = router.clone();
            let accepted = match Packet::parse_ah(&changed) {
                Ok(parsed) => router.handle_advert(secs(1000), &parsed).is_ok(),
                Err(_) => false,
            };
            assert_eq!(accepted, mutable, "{kind}, bit {} of octet {}", bit % 8, bit / 8);
            if !accepted {
                router.take_counters();
                assert_eq!(router, before);
            }
        }
    }
}

#[test]
fn another_password_or_type_of_authentication_is_refused() {
    for kind in KINDS {
        let packet = &captures(kind)[0];
        let mut router = receiver(kind, "1112");
        assert_eq!(hears(&mut router, packet), Err(Discard::Mac));
        assert_eq!(router.counters().discards.mac, 1);
        for other in [
            AuthenticationConfig::None,
            AuthenticationConfig::simple("1111").unwrap(),
        ] {
            let config = builder(kind, "1111").authentication(other).build().unwrap();
            let mut router = VirtualRouter::new(config, ip(RECEIVER));
            router.handle_startup(secs(1000));
            assert_eq!(hears(&mut router, packet), Err(Discard::Authentication));
        }
    }
}

#[test]
fn an_advert_that_only_says_that_it_is_authenticated_is_refused() {
    let packet = &captures("multicast")[0];
    let parsed = Packet::parse_ah(packet).unwrap();
    let bare = Packet::parse(&packet[44..], parsed.envelope()).unwrap();
    let mut router = receiver("multicast", "1111");
    assert_eq!(
        router.handle_advert(secs(1000), &bare),
        Err(Discard::Unauthenticated)
    );
    let mut bench = Bench::started(v2(100).authentication(AuthenticationConfig::ah("1111").unwrap()));
    let password = v2(100).authentication(AuthenticationConfig::simple("1111").unwrap());
    assert_eq!(
        bench.receive(&Heard::new(password, 200)),
        Err(Discard::Authentication)
    );
}

/// keepalived's rule; the check value is right.
#[test]
fn the_spi_is_the_source_address() {
    let mut packet = captures("multicast")[0].clone();
    packet[24..28].copy_from_slice(&[192, 168, 192, 12]);
    let mut signed = packet.clone();
    for mutable in [1, 6, 7, 10, 11] {
        signed[mutable] = 0;
    }
    signed[32..44].fill(0);
    let mut key = [0; 64];
    key[..4].copy_from_slice(b"1111");
    let icv = Hmac::<Md5>::new(&key.into()).chain_update(&signed).finalize();
    packet[32..44].copy_from_slice(&icv.into_bytes()[..12]);
    let mut router = receiver("multicast", "1111");
    assert_eq!(
        hears(&mut router, &packet),
        Err(Discard::Spi {
            got: Ipv4Addr::new(192, 168, 192, 12)
        })
    );
    assert_eq!(router.counters().discards.spi, 1);
}

fn next_sequence(router: &mut VirtualRouter, now: Duration) -> u32 {
    let advert = router.next_advert(now, Priority::new(100));
    let mut octets = Vec::new();
    advert
        .ah()
        .unwrap()
        .emit([192, 168, 192, 10].into(), GROUP_V4, 255, 1, &mut octets)
        .unwrap();
    Packet::parse_ah(&octets).unwrap().ah().unwrap().sequence()
}

/// So that peers hear a router that has started anew, and keepalived one that takes over: it counts what it sends and
/// hears in one.
#[test]
fn sequence_numbers_are_above_all_that_was_sent_or_heard_and_not_below_the_clock() {
    let mut router = receiver("multicast", "1111");
    router.set_wall_clock(secs(1000), secs(0));
    assert_eq!(next_sequence(&mut router, secs(1000)), 1);
    assert_eq!(next_sequence(&mut router, secs(1000)), 2);
    // Sequence 11.
    assert_eq!(hears(&mut router, &captures("multicast")[2]), Ok(()));
    assert_eq!(next_sequence(&mut router, secs(1000)), 12);
    router.set_wall_clock(secs(1000), secs(1_767_225_600));
    assert_eq!(next_sequence(&mut router, secs(1001)), 1_767_225_601);
    assert_eq!(next_sequence(&mut router, secs(1001)), 1_767_225_602);
    // A clock that was set back changes nothing.
    router.set_wall_clock(secs(1001), secs(5));
    assert_eq!(next_sequence(&mut router, secs(1001)), 1_767_225_603);
}

#[test]
fn each_broken_header_has_its_own_error() {
    let packet = captures("multicast")[0].clone();
    let with = |at: usize, value: u8| {
        let mut packet = packet.clone();
        packet[at] = value;
        AhPacket::new(&packet).unwrap_err()
    };
    assert_eq!(with(0, 0x46), AhError::IpHeader { got: 0x46 });
    assert_eq!(with(9, 112), AhError::Protocol { got: 112 });
    assert_eq!(with(20, 6), AhError::NextHeader { got: 6 });
    assert_eq!(with(21, 5), AhError::Length { got: 5 });
    assert_eq!(with(3, 43), AhError::Truncated { need: 44, got: 43 });
    assert_eq!(with(3, 65), AhError::Truncated { need: 65, got: 64 });
    for len in 0..packet.len() {
        assert!(AhPacket::new(&packet[..len]).is_err(), "{len} octets");
    }
    // Padding of the link is none of it.
    let mut padded = packet.clone();
    padded.extend([0; 6]);
    assert_eq!(AhPacket::new(&padded).unwrap().message().len(), 20);
    let mut cut = packet;
    cut[3] = 50;
    assert!(matches!(Packet::parse_ah(&cut), Err(ParseError::Message(_))));
}
