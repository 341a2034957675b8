//! The sockets of each link, which live as long as its interface does, and sending by them.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, ready};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::unix::AsyncFd;
use vrrp_core::{Envelope, PROTOCOL, PROTOCOL_AH};

use crate::network::LinkId;
use crate::plan::LinkPlan;

use super::LinuxNetwork;
use super::ipv4::Ipv4Socket;
use super::ipv6::Ipv6Socket;

/// Receive buffer of adverts: those of 255 routers at 10 ms intervals over a tenth of a second, 2,730 in all (the kernel
/// doubles it, and counts 768 octets for a small packet). Without CAP_NET_ADMIN in the initial user namespace the kernel
/// cuts it to net.core.rmem_max.
pub(super) const ADVERT_BUFFER: usize = 1 << 20;
/// Sockets of one link: IPv4, IPv6, AH.
pub(super) const SOCKETS: usize = 3;
/// Longest packet that is read whole: IPv6, 255 addresses, and room for what is too long.
pub(super) const PACKET: usize = 8192;

/// An interface and its sockets, which live as long as it does.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) plan: LinkPlan,
    /// MTU that was told to be too small for its adverts.
    pub(super) narrow: Option<usize>,
    /// Index of the interface that the sockets are bound to.
    pub(super) bound: Option<u32>,
    pub(super) ipv4: Option<Ipv4Socket>,
    pub(super) ipv6: Option<Ipv6Socket>,
    pub(super) ah: Option<Ipv4Socket>,
}

/// A packet in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) envelope: Envelope,
    pub(super) payload: Range<usize>,
}

impl LinuxNetwork {
    /// Opens the sockets of an interface anew if it is another than before: they are bound to one that is gone.
    pub(super) fn bind(&mut self, link: LinkId) -> io::Result<()> {
        let index = self.table.index(link);
        let sockets = &mut self.links[link.0];
        if sockets.bound == index {
            return Ok(());
        }
        (sockets.bound, sockets.ipv4, sockets.ipv6, sockets.ah) = (None, None, None, None);
        let Some(index) = index else {
            return Ok(());
        };
        let plan = &sockets.plan;
        let ipv4 = |protocol| Ipv4Socket::open(&plan.name, index, protocol, plan.group_v4);
        sockets.ipv4 = plan.ipv4.then(|| ipv4(PROTOCOL)).transpose()?;
        sockets.ah = plan.ah.then(|| ipv4(PROTOCOL_AH)).transpose()?;
        let ipv6 = || Ipv6Socket::open(&plan.name, index, plan.group_v6);
        sockets.ipv6 = plan.ipv6.then(ipv6).transpose()?;
        sockets.bound = Some(index);
        self.ready.fill(true);
        Ok(())
    }

    pub(super) fn send_message(
        &mut self,
        link: LinkId,
        envelope: &Envelope,
        message: &[u8],
    ) -> io::Result<()> {
        let sockets = &self.links[link.0];
        if let (Some(vmacs), Some(_)) = (&self.vmacs, &sockets.plan.vmac) {
            return vmacs.send(link, envelope, message);
        }
        let hop_limit = envelope.hop_limit;
        match (
            envelope.source,
            envelope.destination,
            &sockets.ipv4,
            &sockets.ipv6,
        ) {
            (IpAddr::V4(source), IpAddr::V4(destination), Some(socket), _) => {
                socket.send(source, destination, hop_limit, message)
            }
            (IpAddr::V6(source), IpAddr::V6(destination), _, Some(socket)) => {
                socket.send(source, destination, hop_limit, message)
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn send_packet(
        &mut self,
        link: LinkId,
        destination: Ipv4Addr,
        packet: &[u8],
    ) -> io::Result<()> {
        if let (Some(vmacs), Some(_)) = (&self.vmacs, &self.links[link.0].plan.vmac) {
            return vmacs.send_packet(link, destination, packet);
        }
        match &self.links[link.0].ah {
            Some(socket) => socket.send_packet(destination, packet),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Link {
    pub(super) fn new(plan: LinkPlan) -> Self {
        Self {
            plan,
            narrow: None,
            bound: None,
            ipv4: None,
            ipv6: None,
            ah: None,
        }
    }
}

/// Ready when there may be something to read. It is taken as read: the caller reads until nothing is left, and
/// whatever comes later makes it ready anew.
pub(super) fn poll_readable<T: AsRawFd>(
    socket: &AsyncFd<T>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    ready!(socket.poll_read_ready(context))?.clear_ready();
    Poll::Ready(Ok(()))
}

/// As far as we may: past net.core.rmem_max takes a privilege that a container lacks.
pub(super) fn enlarge_receive_buffer(socket: &impl AsFd, size: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &size).is_err() {
        // The kernel cuts it to what it allows.
        let _ = setsockopt(socket, sockopt::RcvBuf, &size);
    }
}
