//! Target `parse`: octets as received.
//!
//! Input: an octet of flags, the envelope, and the payload. Flags: 1 IPv6, 2 to the group, 4 put the right checksum
//! with pseudo-header in place, 8 the one without, 16 a destination of the other family.

use vrrp_core::{Envelope, Family, GROUP_V4, GROUP_V6, HmacKey, Message, Packet, Sequence, Version};

use super::input::Input;
use super::reference::{self, Fields};

const IPV6: u8 = 1;
const TO_GROUP: u8 = 2;
const SEAL_PSEUDO_HEADER: u8 = 4;
const SEAL_MESSAGE_ONLY: u8 = 8;
const MIXED_FAMILIES: u8 = 16;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let family = if flags & IPV6 == 0 {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let mut envelope = input.envelope(family, flags & TO_GROUP != 0);
    if flags & MIXED_FAMILIES != 0 {
        envelope.destination = match family {
            Family::Ipv4 => GROUP_V6.into(),
            Family::Ipv6 => GROUP_V4.into(),
        };
    }
    let mut payload = input.rest().to_vec();
    if flags & SEAL_PSEUDO_HEADER != 0 {
        reference::seal(&mut payload, &envelope, true);
    } else if flags & SEAL_MESSAGE_ONLY != 0 {
        reference::seal(&mut payload, &envelope, false);
    }
    check(&payload, &envelope);
}

/// The codec and the reference agree on these octets, and what is accepted is emitted again as it came.
pub fn check(payload: &[u8], envelope: &Envelope) {
    let expected = reference::decode(payload, envelope);
    match Packet::parse(payload, envelope) {
        Ok(packet) => {
            assert_eq!(Some(Fields::of(&packet)), expected);
            assert_eq!(packet.envelope(), envelope);
            emits_again(&packet, payload);
        }
        Err(error) => {
            assert_eq!(None, expected, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
    if let Ok(packet) = Packet::parse_ah(payload) {
        let len = usize::from(u16::from_be_bytes([payload[2], payload[3]]));
        assert_eq!(
            Ok(packet),
            Packet::parse_ah(&payload[..len]),
            "the rest is padding"
        );
        let behind = Packet::parse(&payload[44..len], packet.envelope()).expect("the same without header");
        assert_eq!(packet.advert(), behind.advert());
        assert!(packet.ah().is_some() && behind.ah().is_none());
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        if let Ok(message) = Message::new(payload, family) {
            assert_eq!(message.addresses().len(), usize::from(message.address_count()));
            assert!(!format!("{message:?}").is_empty());
        }
    }
}

fn emits_again(packet: &Packet<'_>, payload: &[u8]) {
    let envelope = packet.envelope();
    let mut emitted = Vec::new();
    let trailer = Fields::of(packet).trailer;
    let key = HmacKey::new(trailer.map_or(0, |(key, ..)| key), &[0x5a; 32]).expect("long enough");
    let mut advert = packet.advert();
    if let Some((_, sequence, _)) = trailer {
        let sequence = Sequence::from_bits(sequence);
        advert = advert.with_hmac(&key, sequence).expect("VRRPv3");
    }
    advert
        .emit(
            envelope.source,
            envelope.destination,
            packet.checksum(),
            &mut emitted,
        )
        .expect("a vector grows");
    let mut canonical = payload.to_vec();
    match packet.version() {
        // RFC 9568 §5.2.6: zero on transmission, ignored on reception.
        Version::V3 => canonical[4] &= 0x0f,
        // RFC 3768 §5.3.10: likewise, unless it is a password.
        Version::V2 if payload[4] != 1 => {
            let trailer = payload.len() - 8;
            canonical[trailer..].fill(0);
        }
        Version::V2 => {}
    }
    if trailer.is_some() {
        // Signed with another key.
        let mac = payload.len() - 16;
        canonical[mac..].copy_from_slice(&emitted[mac..]);
    }
    if canonical != payload || payload[6..8] == [0xff, 0xff] {
        reference::seal(&mut canonical, envelope, Fields::of(packet).pseudo_header);
    }
    assert_eq!(emitted, canonical);
    let again = Packet::parse(&emitted, envelope).expect("own emission");
    assert_eq!(again.advert(), packet.advert());
}
