//! Neighbour discovery frames: the unsolicited advertisement that announces a virtual address, and the solicitation
//! that asks who else has it.

use std::net::Ipv6Addr;

use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNdpOptionPacket, MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOptionType,
    NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket,
};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;

use crate::garp::ETHERNET_LEN;
use crate::network::MacAddr;

const IPV6_LEN: usize = 40;
/// Octets of a neighbour message before its options.
const MESSAGE_LEN: usize = 24;
/// Octets of a link-layer address option.
const OPTION_LEN: usize = 8;
const PAYLOAD_LEN: usize = MESSAGE_LEN + OPTION_LEN;
/// Octets of a whole frame.
pub(crate) const FRAME_LEN: usize = ETHERNET_LEN + IPV6_LEN + PAYLOAD_LEN;

/// All nodes of the link (RFC 4291 §2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Unsolicited neighbour advertisement to all nodes with the Override flag and our hardware address (RFC 9568 §6.4.2,
/// RFC 4861 §7.2.6), from the address itself as keepalived sends it. `router` says whether the interface forwards.
pub(crate) fn announcement(mac: MacAddr, address: Ipv6Addr, router: bool) -> [u8; FRAME_LEN] {
    let mut frame = envelope(mac, address, ALL_NODES);
    let payload = &mut frame[ETHERNET_LEN + IPV6_LEN..];
    if let Some(mut advert) = MutableNeighborAdvertPacket::new(payload) {
        advert.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        let router = if router { NeighborAdvertFlags::Router } else { 0 };
        advert.set_flags(NeighborAdvertFlags::Override | router);
        advert.set_target_addr(address.octets().into());
    }
    finish(frame, NdpOptionTypes::TargetLLAddr, mac, address, ALL_NODES)
}

/// Asks the holder of `address` for its hardware address (RFC 4861 §7.2.2). `source` is an address of ours, so that
/// the answer comes to us alone, and no one's duplicate address detection is disturbed.
pub(crate) fn solicitation(mac: MacAddr, source: Ipv6Addr, address: Ipv6Addr) -> [u8; FRAME_LEN] {
    let destination = solicited_node(address);
    let mut frame = envelope(mac, source, destination);
    if let Some(mut message) = MutableNeighborSolicitPacket::new(&mut frame[ETHERNET_LEN + IPV6_LEN..]) {
        message.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        message.set_target_addr(address.octets().into());
    }
    finish(frame, NdpOptionTypes::SourceLLAddr, mac, source, destination)
}

/// Asks the same without an address of our own, as duplicate address detection does (RFC 4862 §5.4.2): the answer goes to
/// all nodes.
pub(crate) fn anonymous_solicitation(mac: MacAddr, address: Ipv6Addr) -> [u8; FRAME_LEN - OPTION_LEN] {
    let destination = solicited_node(address);
    let whole = envelope(mac, Ipv6Addr::UNSPECIFIED, destination);
    let mut frame = [0; FRAME_LEN - OPTION_LEN];
    frame.copy_from_slice(&whole[..FRAME_LEN - OPTION_LEN]);
    if let Some(mut header) = MutableIpv6Packet::new(&mut frame[ETHERNET_LEN..]) {
        header.set_payload_length(MESSAGE_LEN as u16);
    }
    let payload = &mut frame[ETHERNET_LEN + IPV6_LEN..];
    if let Some(mut message) = MutableNeighborSolicitPacket::new(payload) {
        message.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        message.set_target_addr(address.octets().into());
    }
    seal(payload, Ipv6Addr::UNSPECIFIED, destination);
    frame
}

/// Who says in this ICMPv6 message that which address is theirs; `None` for anything but a neighbour advertisement
/// with a hardware address.
pub(crate) fn claim(message: &[u8]) -> Option<(Ipv6Addr, MacAddr)> {
    let advert = NeighborAdvertPacket::new(message)?;
    if advert.get_icmpv6_type() != Icmpv6Types::NeighborAdvert {
        return None;
    }
    let mut options = message.get(MESSAGE_LEN..)?;
    // Each option says its length in units of eight octets (RFC 4861 §4.6).
    while let [kind, units, rest @ ..] = options {
        if *kind == NdpOptionTypes::TargetLLAddr.0 && *units == 1 {
            let mac = rest.first_chunk::<6>()?;
            return Some((advert.get_target_addr().octets().into(), MacAddr(*mac)));
        }
        if *units == 0 {
            return None;
        }
        options = options.get(usize::from(*units) * OPTION_LEN..)?;
    }
    None
}

/// Where a solicitation for an address goes (RFC 4291 §2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0x00ff), low)
}

