//! What comes before a client's first request: the PROXY header of whoever stands before us, and TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::ProxyConfig;
use super::transport::Transport;
use crate::forwarded::{Hop, Scheme};
use crate::proxy_protocol::Addresses;
use crate::runtime::proxy_header::{HeaderError, read_header};

/// A connection that has been let in.
pub(super) struct Received {
    pub(super) transport: Transport,
    pub(super) hop: Hop,
    /// Whether HTTP/2 was agreed to.
    pub(super) http2: bool,
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the PROXY header or the TLS handshake took too long")]
    TimedOut,
    #[cfg(feature = "tls")]
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("{0}")]
    Socket(#[from] io::Error),
}

/// Takes in a connection that came to the listener of that number.
pub(super) async fn receive(
    config: &ProxyConfig,
    listener: usize,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<Received, ReceiveError> {
    let patience = config.timeouts.client_header;
    let (mut source, mut destination) = (peer, stream.local_addr()?);
    if config.receive_proxy_protocol.contains(peer.ip()) {
        let header = within(patience, read_header(&mut stream)).await??;
        if let Addresses::Tcp {
            source: client,
            destination: listener,
        } = header
        {
            (source, destination) = (client, listener);
        }
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = config.tls.get(listener).and_then(Option::as_ref) {
        // In a box of its own, as the stream is: connections without TLS need not have room for it.
        let handshake = Box::pin(within(patience, tls.accept(stream))).await?;
        let stream = handshake.map_err(ReceiveError::Handshake)?;
        let http2 = config.http2 && stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let hop = Hop::new(Some(source), Some(destination), Scheme::Https);
        return Ok(Received {
            transport: Transport::Tls(Box::new(stream)),
            hop,
            http2,
        });
    }
    #[cfg(not(feature = "tls"))]
    let _ = listener;
    let hop = Hop::new(Some(source), Some(destination), Scheme::Http);
    Ok(Received {
        transport: Transport::Tcp(stream),
        hop,
        http2: false,
    })
}

async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Result<T, ReceiveError> {
    timeout(patience, future)
        .await
        .map_err(|_| ReceiveError::TimedOut)
}
