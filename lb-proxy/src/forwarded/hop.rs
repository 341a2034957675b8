//! The connection that a request comes over.

use std::net::SocketAddr;

use crate::text::push_address;

/// How a client speaks HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In clear.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme means if it has none.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}

/// What this proxy itself sees of a connection; made once for all of its requests.
#[derive(Clone, Debug)]
pub struct Hop {
    pub(super) peer: Option<SocketAddr>,
    pub(super) server: Option<SocketAddr>,
    pub(super) scheme: Scheme,
    /// The peer's address as text; empty if there is none.
    pub(super) text: Box<[u8]>,
}

impl Hop {
    /// A connection from `peer` to `server`; `None` where there is no IP, or nobody knows.
    ///
    /// Behind a PROXY protocol these are the addresses that its header tells. An IPv4 address of a dual-stack socket
    /// counts as IPv4.
    #[must_use]
    pub fn new(peer: Option<SocketAddr>, server: Option<SocketAddr>, scheme: Scheme) -> Self {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (peer, server) = (peer.map(canonical), server.map(canonical));
        let mut text = Vec::new();
        if let Some(peer) = peer {
            push_address(&mut text, peer.ip());
        }
        Self {
            peer,
            server,
            scheme,
            text: text.into(),
        }
    }

    /// The peer: the client, or a proxy in front of this one.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address that it connected to.
    #[must_use]
    pub const fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// The scheme of the connection itself.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }
}
