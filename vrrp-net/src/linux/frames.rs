//! Ethernet frames: announcements and probes on their way out, and the ARP replies that answer a probe.
//!
//! One socket sends on all interfaces. It is opened once and has no protocol: opening one for every protocol
//! (ETH_P_ALL) waits 16 to 24 ms for an RCU grace period, and a takeover would wait with it.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use nix::libc;
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::filter;
use crate::garp;
use crate::network::MacAddr;
use crate::sys::{link_address, watch};

/// Where the operation stands in an ARP frame.
const ARP_OPERATION: usize = garp::ETHERNET_LEN + 6;
const ARP_REPLY: u16 = 2;
/// Where the sender's and the target's protocol addresses stand.
const ARP_SENDER: usize = garp::ETHERNET_LEN + 14;
const ARP_TARGET: usize = garp::ETHERNET_LEN + 24;

/// Sends frames on any interface.
#[derive(Debug)]
pub(super) struct FrameSocket(Socket);

impl FrameSocket {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(Socket::new(
            Domain::PACKET,
            Type::RAW.nonblocking().cloexec(),
            None,
        )?))
    }

    /// Sends a frame that begins with its Ethernet header.
    pub(super) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        let (destination, ethertype) = match frame {
            [a, b, c, d, e, f, _, _, _, _, _, _, high, low, ..] => (
                MacAddr([*a, *b, *c, *d, *e, *f]),
                u16::from_be_bytes([*high, *low]),
            ),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        self.0
            .send_to(frame, &link_address(index, ethertype, destination))?;
        Ok(())
    }
}

/// Hears on all interfaces who has an address: ARP replies, and gratuitous ARP. Few come, since the former are unicast;
/// and it stays open, since closing it would wait for an RCU grace period.
#[derive(Debug)]
pub(super) struct ClaimSocket(AsyncFd<Socket>);

impl ClaimSocket {
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None)?;
        // Before it is bound, so that nothing else ever arrives.
        socket.attach_filter(&filter::half_is_or_words_equal(
            ARP_OPERATION,
            ARP_REPLY,
            ARP_SENDER,
            ARP_TARGET,
        ))?;
        socket.bind(&link_address(0, libc::ETH_P_ARP as u16, MacAddr([0; 6])))?;
        Ok(Self(watch(socket)?))
    }

    /// The next claim and the index of its interface; `Ok(None)` for a frame that is none.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(u32, Ipv4Addr, MacAddr)>> {
        let (len, from) = recvfrom::<LinkAddr>(self.0.as_raw_fd(), buffer)?;
        let claim = garp::claim(&buffer[..len]);
        let index = from.and_then(|from| u32::try_from(from.ifindex()).ok());
        Ok(index
            .zip(claim)
            .map(|(index, (address, mac))| (index, address, mac)))
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::sockets::poll_readable(&self.0, context)
    }
}
