//! A backend for a client: picked, connected, and told who the client is.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::StreamConfig;
use super::counters::Counters;
use super::incoming::Client;
use super::transport::Transport;
use crate::balance::{Key, Outcome, Pick, Reader, Refusal, Tried};
use crate::proxy_protocol::EncodeError;
use crate::runtime::clock;

/// Why a client has no backend.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("connect timed out")]
    Timeout,
    #[error("connect failed: {0}")]
    Connect(io::Error),
    #[error("the PROXY header could not be sent: {0}")]
    Header(io::Error),
    #[error("{0}")]
    Encode(#[from] EncodeError),
    #[cfg(feature = "tls")]
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
}

impl ConnectError {
    /// Whether it says something about the backend, and not about this machine.
    fn outcome(&self) -> Outcome {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        match self {
            Self::Connect(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    || matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) =>
            {
                Outcome::Cancelled
            }
            Self::Encode(_) | Self::Refused(_) => Outcome::Cancelled,
            _ => Outcome::ConnectError,
        }
    }
}

/// Connects to the first backend that takes the connection; never twice to the same.
pub(super) async fn connect(
    config: &StreamConfig,
    counters: &Counters,
    client: &Client,
) -> Result<(Transport, Pick), ConnectError> {
    let mut reader = config.upstream.reader();
    let mut tried = Tried::new();
    let until = clock::now().saturating_add(config.tries_timeout);
    let mut failed = None;
    for _ in 0..config.tries {
        if failed.is_some() && clock::now() >= until {
            break;
        }
        let mut pick = match pick(&mut reader, config, client, &tried).await {
            Ok(pick) => pick,
            // What the last one said tells more than that there is no other.
            Err(refusal) => return Err(failed.unwrap_or(ConnectError::Refused(refusal))),
        };
        tried.insert(&pick);
        match timeout(config.connect_timeout, open(config, client, &pick))
            .await
            .unwrap_or(Err(ConnectError::Timeout))
        {
            Ok(transport) => {
                Counters::count(&counters.connects);
                if let Some(transition) = pick.report(clock::now(), Outcome::Success) {
                    tracing::info!(backend = %pick.id(), ?transition, "a backend's state changed");
                }
                return Ok((transport, pick));
            }
            Err(error) => {
                Counters::count(&counters.connect_failures);
                let (backend, address) = (pick.id().clone(), pick.address());
                let transition = pick.finish(clock::now(), error.outcome());
                tracing::warn!(%backend, %address, %error, ?transition, "a backend could not be connected to");
                failed = Some(error);
            }
        }
    }
    Err(failed.unwrap_or(ConnectError::Refused(Refusal::NoBackend)))
}

/// Picks a backend, and waits for a free slot if all are full and the upstream has a queue.
async fn pick(
    reader: &mut Reader,
    config: &StreamConfig,
    client: &Client,
    tried: &Tried,
) -> Result<Pick, Refusal> {
    let key = Key::Ip(client.source.ip());
    match reader.pick_or_refusal(clock::now(), key, tried) {
        Err(Refusal::Full) => {}
        picked => return picked,
    }
    let mut waiting = config.upstream.wait(clock::now(), tried)?;
    let wait = waiting.deadline().saturating_sub(clock::now());
    let granted = timeout(
        wait.max(Duration::from_millis(1)),
        poll_fn(|cx| waiting.poll_pick(clock::now(), cx.waker())),
    );
    granted.await.unwrap_or(Err(Refusal::TimedOut))
}

async fn open(config: &StreamConfig, client: &Client, pick: &Pick) -> Result<Transport, ConnectError> {
    let mut stream = TcpStream::connect(pick.address())
        .await
        .map_err(ConnectError::Connect)?;
    stream.set_nodelay(true).map_err(ConnectError::Connect)?;
    if let Some(version) = config.send_proxy_protocol {
        let header = client.header(version)?;
        // Before TLS: the header is for whoever ends it.
        stream.write_all(&header).await.map_err(ConnectError::Header)?;
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.upstream_tls {
        let name = tls.server_name(pick.address(), client.server_name());
        let stream = Box::pin(tls.connect(name, stream))
            .await
            .map_err(ConnectError::Handshake)?;
        return Ok(Transport::ClientTls(Box::new(stream)));
    }
    Ok(Transport::Plain(stream))
}
