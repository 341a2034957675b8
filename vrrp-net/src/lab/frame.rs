//! A captured Ethernet frame, and what VRRP tests want to know of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use pnet::packet::arp::ArpPacket;
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket};
use pnet::packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertPacket};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;

use super::MacAddr;

/// The length of an Ethernet header.
pub(super) const ETHERNET_LEN: usize = 14;

/// IANA's number of VRRP.
const VRRP: u8 = 112;

/// IANA's number of ICMPv6.
const ICMPV6: u8 = 58;

/// An Ethernet frame as it was seen on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When the kernel saw it, on the clock of [`Instant`]; within some 10 µs.
    pub at: Instant,
    /// When the kernel saw it, on the wall clock.
    pub time: SystemTime,
    /// True if the interface sent it, false if it received it.
    pub sent: bool,
    /// The kernel's index of the interface.
    pub interface_index: u32,
    /// The frame: at least the 14 bytes of the Ethernet header, without checksum.
    pub bytes: Bytes,
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// True for a reply, false for a request.
    pub reply: bool,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// True if it announces the sender's own address: sender and target are the same (RFC 5227 §2.3).
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip
    }
}

/// An IP packet, without options and extension headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// IPv4 protocol or IPv6 next header.
    pub protocol: u8,
    /// What follows the header, cut to the length that the header gives.
    pub payload: &'a [u8],
}

/// An ICMPv6 Neighbor Advertisement (RFC 4861 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborAdvert {
    /// The address that it is about.
    pub target: Ipv6Addr,
    /// The Target Link-Layer Address option.
    pub mac: Option<MacAddr>,
    /// Flag R.
    pub router: bool,
    /// Flag S: it answers a solicitation.
    pub solicited: bool,
    /// Flag O: it replaces what is cached.
    pub overrides: bool,
}

impl Frame {
    /// Source MAC address.
    #[must_use]
    pub fn source(&self) -> MacAddr {
        self.ethernet().get_source()
    }

    /// Destination MAC address.
    #[must_use]
    pub fn destination(&self) -> MacAddr {
        self.ethernet().get_destination()
    }

