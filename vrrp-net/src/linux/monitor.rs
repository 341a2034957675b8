//! Reports of the kernel about links and addresses, as they happen.

use std::io;
use std::task::{Context, Poll};

use nix::libc;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;

use super::requests::{Requests, messages};
use super::table::Table;
use crate::sys;

// linux/rtnetlink.h
const RTMGRP_LINK: u32 = 1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
/// Room for what a thousand changes at once report.
const RECEIVE_BUFFER: usize = 1 << 20;
/// The kernel makes no report longer.
const DATAGRAM: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Monitor {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl Monitor {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(
            0,
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
        ))?;
        super::enlarge_receive_buffer(&socket, RECEIVE_BUFFER);
        Ok(Self {
            socket: sys::watch(socket)?,
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Takes one datagram into the table; `false` when there is none.
    pub(super) fn read(&mut self, table: &mut Table, requests: &mut Requests) -> bool {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        match self.socket.get_ref().recv(&mut self.buffer, 0) {
            Ok(_) => {
                for message in messages(&self.buffer) {
                    table.read(message.message_type(), message.payload());
                }
                true
            }
            // More was reported than the socket holds: the state says what the reports would have.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                tracing::warn!("netlink reports were lost; reading everything anew");
                let before = table.forget();
                match dump(table, requests) {
                    Ok(()) => table.compare(&before),
                    Err(error) => tracing::error!(%error, "links and addresses can't be read"),
                }
                true
            }
            Err(_) => false,
        }
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        super::poll_readable(&self.socket, context)
    }
}

/// Reads all links and addresses into the table.
pub(super) fn dump(table: &mut Table, requests: &mut Requests) -> io::Result<()> {
    requests.dump(
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        &mut |kind, payload| {
            table.read(kind, payload);
        },
    )?;
    requests.dump(
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        &mut |kind, payload| {
            table.read(kind, payload);
        },
    )
}
