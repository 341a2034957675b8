//! Whose connection a header is about.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The two ends of the connection that a header is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// There is none: the sender connected for itself, say to check the receiver's health. The connection's own
    /// addresses count.
    Local,
    /// They are not known, or not those of a TCP connection over IP (`UNKNOWN`, UNIX sockets, datagrams). The
    /// connection's own addresses count.
    Unknown,
    /// A TCP connection over IP.
    Tcp {
        /// The client's end.
        source: SocketAddr,
        /// The end that the client connected to.
        destination: SocketAddr,
    },
}

impl Addresses {
    /// The addresses of a connection from `source` to `destination`.
    ///
    /// Of one IPv4 and one IPv6 address the former is written as an IPv4-mapped one, because a header has room for one
    /// family alone. Scopes and flow labels have no place in a header and are dropped.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let mapped = source.is_ipv4() != destination.is_ipv4();
        let plain = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) if mapped => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            ip => SocketAddr::new(ip, address.port()),
        };
        Self::Tcp {
            source: plain(source),
            destination: plain(destination),
        }
    }

    /// The client's end, if the header tells it.
    #[must_use]
    pub const fn source(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { source, .. } => Some(*source),
            Self::Local | Self::Unknown => None,
        }
    }

    /// The end that the client connected to, if the header tells it.
    #[must_use]
    pub const fn destination(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { destination, .. } => Some(*destination),
            Self::Local | Self::Unknown => None,
        }
    }

    /// Both ends in the family that both have, whoever made the value.
    pub(super) fn ends(&self) -> Option<Ends> {
        let Self::Tcp { source, destination } = self else {
            return None;
        };
        Some(match (source.ip(), destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Ends::V4(from, to, source.port(), destination.port()),
            (from, to) => Ends::V6(v6(from), v6(to), source.port(), destination.port()),
        })
    }
}

/// Source and destination address, then source and destination port.
pub(super) enum Ends {
    V4(std::net::Ipv4Addr, std::net::Ipv4Addr, u16, u16),
    V6(Ipv6Addr, Ipv6Addr, u16, u16),
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}
