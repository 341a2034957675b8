//! A network interface, for `track_interface`.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Tell, Watch, WatchFuture, descriptor};
use crate::{Failure, Outcome};

/// Watches whether an interface exists, is up and has carrier; the kernel tells of changes by netlink.
///
/// The interface is looked for in the network namespace of the thread. A virtual router's own interface needs no
/// watch: the VRRP driver sees to it.
///
/// ```
/// use ha_health::probe::Interface;
///
/// let uplink = Interface::new("eth1");
/// assert_eq!(uplink.to_string(), "interface eth1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    name: String,
}

/// linux/rtnetlink.h: reports about links.
const RTMGRP_LINK: u32 = 1;

impl Interface {
    /// How often it looks again although nothing was reported: 1 s.
    pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
    /// Shortest time between two looks, however much is reported of other interfaces.
    const PAUSE: Duration = Duration::from_millis(5);

    /// Watches the interface of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says how it is at this moment.
    pub fn look(&self) -> Outcome {
        let mut interfaces = match nix::ifaddrs::getifaddrs() {
            Ok(interfaces) => interfaces,
            Err(errno) => return Failure::Unreadable { errno: errno as i32 }.into(),
        };
        match interfaces.find(|one| one.interface_name == self.name) {
            None => Failure::NoInterface.into(),
            Some(one) if !one.flags.contains(InterfaceFlags::IFF_UP) => Failure::InterfaceDown.into(),
            Some(one) if !one.flags.contains(InterfaceFlags::IFF_RUNNING) => Failure::NoCarrier.into(),
            Some(_) => Outcome::success(),
        }
    }

    async fn run(&self, tell: Tell<'_>) -> Failure {
        let reports = match open() {
            Ok(reports) => reports,
            Err(error) => return super::cannot_watch(&error),
        };
        loop {
            let next = Instant::now() + Self::PAUSE;
            tell(self.look());
            // What was reported does not matter: the interface is looked at anew, once for many reports.
            match timeout(Self::LOOK_AGAIN, reports.readable()).await {
                Ok(Ok(mut ready)) => {
                    sleep_until(next).await;
                    drain(reports.get_ref());
                    ready.clear_ready();
                }
                Ok(Err(error)) => return super::cannot_watch(&error),
                Err(_) => {}
            }
        }
    }
}

fn open() -> io::Result<AsyncFd<OwnedFd>> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_LINK))?;
    descriptor::readable(socket)
}

/// Reads reports until there is none. Whether some were lost (ENOBUFS) does not matter.
fn drain(socket: &OwnedFd) {
    let mut report = [0; 8192];
    loop {
        match recv(socket.as_raw_fd(), &mut report, MsgFlags::MSG_TRUNC) {
            Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
            Err(_) => return,
        }
    }
}

impl Watch for Interface {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        Box::pin(self.run(tell))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interface {}", self.name)
    }
}
