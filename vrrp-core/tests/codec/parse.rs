//! Each check of `Packet::parse`: the valid, the invalid, and the edge between.

use vrrp_core::{
    Authentication, ChecksumForm, Envelope, Family, Message, MessageError, Packet, ParseError, Priority,
    Version,
};

use crate::fuzz::reference;
use crate::samples::{V2, V2_PASSWORD, V3_IPV4, V3_IPV6, each_kind, envelope, hex, ip, ipv4, ipv6, with};

#[test]
fn header_needs_eight_octets() {
    for (octets, envelope) in each_kind() {
        for got in 0..8 {
            let expected = MessageError::Truncated { need: 8, got };
            assert_eq!(Packet::parse(&octets[..got], &envelope), Err(expected.into()));
        }
    }
}

#[test]
fn length_must_match_the_count_exactly() {
    for (octets, envelope) in each_kind() {
        let need = octets.len();
        for got in 8..need {
            let expected = MessageError::Truncated { need, got };
            assert_eq!(Packet::parse(&octets[..got], &envelope), Err(expected.into()));
        }
        let mut longer = octets.clone();
        for got in need + 1..need + 20 {
            longer.push(0);
            let expected = MessageError::TooLong {
                count: octets[3],
                expected: need,
                got,
            };
            assert_eq!(Packet::parse(&longer, &envelope), Err(expected.into()));
        }
        assert!(Packet::parse(&octets, &envelope).is_ok());
    }
}

#[test]
fn count_of_255_in_a_short_message_is_truncated() {
    for (octets, envelope) in each_kind() {
        let changed = with(&octets, 3, 255, &envelope);
        let address_len = if envelope.source.is_ipv4() { 4 } else { 16 };
        let trailer = if octets[0] == 0x21 { 8 } else { 0 };
        let expected = MessageError::Truncated {
            need: 8 + 255 * address_len + trailer,
            got: octets.len(),
        };
        assert_eq!(Packet::parse(&changed, &envelope), Err(expected.into()));
    }
}

#[test]
fn count_of_255_with_255_addresses_is_accepted() {
    let mut octets = hex("313696ff000a0000");
    (0..255).for_each(|host| octets.extend([192, 0, 2, host]));
    reference::seal(&mut octets, &ipv4(), true);
    let packet = Packet::parse(&octets, &ipv4()).expect("valid");
    assert_eq!(packet.addresses().len(), 255);
    assert_eq!(packet.addresses().iter().last(), Some(ip("192.0.2.254")));
}

#[test]
fn only_versions_2_and_3_are_known() {
    for version in 0..=15 {
        let octets = with(&hex(V3_IPV4), 0, version << 4 | 1, &ipv4());
        let expected = match version {
            // The layout of version 2 has eight octets more.
            2 => Err(MessageError::Truncated { need: 24, got: 16 }.into()),
            3 => Ok(Version::V3),
            got => Err(MessageError::Version { got }.into()),
        };
        assert_eq!(
            Packet::parse(&octets, &ipv4()).map(|packet| packet.version()),
            expected
        );
    }
}

#[test]
fn version_2_is_for_ipv4_alone() {
    let octets = with(&hex(V3_IPV6), 0, 0x21, &ipv6());
    assert_eq!(
        Packet::parse(&octets, &ipv6()),
        Err(MessageError::Ipv6InV2.into())
    );
}

#[test]
fn only_type_1_is_an_advertisement() {
    for (octets, envelope) in each_kind() {
        for got in 0..=15 {
            let changed = with(&octets, 0, octets[0] & 0xf0 | got, &envelope);
            match Packet::parse(&changed, &envelope) {
                Ok(_) => assert_eq!(got, 1),
                Err(error) => assert_eq!(error, ParseError::Type { got }),
            }
        }
    }
}

