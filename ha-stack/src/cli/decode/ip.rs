//! From a frame or an IP packet to the VRRP message in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use vrrp_core::{Envelope, PROTOCOL, PROTOCOL_AH};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q and 802.1ad tags.
const ETHERTYPE_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Most VLAN tags, and most IPv6 extension headers, that are looked through.
const MAX_NESTED: usize = 8;

/// What the octets of a packet begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// An Ethernet frame.
    Ethernet,
    /// Linux "cooked" capture, version 1 (`tcpdump -i any`, LINKTYPE_LINUX_SLL).
    LinuxSll,
    /// Linux "cooked" capture, version 2 (LINKTYPE_LINUX_SLL2).
    LinuxSll2,
    /// An IPv4 or IPv6 packet.
    Ip,
}

/// A VRRP message with what the headers before it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram<'a> {
    pub(super) envelope: Envelope,
    /// The authentication header (IP protocol 51) before it.
    pub(super) ah: Option<Ah>,
    pub(super) message: &'a [u8],
}

/// What an authentication header says beside its check value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Ah {
    /// Security parameters index; keepalived writes the source address.
    pub(super) spi: Ipv4Addr,
    pub(super) sequence: u32,
}

/// Why there is no VRRP message in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("{layer} header: {got} octets where {need} are needed")]
    Truncated {
        layer: &'static str,
        need: usize,
        got: usize,
    },
    #[error("EtherType {got:#06x} instead of IPv4 or IPv6")]
    EtherType { got: u16 },
    #[error("IP version {got}{}", link_hint(*.got))]
    IpVersion { got: u8 },
    #[error("IPv4 header length of {got} octets: at least 20")]
    Ihl { got: usize },
    #[error("IPv4 total length {total} is less than its header of {header} octets")]
    TotalLength { total: usize, header: usize },
    #[error("a fragment: adverts are never fragmented")]
    Fragment,
    #[error("IP protocol {got} instead of 112, VRRP")]
    Protocol { got: u8, envelope: Envelope },
    #[error("more than {MAX_NESTED} VLAN tags or extension headers")]
    TooManyHeaders,
}

impl FrameError {
    /// Whether the packet is sound as far as it was read, and of another protocol.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::EtherType { .. } | Self::Protocol { .. })
    }
}

fn link_hint(version: u8) -> &'static str {
    match version {
        // The first octet of the multicast groups' MAC addresses, 01:00:5e… and 33:33:….
        0 | 3 => ": an Ethernet frame needs --link",
        _ => " is neither 4 nor 6",
    }
}

/// Finds the VRRP message.
pub(super) fn datagram(octets: &[u8], layer: Layer) -> Result<Datagram<'_>, FrameError> {
    match layer {
        Layer::Ip => ip(octets),
        Layer::Ethernet => tagged(octets, 12, "Ethernet"),
        Layer::LinuxSll => tagged(octets, 14, "Linux cooked"),
        Layer::LinuxSll2 => {
            need(octets, 20, "Linux cooked v2")?;
            by_ethertype(be16(octets, 0), &octets[20..])
        }
    }
}

/// A header whose EtherType stands at `at`, right before the payload; VLAN tags may come between.
fn tagged<'a>(octets: &'a [u8], mut at: usize, layer: &'static str) -> Result<Datagram<'a>, FrameError> {
    for _ in 0..MAX_NESTED {
        need(octets, at + 2, layer)?;
        let ethertype = be16(octets, at);
        if !ETHERTYPE_VLAN.contains(&ethertype) {
            return by_ethertype(ethertype, &octets[at + 2..]);
        }
        at += 4;
    }
    Err(FrameError::TooManyHeaders)
}

fn by_ethertype(ethertype: u16, payload: &[u8]) -> Result<Datagram<'_>, FrameError> {
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => ip(payload),
        got => Err(FrameError::EtherType { got }),
    }
}

fn ip(packet: &[u8]) -> Result<Datagram<'_>, FrameError> {
    need(packet, 1, "IP")?;
    match packet[0] >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        got => Err(FrameError::IpVersion { got }),
    }
}

fn ipv4(packet: &[u8]) -> Result<Datagram<'_>, FrameError> {
    need(packet, 20, "IPv4")?;
    let header = usize::from(packet[0] & 0x0f) * 4;
    if header < 20 {
        return Err(FrameError::Ihl { got: header });
    }
    let total = usize::from(be16(packet, 2));
    if total < header {
        return Err(FrameError::TotalLength { total, header });
    }
    need(packet, total, "IPv4 total length in the")?;
    // More fragments, or an offset.
    if be16(packet, 6) & 0x3fff != 0 {
        return Err(FrameError::Fragment);
    }
    let address = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(
            packet[at],
            packet[at + 1],
            packet[at + 2],
            packet[at + 3],
        ))
    };
    let envelope = Envelope {
        source: address(12),
        destination: address(16),
        hop_limit: packet[8],
    };
    // What follows the total length is padding of the link.
    by_protocol(packet[9], envelope, &packet[header..total])
}

