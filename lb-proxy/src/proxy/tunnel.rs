//! A WebSocket's connection, once both sides agreed to it: bytes both ways until one side is done.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::client::Client;
use super::connection::Connection;
use super::core::Proxy;
use super::lease::Lease;
use super::transport::Transport;
use crate::balance::{Outcome, Pick};
use crate::runtime::clock;

/// A client and a backend that speak to each other.
pub(super) struct Tunnel {
    client: Transport,
    /// What the client sent behind its request.
    early: Vec<u8>,
    backend: Backend,
    open: OpenTunnel,
}

/// The backend's side of a tunnel. It counts a request as under way until the tunnel ends.
pub(super) struct Backend {
    connection: Connection,
    upstream: usize,
    pick: Pick,
}

impl Backend {
    pub(super) fn new(lease: Lease) -> Self {
        let (connection, upstream, pick) = lease.into_tunnel();
        Self {
            connection,
            upstream,
            pick,
        }
    }
}

impl Tunnel {
    pub(super) fn new(mut client: Client, lease: Lease) -> Self {
        let proxy = Arc::clone(client.proxy());
        let buffer = std::mem::take(&mut client.buffer);
        let early = buffer.data().to_vec();
        proxy.take_back(buffer);
        Self {
            client: client.transport,
            early,
            backend: Backend::new(lease),
            open: OpenTunnel::new(proxy),
        }
    }

    /// Copies both ways until both sides have ended, one breaks, or nothing has moved for too long.
    pub(super) async fn run(self) {
        let Self {
            client,
            early,
            backend,
            open,
        } = self;
        run(client, &early, backend, open).await;
    }
}

/// As [`Tunnel::run`], for a client of any kind.
pub(super) async fn run<C>(client: C, early: &[u8], backend: Backend, open: OpenTunnel)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let Backend {
        mut connection,
        upstream,
        pick,
    } = backend;
    let buffer = std::mem::take(&mut connection.buffer);
    let late = buffer.data().to_vec();
    open.0.take_back(buffer);
    let idle = open.0.config.timeouts.upgrade;
    if let Err(error) = join(client, early, connection.transport, &late, idle).await {
        tracing::debug!(%error, "a tunnel broke");
    }
    open.0.finish(upstream, pick, clock::now(), Outcome::Status(101));
}

/// Counts the tunnel as long as it lives.
pub(super) struct OpenTunnel(Arc<Proxy>);

impl OpenTunnel {
    pub(super) fn new(proxy: Arc<Proxy>) -> Self {
        proxy.counters.tunnels.fetch_add(1, Ordering::Relaxed);
        Self(proxy)
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.counters.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.0.counters.ended.notify_waiters();
    }
}

async fn join<C, B>(client: C, early: &[u8], backend: B, late: &[u8], idle: Duration) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let last = AtomicU64::new(0);
    let mut client = Watched {
        io: client,
        last: &last,
    };
    let mut backend = Watched {
        io: backend,
        last: &last,
    };
    let copied = async {
        backend.write_all(early).await?;
        client.write_all(late).await?;
        tokio::io::copy_bidirectional(&mut client, &mut backend)
            .await
            .map(|_| ())
    };
    tokio::select! {
        result = copied => result,
        () = silence(&last, idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Waits until nothing has moved for `idle`.
async fn silence(last: &AtomicU64, idle: Duration) {
    last.store(millis(clock::now()), Ordering::Relaxed);
    loop {
        let deadline = Duration::from_millis(last.load(Ordering::Relaxed)) + idle;
        if clock::now() >= deadline {
            return;
        }
        tokio::time::sleep_until(clock::instant(deadline)).await;
    }
}

/// One side of the tunnel, which notes when it last received something.
struct Watched<'a, S> {
    io: S,
    last: &'a AtomicU64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_read(cx, buf);
        if result.is_ready() {
            this.last.store(millis(clock::now()), Ordering::Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