#[test]
fn vrid_is_1_to_255() {
    for (octets, envelope) in each_kind() {
        let vrid = |vrid| {
            Packet::parse(&with(&octets, 1, vrid, &envelope), &envelope).map(|packet| packet.vrid().get())
        };
        assert_eq!(vrid(0), Err(ParseError::VridZero));
        assert_eq!(vrid(1), Ok(1));
        assert_eq!(vrid(255), Ok(255));
    }
}

#[test]
fn every_priority_is_valid() {
    for (octets, envelope) in each_kind() {
        for priority in [0, 1, 100, 254, 255] {
            let changed = with(&octets, 2, priority, &envelope);
            let packet = Packet::parse(&changed, &envelope).expect("valid");
            assert_eq!(packet.priority(), Priority::new(priority));
        }
    }
}

#[test]
fn v2_interval_is_1_to_255_seconds() {
    let centis = |secs| {
        Packet::parse(&with(&hex(V2), 5, secs, &ipv4()), &ipv4())
            .map(|packet| packet.adver_interval().centis())
    };
    assert_eq!(centis(0), Err(ParseError::AdverIntervalZero));
    assert_eq!(centis(1), Ok(100));
    assert_eq!(centis(255), Ok(25_500));
}

#[test]
fn v3_interval_is_1_to_4095_centiseconds() {
    for (octets, envelope) in [(hex(V3_IPV4), ipv4()), (hex(V3_IPV6), ipv6())] {
        let centis = |high, low| {
            let octets = with(&octets, 4, high, &envelope);
            let octets = with(&octets, 5, low, &envelope);
            Packet::parse(&octets, &envelope).map(|packet| packet.adver_interval().centis())
        };
        assert_eq!(centis(0, 0), Err(ParseError::AdverIntervalZero));
        assert_eq!(centis(0, 1), Ok(1));
        assert_eq!(centis(1, 0), Ok(256));
        assert_eq!(centis(0x0f, 0xff), Ok(4095));
    }
}

/// RFC 9568 §5.2.6: the field MUST be ignored on reception.
#[test]
fn reserved_bits_of_v3_are_ignored() {
    for (octets, envelope) in [(hex(V3_IPV4), ipv4()), (hex(V3_IPV6), ipv6())] {
        let plain = Packet::parse(&octets, &envelope).expect("valid").adver_interval();
        for reserved in [0x10, 0x80, 0xf0] {
            let changed = with(&octets, 4, octets[4] | reserved, &envelope);
            let packet = Packet::parse(&changed, &envelope).expect("valid");
            assert_eq!(packet.adver_interval(), plain);
        }
        // They do not make an interval of 0 valid.
        let zero = with(&with(&octets, 5, 0, &envelope), 4, 0xf0, &envelope);
        assert_eq!(
            Packet::parse(&zero, &envelope),
            Err(ParseError::AdverIntervalZero)
        );
    }
}

#[test]
fn at_least_one_address() {
    for (octets, envelope, empty) in [
        (hex(V2), ipv4(), "2134640000010000 0000000000000000"),
        (hex(V3_IPV4), ipv4(), "31369600000a0000"),
        (hex(V3_IPV6), ipv6(), "3137960000640000"),
    ] {
        let mut empty = hex(empty);
        reference::seal(&mut empty, &envelope, octets[0] == 0x31);
        assert_eq!(Packet::parse(&empty, &envelope), Err(ParseError::NoAddresses));
        assert!(Packet::parse(&octets, &envelope).is_ok());
    }
}

#[test]
fn authentication_types_of_v2() {
    let kind = |kind| with(&hex(V2_PASSWORD), 4, kind, &ipv4());
    let expected = [
        (0, Authentication::None),
        (1, Authentication::Simple(b"secret12")),
        (2, Authentication::Ah),
        (3, Authentication::Other(3)),
        (255, Authentication::Other(255)),
    ];
    for (number, expected) in expected {
        let octets = kind(number);
        let packet = Packet::parse(&octets, &ipv4()).expect("valid");
        assert_eq!(packet.authentication(), expected);
    }
}

