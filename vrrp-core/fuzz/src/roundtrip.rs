//! Target `roundtrip`: the fields of an advert.
//!
//! Input: an octet of flags, the envelope, VRID, priority, interval, a bit to flip, the password where there is one,
//! and the addresses. Flags: 1 IPv6, 2 to the group, 4 VRRPv2, 8 password, 16 checksum of the message alone.

use vrrp_core::{
    AddressList, AdverInterval, Advert, BufferTooSmall, ChecksumForm, Envelope, Family, HOP_LIMIT, Packet,
    Priority, Version, Vrid,
};

use super::input::Input;
use super::reference;

const IPV6: u8 = 1;
const TO_GROUP: u8 = 2;
const V2: u8 = 4;
const PASSWORD: u8 = 8;
const MESSAGE_ONLY: u8 = 16;

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
    let octets = check(&advert, &envelope, form);
    refuses_flipped_bit(&octets, &envelope, flip % (octets.len() * 8));
}

/// Parse of emit is identity, and emission keeps to its place. Gives the octets emitted.
pub fn check(advert: &Advert<'_>, envelope: &Envelope, form: ChecksumForm) -> Vec<u8> {
    let emit = |buffer: &mut &mut [u8]| advert.emit(envelope.source, envelope.destination, form, buffer);
    let len = advert.wire_len();

    let mut buffer = vec![FILL; len + 3];
    let mut rest = &mut buffer[..];
    emit(&mut rest).expect("room for three more");
    assert_eq!(rest, [FILL; 3]);
    buffer.truncate(len);

    let packet = Packet::parse(&buffer, envelope).expect("own emission");
    assert_eq!(packet.advert(), *advert);
    assert_eq!(packet.envelope(), envelope);
    let expected = match (advert.version(), advert.addresses().family()) {
        (Version::V2, _) => ChecksumForm::MessageOnly,
        (Version::V3, Family::Ipv6) => ChecksumForm::PseudoHeader,
        (Version::V3, Family::Ipv4) if reference::pseudo_header_sum(envelope, len) == 0 => {
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

/// A valid message with one bit flipped is refused.
///
/// One case can't be: where the pseudo-header happens to sum to plus or minus that bit, the flipped message carries
/// the right checksum of the other form. Then the form reported has changed.
pub fn refuses_flipped_bit(octets: &[u8], envelope: &Envelope, bit: usize) {
    let form = Packet::parse(octets, envelope)
        .expect("a valid message")
        .checksum();
    let mut flipped = octets.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    if let Ok(packet) = Packet::parse(&flipped, envelope) {
        assert_ne!(packet.checksum(), form, "bit {bit} of {octets:02x?}");
        assert_eq!((packet.version(), packet.family()), (Version::V3, Family::Ipv4));
        let sum = reference::pseudo_header_sum(envelope, octets.len());
        assert!(sum.is_power_of_two() || (0xffff - sum).is_power_of_two());
    }
}
