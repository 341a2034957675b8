//! ARP frames: the gratuitous one that announces a virtual address, and the probe that asks who else has it.

use std::net::Ipv4Addr;

use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};

use crate::network::MacAddr;

/// Octets of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Octets of an ARP message for IPv4 over Ethernet.
const ARP_LEN: usize = 28;
/// Octets of a whole frame; the interface pads it.
pub(crate) const FRAME_LEN: usize = ETHERNET_LEN + ARP_LEN;

/// Gratuitous ARP as keepalived sends it: a broadcast request with sender and target the address itself, and the
/// target's hardware address all ones (RFC 9568 §7.3 and §6.4.2, errata 7947 and 7949 of RFC 5798).
pub(crate) fn announcement(mac: MacAddr, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(mac, address, MacAddr::BROADCAST, address)
}

/// A probe (RFC 5227 §2.1.1): its sender address is 0, so that it changes no cache, and whoever has the address
/// answers.
pub(crate) fn probe(mac: MacAddr, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(mac, Ipv4Addr::UNSPECIFIED, MacAddr([0; 6]), address)
}

/// Who says in this frame that which address is theirs; `None` for anything but an ARP reply and gratuitous ARP.
pub(crate) fn claim(frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let ethernet = EthernetPacket::new(frame)?;
    let arp = ArpPacket::new(ethernet.payload())?;
    let for_ipv4 = ethernet.get_ethertype() == EtherTypes::Arp
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && arp.get_hw_addr_len() == 6
        && arp.get_proto_addr_len() == 4;
    let gratuitous = arp.get_sender_proto_addr() == arp.get_target_proto_addr()
        && !arp.get_sender_proto_addr().is_unspecified();
    (for_ipv4 && (gratuitous || arp.get_operation() == ArpOperations::Reply)).then(|| {
        (
            arp.get_sender_proto_addr().octets().into(),
            MacAddr(arp.get_sender_hw_addr().octets()),
        )
    })
}

fn request(mac: MacAddr, sender: Ipv4Addr, target_mac: MacAddr, target: Ipv4Addr) -> [u8; FRAME_LEN] {
    frame(ArpOperations::Request, mac, sender, target_mac, target)
}

fn frame(
    operation: ArpOperation,
    mac: MacAddr,
    sender: Ipv4Addr,
    target_mac: MacAddr,
    target: Ipv4Addr,
) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
        ethernet.set_destination(MacAddr::BROADCAST.0.into());
        ethernet.set_source(mac.0.into());
        ethernet.set_ethertype(EtherTypes::Arp);
    }
    if let Some(mut arp) = MutableArpPacket::new(&mut frame[ETHERNET_LEN..]) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(mac.0.into());
        arp.set_sender_proto_addr(sender.octets().into());
        arp.set_target_hw_addr(target_mac.0.into());
        arp.set_target_proto_addr(target.octets().into());
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
    const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

    #[test]
    fn an_announcement_is_keepaliveds_frame() {
        // Captured from keepalived 2.2.7.
        let captured = "ffffffffffff02000000000a0806000108000604000102000000000ac0000264ffffffffffffc0000264";
        assert_eq!(announcement(MAC, VIP).as_slice(), hex::decode(captured));
    }

    #[test]
    fn a_probe_has_no_sender_address() {
        let expected = "ffffffffffff02000000000a0806000108000604000102000000000a00000000000000000000c0000264";
        assert_eq!(probe(MAC, VIP).as_slice(), hex::decode(expected));
    }

    #[test]
    fn a_reply_and_a_gratuitous_request_are_claims() {
        let target = Ipv4Addr::UNSPECIFIED;
        let reply = frame(
            ArpOperations::Reply,
            MAC,
            VIP,
            MacAddr([2, 0, 0, 0, 0, 1]),
            target,
        );
        assert_eq!(claim(&reply), Some((VIP, MAC)));
        assert_eq!(claim(&announcement(MAC, VIP)), Some((VIP, MAC)));
        assert_eq!(claim(&probe(MAC, VIP)), None);
        assert_eq!(claim(&probe(MAC, target)), None);
        for len in 0..FRAME_LEN {
            assert_eq!(claim(&reply[..len]), None, "{len} octets");
        }
        let mut other = reply;
        // Protocol type 0x0801 instead of IPv4.
        other[ETHERNET_LEN + 3] = 1;
        assert_eq!(claim(&other), None);
    }
}
