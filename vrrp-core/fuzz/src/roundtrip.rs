//! Target `roundtrip`: the fields of an advert.
//!
//! Input: an octet of flags, the envelope, VRID, priority, interval, a bit to flip, the password where there is one,
//! key number and sequence where it is signed, and the addresses. Flags: 1 IPv6, 2 to the group, 4 VRRPv2, 8 password, 16
//! checksum of the message alone, 32 signed: VRRPv2 by AH, VRRPv3 by HMAC.

use std::net::IpAddr;

use vrrp_core::{
    AddressList, AdverInterval, Advert, AhKey, Authentication, BufferTooSmall, ChecksumForm, Envelope,
    Family, HOP_LIMIT, HmacKey, Packet, Priority, Sequence, Version, Vrid,
};

use super::input::Input;
use super::reference;

const IPV6: u8 = 1;
const TO_GROUP: u8 = 2;
const V2: u8 = 4;
const PASSWORD: u8 = 8;
const MESSAGE_ONLY: u8 = 16;
const SIGNED: u8 = 32;

/// What buffers hold before; emission into it must neither read nor leave it.
const FILL: u8 = 0xa5;

/// Runs one input; those that describe no valid advert are done early.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let family = if flags & IPV6 == 0 {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let version = if flags & V2 == 0 { Version::V3 } else { Version::V2 };
    let form = if flags & MESSAGE_ONLY == 0 {
        ChecksumForm::PseudoHeader
    } else {
        ChecksumForm::MessageOnly
    };
    let mut envelope = input.envelope(family, flags & TO_GROUP != 0);
    if envelope.destination.is_multicast() {
        envelope.hop_limit = HOP_LIMIT;
    }
    let (vrid, priority) = (input.u8(), Priority::new(input.u8()));
    let interval = input.u16();
    let flip = usize::from(input.u16());
    let password = (flags & PASSWORD != 0).then(|| input.array());
    let signed = (flags & SIGNED != 0).then(|| (input.u8(), u64::from_be_bytes(input.array())));
    let mut addresses = Vec::new();
    while !input.is_empty() && addresses.len() < AddressList::MAX {
        addresses.push(input.address(family));
    }
    let interval = match version {
        Version::V2 => AdverInterval::from_secs(interval as u8),
        Version::V3 => AdverInterval::from_centis(interval),
    };
    let (Some(vrid), Some(interval)) = (Vrid::new(vrid), interval) else {
        return;
    };
    let Ok(addresses) = AddressList::new(&addresses) else {
        return;
    };
    let Ok(mut advert) = Advert::new(version, vrid, priority, interval, addresses.as_addresses()) else {
        assert!((version, family) == (Version::V2, Family::Ipv6) || !interval.fits(version));
        return;
    };
    if let Some(password) = &password {
        match advert.with_password(password) {
            Ok(with_password) => advert = with_password,
            Err(_) => assert_eq!(version, Version::V3),
        }
    }
    if let (Some((_, sequence)), Version::V2) = (signed, version) {
        check_ah(&advert, &envelope, sequence as u32);
    }
    let hmac = signed.filter(|_| version == Version::V3);
    let octets = check(&advert, hmac, &envelope, form);
    refuses_flipped_bit(&octets, &envelope, flip % (octets.len() * 8));
}

