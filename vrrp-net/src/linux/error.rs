//! Why the network can't be used, in words for the person who started the program.

use std::io;

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
    /// The kernel refused.
    #[error("{what}{}: {error}", on.as_ref().map_or_else(String::new, |name| format!(" on {name}")))]
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

/// Makes the error of something that the kernel refused.
pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Capability {
            capability: "CAP_NET_RAW",
            what,
        },
        _ => OpenError::Refused {
            what,
            on: None,
            error,
        },
    }
}
