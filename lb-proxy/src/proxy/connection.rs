//! One connection to a backend, and opening it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::answer::Reason;
use super::buffer::Buffer;
use super::config::ProxyConfig;
use super::transport::Transport;
use crate::runtime::clock;

/// A connection to a backend that carries one request after the other. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) transport: Transport,
    /// What was read and belongs to the response under way; without room while there is none.
    pub(super) buffer: Buffer,
    /// The place of its upstream.
    pub(super) upstream: usize,
    pub(super) slot: u16,
    pub(super) address: SocketAddr,
    /// How many requests it has carried.
    pub(super) requests: u32,
    pub(super) idle_since: Duration,
    /// How long the backend said that it keeps an idle connection (`Keep-Alive: timeout`), if it did.
    pub(super) announced: Option<Duration>,
}

impl Connection {
    /// Whether the backend has closed it, or has sent what nobody asked for.
    pub(super) fn is_spoilt(&self) -> bool {
        !self.buffer.is_empty() || self.transport.is_disturbed()
    }
}

/// Why there is no connection. No byte of a request has been sent, so the next backend may have any request.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("connect timed out")]
    Timeout,
    #[error("connect failed: {0}")]
    Connect(#[from] io::Error),
}

impl DialError {
    /// What the client is told.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Timeout => Reason::ConnectTimeout,
            Self::Connect(_) => Reason::Connect,
        }
    }
}

/// Connects to the backend at `address`.
pub(super) async fn dial(
    config: &ProxyConfig,
    upstream: usize,
    slot: u16,
    address: SocketAddr,
) -> Result<Connection, DialError> {
    let connect = tokio::time::timeout(config.timeouts.connect, TcpStream::connect(address));
    let stream = connect.await.map_err(|_| DialError::Timeout)??;
    stream.set_nodelay(true)?;
    Ok(Connection {
        transport: Transport::Tcp(stream),
        buffer: Buffer::default(),
        upstream,
        slot,
        address,
        requests: 0,
        idle_since: clock::now(),
        announced: None,
    })
}
