//! Asking the LAN who has an address, and sending frames made by hand.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, socket,
};
use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{MutableNeighborSolicitPacket, NdpOption, NdpOptionTypes};
use pnet::packet::icmpv6::{self, Icmpv6Code, Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;

use super::frame::{ETHERNET_LEN, Frame};
use super::ipv6::solicited_node;
use super::{Host, MacAddr};

const ARP_LEN: usize = 28;
const IPV6_LEN: usize = 40;
/// A Neighbor Solicitation with the Source Link-Layer Address option.
const SOLICITATION_LEN: usize = 32;

impl Host {
    /// Asks once by ARP who has an address, and returns the MAC addresses that claim it within `timeout`, in the order
    /// in which they answered, each once. More than one is a conflict, none means that nobody has it.
    ///
    /// It takes the whole `timeout`.
    ///
    /// # Errors
    /// What the kernel says; `NetworkDown` while the interface is down.
    pub fn arp_who_has(&self, address: Ipv4Addr, timeout: Duration) -> io::Result<Vec<MacAddr>> {
        let own = self.addresses()?.into_iter().find_map(|net| match net.addr() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        });
        // RFC 5227 §1.1: a host without address asks from 0.0.0.0.
        let question = arp_request(self.mac(), own.unwrap_or(Ipv4Addr::UNSPECIFIED), address);
        self.ask(&question, timeout, move |frame| {
            frame
                .arp()
                .filter(|arp| arp.reply && arp.sender_ip == address)
                .map(|arp| arp.sender_mac)
        })
    }

    /// Asks once by Neighbor Solicitation who has an IPv6 address, otherwise as [`arp_who_has`](Self::arp_who_has).
    ///
    /// # Errors
    /// What the kernel says; `AddrNotAvailable` if the host has no IPv6 address to ask from.
    pub fn ndp_who_has(&self, address: Ipv6Addr, timeout: Duration) -> io::Result<Vec<MacAddr>> {
        let own: Vec<Ipv6Addr> = self
            .addresses()?
            .into_iter()
            .filter_map(|net| match net.addr() {
                IpAddr::V6(ip) => Some(ip),
                IpAddr::V4(_) => None,
            })
            .collect();
        let link_local = own.iter().find(|ip| ip.is_unicast_link_local());
        let source = link_local
            .or(own.first())
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let question = neighbor_solicitation(self.mac(), *source, address);
        self.ask(&question, timeout, move |frame| {
            let advert = frame
                .neighbor_advert()
                .filter(|advert| advert.target == address)?;
            Some(advert.mac.unwrap_or_else(|| frame.source()))
        })
    }

    /// Sends an Ethernet frame, header included, as it is.
    ///
    /// # Errors
    /// What the kernel says; `NetworkDown` while the interface is down.
    pub fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        self.run(|| {
            let to = link_address(self.interface())?;
            // Protocol 0 receives nothing, and so costs nothing to open and to close.
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
            sendto(socket.as_raw_fd(), frame, &to, MsgFlags::empty())?;
            Ok(())
        })
    }

    fn ask(
        &self,
        question: &[u8],
        timeout: Duration,
        answer: impl Fn(&Frame) -> Option<MacAddr> + Copy + Send + 'static,
    ) -> io::Result<Vec<MacAddr>> {
        let mut capture = self.capture_if(move |frame| !frame.sent && answer(frame).is_some())?;
        self.send_frame(question)?;
        let deadline = Instant::now() + timeout;
        let mut claims = Vec::new();
        while let Some(frame) = capture.next_frame(deadline.saturating_duration_since(Instant::now())) {
            claims.extend(answer(&frame).filter(|mac| !claims.contains(mac)));
        }
        Ok(claims)
    }
}

/// The packet(7) address of an interface.
fn link_address(interface: &str) -> io::Result<LinkAddr> {
    getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| {
            entry
                .address
                .as_ref()
                .and_then(SockaddrStorage::as_link_addr)
                .copied()
        })
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn set_ethernet(frame: &mut [u8], source: MacAddr, destination: MacAddr, ethertype: EtherType) {
    let mut ethernet = MutableEthernetPacket::new(frame).expect("frames made here have room for the header");
    ethernet.set_source(source);
    ethernet.set_destination(destination);
    ethernet.set_ethertype(ethertype);
}

fn arp_request(mac: MacAddr, own: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET_LEN + ARP_LEN];
    set_ethernet(&mut frame, mac, MacAddr::broadcast(), EtherTypes::Arp);
    let mut arp = MutableArpPacket::new(&mut frame[ETHERNET_LEN..]).expect("there is room for ARP");
    arp.set_hardware_type(ArpHardwareTypes::Ethernet);
    arp.set_protocol_type(EtherTypes::Ipv4);
    arp.set_hw_addr_len(6);
    arp.set_proto_addr_len(4);
    arp.set_operation(ArpOperations::Request);
    arp.set_sender_hw_addr(mac);
    arp.set_sender_proto_addr(own.octets().into());
    arp.set_target_proto_addr(wanted.octets().into());
    frame
}

/// RFC 4861 §4.3, sent to the solicited-node multicast address (RFC 4291 §2.7.1).
fn neighbor_solicitation(mac: MacAddr, own: Ipv6Addr, wanted: Ipv6Addr) -> Vec<u8> {
    let destination = solicited_node(wanted);
    let [.., a, b, c] = destination.octets();
    let mut frame = vec![0; ETHERNET_LEN + IPV6_LEN + SOLICITATION_LEN];
    set_ethernet(
        &mut frame,
        mac,
        MacAddr::new(0x33, 0x33, 0xff, a, b, c),
        EtherTypes::Ipv6,
    );

    let mut ip = MutableIpv6Packet::new(&mut frame[ETHERNET_LEN..]).expect("there is room for IPv6");
    ip.set_version(6);
    ip.set_payload_length(u16::try_from(SOLICITATION_LEN).expect("32 fits"));
    ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
    // RFC 4861 §7.1.1: anything else is discarded.
    ip.set_hop_limit(255);
    ip.set_source(own.octets().into());
    ip.set_destination(destination.octets().into());

    let body = &mut frame[ETHERNET_LEN + IPV6_LEN..];
    let mut solicitation =
        MutableNeighborSolicitPacket::new(body).expect("there is room for the solicitation");
    solicitation.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
    solicitation.set_icmpv6_code(Icmpv6Code(0));
    solicitation.set_target_addr(wanted.octets().into());
    solicitation.set_options(&[NdpOption {
        option_type: NdpOptionTypes::SourceLLAddr,
        length: 1,
        data: mac.octets().to_vec(),
    }]);
    let whole = Icmpv6Packet::new(solicitation.packet()).expect("a solicitation is ICMPv6");
    let checksum = icmpv6::checksum(&whole, &own.octets().into(), &destination.octets().into());
    solicitation.set_checksum(checksum);
    frame
}
