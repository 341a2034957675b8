//! Which process made an interface, and whether it still runs.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;

use nix::time::{ClockId, clock_gettime};

/// A name that no other process of the network namespace has, held as long as this process lives.
///
/// It is an abstract socket: those belong to a network namespace, as interfaces do, and go with their process, however
/// it ends. Process ids do neither.
#[derive(Debug)]
pub(super) struct Maker {
    token: String,
    _held: UnixDatagram,
}

impl Maker {
    pub(super) fn new() -> io::Result<Self> {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
        let token = format!(
            "{}-{}{:09}",
            process::id(),
            since_boot.tv_sec(),
            since_boot.tv_nsec()
        );
        Ok(Self {
            _held: UnixDatagram::bind_addr(&address(&token)?)?,
            token,
        })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

/// Whether the process of this token still runs.
pub(super) fn lives(token: &str) -> bool {
    let ask = || UnixDatagram::unbound()?.connect_addr(&address(token)?);
    ask().is_ok()
}

fn address(token: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("vrrp-net {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_lives_until_it_is_dropped() {
        let (one, other) = (Maker::new().unwrap(), Maker::new().unwrap());
        assert_ne!(one.token(), other.token());
        let token = one.token().to_owned();
        assert!(lives(&token) && lives(other.token()));
        drop(one);
        assert!(!lives(&token) && lives(other.token()));
    }
}
