//! Are other processes of ours alive in this network namespace, and is the one that made this?
//!
//! Addresses tell by their lifetimes whether somebody still cares for them; routes, rules and interfaces have none. So
//! each process holds a socket of an abstract name, which belongs to the network namespace, as those do, and goes with the
//! process, however it ends. Process ids do neither.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;

use nix::time::{ClockId, clock_gettime};

const PREFIX: &str = "vrrp-net.";

/// Says to others that we are alive, as long as it is kept.
#[derive(Debug)]
pub(super) struct Alive {
    _socket: UnixDatagram,
    name: String,
}

impl Alive {
    pub(super) fn announce() -> io::Result<Self> {
        // A process of the same id has begun at another time.
        let begun = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
        let name = format!(
            "{PREFIX}{}-{}{:09}",
            process::id(),
            begun.tv_sec(),
            begun.tv_nsec()
        );
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        Ok(Self {
            _socket: socket,
            name,
        })
    }

    /// What no other process has, without spaces.
    pub(super) fn token(&self) -> &str {
        self.name.strip_prefix(PREFIX).unwrap_or(&self.name)
    }

    /// Whether the process of a token is alive.
    pub(super) fn lives(token: &str) -> bool {
        let ask = || {
            let name = SocketAddr::from_abstract_name(format!("{PREFIX}{token}"))?;
            UnixDatagram::unbound()?.connect_addr(&name)
        };
        ask().is_ok()
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
        let alive = Alive::announce().unwrap();
        let line =
            |name: &str| format!("0000000000000000: 00000002 00000000 00000000 0002 01 23456 {name}\n");
        let known = [
            line(&format!("@{}", alive.name)),
            line("/run/vrrp-net.1"),
            line("@other"),
        ]
        .concat();
        assert!(!alive.is_among_others(&known));
        assert!(alive.is_among_others(&[known, line("@vrrp-net.1")].concat()));
    }
    #[test]
    fn a_process_lives_until_it_says_no_more_that_it_does() {
        let [one, other] = [(), ()].map(|()| Alive::announce().unwrap());
        let token = one.token().to_owned();
        assert_ne!(token, other.token());
        assert!(!token.contains(' '));
        assert!(Alive::lives(&token) && Alive::lives(other.token()));
        drop(one);
        assert!(!Alive::lives(&token) && Alive::lives(other.token()));
    }
}
