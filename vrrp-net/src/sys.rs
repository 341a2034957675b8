//! The one file with `unsafe`: what the crates below us leave to their callers.
#![expect(
    unsafe_code,
    reason = "sockaddr_ll has no safe constructor, AsyncFd no safe registration"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::libc;
use nix::sys::timerfd::TimerFd;
use socket2::{SockAddr, SockAddrStorage};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::network::MacAddr;

/// A type that owns one descriptor: the same from when it is made to when it is dropped.
pub(crate) trait OwnsDescriptor: AsRawFd {}

impl OwnsDescriptor for socket2::Socket {}
impl OwnsDescriptor for rtnetlink::sys::Socket {}
impl OwnsDescriptor for Timer {}

/// A timerfd with the trait that [`AsyncFd`] asks for.
#[derive(Debug)]
pub(crate) struct Timer(pub(crate) TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets tokio watch a descriptor for something to read.
pub(crate) fn watch<T: OwnsDescriptor>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `OwnsDescriptor` says that the descriptor stays the same and open as long as the value lives, and
    // `AsyncFd` gives out no `&mut` of it unless asked; nobody here asks.
    let watched = unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// `sockaddr_ll` of a frame's destination, or, with `mac` all zeros, of a socket's binding.
///
/// `interface` 0 means all of them; `ethertype` is in the machine's byte order.
pub(crate) fn link_address(interface: u32, ethertype: u16, mac: MacAddr) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is one of the kernel's sockaddr types, and all zeros is a valid one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    // Family numbers are far below 2^16, interface indices below 2^31; the address has room for eight octets.
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = interface as i32;
    address.sll_halen = mac.0.len() as u8;
    address.sll_addr[..mac.0.len()].copy_from_slice(&mac.0);
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds a sockaddr_ll of AF_PACKET, which is `len` octets long.
    unsafe { SockAddr::new(storage, len) }
}
