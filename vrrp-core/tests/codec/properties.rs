//! Properties of every advert and of any octets.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use vrrp_core::{
    AddressList, AdverInterval, Advert, ChecksumForm, Envelope, GROUP_V4, GROUP_V6, Priority, Version, Vrid,
};

use crate::fuzz::{parse, reference, roundtrip};

proptest! {
    #[test]
    fn parse_of_emit_is_identity(sent in sent(1..=AddressList::MAX)) {
        sent.check();
    }

    #[test]
    fn any_flipped_bit_is_refused(sent in sent(1..=20)) {
        let octets = sent.check();
        for bit in 0..octets.len() * 8 {
            roundtrip::refuses_flipped_bit(&octets, &sent.envelope, bit);
        }
    }

    #[test]
    fn any_octets_are_judged_as_the_reference_does(octets in vec(any::<u8>(), 0..80), envelope in any_envelope()) {
        parse::check(&octets, &envelope);
    }

    /// Close to valid: one octet of an advert replaced, and the checksum put right.
    #[test]
    fn a_changed_octet_is_judged_as_the_reference_does(
        sent in sent(1..=20),
        at in any::<prop::sample::Index>(),
        value: u8,
        pseudo_header: bool,
    ) {
        let mut octets = sent.check();
        let at = at.index(octets.len());
        octets[at] = value;
        reference::seal(&mut octets, &sent.envelope, pseudo_header);
        parse::check(&octets, &sent.envelope);
    }
}

/// An advert and how it goes out.
#[derive(Clone, Debug)]
struct Sent {
    version: Version,
    vrid: Vrid,
    priority: Priority,
    interval: AdverInterval,
    addresses: AddressList,
    password: Option<[u8; 8]>,
    /// Key number and sequence: of AH in VRRPv2, of the trailer in VRRPv3.
    signed: Option<(u8, u64)>,
    envelope: Envelope,
    form: ChecksumForm,
}

impl Sent {
    fn check(&self) -> Vec<u8> {
        let addresses = self.addresses.as_addresses();
        let mut advert = Advert::new(self.version, self.vrid, self.priority, self.interval, addresses)
            .expect("made for the version");
        if let Some(password) = &self.password {
            advert = advert.with_password(password).expect("made for the version");
        }
        match (self.version, self.signed) {
            (Version::V2, Some((_, sequence))) => {
                roundtrip::check_ah(&advert, &self.envelope, sequence as u32);
                roundtrip::check(&advert, None, &self.envelope, self.form)
            }
            (_, signed) => roundtrip::check(&advert, signed, &self.envelope, self.form),
        }
    }
}

/// With so many addresses: a range that reaches far is drawn from near its start most of the time.
fn sent(count: RangeInclusive<usize>) -> impl Strategy<Value = Sent> {
    let few = *count.start()..=4;
    let count = prop_oneof![3 => few, 1 => count];
    let kind = count.prop_flat_map(|count| {
        let password = prop::option::of(any::<[u8; 8]>());
        prop_oneof![
            (Just(Version::V2), v2_interval(), password, ipv4(count)),
            (Just(Version::V3), v3_interval(), Just(None), ipv4(count)),
            (Just(Version::V3), v3_interval(), Just(None), ipv6(count)),
        ]
    });
    let form = prop_oneof![Just(ChecksumForm::PseudoHeader), Just(ChecksumForm::MessageOnly)];
    let signed = prop::option::of(any::<(u8, u64)>());
    (kind, 1..=255_u8, any::<u8>(), form, signed).prop_map(|(kind, vrid, priority, form, signed)| {
        let (version, interval, password, (addresses, envelope)) = kind;
        Sent {
            version,
            vrid: Vrid::new(vrid).expect("from 1"),
            priority: Priority::new(priority),
            interval,
            addresses: AddressList::new(&addresses).expect("a set of one family"),
            password,
            signed,
            envelope,
            form,
        }
    })
}

fn v2_interval() -> impl Strategy<Value = AdverInterval> {
    (1..=255_u8).prop_map(|secs| AdverInterval::from_secs(secs).expect("from 1"))
}

fn v3_interval() -> impl Strategy<Value = AdverInterval> {
    (1..=4095_u16).prop_map(|cs| AdverInterval::from_centis(cs).expect("from 1"))
}

fn ipv4(count: usize) -> impl Strategy<Value = (Vec<IpAddr>, Envelope)> {
    (addresses::<4>(count), envelope::<4>(GROUP_V4.into()))
}

fn ipv6(count: usize) -> impl Strategy<Value = (Vec<IpAddr>, Envelope)> {
    (addresses::<16>(count), envelope::<16>(GROUP_V6.into()))
}

/// So many different addresses of `N` octets, in any order.
fn addresses<const N: usize>(count: usize) -> impl Strategy<Value = Vec<IpAddr>>
where
    [u8; N]: Into<IpAddr>,
{
    btree_set(octets::<N>(), count)
        .prop_map(|set| set.into_iter().map(Into::into).collect::<Vec<IpAddr>>())
        .prop_shuffle()
}

/// From any address, to the group or to any address.
fn envelope<const N: usize>(group: IpAddr) -> impl Strategy<Value = Envelope>
where
    [u8; N]: Into<IpAddr>,
{
    let address = || octets::<N>().prop_map(Into::into);
    (address(), prop_oneof![Just(group), address()], any::<u8>()).prop_map(
        |(source, destination, hop_limit): (IpAddr, IpAddr, u8)| Envelope {
            source,
            destination,
            hop_limit: if destination.is_multicast() {
                255
            } else {
                hop_limit
            },
        },
    )
}

fn octets<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    vec(any::<u8>(), N).prop_map(|vector| vector.try_into().expect("so many were asked for"))
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    (any::<IpAddr>(), any::<IpAddr>(), any::<u8>()).prop_map(|(source, destination, hop_limit)| Envelope {
        source,
        destination,
        hop_limit,
    })
}
