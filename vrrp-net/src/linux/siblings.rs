//! Are other processes of ours alive in this network namespace?
//!
//! Addresses tell by their lifetimes whether somebody still cares for them; routes and rules have none. So each process
//! holds a socket of an abstract name, which belongs to the network namespace and goes with the process, however it ends.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const PREFIX: &str = "vrrp-net.";

/// Says to others that we are alive, as long as it is kept.
#[derive(Debug)]
pub(super) struct Alive {
    _socket: UnixDatagram,
    name: String,
}

impl Alive {
    /// `unique` is so in this network namespace.
    pub(super) fn announce(unique: u32) -> io::Result<Self> {
        let name = format!("{PREFIX}{unique}");
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        Ok(Self {
            _socket: socket,
            name,
        })
    }

    /// Whether others say so too. Where that can't be read, they may.
    pub(super) fn has_siblings(&self) -> bool {
        fs::read_to_string("/proc/thread-self/net/unix")
            .map_or(true, |sockets| self.is_among_others(&sockets))
    }

    /// proc_net_unix(5): the last word of a line is the path; `@` stands for the zero of an abstract name.
    fn is_among_others(&self, sockets: &str) -> bool {
        let names = sockets
            .lines()
            .filter_map(|line| line.rsplit(' ').next()?.strip_prefix('@'));
        names
            .filter(|name| name.starts_with(PREFIX))
            .any(|name| name != self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_from_ourselves_and_from_strangers() {
        let alive = Alive::announce(u32::MAX).unwrap();
        let line =
            |name: &str| format!("0000000000000000: 00000002 00000000 00000000 0002 01 23456 {name}\n");
        let known = [
            line("@vrrp-net.4294967295"),
            line("/run/vrrp-net.1"),
            line("@other"),
        ]
        .concat();
        assert!(!alive.is_among_others(&known));
        assert!(alive.is_among_others(&[known, line("@vrrp-net.1")].concat()));
    }
}
