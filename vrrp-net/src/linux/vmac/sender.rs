//! Adverts from a virtual MAC: out of its interface, but from an address that another interface has.
//!
//! The sockets of that other interface are bound to it. Here is one of each family for all virtual MACs, bound to none,
//! which tells the kernel with each packet where it goes out and (IPv6) from which address. They receive nothing.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use vrrp_core::{Envelope, Family, PROTOCOL};

use crate::linux::filter;
use crate::linux::ipv4::{TRAFFIC_CLASS, header};

/// Sends with a header that is made here, and never receives (raw(7)).
const IPPROTO_RAW: i32 = 255;

#[derive(Debug)]
pub(super) struct Sender {
    ipv4: Option<Socket>,
    ipv6: Option<Socket>,
}

impl Sender {
    /// Opens the sockets of these families.
    pub(super) fn open(families: impl Fn(Family) -> bool) -> io::Result<Self> {
        Ok(Self {
            ipv4: families(Family::Ipv4).then(ipv4).transpose()?,
            ipv6: families(Family::Ipv6).then(ipv6).transpose()?,
        })
    }

    /// Sends a message out of an interface, whoever has the source address.
    pub(super) fn send(&self, index: u32, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        match (envelope.source, envelope.destination, &self.ipv4, &self.ipv6) {
            (IpAddr::V4(source), IpAddr::V4(destination), Some(socket), _) => {
                let header = header(source, destination, envelope.hop_limit, message.len());
                let parts = [IoSlice::new(&header), IoSlice::new(message)];
                send_ipv4(socket, index, destination, &parts)
            }
            (IpAddr::V6(source), IpAddr::V6(destination), _, Some(socket)) => {
                let hop_limit = i32::from(envelope.hop_limit);
                send_ipv6(socket, index, source, destination, hop_limit, message)
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Sends an IPv4 packet that has its header out of an interface.
    pub(super) fn send_packet(&self, index: u32, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        let socket = self.ipv4.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        send_ipv4(socket, index, destination, &[IoSlice::new(packet)])
    }
}

fn ipv4() -> io::Result<Socket> {
    let socket = raw(Domain::IPV4, IPPROTO_RAW)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}

fn ipv6() -> io::Result<Socket> {
    let socket = raw(Domain::IPV6, i32::from(PROTOCOL))?;
    socket.attach_filter(&filter::nothing())?;
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_tclass_v6(u32::from(TRAFFIC_CLASS))?;
    // The link-local address is the other interface's. To have it on this one as well would mean that both answer for it.
    socket.set_freebind_v6(true)?;
    Ok(socket)
}

fn send_ipv4(socket: &Socket, index: u32, destination: Ipv4Addr, parts: &[IoSlice<'_>]) -> io::Result<()> {
    let nowhere = libc::in_addr { s_addr: 0 };
    let info = libc::in_pktinfo {
        // Indices are below 2^31.
        ipi_ifindex: index as i32,
        // The header has the source.
        ipi_spec_dst: nowhere,
        ipi_addr: nowhere,
    };
    let to = SockaddrIn::from(SocketAddrV4::new(destination, 0));
    sendmsg(
        socket.as_raw_fd(),
        parts,
        &[ControlMessage::Ipv4PacketInfo(&info)],
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}

fn send_ipv6(
    socket: &Socket,
    index: u32,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: i32,
    message: &[u8],
) -> io::Result<()> {
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: source.octets(),
        },
        ipi6_ifindex: index,
    };
    let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, index));
    sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(message)],
        &[
            ControlMessage::Ipv6PacketInfo(&info),
            ControlMessage::Ipv6HopLimit(&hop_limit),
        ],
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}

fn raw(domain: Domain, protocol: i32) -> io::Result<Socket> {
    Socket::new(
        domain,
        Type::RAW.nonblocking().cloexec(),
        Some(Protocol::from(protocol)),
    )
}