fn ipv6(packet: &[u8]) -> Result<Datagram<'_>, FrameError> {
    need(packet, 40, "IPv6")?;
    let end = 40 + usize::from(be16(packet, 4));
    need(packet, end, "IPv6 payload length in the")?;
    let address = |at: usize| {
        let octets: [u8; 16] = packet[at..at + 16].try_into().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let envelope = Envelope {
        source: address(8),
        destination: address(24),
        hop_limit: packet[7],
    };
    let (mut next, mut payload) = (packet[6], &packet[40..end]);
    for _ in 0..MAX_NESTED {
        match next {
            // Hop-by-hop options, routing, destination options: RFC 8200 §4.
            0 | 43 | 60 => {
                need(payload, 8, "IPv6 extension")?;
                let len = (usize::from(payload[1]) + 1) * 8;
                need(payload, len, "IPv6 extension")?;
                (next, payload) = (payload[0], &payload[len..]);
            }
            44 => return Err(FrameError::Fragment),
            _ => return by_protocol(next, envelope, payload),
        }
    }
    Err(FrameError::TooManyHeaders)
}

fn by_protocol(protocol: u8, envelope: Envelope, payload: &[u8]) -> Result<Datagram<'_>, FrameError> {
    match protocol {
        PROTOCOL => Ok(Datagram {
            envelope,
            ah: None,
            message: payload,
        }),
        PROTOCOL_AH => {
            need(payload, 12, "authentication")?;
            // RFC 4302 §2.2: length in 32-bit words, minus two.
            let len = (usize::from(payload[1]) + 2) * 4;
            need(payload, len, "authentication")?;
            match payload[0] {
                PROTOCOL => Ok(Datagram {
                    envelope,
                    ah: Some(Ah {
                        spi: Ipv4Addr::new(payload[4], payload[5], payload[6], payload[7]),
                        sequence: u32::from_be_bytes([payload[8], payload[9], payload[10], payload[11]]),
                    }),
                    message: &payload[len..],
                }),
                got => Err(FrameError::Protocol { got, envelope }),
            }
        }
        got => Err(FrameError::Protocol { got, envelope }),
    }
}

fn need(octets: &[u8], need: usize, layer: &'static str) -> Result<(), FrameError> {
    if octets.len() < need {
        return Err(FrameError::Truncated {
            layer,
            need,
            got: octets.len(),
        });
    }
    Ok(())
}

fn be16(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_packet_ends_where_its_header_says() {
        let mut packet = ipv4_packet(112, &[1, 2, 3]);
        packet.extend([0; 6]);
        assert_eq!(datagram(&packet, Layer::Ip).unwrap().message, [1, 2, 3]);
    }

    #[test]
    fn vlan_tags_are_looked_through() {
        for tags in [vec![], vec![0x81, 0, 0, 5], vec![0x88, 0xa8, 0, 5, 0x81, 0, 0, 6]] {
            let mut frame = vec![0; 12];
            frame.extend(tags);
            frame.extend([0x08, 0x00]);
            frame.extend(ipv4_packet(112, &[1]));
            assert_eq!(datagram(&frame, Layer::Ethernet).unwrap().message, [1]);
        }
    }

    #[test]
    fn an_authentication_header_is_looked_through_and_told() {
        let mut payload = vec![112, 4, 0, 0, 192, 0, 2, 1, 0, 0, 1, 2];
        payload.extend([0; 12]);
        payload.push(9);
        let packet = ipv4_packet(51, &payload);
        let datagram = datagram(&packet, Layer::Ip).unwrap();
        let spi = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(datagram.ah, Some(Ah { spi, sequence: 258 }));
        assert_eq!(datagram.message, [9]);
    }

    #[test]
    fn ipv6_extension_headers_are_looked_through() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 9, 0, 255];
        packet.extend([0; 32]);
        packet.extend([112, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(datagram(&packet, Layer::Ip).unwrap().message, [7]);
    }

    #[test]
    fn each_broken_header_has_its_own_error() {
        let good = ipv4_packet(112, &[1, 2]);
        let with = |at: usize, octet: u8| {
            let mut packet = good.clone();
            packet[at] = octet;
            packet
        };
        assert_eq!(
            datagram(&with(0, 0x44), Layer::Ip),
            Err(FrameError::Ihl { got: 16 })
        );
        assert_eq!(
            datagram(&with(3, 19), Layer::Ip),
            Err(FrameError::TotalLength {
                total: 19,
                header: 20
            })
        );
        assert!(matches!(
            datagram(&with(3, 23), Layer::Ip),
            Err(FrameError::Truncated {
                need: 23,
                got: 22,
                ..
            })
        ));
        assert_eq!(datagram(&with(7, 1), Layer::Ip), Err(FrameError::Fragment));
        assert!(matches!(
            datagram(&with(9, 6), Layer::Ip),
            Err(FrameError::Protocol { got: 6, .. })
        ));
        assert_eq!(
            datagram(&[0x01], Layer::Ip),
            Err(FrameError::IpVersion { got: 0 })
        );
        assert!(datagram(&[], Layer::Ip).is_err());
    }

    #[test]
    fn no_cut_of_a_packet_panics() {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 5, 0x08, 0x00]);
        frame.extend(ipv4_packet(51, &[112, 4, 0, 0]));
        for layer in [Layer::Ethernet, Layer::LinuxSll, Layer::LinuxSll2, Layer::Ip] {
            for len in 0..frame.len() {
                let _ = datagram(&frame[..len], layer);
                let _ = datagram(&frame[len..], layer);
            }
        }
    }

    fn ipv4_packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let total = 20 + payload.len() as u8;
        let mut packet = vec![0x45, 0, 0, total, 0, 0, 0, 0, 255, protocol, 0, 0];
        packet.extend([192, 0, 2, 1, 224, 0, 0, 18]);
        packet.extend(payload);
        packet
    }
}
