//! Reports of the kernel about links and addresses, as they happen; and everything at once, when some were lost.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::libc;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;

use super::report::{AddressReport, LinkReport};
use super::requests::{Requests, messages};
use crate::sys;

// linux/rtnetlink.h
const RTMGRP_LINK: u32 = 1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
/// Room for what a thousand changes at once report.
const RECEIVE_BUFFER: usize = 1 << 20;
/// The kernel makes no report longer.
const DATAGRAM: usize = 32 * 1024;
/// Most reports that are kept while everything is read anew. When more come, it is read once more.
const MAX_LATER: usize = 4096;
/// From a reading that failed to the next.
const RETRY: Duration = Duration::from_millis(100);

/// A message: its type and its payload.
pub(super) type Message = (u16, Vec<u8>);

/// All our links, and all addresses on them, as messages.
pub(super) type Snapshot = Vec<Message>;

#[derive(Debug)]
pub(super) struct Monitor {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

/// What reading the monitor gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Reports.
    Reports,
    /// More was reported than the socket holds.
    Lost,
    /// Nothing is left.
    Dry,
}

impl Monitor {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(
            0,
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
        ))?;
        super::sockets::enlarge_receive_buffer(&socket, RECEIVE_BUFFER);
        Ok(Self {
            socket: sys::watch(socket)?,
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Reads one datagram, and hands each message's type and payload to `each`.
    pub(super) fn read(&mut self, each: &mut dyn FnMut(u16, &[u8])) -> Reading {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        match self.socket.get_ref().recv(&mut self.buffer, 0) {
            Ok(_) => {
                for message in messages(&self.buffer) {
                    each(message.message_type(), message.payload());
                }
                Reading::Reports
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Reading::Lost,
            Err(_) => Reading::Dry,
        }
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::sockets::poll_readable(&self.socket, context)
    }
}

/// Getting whole again after reports were lost: what is known stays in use, and is kept up to date, until everything
/// has been read.
#[derive(Debug, Default)]
pub(super) enum Resync {
    /// Nothing was lost.
    #[default]
    Whole,
    /// To be read when the time has come.
    Due { at: Duration },
    /// Being read.
    Reading {
        /// Reports since it began: it may be older or newer than them, and they end at what is true.
        later: Vec<Message>,
        /// More reports were lost since, or were not kept.
        again: bool,
    },
}

impl Resync {
    pub(super) fn handle_loss(&mut self, now: Duration) {
        match self {
            Self::Reading { again, .. } => *again = true,
            Self::Whole | Self::Due { .. } => *self = Self::Due { at: now },
        }
    }

    pub(super) fn handle_report(&mut self, kind: u16, payload: &[u8]) {
        if let Self::Reading { later, again } = self {
            if later.len() < MAX_LATER {
                later.push((kind, payload.to_vec()));
            } else {
                *again = true;
            }
        }
    }

    /// Whether reading everything begins at this moment.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now);
        if due {
            *self = Self::Reading {
                later: Vec::new(),
                again: false,
            };
        }
        due
    }

    /// The reading has ended, and every report before that has been handed in. Gives everything in order, if it is good
    /// for use.
    pub(super) fn finish(
        &mut self,
        now: Duration,
        read: io::Result<Snapshot>,
    ) -> io::Result<Option<Snapshot>> {
        let due = |wait| Self::Due { at: now + wait };
        match (std::mem::take(self), read) {
            (Self::Reading { later, again: false }, Ok(mut all)) => {
                all.extend(later);
                Ok(Some(all))
            }
            (_, Ok(_)) => {
                *self = due(Duration::ZERO);
                Ok(None)
            }
            (_, Err(error)) => {
                *self = due(RETRY);
                Err(error)
            }
        }
    }

    /// When to [`begin`](Self::begin).
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Due { at } => Some(*at),
            Self::Whole | Self::Reading { .. } => None,
        }
    }
}

/// Reads all links of these names, and all addresses on them.
pub(super) fn dump(names: &[String], requests: &mut Requests) -> io::Result<Snapshot> {
    let (mut all, mut indices) = (Snapshot::new(), Vec::new());
    let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
    requests.dump(links, &mut |kind, payload| {
        if let Some(link) = LinkReport::parse(payload) {
            if names.iter().any(|name| name.as_bytes() == link.name) {
                indices.push(link.index);
                all.push((kind, payload.to_vec()));
            }
        }
    })?;
    let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    requests.dump(addresses, &mut |kind, payload| {
        if AddressReport::parse(payload).is_some_and(|report| indices.contains(&report.index)) {
            all.push((kind, payload.to_vec()));
        }
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn reports_during_the_reading_come_after_it() {
        let mut resync = Resync::default();
        assert!(!resync.begin(NOW));
        resync.handle_report(1, b"before the loss");
        resync.handle_loss(NOW);
        resync.handle_report(1, b"before it began");
        assert!(resync.begin(NOW));
        assert!(!resync.begin(NOW), "one at a time");
        resync.handle_report(16, b"later");
        let all = resync
            .finish(NOW, Ok(vec![(16, b"read".to_vec())]))
            .unwrap()
            .unwrap();
        assert_eq!(all, [(16, b"read".to_vec()), (16, b"later".to_vec())]);
        assert_eq!(resync.deadline(), None);
    }

    #[test]
    fn a_reading_that_fails_is_tried_again_until_one_succeeds() {
        let mut resync = Resync::default();
        resync.handle_loss(NOW);
        for n in 0..5 {
            let now = NOW + RETRY * n;
            assert_eq!(resync.deadline(), Some(now));
            assert!(resync.begin(now));
            assert!(
                resync
                    .finish(now, Err(io::ErrorKind::Interrupted.into()))
                    .is_err()
            );
        }
        let now = NOW + RETRY * 5;
        assert!(resync.begin(now));
        assert!(resync.finish(now, Ok(Vec::new())).unwrap().is_some());
    }

    #[test]
    fn a_loss_during_the_reading_makes_it_worthless() {
        let lose: [fn(&mut Resync); 2] = [
            |resync| resync.handle_loss(NOW),
            |resync| (0..=MAX_LATER).for_each(|_| resync.handle_report(16, b"")),
        ];
        for lose in lose {
            let mut resync = Resync::default();
            resync.handle_loss(NOW);
            assert!(resync.begin(NOW));
            lose(&mut resync);
            assert_eq!(resync.finish(NOW, Ok(Vec::new())).unwrap(), None);
            assert_eq!(resync.deadline(), Some(NOW), "at once");
        }
    }
}