/// RFC 3768 §5.3.10: authentication data is ignored on reception; only the password is looked at.
#[test]
fn authentication_data_without_a_type_is_ignored() {
    let octets = with(&hex(V2), 19, 7, &ipv4());
    let packet = Packet::parse(&octets, &ipv4()).expect("valid");
    assert_eq!(packet.authentication(), Authentication::None);
}

#[test]
fn checksum_of_v2_and_ipv6_has_one_form() {
    let parse = |octets: &[u8], envelope| Packet::parse(octets, &envelope).map(|packet| packet.checksum());
    assert_eq!(parse(&hex(V2), ipv4()), Ok(ChecksumForm::MessageOnly));
    assert_eq!(parse(&hex(V2_PASSWORD), ipv4()), Ok(ChecksumForm::MessageOnly));
    assert_eq!(parse(&hex(V3_IPV6), ipv6()), Ok(ChecksumForm::PseudoHeader));

    let mut octets = hex(V2);
    reference::seal(&mut octets, &ipv4(), true);
    assert!(matches!(
        parse(&octets, ipv4()),
        Err(ParseError::Checksum { expected: 0xb864, .. })
    ));
    let mut octets = hex(V3_IPV6);
    reference::seal(&mut octets, &ipv6(), false);
    assert!(matches!(
        parse(&octets, ipv6()),
        Err(ParseError::Checksum { expected: 0x0bf0, .. })
    ));
}

#[test]
fn both_forms_of_checksum_are_accepted_in_v3_over_ipv4() {
    let mut octets = hex(V3_IPV4);
    let packet = Packet::parse(&octets, &ipv4()).expect("keepalived's form");
    assert_eq!(packet.checksum(), ChecksumForm::PseudoHeader);
    reference::seal(&mut octets, &ipv4(), false);
    let packet = Packet::parse(&octets, &ipv4()).expect("RFC 9568's form");
    assert_eq!(packet.checksum(), ChecksumForm::MessageOnly);
}

/// Cisco IOS, VRID 30, 10 s, 192.168.30.254: the message alone, whoever sent it.
#[test]
fn cisco_checksums_cover_the_message_alone() {
    for octets in [
        "311e6901 03e88251 c0a81efe",
        "311e6401 03e88751 c0a81efe",
        "311e5f01 03e88c51 c0a81efe",
    ] {
        for source in ["192.168.30.1", "10.0.0.7"] {
            let octets = hex(octets);
            let packet = Packet::parse(&octets, &envelope(source, "224.0.0.18")).expect("valid");
            assert_eq!(packet.checksum(), ChecksumForm::MessageOnly);
            assert_eq!(packet.adver_interval().centis(), 1000);
        }
    }
}

/// The pseudo-header 224.0.0.18, protocol 112 and length 12 from this source sums to 0xffff, a zero of ones'
/// complement: the message carries the right checksum in both forms, and the first one is reported.
#[test]
fn both_forms_verify_when_the_pseudo_header_sums_to_zero() {
    // e000 + 0012 + 0070 + 000c + 1f71 + 0000 = ffff
    let envelope = envelope("31.113.0.0", "224.0.0.18");
    assert_eq!(reference::pseudo_header_sum(&envelope, 12), 0);
    let octets = hex("311e6901 03e88251 c0a81efe");
    let packet = Packet::parse(&octets, &envelope).expect("valid");
    assert_eq!(packet.checksum(), ChecksumForm::PseudoHeader);

    let mut wrong = octets.clone();
    wrong[7] ^= 1;
    let expected = ParseError::Checksum {
        got: 0x8250,
        expected: 0x8251,
    };
    assert_eq!(Packet::parse(&wrong, &envelope), Err(expected));
}

