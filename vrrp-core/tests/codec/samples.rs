//! Messages and envelopes that the tests start from. The messages are keepalived 2.2.7's, see `tests/data`.

use std::net::IpAddr;

use vrrp_core::{Envelope, HOP_LIMIT};

use crate::fuzz::reference;

/// VRID 52, priority 100, 1 s, 192.0.2.100, no authentication, from 192.0.2.11.
pub(crate) const V2: &str = "213464010001b864 c0000264 0000000000000000";
/// VRID 51, priority 150, 1 s, 192.0.2.100 and .101, password `secret12`.
pub(crate) const V2_PASSWORD: &str = "2133960201015580 c0000264c0000265 7365637265743132";
/// VRID 54, priority 150, 0.1 s, 192.0.2.100 and .101, checksum with pseudo-header.
pub(crate) const V3_IPV4: &str = "31369602000a1154 c0000264c0000265";
/// VRID 55, priority 150, 1 s, fe80::200 and 2001:db8::100, from fe80::ff:fe00:a.
pub(crate) const V3_IPV6: &str =
    "3137960200640bf0 fe800000000000000000000000000200 20010db8000000000000000000000100";

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hex digit"))
        .collect();
    assert_eq!(digits.len() % 2, 0, "whole octets");
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits"))
        .collect()
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

pub(crate) fn envelope(source: &str, destination: &str) -> Envelope {
    Envelope {
        source: ip(source),
        destination: ip(destination),
        hop_limit: HOP_LIMIT,
    }
}

/// The IPv4 header of the captures.
pub(crate) fn ipv4() -> Envelope {
    envelope("192.0.2.11", "224.0.0.18")
}

/// The IPv6 header of the captures.
pub(crate) fn ipv6() -> Envelope {
    envelope("fe80::ff:fe00:a", "ff02::12")
}

/// Each kind of message with the envelope that it came in.
pub(crate) fn each_kind() -> [(Vec<u8>, Envelope); 4] {
    [
        (hex(V2), ipv4()),
        (hex(V2_PASSWORD), ipv4()),
        (hex(V3_IPV4), ipv4()),
        (hex(V3_IPV6), ipv6()),
    ]
}

/// The message with one octet replaced, and the checksum put right again.
pub(crate) fn with(octets: &[u8], index: usize, value: u8, envelope: &Envelope) -> Vec<u8> {
    let mut changed = octets.to_vec();
    changed[index] = value;
    reference::seal(&mut changed, envelope, octets[0] >> 4 == 3);
    changed
}
