//! Every keepalived capture decodes to the values in its note, and is emitted again to the same octets.

use std::net::IpAddr;

use vrrp_core::{Advert, Authentication, ChecksumForm, Envelope, Packet, Priority, Version};

use crate::samples::{hex, ip};

const V2_NOAUTH: &str = include_str!("../data/keepalived-v2-noauth.hex");
const V2_PASS: &str = include_str!("../data/keepalived-v2-pass.hex");
const V3_IPV4: &str = include_str!("../data/keepalived-v3-ipv4.hex");
const V3_IPV6: &str = include_str!("../data/keepalived-v3-ipv6.hex");

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

#[test]
fn v2_without_authentication() {
    let expected = Values {
        version: Version::V2,
        vrid: 52,
        priorities: [100, 0],
        interval_cs: 100,
        addresses: &["192.0.2.100"],
        authentication: Authentication::None,
        checksum: ChecksumForm::MessageOnly,
    };
    check(V2_NOAUTH, &expected);
}

#[test]
fn v2_with_password() {
    let expected = Values {
        version: Version::V2,
        vrid: 51,
        priorities: [150, 0],
        interval_cs: 100,
        addresses: &["192.0.2.100", "192.0.2.101"],
        authentication: Authentication::Simple(b"secret12"),
        checksum: ChecksumForm::MessageOnly,
    };
    check(V2_PASS, &expected);
}

#[test]
fn v3_over_ipv4() {
    let expected = Values {
        version: Version::V3,
        vrid: 54,
        priorities: [150, 0],
        interval_cs: 10,
        addresses: &["192.0.2.100", "192.0.2.101"],
        authentication: Authentication::None,
        checksum: ChecksumForm::PseudoHeader,
    };
    check(V3_IPV4, &expected);
}

#[test]
fn v3_over_ipv6() {
    let expected = Values {
        version: Version::V3,
        vrid: 55,
        priorities: [150, 0],
        interval_cs: 100,
        addresses: &["fe80::200", "2001:db8::100"],
        authentication: Authentication::None,
        checksum: ChecksumForm::PseudoHeader,
    };
    check(V3_IPV6, &expected);
}

/// What the head of a capture file says of the adverts in it; one with the priority, one that stops.
struct Values {
    version: Version,
    vrid: u8,
    priorities: [u8; 2],
    interval_cs: u16,
    addresses: &'static [&'static str],
    authentication: Authentication<'static>,
    checksum: ChecksumForm,
}

fn check(file: &str, expected: &Values) {
    let frames = adverts(file);
    assert_eq!(frames.len(), expected.priorities.len());
    for (frame, priority) in frames.iter().zip(expected.priorities) {
        let packet = Packet::parse(&frame.payload, &frame.envelope).expect("a valid advert");
        assert_eq!(packet.version(), expected.version);
        assert_eq!(packet.vrid().get(), expected.vrid);
        assert_eq!(packet.priority(), Priority::new(priority));
        assert_eq!(packet.adver_interval().centis(), expected.interval_cs);
        let addresses: Vec<IpAddr> = expected.addresses.iter().map(|one| ip(one)).collect();
        assert_eq!(packet.addresses().iter().collect::<Vec<_>>(), addresses);
        assert_eq!(packet.authentication(), expected.authentication);
        assert_eq!(packet.checksum(), expected.checksum);
        assert_eq!(emit(&packet.advert(), &frame.envelope), frame.payload);
        assert_eq!(packet.advert().wire_len(), frame.ip_payload_len);
    }
}

fn emit(advert: &Advert<'_>, envelope: &Envelope) -> Vec<u8> {
    let mut octets = Vec::new();
    advert
        .emit(
            envelope.source,
            envelope.destination,
            ChecksumForm::PseudoHeader,
            &mut octets,
        )
        .expect("a vector grows");
    octets
}

struct Frame {
    envelope: Envelope,
    /// The payload by the note of the record.
    payload: Vec<u8>,
    /// Its length by the IP header: total length less header, or payload length.
    ip_payload_len: usize,
}

/// The VRRP frames of a capture: a line is time, kind, note and frame, parted by tabs.
fn adverts(file: &str) -> Vec<Frame> {
    file.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, kind, note, frame] = fields[..] else {
                panic!("four fields in {line}");
            };
            match kind {
                "vrrp4" => Some(frame_v4(note, &hex(frame))),
                "vrrp6" => Some(frame_v6(note, &hex(frame))),
                _ => None,
            }
        })
        .collect()
}

fn frame_v4(note: &str, frame: &[u8]) -> Frame {
    let (header, payload) = frame[ETHERNET_LEN..].split_at(IPV4_LEN);
    assert_eq!((header[0], header[9]), (0x45, vrrp_core::PROTOCOL));
    let total_len = u16::from_be_bytes([header[2], header[3]]);
    let address = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&header[at..at + 4]).expect("four octets"));
    let frame = Frame {
        envelope: Envelope {
            source: address(12),
            destination: address(16),
            hop_limit: header[8],
        },
        payload: payload.to_vec(),
        ip_payload_len: usize::from(total_len) - IPV4_LEN,
    };
    agrees_with_note(&frame, note, "ttl");
    frame
}

fn frame_v6(note: &str, frame: &[u8]) -> Frame {
    let (header, payload) = frame[ETHERNET_LEN..].split_at(IPV6_LEN);
    assert_eq!((header[0] >> 4, header[6]), (6, vrrp_core::PROTOCOL));
    let address =
        |at: usize| IpAddr::from(<[u8; 16]>::try_from(&header[at..at + 16]).expect("sixteen octets"));
    let frame = Frame {
        envelope: Envelope {
            source: address(8),
            destination: address(24),
            hop_limit: header[7],
        },
        payload: payload.to_vec(),
        ip_payload_len: u16::from_be_bytes([header[4], header[5]]).into(),
    };
    agrees_with_note(&frame, note, "hlim");
    frame
}

fn agrees_with_note(frame: &Frame, note: &str, hop_limit: &str) {
    let words: Vec<&str> = note.split(' ').collect();
    let after = |word: &str| {
        let at = words.iter().position(|one| *one == word).expect("in the note");
        words[at + 1]
    };
    assert_eq!(frame.envelope.source, ip(after("src")));
    assert_eq!(frame.envelope.destination, ip(after("dst")));
    assert_eq!(frame.envelope.hop_limit.to_string(), after(hop_limit));
    assert_eq!(frame.payload, hex(after("payload")));
    assert_eq!(frame.payload.len(), frame.ip_payload_len);
}