/// Parse of emit is identity, and emission keeps to its place. Gives the octets emitted. With a trailer of this key and
/// sequence, where there are some.
pub fn check(
    plain: &Advert<'_>,
    hmac: Option<(u8, u64)>,
    envelope: &Envelope,
    form: ChecksumForm,
) -> Vec<u8> {
    let key = HmacKey::new(hmac.map_or(0, |(id, _)| id), &[0x5a; 32]).expect("long enough");
    let signed = hmac.map(|(_, sequence)| {
        plain
            .with_hmac(&key, Sequence::from_bits(sequence))
            .expect("VRRPv3")
    });
    let advert = signed.as_ref().unwrap_or(plain);
    let emit = |buffer: &mut &mut [u8]| advert.emit(envelope.source, envelope.destination, form, buffer);
    let len = advert.wire_len();

    let mut buffer = vec![FILL; len + 3];
    let mut rest = &mut buffer[..];
    emit(&mut rest).expect("room for three more");
    assert_eq!(rest, [FILL; 3]);
    buffer.truncate(len);

    let packet = Packet::parse(&buffer, envelope).expect("own emission");
    assert_eq!(packet.advert(), *plain);
    let trailer = packet
        .trailer()
        .map(|trailer| (trailer.key_id(), trailer.sequence().bits()));
    assert_eq!(trailer, hmac);
    assert_eq!(packet.envelope(), envelope);
    let expected = match (advert.version(), advert.addresses().family()) {
        (Version::V2, _) => ChecksumForm::MessageOnly,
        (Version::V3, Family::Ipv6) => ChecksumForm::PseudoHeader,
        (Version::V3, Family::Ipv4) if reference::pseudo_header_sum(envelope, plain.wire_len()) == 0 => {
            ChecksumForm::PseudoHeader
        }
        (Version::V3, Family::Ipv4) => form,
    };
    assert_eq!(packet.checksum(), expected);

    let mut small = vec![FILL; len - 1];
    let got = len - 1;
    assert_eq!(emit(&mut &mut small[..]), Err(BufferTooSmall { need: len, got }));
    assert!(small.iter().all(|octet| *octet == FILL));
    buffer
}

/// An advert behind an IP authentication header comes back from the packet that it is sent in, if the envelope is one of
/// IPv4; and no cut of it does.
pub fn check_ah(plain: &Advert<'_>, envelope: &Envelope, sequence: u32) {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination) else {
        return;
    };
    let key = AhKey::new("secret").expect("six octets");
    let advert = plain.with_ah(&key, sequence).expect("VRRPv2");
    let ah = advert.ah().expect("an authentication header");
    let mut buffer = vec![FILL; ah.wire_len() + 3];
    let mut rest = &mut buffer[..];
    ah.emit(source, destination, envelope.hop_limit, 1, &mut rest)
        .expect("room for three more");
    assert_eq!(rest, [FILL; 3]);
    // The rest is padding to it.
    let packet = Packet::parse_ah(&buffer).expect("own emission");
    assert_eq!(packet.envelope(), envelope);
    assert_eq!(packet.addresses(), plain.addresses());
    assert_eq!(packet.priority(), plain.priority());
    assert_eq!(packet.authentication(), Authentication::Ah);
    let header = packet.ah().expect("an authentication header");
    assert_eq!((header.spi(), header.sequence()), (source, sequence));
    for len in 0..ah.wire_len() {
        assert!(Packet::parse_ah(&buffer[..len]).is_err());
    }
}

/// A valid message with one bit flipped is refused, but for one in a trailer over IPv4, which the checksum does not cover:
/// then the trailer has changed.
///
/// One case can't be: where the pseudo-header happens to sum to plus or minus that bit, the flipped message carries
/// the right checksum of the other form. Then the form reported has changed.
pub fn refuses_flipped_bit(octets: &[u8], envelope: &Envelope, bit: usize) {
    let valid = Packet::parse(octets, envelope).expect("a valid message");
    let form = valid.checksum();
    let covered = match valid.trailer() {
        Some(trailer) if envelope.source.is_ipv4() => octets.len() - trailer.octets().len(),
        _ => octets.len(),
    };
    let mut flipped = octets.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    if let Ok(packet) = Packet::parse(&flipped, envelope) {
        if bit / 8 >= covered {
            assert_ne!(packet.trailer(), valid.trailer());
            return;
        }
        assert_ne!(packet.checksum(), form, "bit {bit} of {octets:02x?}");
        assert_eq!((packet.version(), packet.family()), (Version::V3, Family::Ipv4));
        let sum = reference::pseudo_header_sum(envelope, covered);
        assert!(sum.is_power_of_two() || (0xffff - sum).is_power_of_two());
    }
}
