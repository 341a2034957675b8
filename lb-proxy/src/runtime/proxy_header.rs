//! The PROXY protocol's header off a socket, and not a byte more.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::proxy_protocol::{Addresses, MAX_HEADER, ParseError, parse};

/// Why a trusted peer's connection has no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error("the peer closed before its PROXY header was complete")]
    Closed,
    #[error("the PROXY header can't be read: {0}")]
    Read(#[from] io::Error),
}

/// Reads the header that the connection begins with; the caller bounds the time.
///
/// What follows stays in the socket, so that whoever comes next (TLS, HTTP) reads as if there had been no header.
/// Mostly that takes one look and one read: the header comes in one segment.
pub(crate) async fn read_header(stream: &mut TcpStream) -> Result<Addresses, HeaderError> {
    let mut received = Vec::new();
    loop {
        let before = received.len();
        received.resize(MAX_HEADER, 0);
        let seen = stream.peek(&mut received[before..]).await?;
        if seen == 0 {
            return Err(HeaderError::Closed);
        }
        received.truncate(before + seen);
        // Without an end in sight all that has been seen is the header's, and taking it makes the next look wait.
        let (addresses, end) = match parse(&received)? {
            Some(header) => (Some(header.addresses), header.len),
            None => (None, received.len()),
        };
        stream.read_exact(&mut received[before..end]).await?;
        if let Some(addresses) = addresses {
            return Ok(addresses);
        }
    }
}
