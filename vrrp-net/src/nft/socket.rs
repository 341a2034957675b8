//! The connection with the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::message::kind as msg;
use super::message::{
    NFNL_SUBSYS_NFTABLES, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, acknowledged, append, messages,
};
use super::table::Table;

/// A rule takes some 200 bytes; the kernel refuses datagrams above the send buffer (212,992 by default).
pub(super) const ANSWER_MAX: usize = 32 * 1024;
/// The kernel answers before `sendto` returns; this only bounds the wait on a broken kernel.
const ANSWER_TIMEOUT_SECONDS: i64 = 5;

/// A connection with the kernel's nf_tables, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: OwnedFd,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(ANSWER_TIMEOUT_SECONDS),
        )?;
        Ok(Self { socket })
    }

    /// The kernel's address of this socket, unique in the network namespace.
    pub(crate) fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.socket.as_raw_fd())?.pid())
    }

    /// All tables, of every family.
    pub(crate) fn tables(&self) -> io::Result<Vec<Table>> {
        let mut request = Vec::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | msg::GET_TABLE;
        append(&mut request, kind, NLM_F_REQUEST | NLM_F_DUMP, 0, 0, 0, |_| ());
        self.send(&request)?;
        let mut tables = Vec::new();
        loop {
            let mut buffer = vec![0; ANSWER_MAX];
            let len = self.receive(&mut buffer)?;
            for message in messages(&buffer[..len]) {
                match message? {
                    (NLMSG_DONE, _) => return Ok(tables),
                    (NLMSG_ERROR, payload) => acknowledged(payload)?,
                    (_, payload) => tables.extend(Table::read(payload)),
                }
            }
        }
    }

    pub(super) fn send(&self, octets: &[u8]) -> io::Result<()> {
        sendto(
            self.socket.as_raw_fd(),
            octets,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )?;
        Ok(())
    }

    /// One datagram of answers, and how long it is.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty())
    }
}

/// True if this error says that the kernel has no nf_tables, or none of a batch's family.
#[cfg(feature = "lab")]
pub(crate) fn is_missing(error: &io::Error) -> bool {
    const MISSING: [Errno; 4] = [
        Errno::ENOENT,
        Errno::EOPNOTSUPP,
        Errno::EAFNOSUPPORT,
        Errno::EPROTONOSUPPORT,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| MISSING.contains(&Errno::from_raw(code)))
}
