//! When does an IPv6 address serve?
//!
//! Adding one returns before: even without duplicate address detection it is a worker of the kernel that joins the
//! solicited-node group and installs the local route (addrconf_dad_work). Whoever looks for the address in between gets
//! no answer and asks again a second later, and so does whoever connects. So an announcement waits for the worker, which
//! takes some 50 µs. It reports an address just before the route is there, with the kernel's lock on interfaces held; so
//! a request that does nothing but take that lock comes after the route.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::report::AddressReport;
use super::requests::{Requests, messages};

// linux/rtnetlink.h
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTM_NEWADDR: u16 = 20;
/// The kernel makes no report longer.
const DATAGRAM: usize = 32 * 1024;
/// Longest wait: the thread that waits sends no adverts.
const LIMIT: Duration = Duration::from_millis(5);
/// After a wait in vain the machine is busy, and there may be hundreds of routers to come.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Ready {
    socket: Socket,
    buffer: Vec<u8>,
    /// Nothing is waited for before.
    resting_until: Option<Instant>,
}

impl Ready {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, RTMGRP_IPV6_IFADDR))?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(DATAGRAM),
            resting_until: None,
        })
    }

    /// Waits until these addresses, just added to the interfaces of these indices, serve. Not for long.
    pub(super) fn wait_for(&mut self, requests: &mut Requests, mut added: Vec<(u32, IpAddr)>) {
        let begun = Instant::now();
        let Some((index, _)) = added.first().copied() else {
            return;
        };
        if self.resting_until.is_some_and(|until| begun < until) {
            return;
        }
        loop {
            self.take_reports(&mut added);
            if added.is_empty() {
                break;
            }
            let left = LIMIT.saturating_sub(begun.elapsed());
            if left.is_zero() {
                tracing::debug!(?added, "announced before the kernel has finished");
                self.resting_until = Some(begun + REST);
                return;
            }
            self.sleep(left);
        }
        let mut nothing = LinkMessage::default();
        nothing.header.index = index;
        let _ = requests.make([(RouteNetlinkMessage::SetLink(nothing), 0)]);
    }

    /// Forgets what was reported. To be called before addresses are added.
    pub(super) fn forget_reports(&mut self) {
        while self.receive() {}
    }

    fn take_reports(&mut self, added: &mut Vec<(u32, IpAddr)>) {
        while self.receive() {
            for message in messages(&self.buffer) {
                let report = AddressReport::parse(message.payload());
                if let (RTM_NEWADDR, Some(report)) = (message.message_type(), report) {
                    added.retain(|key| *key != (report.index, report.entry.address));
                }
            }
        }
    }

    /// Whether there was a report. What is lost to a full buffer is not waited for twice.
    fn receive(&mut self) -> bool {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        self.socket.recv(&mut self.buffer, 0).is_ok()
    }

    /// Sleeps, so that the worker has the CPU.
    fn sleep(&self, limit: Duration) {
        let mut readable = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        // Interrupted or not, the caller looks again.
        let _ = ppoll(&mut readable, Some(TimeSpec::from_duration(limit)), None);
    }
}
