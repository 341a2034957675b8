//! Are other processes of ours alive in this network namespace, and is the one that made this?
//!
//! Addresses with a lease tell by their lifetimes whether somebody still cares for them; those without, routes, rules and
//! interfaces don't. So each process holds a socket of an abstract name, which belongs to the network namespace, as those
//! do, and goes with the process, however it ends (process ids do neither); and one for each of its virtual routers, so
//! that no two run the same.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::process;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use vrrp_core::{Family, Vrid};

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

/// A virtual router of an interface that this process runs, as long as it is kept.
#[derive(Debug)]
pub(super) struct Lock {
    _socket: UnixListener,
}

/// Another process runs the virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its id, where it can be told.
    pub(super) pid: Option<i32>,
}

impl Lock {
    /// How often, and how long apart, it is tried: one that was told to stop may still be at it.
    const TRIES: u32 = 25;
    const BETWEEN: Duration = Duration::from_millis(20);

    /// Takes the virtual router for this process. Waits up to half a second for another to end.
    pub(super) fn take(interface: &str, family: Family, vrid: Vrid) -> io::Result<Result<Self, Taken>> {
        let name = SocketAddr::from_abstract_name(format!("vrrp-net/{interface}/{family}/{vrid}"))?;
        for _ in 0..Self::TRIES {
            match UnixListener::bind_addr(&name) {
                Ok(socket) => return Ok(Ok(Self { _socket: socket })),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::park_timeout(Self::BETWEEN),
                Err(error) => return Err(error),
            }
        }
        let owner = UnixStream::connect_addr(&name).ok();
        let credentials = owner.and_then(|owner| getsockopt(&owner, sockopt::PeerCredentials).ok());
        Ok(Err(Taken {
            pid: credentials.map(|owner| owner.pid()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_router_is_taken_once_and_free_when_it_is_let_go() {
        let vrid = Vrid::new(255).unwrap();
        let take = |family| Lock::take("siblings-test", family, vrid).unwrap();
        let lock = take(Family::Ipv4).unwrap();
        let ours = i32::try_from(process::id()).unwrap();
        assert_eq!(take(Family::Ipv4).unwrap_err(), Taken { pid: Some(ours) });
        assert!(take(Family::Ipv6).is_ok());
        drop(lock);
        assert!(take(Family::Ipv4).is_ok());
    }

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
