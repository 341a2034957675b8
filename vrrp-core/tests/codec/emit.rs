//! Emission: octets of known adverts, and buffers of every kind.

use bytes::{BufMut, BytesMut};
use vrrp_core::{
    AddressList, AdverInterval, Advert, AdvertError, AuthenticationConfig, BufferTooSmall, ChecksumForm,
    Config, Envelope, GROUP_V4, PASSWORD_LEN, Packet, Priority, Version, VirtualRouter, Vrid,
};

use crate::samples::{V2_PASSWORD, V3_IPV4, V3_IPV6, each_kind, envelope, hex, ip, ipv4, ipv6};

/// What buffers hold before, so that an octet left out shows.
const FILL: u8 = 0xa5;

/// keepalived 2.2.7 with the configuration that tutorials show: VRID 51, password 1111, 192.168.192.130.
#[test]
fn checksums_of_the_tutorial_configuration() {
    let addresses = AddressList::new(&[ip("192.168.192.130")]).expect("one address");
    let config = Config::builder(vrid(51), addresses)
        .authentication(AuthenticationConfig::simple("1111").expect("four octets"))
        .build()
        .expect("valid");
    let router = VirtualRouter::new(config, ip("192.168.192.10"));
    let envelope = envelope("192.168.192.10", "224.0.0.18");
    for (priority, expected) in [
        (100, "2133640101 01963c c0a8c082 3131313100000000"),
        (90, "21335a0101 01a03c c0a8c082 3131313100000000"),
        (0, "2133000101 01fa3c c0a8c082 3131313100000000"),
    ] {
        let advert = router.advert(Priority::new(priority));
        assert_eq!(
            emit(&advert, &envelope, ChecksumForm::PseudoHeader),
            hex(expected)
        );
    }
}

/// Cisco IOS, VRID 30, 10 s, 192.168.30.254.
#[test]
fn message_only_checksums_are_ciscos() {
    let addresses = AddressList::new(&[ip("192.168.30.254")]).expect("one address");
    let interval = AdverInterval::from_secs(10).expect("not 0");
    for (priority, checksum) in [(105, [0x82, 0x51]), (100, [0x87, 0x51]), (95, [0x8c, 0x51])] {
        let priority = Priority::new(priority);
        let advert = Advert::new(
            Version::V3,
            vrid(30),
            priority,
            interval,
            addresses.as_addresses(),
        )
        .expect("a valid advert");
        let octets = emit(
            &advert,
            &envelope("192.168.30.1", "224.0.0.18"),
            ChecksumForm::MessageOnly,
        );
        assert_eq!(octets[6..8], checksum);
    }
}

#[test]
fn the_form_counts_for_v3_over_ipv4_alone() {
    for (octets, envelope) in each_kind() {
        let packet = Packet::parse(&octets, &envelope).expect("valid");
        let with_header = emit(&packet.advert(), &envelope, ChecksumForm::PseudoHeader);
        let alone = emit(&packet.advert(), &envelope, ChecksumForm::MessageOnly);
        assert_eq!(with_header, octets);
        assert_eq!(alone != with_header, octets == hex(V3_IPV4));
        assert!(Packet::parse(&alone, &envelope).is_ok());
    }
}

#[test]
fn every_octet_of_the_message_is_written_and_no_other() {
    for (octets, envelope) in each_kind() {
        let packet = Packet::parse(&octets, &envelope).expect("valid");
        let mut buffer = vec![FILL; octets.len() + 8];
        let mut rest = &mut buffer[..];
        emit_to(&packet.advert(), &envelope, &mut rest).expect("room");
        assert_eq!(rest.len(), 8);
        assert_eq!(buffer[..octets.len()], octets);
        assert_eq!(buffer[octets.len()..], [FILL; 8]);
    }
}

#[test]
fn a_buffer_too_small_is_left_alone() {
    for (octets, envelope) in each_kind() {
        let packet = Packet::parse(&octets, &envelope).expect("valid");
        let need = octets.len();
        for got in 0..need {
            let mut buffer = vec![FILL; got];
            let mut rest = &mut buffer[..];
            let expected = BufferTooSmall { need, got };
            assert_eq!(emit_to(&packet.advert(), &envelope, &mut rest), Err(expected));
            assert_eq!(rest.len(), got);
            assert_eq!(buffer, vec![FILL; got]);
        }
        let mut exact = vec![FILL; need];
        emit_to(&packet.advert(), &envelope, &mut &mut exact[..]).expect("exactly enough");
        assert_eq!(exact, octets);
    }
}

