//! A WebSocket's connection, once both sides agreed to it: bytes both ways until one side is done.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answer::Reason;
use super::body::ResponseBody;
use super::forward::Proxy;
use super::lease::Lease;
use crate::runtime::clock;

/// Answers the client's upgrade with the backend's 101 and starts the tunnel.
///
/// The backend counts the request as under way until the tunnel ends.
pub(super) fn open(
    proxy: &Arc<Proxy>,
    mut response: Response<Incoming>,
    lease: Lease,
    client: Option<OnUpgrade>,
) -> Result<Response<ResponseBody>, Reason> {
    // Whoever serves this service has to support upgrades, or there is nothing to connect the backend with.
    let Some(client) = client else {
        return Err(Reason::BadUpgrade);
    };
    let backend = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    head.extensions.clear();
    lease.tunnel();
    let open = OpenTunnel::new(Arc::clone(proxy));
    tokio::spawn(async move {
        let idle = open.0.config.timeouts.upgrade;
        if let (Ok(client), Ok(backend)) = tokio::join!(client, backend) {
            if let Err(error) = join(client, backend, idle).await {
                tracing::debug!(%error, "a tunnel broke");
            }
        }
        lease.complete();
        drop(open);
    });
    Ok(Response::from_parts(head, ResponseBody::empty()))
}

/// Counts the tunnel as long as it lives.
struct OpenTunnel(Arc<Proxy>);

impl OpenTunnel {
    fn new(proxy: Arc<Proxy>) -> Self {
        proxy.counters.tunnels.fetch_add(1, Ordering::Relaxed);
        Self(proxy)
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.counters.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}

/// Copies both ways until both sides have ended, one breaks, or nothing has moved for `idle`.
async fn join(client: Upgraded, backend: Upgraded, idle: Duration) -> io::Result<()> {
    let last = AtomicU64::new(0);
    let mut client = Watched::new(client, &last);
    let mut backend = Watched::new(backend, &last);
    let copied = async {
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
struct Watched<'a> {
    io: TokioIo<Upgraded>,
    last: &'a AtomicU64,
}

impl<'a> Watched<'a> {
    fn new(io: Upgraded, last: &'a AtomicU64) -> Self {
        Self {
            io: TokioIo::new(io),
            last,
        }
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_read(cx, buf);
        if result.is_ready() {
            this.last.store(millis(clock::now()), Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Watched<'_> {
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