/// Ethernet and IPv6 header. All our destinations are multicast, whose hardware address follows from theirs (RFC 2464
/// §7).
fn envelope(mac: MacAddr, source: Ipv6Addr, destination: Ipv6Addr) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        let [.., a, b, c, d] = destination.octets();
        ethernet.set_destination([0x33, 0x33, a, b, c, d].into());
        ethernet.set_source(mac.0.into());
        ethernet.set_ethertype(EtherTypes::Ipv6);
    }
    if let Some(mut header) = MutableIpv6Packet::new(&mut frame[ETHERNET_LEN..]) {
        header.set_version(6);
        header.set_payload_length(PAYLOAD_LEN as u16);
        header.set_next_header(IpNextHeaderProtocols::Icmpv6);
        // RFC 4861 §7.1: any other shows that a router has forwarded it.
        header.set_hop_limit(255);
        header.set_source(source.octets().into());
        header.set_destination(destination.octets().into());
    }
    frame
}

/// Adds the option and, last of all, the checksum.
fn finish(
    mut frame: [u8; FRAME_LEN],
    option: NdpOptionType,
    mac: MacAddr,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> [u8; FRAME_LEN] {
    let payload = &mut frame[ETHERNET_LEN + IPV6_LEN..];
    if let Some(mut packet) = MutableNdpOptionPacket::new(&mut payload[MESSAGE_LEN..]) {
        packet.set_option_type(option);
        packet.set_length(1);
        packet.set_data(&mac.0);
    }
    seal(payload, source, destination);
    frame
}

/// Adds the checksum.
fn seal(payload: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) {
    let sum = Icmpv6Packet::new(payload)
        .map(|packet| checksum(&packet, &source.octets().into(), &destination.octets().into()));
    if let Some(sum) = sum {
        payload[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);

    #[test]
    fn an_announcement_is_keepaliveds_frame() {
        // Captured from keepalived 2.2.7.
        for (vip, captured) in [
            (
                "fe80::200",
                "33330000000102000000000a86dd6000000000203afffe800000000000000000000000000200ff0200000000000000000000\
                 000000018800539420000000fe800000000000000000000000000200020102000000000a",
            ),
            (
                "2001:db8::100",
                "33330000000102000000000a86dd6000000000203aff20010db8000000000000000000000100ff0200000000000000000000\
                 000000018800f7232000000020010db8000000000000000000000100020102000000000a",
            ),
        ] {
            let frame = announcement(MAC, vip.parse().unwrap(), false);
            assert_eq!(frame.as_slice(), hex::decode(captured), "{vip}");
        }
    }

    #[test]
    fn a_forwarding_interface_says_that_it_is_a_router() {
        let frame = announcement(MAC, "fe80::200".parse().unwrap(), true);
        assert_eq!(frame[ETHERNET_LEN + IPV6_LEN + 4], 0xa0);
    }

    #[test]
    fn a_solicitation_goes_to_the_solicited_node_group() {
        let frame = solicitation(
            MAC,
            "fe80::1".parse().unwrap(),
            "2001:db8::12:3456".parse().unwrap(),
        );
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let destination = &frame[ETHERNET_LEN + 24..ETHERNET_LEN + 40];
        let expected: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
        assert_eq!(destination, expected.octets());
        let payload = Icmpv6Packet::new(&frame[ETHERNET_LEN + IPV6_LEN..]).unwrap();
        let sum = checksum(&payload, &"fe80::1".parse().unwrap(), &expected.octets().into());
        assert_eq!(payload.get_checksum(), sum);
        assert_eq!(payload.get_icmpv6_type().0, 135);
    }

    #[test]
    fn an_anonymous_solicitation_comes_from_nobody_and_has_no_option() {
        let frame = anonymous_solicitation(MAC, "2001:db8::12:3456".parse().unwrap());
        let header = &frame[ETHERNET_LEN..ETHERNET_LEN + IPV6_LEN];
        assert_eq!(header[4..6], [0, 24]);
        assert_eq!(header[8..24], [0; 16]);
        let payload = Icmpv6Packet::new(&frame[ETHERNET_LEN + IPV6_LEN..]).unwrap();
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
        let sum = checksum(
            &payload,
            &Ipv6Addr::UNSPECIFIED.octets().into(),
            &group.octets().into(),
        );
        assert_eq!((payload.get_icmpv6_type().0, payload.get_checksum()), (135, sum));
    }

    #[test]
    fn an_advertisement_with_a_hardware_address_is_a_claim() {
        let frame = announcement(MAC, "2001:db8::100".parse().unwrap(), false);
        let message = &frame[ETHERNET_LEN + IPV6_LEN..];
        assert_eq!(claim(message), Some(("2001:db8::100".parse().unwrap(), MAC)));
        for len in 0..message.len() {
            assert_eq!(claim(&message[..len]), None, "{len} octets");
        }
        let mut solicitation = message.to_vec();
        solicitation[0] = 135;
        assert_eq!(claim(&solicitation), None);
        let mut endless = message.to_vec();
        (endless[MESSAGE_LEN], endless[MESSAGE_LEN + 1]) = (1, 0);
        assert_eq!(claim(&endless), None);
        // The option may stand behind others.
        let mut second = message[..MESSAGE_LEN].to_vec();
        second.extend([5, 1, 0, 0, 0, 0, 5, 220]);
        second.extend(&message[MESSAGE_LEN..]);
        assert_eq!(claim(&second), Some(("2001:db8::100".parse().unwrap(), MAC)));
    }
}