    /// EtherType: 0x0800 is IPv4, 0x0806 ARP, 0x86dd IPv6.
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        self.ethernet().get_ethertype().0
    }

    /// What follows the Ethernet header, padding included.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[ETHERNET_LEN..]
    }

    /// The ARP packet in it.
    #[must_use]
    pub fn arp(&self) -> Option<Arp> {
        let arp = self.payload_of(EtherTypes::Arp).and_then(ArpPacket::new)?;
        let sizes_fit = arp.get_hw_addr_len() == 6 && arp.get_proto_addr_len() == 4;
        sizes_fit.then(|| Arp {
            reply: arp.get_operation().0 == 2,
            sender_mac: arp.get_sender_hw_addr(),
            sender_ip: arp.get_sender_proto_addr().octets().into(),
            target_mac: arp.get_target_hw_addr(),
            target_ip: arp.get_target_proto_addr().octets().into(),
        })
    }

    /// The IPv4 or IPv6 packet in it.
    #[must_use]
    pub fn ip(&self) -> Option<Ip<'_>> {
        self.ipv4().or_else(|| self.ipv6())
    }

    /// The IP packet in it if it carries VRRP (protocol 112); its payload is the VRRP packet.
    #[must_use]
    pub fn vrrp(&self) -> Option<Ip<'_>> {
        self.ip().filter(|ip| ip.protocol == VRRP)
    }

    /// The Neighbor Advertisement in it.
    #[must_use]
    pub fn neighbor_advert(&self) -> Option<NeighborAdvert> {
        let ip = self.ip().filter(|ip| ip.protocol == ICMPV6)?;
        let kind = Icmpv6Packet::new(ip.payload)?.get_icmpv6_type();
        let advert = NeighborAdvertPacket::new(ip.payload).filter(|_| kind == Icmpv6Types::NeighborAdvert)?;
        let link_layer = advert
            .get_options()
            .into_iter()
            .find(|option| option.option_type == NdpOptionTypes::TargetLLAddr);
        let octets = link_layer.and_then(|option| <[u8; 6]>::try_from(option.data).ok());
        let flags = advert.get_flags();
        Some(NeighborAdvert {
            target: advert.get_target_addr().octets().into(),
            mac: octets.map(MacAddr::from),
            router: flags & 0x80 != 0,
            solicited: flags & 0x40 != 0,
            overrides: flags & 0x20 != 0,
        })
    }

    fn ethernet(&self) -> EthernetPacket<'_> {
        EthernetPacket::new(&self.bytes).expect("captures keep frames with a whole header only")
    }

    fn payload_of(&self, ethertype: EtherType) -> Option<&[u8]> {
        (self.ethertype() == ethertype.0).then(|| self.payload())
    }

    fn ipv4(&self) -> Option<Ip<'_>> {
        let bytes = self.payload_of(EtherTypes::Ipv4)?;
        let header = Ipv4Packet::new(bytes)?;
        let header_len = usize::from(header.get_header_length()) * 4;
        Some(Ip {
            source: header.get_source().octets().into(),
            destination: header.get_destination().octets().into(),
            hop_limit: header.get_ttl(),
            protocol: header.get_next_level_protocol().0,
            payload: bytes.get(header_len..usize::from(header.get_total_length()))?,
        })
    }

    fn ipv6(&self) -> Option<Ip<'_>> {
        let bytes = self.payload_of(EtherTypes::Ipv6)?;
        let header = Ipv6Packet::new(bytes)?;
        let start = Ipv6Packet::minimum_packet_size();
        Some(Ip {
            source: header.get_source().octets().into(),
            destination: header.get_destination().octets().into(),
            hop_limit: header.get_hop_limit(),
            protocol: header.get_next_header().0,
            payload: bytes.get(start..start + usize::from(header.get_payload_length()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(hex: &str) -> Frame {
        let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
        let bytes = digits
            .chunks(2)
            .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
            .collect();
        Frame {
            at: Instant::now(),
            time: SystemTime::UNIX_EPOCH,
            sent: false,
            interface_index: 2,
            bytes,
        }
    }

    #[test]
    fn gratuitous_arp_is_told_from_a_question() {
        let announce = frame(
            "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0a8c082 000000000000 c0a8c082",
        );
        let arp = announce.arp().unwrap();
        assert!(arp.is_gratuitous() && !arp.reply);
        assert_eq!(arp.sender_mac, announce.source());
        let question = frame(
            "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0a8c00a 000000000000 c0a8c082",
        );
        assert!(!question.arp().unwrap().is_gratuitous());
    }

    #[test]
    fn ethernet_padding_is_no_part_of_the_ip_payload() {
        // A VRRPv3 advert of 12 bytes in a frame padded to 60.
        let padded = frame(
            "01005e000012 020000000001 0800 45c0 0020 0000 0000 ff70 0000 c0a8c00a e0000012 \
             3121640100640000c0a8c082 0000 0000 0000 0000 0000 0000 0000",
        );
        let vrrp = padded.vrrp().unwrap();
        assert_eq!((vrrp.payload.len(), vrrp.hop_limit), (12, 255));
        assert_eq!(vrrp.destination, IpAddr::from([224, 0, 0, 18]));
    }

    #[test]
    fn truncated_packets_are_nothing() {
        for hex in [
            "ffffffffffff 020000000001 0806 0001 0800 06 04 0001",
            "01005e000012 020000000001 0800 45c0 0020 0000 0000 ff70 0000 c0a8c00a e0000012 3121",
            "333300000012 020000000001 86dd 6000 0000 0018 70ff",
            "ffffffffffff 020000000001 0806",
        ] {
            let cut = frame(hex);
            assert_eq!(
                (cut.arp(), cut.ip(), cut.neighbor_advert()),
                (None, None, None),
                "{hex}"
            );
        }
    }
}
