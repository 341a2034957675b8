//! The raw sockets of IPv4 adverts of one interface, both ways: one of protocol 112, and one of protocol 51 where a
//! router sends adverts behind an IP authentication header.
//!
//! It sends with a header of its own: the source may be one that isn't the interface's primary address
//! (`mcast_src_ip`) or none of its addresses at all, and the frame is keepalived's to the bit.

use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::task::{Context, Poll};

use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{Ipv4Packet, MutableIpv4Packet};
use socket2::{Domain, InterfaceIndexOrAddress, MsgHdr, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use vrrp_core::{Envelope, GROUP_V4, PROTOCOL};

use super::sockets::Received;
use crate::sys;

const HEADER_LEN: usize = 20;
/// Precedence Internetwork Control, as keepalived and routers send it.
pub(super) const TRAFFIC_CLASS: u8 = 0xc0;

#[derive(Debug)]
pub(super) struct Ipv4Socket(AsyncFd<Socket>);

impl Ipv4Socket {
    /// Opens a socket of an IP protocol. Without `group` it gets no multicast.
    pub(super) fn open(interface: &str, index: u32, protocol: u8, group: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::IPV4,
            Type::RAW.nonblocking().cloexec(),
            Some(Protocol::from(i32::from(protocol))),
        )?;
        socket.bind_device(Some(interface.as_bytes()))?;
        super::sockets::enlarge_receive_buffer(&socket, super::sockets::ADVERT_BUFFER);
        // Else it would get the groups that other sockets of the host have joined.
        socket.set_multicast_all_v4(false)?;
        if group {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        }
        socket.set_multicast_loop_v4(false)?;
        socket.set_header_included_v4(true)?;
        Ok(Self(sys::watch(socket)?))
    }

    /// Sends a message with an IP header before it.
    pub(super) fn send(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        hop_limit: u8,
        message: &[u8],
    ) -> io::Result<()> {
        let header = header(source, destination, hop_limit, message.len());
        self.send_parts(destination, &[IoSlice::new(&header), IoSlice::new(message)])
    }

    /// Sends a packet that has its IP header.
    pub(super) fn send_packet(&self, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        self.send_parts(destination, &[IoSlice::new(packet)])
    }

    fn send_parts(&self, destination: Ipv4Addr, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let to = SocketAddrV4::new(destination, 0).into();
        self.0
            .get_ref()
            .sendmsg(&MsgHdr::new().with_addr(&to).with_buffers(parts), 0)?;
        Ok(())
    }

    /// The next packet, read into `buffer`. A raw socket of IPv4 gives the IP header with it.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let len = self.receive_packet(buffer)?;
        Ok(parse(&buffer[..len]))
    }

    /// The next packet with its IP header; its length.
    pub(super) fn receive_packet(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.get_ref();
        socket.read(buffer)
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::sockets::poll_readable(&self.0, context)
    }
}

/// The kernel fills in identification and checksum.
pub(super) fn header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    hop_limit: u8,
    payload_len: usize,
) -> [u8; HEADER_LEN] {
    let mut octets = [0; HEADER_LEN];
    if let Some(mut header) = MutableIpv4Packet::new(&mut octets) {
        header.set_version(4);
        header.set_header_length((HEADER_LEN / 4) as u8);
        // DSCP is the upper six bits.
        header.set_dscp(TRAFFIC_CLASS >> 2);
        // An advert is at most 1,036 octets long.
        header.set_total_length((HEADER_LEN + payload_len) as u16);
        header.set_ttl(hop_limit);
        header.set_next_level_protocol(IpNextHeaderProtocol(PROTOCOL));
        header.set_source(source.octets().into());
        header.set_destination(destination.octets().into());
    }
    octets
}

/// Where the payload stands. Its end is what the header says: short packets come with Ethernet's padding.
fn parse(packet: &[u8]) -> Option<Received> {
    let header = Ipv4Packet::new(packet)?;
    let start = usize::from(header.get_header_length()) * 4;
    let end = usize::from(header.get_total_length()).min(packet.len());
    (HEADER_LEN <= start && start <= end).then(|| Received {
        envelope: Envelope {
            source: IpAddr::from(header.get_source().octets()),
            destination: IpAddr::from(header.get_destination().octets()),
            hop_limit: header.get_ttl(),
        },
        payload: start..end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    /// Captured from keepalived 2.2.7, without Ethernet header: VRRPv2, two addresses, password.
    const CAPTURED: &str =
        "45c0002c00010000ff701883c000020be00000122133960201015580c0000264c00002657365637265743132";

    #[test]
    fn the_header_is_keepaliveds_but_for_what_the_kernel_fills_in() {
        let mut expected = hex::decode(CAPTURED)[..HEADER_LEN].to_vec();
        // Identification and checksum.
        expected[4..6].fill(0);
        expected[10..12].fill(0);
        assert_eq!(
            header(Ipv4Addr::new(192, 0, 2, 11), GROUP_V4, 255, 24).as_slice(),
            expected
        );
    }

    #[test]
    fn padding_is_cut_and_options_are_skipped() {
        let mut packet = hex::decode(CAPTURED);
        packet.extend([0; 2]);
        let received = parse(&packet).unwrap();
        assert_eq!(received.payload, 20..44);
        assert_eq!(received.envelope.source, IpAddr::from([192, 0, 2, 11]));
        assert_eq!(received.envelope.destination, IpAddr::V4(GROUP_V4));
        assert_eq!(received.envelope.hop_limit, 255);
        packet[0] = 0x46;
        assert_eq!(parse(&packet).unwrap().payload, 24..44);
    }

    #[test]
    fn a_header_that_lies_about_its_lengths_gives_no_payload() {
        let packet = hex::decode(CAPTURED);
        for (at, value) in [(0, 0x44), (0, 0x4f), (3, 19)] {
            let mut packet = packet.clone();
            packet[at] = value;
            assert_eq!(parse(&packet), None, "{value:#x} at {at}");
        }
        for len in 0..HEADER_LEN {
            assert_eq!(parse(&packet[..len]), None, "{len} octets");
        }
        // Cut on the way: what is there, and the parser of VRRP will miss the rest.
        assert_eq!(parse(&packet[..30]).unwrap().payload, 20..30);
    }
}