#[test]
fn every_kind_of_buffer_gets_the_same_octets() {
    for (octets, envelope) in each_kind() {
        let packet = Packet::parse(&octets, &envelope).expect("valid");
        let advert = packet.advert();

        let mut vector = vec![FILL; 2];
        emit_to(&advert, &envelope, &mut vector).expect("a vector grows");
        assert_eq!(vector[..2], [FILL; 2]);
        assert_eq!(vector[2..], octets);

        let mut bytes = BytesMut::new();
        emit_to(&advert, &envelope, &mut bytes).expect("it grows");
        assert_eq!(bytes[..], octets);

        let mut array = [FILL; 64];
        emit_to(&advert, &envelope, &mut (&mut array[..]).limit(octets.len())).expect("exactly enough");
        assert_eq!(array[..octets.len()], octets);

        // Joints within the header, between header and addresses, and within those.
        for joint in [0, 1, 7, 8, 9, octets.len() - 1, octets.len()] {
            let (mut first, mut second) = ([FILL; 64], [FILL; 64]);
            let mut chain = (&mut first[..joint]).chain_mut(&mut second[..]);
            emit_to(&advert, &envelope, &mut chain).expect("room");
            let joined = [&first[..joint], &second[..octets.len() - joint]].concat();
            assert_eq!(joined, octets);
            assert_eq!(second[octets.len() - joint], FILL);
        }
    }
}

/// RFC 3768 §5.3.10: zeros where there is no password; and a short password is padded with them.
#[test]
fn authentication_data_of_v2_is_always_there() {
    let addresses = AddressList::new(&[ip("192.0.2.100")]).expect("one address");
    let plain = Advert::new(
        Version::V2,
        vrid(51),
        Priority::DEFAULT,
        AdverInterval::DEFAULT,
        addresses.as_addresses(),
    )
    .expect("valid");
    let octets = emit(&plain, &ipv4(), ChecksumForm::PseudoHeader);
    assert_eq!((octets[4], &octets[12..]), (0, &[0; PASSWORD_LEN][..]));
    let with_password = plain.with_password(b"abc\0\0\0\0\0").expect("version 2");
    let octets = emit(&with_password, &ipv4(), ChecksumForm::PseudoHeader);
    assert_eq!((octets[4], &octets[12..]), (1, &b"abc\0\0\0\0\0"[..]));
    assert_eq!(octets.len(), plain.wire_len());
}

#[test]
fn an_advert_made_by_hand_is_one_that_a_message_can_carry() {
    let ipv4_list = AddressList::new(&[ip("192.0.2.100")]).expect("one address");
    let ipv6_list = AddressList::new(&[ip("fe80::1")]).expect("one address");
    let make = |version, cs, list: &AddressList| {
        let interval = AdverInterval::from_centis(cs).expect("in range");
        Advert::new(version, vrid(1), Priority::OWNER, interval, list.as_addresses()).map(|_| ())
    };
    let interval = |version, cs| {
        let got = AdverInterval::from_centis(cs).expect("in range");
        Err(AdvertError::AdverInterval { version, got })
    };
    assert_eq!(make(Version::V2, 100, &ipv4_list), Ok(()));
    assert_eq!(make(Version::V2, 25_500, &ipv4_list), Ok(()));
    assert_eq!(make(Version::V2, 99, &ipv4_list), interval(Version::V2, 99));
    assert_eq!(make(Version::V2, 100, &ipv6_list), Err(AdvertError::Ipv6InV2));
    assert_eq!(make(Version::V3, 1, &ipv4_list), Ok(()));
    assert_eq!(make(Version::V3, 4095, &ipv6_list), Ok(()));
    assert_eq!(make(Version::V3, 4096, &ipv6_list), interval(Version::V3, 4096));

    let octets = hex(V3_IPV6);
    let packet = Packet::parse(&octets, &ipv6()).expect("valid");
    assert_eq!(
        packet.advert().with_password(b"secret12"),
        Err(AdvertError::PasswordInV3)
    );
}

#[test]
fn a_received_advert_goes_on_as_it_came() {
    let octets = hex(V2_PASSWORD);
    let packet = Packet::parse(&octets, &ipv4()).expect("valid");
    let advert = packet.advert();
    assert_eq!(advert.version(), packet.version());
    assert_eq!(advert.vrid(), packet.vrid());
    assert_eq!(advert.priority(), packet.priority());
    assert_eq!(advert.adver_interval(), packet.adver_interval());
    assert_eq!(advert.addresses(), packet.addresses());
    assert_eq!(advert.authentication(), packet.authentication());
    assert_eq!(advert.wire_len(), octets.len());
    assert_eq!(ipv4().destination, std::net::IpAddr::from(GROUP_V4));
}

fn vrid(vrid: u8) -> Vrid {
    Vrid::new(vrid).expect("not 0")
}

fn emit(advert: &Advert<'_>, envelope: &Envelope, form: ChecksumForm) -> Vec<u8> {
    let mut octets = Vec::new();
    advert
        .emit(envelope.source, envelope.destination, form, &mut octets)
        .expect("a vector grows");
    octets
}

fn emit_to(advert: &Advert<'_>, envelope: &Envelope, buffer: &mut impl BufMut) -> Result<(), BufferTooSmall> {
    advert.emit(
        envelope.source,
        envelope.destination,
        ChecksumForm::PseudoHeader,
        buffer,
    )
}