#[test]
fn wrong_checksum_names_the_right_one() {
    for (octets, envelope) in each_kind() {
        let right = u16::from_be_bytes([octets[6], octets[7]]);
        for got in [
            0x0000,
            0x0001,
            right ^ 1,
            right ^ 0x8000,
            right.wrapping_add(1),
            0xffff,
        ] {
            let mut wrong = octets.clone();
            wrong[6..8].copy_from_slice(&got.to_be_bytes());
            let expected = ParseError::Checksum { got, expected: right };
            assert_eq!(Packet::parse(&wrong, &envelope), Err(expected));
        }
    }
}

/// A sender that does not know the two zeros of ones' complement apart is understood (RFC 1071).
#[test]
fn checksum_0xffff_counts_as_0x0000() {
    // The second address word is chosen so that the rest sums to 0xffff.
    let mut octets = hex("31369601 000a0000 00000000");
    let rest = !reference::checksum(&octets, &ipv4(), true);
    octets[8..10].copy_from_slice(&(0xffff - rest).to_be_bytes());
    for zero in [[0x00, 0x00], [0xff, 0xff]] {
        octets[6..8].copy_from_slice(&zero);
        let packet = Packet::parse(&octets, &ipv4()).expect("valid");
        assert_eq!(packet.checksum(), ChecksumForm::PseudoHeader);
    }
}

#[test]
fn the_pseudo_header_holds_source_and_destination() {
    for other in [
        envelope("192.0.2.12", "224.0.0.18"),
        envelope("192.0.2.11", "192.0.2.12"),
    ] {
        let parsed = Packet::parse(&hex(V3_IPV4), &other).map(|packet| packet.checksum());
        assert!(matches!(parsed, Err(ParseError::Checksum { got: 0x1154, .. })));
    }
    for other in [
        envelope("fe80::ff:fe00:b", "ff02::12"),
        envelope("fe80::ff:fe00:a", "fe80::2"),
    ] {
        let parsed = Packet::parse(&hex(V3_IPV6), &other).map(|packet| packet.checksum());
        assert!(matches!(parsed, Err(ParseError::Checksum { got: 0x0bf0, .. })));
    }
}

/// Unicast in VRRPv3 sums the peer's address, not the group's.
#[test]
fn unicast_checksum_holds_the_peers_address() {
    let envelope = envelope("192.0.2.11", "192.0.2.12");
    let mut octets = hex(V3_IPV4);
    reference::seal(&mut octets, &envelope, true);
    let packet = Packet::parse(&octets, &envelope).expect("valid");
    assert_eq!(packet.checksum(), ChecksumForm::PseudoHeader);
}

#[test]
fn multicast_needs_hop_limit_255() {
    for (octets, mut envelope) in each_kind() {
        for got in [0, 1, 64, 254] {
            envelope.hop_limit = got;
            assert_eq!(
                Packet::parse(&octets, &envelope),
                Err(ParseError::HopLimit { got })
            );
        }
        envelope.hop_limit = 255;
        assert!(Packet::parse(&octets, &envelope).is_ok());
    }
}

/// keepalived's IPv6 unicast adverts carry 64.
#[test]
fn unicast_takes_any_hop_limit() {
    for (octets, mut envelope) in each_kind() {
        envelope.destination = if envelope.source.is_ipv4() {
            ip("192.0.2.12")
        } else {
            ip("fe80::2")
        };
        let mut octets = octets.clone();
        let pseudo_header = octets[0] >> 4 == 3;
        reference::seal(&mut octets, &envelope, pseudo_header);
        for hop_limit in [0, 64, 255] {
            envelope.hop_limit = hop_limit;
            let packet = Packet::parse(&octets, &envelope).expect("valid");
            assert_eq!(packet.envelope().hop_limit, hop_limit);
        }
    }
}

#[test]
fn envelope_is_of_one_family() {
    for (octets, mut envelope) in each_kind() {
        envelope.destination = if envelope.source.is_ipv4() {
            ip("ff02::12")
        } else {
            ip("224.0.0.18")
        };
        let expected = ParseError::MixedFamilies {
            source_address: envelope.source,
            destination: envelope.destination,
        };
        assert_eq!(Packet::parse(&octets, &envelope), Err(expected));
    }
}

