//! The raw socket of IPv6 adverts of one interface, both ways; and the one that hears who claims an address.
//!
//! The checksum is that of `vrrp_core`, in both directions: the kernel's own (`IPV6_CHECKSUM`) would drop a wrong one
//! without a trace, where ours is counted.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use vrrp_core::{Envelope, GROUP_V6, PROTOCOL};

use super::filter;
use super::ipv4::TRAFFIC_CLASS;
use super::sockets::Received;
use crate::sys;

const NEIGHBOR_ADVERTISEMENT: u8 = 136;

#[derive(Debug)]
pub(super) struct Ipv6Socket {
    socket: AsyncFd<Socket>,
    index: u32,
    control: Vec<u8>,
}

impl Ipv6Socket {
    /// Opens the socket of an interface. Without `group` it gets no multicast.
    pub(super) fn open(interface: &str, index: u32, group: bool) -> io::Result<Self> {
        let socket = raw(Protocol::from(i32::from(PROTOCOL)))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        super::sockets::enlarge_receive_buffer(&socket, super::sockets::ADVERT_BUFFER);
        socket.set_multicast_all_v6(false)?;
        if group {
            socket.join_multicast_v6(&GROUP_V6, index)?;
        }
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_tclass_v6(u32::from(TRAFFIC_CLASS))?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        Self::new(socket, index)
    }

    /// A socket for neighbour advertisements on every interface, with which hosts answer a probe.
    pub(super) fn claims() -> io::Result<Self> {
        let socket = raw(Protocol::ICMPV6)?;
        // The message begins with its type: take one, drop all others.
        socket.attach_filter(&filter::octet_is(0, NEIGHBOR_ADVERTISEMENT))?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        Self::new(socket, 0)
    }

    fn new(socket: Socket, index: u32) -> io::Result<Self> {
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        Ok(Self {
            socket: sys::watch(socket)?,
            index,
            control: cmsg_space!(libc::in6_pktinfo, libc::c_int),
        })
    }

    pub(super) fn send(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
        message: &[u8],
    ) -> io::Result<()> {
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: source.octets(),
            },
            ipi6_ifindex: self.index,
        };
        let hop_limit = libc::c_int::from(hop_limit);
        let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, self.index));
        sendmsg(
            self.socket.as_raw_fd(),
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

    /// The next packet and the index of its interface, read into `buffer`. A raw socket of IPv6 gives the payload
    /// alone; what the header said comes beside it.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(Received, u32)>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let (mut destination, mut hop_limit) = (None, None);
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Some((Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex));
                }
                ControlMessageOwned::Ipv6HopLimit(got) => hop_limit = u8::try_from(got).ok(),
                _ => {}
            }
        }
        let source = message.address.map(|address| address.ip());
        let received = match (source, destination, hop_limit) {
            (Some(source), Some((destination, index)), Some(hop_limit)) => Some((
                Received {
                    envelope: Envelope {
                        source: IpAddr::V6(source),
                        destination: IpAddr::V6(destination),
                        hop_limit,
                    },
                    payload: 0..message.bytes,
                },
                index,
            )),
            _ => None,
        };
        Ok(received)
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::sockets::poll_readable(&self.socket, context)
    }
}

fn raw(protocol: Protocol) -> io::Result<Socket> {
    Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(protocol))
}
