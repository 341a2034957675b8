//! Waiting for a descriptor of the operating system.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets tokio watch a descriptor for something to read.
#[expect(
    deprecated,
    reason = "its successor is unsafe for types that give away another descriptor than they own; OwnedFd does not"
)]
pub(super) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