/// The family is the IP header's: addresses of 4 octets over IPv6 are two short.
#[test]
fn family_decides_how_long_an_address_is() {
    let expected = MessageError::Truncated { need: 40, got: 16 };
    assert_eq!(Packet::parse(&hex(V3_IPV4), &ipv6()), Err(expected.into()));
    let packet_octets = hex(V3_IPV6);
    assert_eq!(
        Packet::parse(&packet_octets, &ipv6()).expect("valid").family(),
        Family::Ipv6
    );
    let packet_octets = hex(V3_IPV4);
    assert_eq!(
        Packet::parse(&packet_octets, &ipv4()).expect("valid").family(),
        Family::Ipv4
    );
}

/// A message broken in every way is told by the first check that fails, in the documented order.
#[test]
fn checks_are_made_in_the_documented_order() {
    fn parse(octets: &[u8], envelope: &Envelope) -> ParseError {
        Packet::parse(octets, envelope).expect_err("broken")
    }
    let good = ipv4();
    let mut mixed = envelope("192.0.2.11", "ff02::12");
    mixed.hop_limit = 1;
    let mut far = good;
    far.hop_limit = 1;
    let mut octets = hex("40000000 0000");

    assert!(matches!(parse(&octets, &mixed), ParseError::MixedFamilies { .. }));
    assert_eq!(parse(&octets, &far), ParseError::HopLimit { got: 1 });
    assert_eq!(
        parse(&octets, &good),
        MessageError::Truncated { need: 8, got: 6 }.into()
    );
    octets.extend([0xde, 0xad, 0]);
    assert_eq!(parse(&octets, &good), MessageError::Version { got: 4 }.into());
    octets[0] = 0x20;
    assert_eq!(parse(&octets, &ipv6()), MessageError::Ipv6InV2.into());
    octets[0] = 0x30;
    let too_long = MessageError::TooLong {
        count: 0,
        expected: 8,
        got: 9,
    };
    assert_eq!(parse(&octets, &good), too_long.into());
    octets.truncate(8);
    assert_eq!(parse(&octets, &good), ParseError::Type { got: 0 });
    octets[0] = 0x31;
    assert_eq!(parse(&octets, &good), ParseError::VridZero);
    octets[1] = 1;
    assert_eq!(parse(&octets, &good), ParseError::AdverIntervalZero);
    octets[5] = 1;
    assert_eq!(parse(&octets, &good), ParseError::NoAddresses);
    octets[3] = 1;
    octets.extend([192, 0, 2, 1]);
    assert!(matches!(
        parse(&octets, &good),
        ParseError::Checksum { got: 0xdead, .. }
    ));
    reference::seal(&mut octets, &good, true);
    assert!(Packet::parse(&octets, &good).is_ok());
}

#[test]
fn message_shows_what_a_packet_refuses() {
    let octets = hex("3f00ff01 00001234 c0000264");
    assert!(Packet::parse(&octets, &ipv4()).is_err());
    let message = Message::new(&octets, Family::Ipv4).expect("the length is right");
    assert_eq!(
        (message.kind(), message.vrid(), message.checksum()),
        (15, 0, 0x1234)
    );
    assert_eq!(message.adver_interval(), None);
    assert_eq!(
        message.addresses().iter().collect::<Vec<_>>(),
        [ip("192.0.2.100")]
    );
}

#[test]
fn debug_never_shows_a_password() {
    let octets = hex(V2_PASSWORD);
    let packet = Packet::parse(&octets, &ipv4()).expect("valid");
    let message = Message::new(&octets, Family::Ipv4).expect("valid");
    let shown = [
        format!("{packet:?} {packet:#?}"),
        format!("{message:?}"),
        format!("{:?}", packet.advert()),
        format!("{:?}", packet.authentication()),
    ];
    for shown in shown {
        assert!(shown.contains("Simple(…)"), "{shown}");
        for secret in ["secret", "7365", "115, 101", "73, 65"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
