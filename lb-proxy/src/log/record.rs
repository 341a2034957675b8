//! What is known of a request when it is over.

use std::net::SocketAddr;
use std::time::Duration;

use crate::fields::Fields;

/// What is known of a request when it is over. Begin with the default, in which all is unknown, and set what is known.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The client; behind trusted hops, the one that they tell. A port of 0 is unknown.
    pub client: Option<SocketAddr>,
    /// The peer of the connection.
    pub peer: Option<SocketAddr>,
    /// The address that it came to.
    pub server: Option<SocketAddr>,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The number of the connection.
    pub connection: u64,
    /// How many requests came over it so far, this one included.
    pub connection_requests: u64,
    /// What is known of its TLS.
    pub tls: Option<Tls<'a>>,

    /// The request line as it came, if it couldn't be read; else it is put together from the next three.
    pub request_line: Option<&'a [u8]>,
    /// The method.
    pub method: &'a str,
    /// The target as it came.
    pub target: &'a str,
    /// `HTTP/1.1` and the like.
    pub protocol: &'a str,
    /// The host that was asked for, with its port if it had one.
    pub host: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// Bytes that came: head and body.
    pub request_length: u64,
    /// The request's fields: those that [`Format::request_fields`](super::Format::request_fields) names are enough.
    pub request_fields: &'a dyn Fields,

    /// The status that was sent; 499 if the client left before there was one.
    pub status: u16,
    /// Bytes that were sent: head and body.
    pub bytes_sent: u64,
    /// Bytes of the body that were sent.
    pub body_bytes_sent: u64,
    /// Whether the response was sent to its end.
    pub completed: bool,
    /// The response's fields: those that [`Format::response_fields`](super::Format::response_fields) names are enough.
    pub response_fields: &'a dyn Fields,
    /// From the request's first byte to the response's last.
    pub duration: Duration,

    /// The upstream's name.
    pub upstream: &'a str,
    /// The attempts at its backends, in order.
    pub attempts: &'a [Attempt],
    /// Why the proxy answered itself, or an attempt failed.
    pub reason: &'a str,
}

impl Default for Record<'_> {
    fn default() -> Self {
        Self {
            client: None,
            peer: None,
            server: None,
            scheme: "",
            connection: 0,
            connection_requests: 0,
            tls: None,
            request_line: None,
            method: "",
            target: "",
            protocol: "",
            host: "",
            request_id: "",
            request_length: 0,
            request_fields: &(),
            status: 0,
            bytes_sent: 0,
            body_bytes_sent: 0,
            completed: false,
            response_fields: &(),
            duration: Duration::ZERO,
            upstream: "",
            attempts: &[],
            reason: "",
        }
    }
}

/// What is known of a connection's TLS; what is empty is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls<'a> {
    /// `TLSv1.3` and the like.
    pub protocol: &'a str,
    /// `TLS_AES_128_GCM_SHA256` and the like.
    pub cipher: &'a str,
    /// The name that the client asked for (SNI).
    pub server_name: &'a str,
}

/// One attempt at a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The backend.
    pub address: SocketAddr,
    /// Its answer, or what the proxy made of its absence: 502, 504.
    pub status: Option<u16>,
    /// Until the connection stood, from the attempt's beginning; zero if it stood before.
    pub connect: Option<Duration>,
    /// Until the response's head was there.
    pub header: Option<Duration>,
    /// Until the response's end.
    pub response: Option<Duration>,
    /// Bytes that were sent to it.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
}

impl Attempt {
    /// An attempt at `address` of which nothing else is known yet.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            status: None,
            connect: None,
            header: None,
            response: None,
            bytes_sent: 0,
            bytes_received: 0,
        }
    }
}
