//! One process runs a virtual router: two on one host would not hear each other, and both be master.
//!
//! The lock is a socket of an abstract name, which belongs to the network namespace and goes with the process, however it
//! ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use vrrp_core::{Family, Vrid};

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
        let take = |family| Lock::take("lock-test", family, vrid).unwrap();
        let lock = take(Family::Ipv4).unwrap();
        let ours = i32::try_from(std::process::id()).unwrap();
        assert_eq!(take(Family::Ipv4).unwrap_err(), Taken { pid: Some(ours) });
        assert!(take(Family::Ipv6).is_ok());
        drop(lock);
        assert!(take(Family::Ipv4).is_ok());
    }
}
