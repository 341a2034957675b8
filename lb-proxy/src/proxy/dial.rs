//! Opening a connection to a backend.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::answer::Reason;
use super::config::ProxyConfig;
use super::pool::Connection;
use super::upstream_io::{UpstreamIo, UpstreamState, UpstreamTimeouts};
use crate::runtime::clock;

/// Why there is no connection. No byte of a request has been sent, so the next backend may have any request.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("connect timed out")]
    Timeout,
    #[error("connect failed: {0}")]
    Connect(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

impl DialError {
    /// What the client is told.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Timeout => Reason::ConnectTimeout,
            Self::Connect(_) | Self::Http(_) => Reason::Connect,
        }
    }
}

/// The greatest head of a response.
const RESPONSE_HEAD: usize = 64 * 1024;
/// How much is read from a backend at once, at most: hyper begins with 8 KiB and doubles it while reads fill it.
const RESPONSE_BUFFER: usize = 256 * 1024;

/// Connects to the backend at `address` and starts the task that drives the connection.
pub(super) async fn dial(
    config: &ProxyConfig,
    slot: u16,
    address: SocketAddr,
) -> Result<Connection, DialError> {
    let connect = tokio::time::timeout(config.timeouts.connect, TcpStream::connect(address));
    let stream = connect.await.map_err(|_| DialError::Timeout)??;
    stream.set_nodelay(true)?;
    let state = Arc::new(UpstreamState::new(clock::now()));
    let timeouts = UpstreamTimeouts {
        read: config.timeouts.read,
        send: config.timeouts.send,
        idle: config.keep.idle_timeout,
    };
    let io = TokioIo::new(UpstreamIo::new(stream, Arc::clone(&state), timeouts));
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(RESPONSE_BUFFER)
        .max_header_size(RESPONSE_HEAD)
        .handshake(io)
        .await?;
    let driver = tokio::spawn(async move {
        // Errors reach whoever waits for a response; on an idle connection they only mean that it's gone.
        let _ = connection.with_upgrades().await;
    });
    Ok(Connection {
        sender,
        state,
        driver: driver.abort_handle(),
        slot,
        address,
        announced: None,
    })
}
