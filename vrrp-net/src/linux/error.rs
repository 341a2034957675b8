//! Why the network can't be used, in words for the person who started the program.

use std::io;

use nix::libc;
use vrrp_core::{Family, Vrid};

/// Why the sockets can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An interface is not there.
    #[error("interface {name} does not exist: create it, or correct the name (ip link shows all)")]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// The adverts of a virtual router are longer than the MTU of its interface.
    #[error(
        "VRID {vrid} of {family}: an advert takes {packet_len} octets, and {interface} has an MTU of {mtu}: advertise at \
         most {fitting} addresses, and hold the others as excluded ones, or raise the MTU"
    )]
    AdvertTooLong {
        /// Its interface.
        interface: String,
        /// The interface's MTU, in octets.
        mtu: usize,
        /// The virtual router.
        vrid: Vrid,
        /// Its family.
        family: Family,
        /// Octets of the packet.
        packet_len: usize,
        /// How many addresses would fit.
        fitting: usize,
    },
    /// A capability is missing.
    #[error(
        "missing {capability} for {what}: run as root, or give the program cap_net_admin,cap_net_raw (setcap, or \
         AmbientCapabilities= of systemd)"
    )]
    Capability {
        /// The capability.
        capability: &'static str,
        /// What needs it.
        what: &'static str,
    },
    /// The name of a virtual MAC's interface is another's.
    #[error(
        "{name} exists, and vrrp did not make it: remove it (ip link del {name}), or choose another name for the \
         virtual MAC"
    )]
    VmacTaken {
        /// The name.
        name: String,
    },
    /// Another process of ours has that virtual MAC.
    #[error("{name} is in use by another running process: stop that, or choose another VRID or name")]
    VmacInUse {
        /// The name.
        name: String,
    },
    /// The kernel can't make virtual MACs.
    #[error(
        "{name}: the kernel has no macvlan interfaces (modprobe macvlan, or CONFIG_MACVLAN); go without vmac"
    )]
    NoMacvlan {
        /// The name.
        name: String,
    },
    /// Another process runs one of the virtual routers. Two would not hear each other, and both be master.
    #[error(
        "VRID {vrid} of {family} on {interface} is run by another process of this host{}: stop it, or use another VRID",
        pid.map_or_else(String::new, |pid| format!(" ({pid})"))
    )]
    Taken {
        /// The virtual router.
        vrid: Vrid,
        /// Its family.
        family: Family,
        /// Its interface.
        interface: String,
        /// The other process, where it can be told.
        pid: Option<i32>,
    },
    /// The kernel refused.
    #[error(
        "{what}{}: {error}{}",
        on.as_ref().map_or_else(String::new, |name| format!(" on {name}")),
        remedy(error)
    )]
    Refused {
        /// What it refused.
        what: &'static str,
        /// The interface, where one is meant.
        on: Option<String>,
        /// What it said.
        #[source]
        error: io::Error,
    },
}

/// What to do about a limit.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            ": this process may not open more: raise the limit RLIMIT_NOFILE (ulimit -n, or LimitNOFILE= of systemd)"
        }
        Some(libc::ENFILE) => {
            ": this machine may not open more: raise the limit of all (sysctl -w fs.file-max=…)"
        }
        _ => "",
    }
}

/// Makes the error of something that the kernel refused, and that needs no capability: what forbids it is another rule,
/// such as a system-call filter.
pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Refused {
        what,
        on: None,
        error,
    }
}

/// The same of a raw or packet socket, which only CAP_NET_RAW opens.
pub(super) fn refused_raw(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Capability {
            capability: "CAP_NET_RAW",
            what,
        },
        _ => refused(what)(error),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_capability_is_named_where_it_is_what_is_missing() {
        for errno in [Errno::EPERM, Errno::EACCES] {
            let message = refused_raw("a packet socket")(errno.into()).to_string();
            assert!(
                message.starts_with("missing CAP_NET_RAW for a packet socket: "),
                "{message}"
            );
            let message = refused("a timer")(errno.into()).to_string();
            assert!(!message.contains("CAP_"), "{message}");
            assert!(message.starts_with("a timer: "), "{message}");
        }
        let message = refused_raw("a packet socket")(Errno::ENOMEM.into()).to_string();
        assert_eq!(message, "a packet socket: Cannot allocate memory (os error 12)");
    }

    #[test]
    fn a_limit_is_named_with_what_raises_it() {
        let message = refused_raw("a packet socket")(Errno::EMFILE.into()).to_string();
        assert_eq!(
            message,
            "a packet socket: Too many open files (os error 24): this process may not open more: raise the limit \
             RLIMIT_NOFILE (ulimit -n, or LimitNOFILE= of systemd)"
        );
        let message = refused("a timer")(Errno::ENFILE.into()).to_string();
        assert!(message.contains("fs.file-max"), "{message}");
    }
}
