//! HTTP/2 from clients (RFC 9113): one connection, from the preface to the last stream.
//!
//! The protocol is `h2`'s; what a request may be and what becomes of it is the same as for HTTP/1 from
//! [`Proxy::handle`] on. What is added here is what keeps a connection from costing more than it brings: deadlines, a
//! bound of streams, of requests, of memory and of frames that bring nothing.

mod body;
mod story;
mod stream;
mod wire;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use self::story::Story;
use self::stream::Shared;
use self::wire::{Watched, Wire};
use super::acceptor::Acceptor;
use super::config::ProxyConfig;
use super::core::Proxy;
use crate::forwarded::Hop;
use crate::limit::Permit;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// What a client with prior knowledge begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much of one request's body, and of all of a connection's, may wait for backends that are slower than the
/// client. Fixed: windows that adapt to the peer's round trips leave the memory to the peer.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// How much of a response may wait within `h2` for the connection.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that the client has reset before they were looked at (CVE-2023-44487), or that we were made to reset
/// (CVE-2025-8671).
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 1024;
/// How long a connection that is told to end may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Says whether `bytes` begin a connection of HTTP/2; `None` if more must come to tell.
pub(super) fn has_preface(bytes: &[u8]) -> Option<bool> {
    if bytes.len() >= PREFACE.len() {
        return Some(bytes.starts_with(PREFACE));
    }
    if PREFACE.starts_with(bytes) {
        return None;
    }
    Some(false)
}

/// A connection that has shown to be one of HTTP/2.
pub(super) struct Start {
    /// What has been read of it.
    pub(super) early: Vec<u8>,
    pub(super) hop: Hop,
    /// `None` if the client has too many connections.
    pub(super) permit: Option<Option<Permit>>,
}

/// Serves a connection to its end, on any transport.
///
/// The task must be registered with `acceptor`'s drain, so that it is woken when that starts.
pub(super) async fn serve<T>(acceptor: &Acceptor, io: T, start: Start)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (revision, proxy) = acceptor.current();
    let Start { early, hop, permit } = start;
    let now = clock::now();
    let timeouts = &proxy.config.timeouts;
    let wire = Arc::new(Wire::new(now));
    let mut timer = LazyTimer::new(timeouts.shortest().min(GOODBYE));
    let handshake = builder(&proxy.config).handshake(Watched::new(io, early, Arc::clone(&wire)));
    let mut handshake = pin!(handshake);
    let connection = poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Pending => timer.poll(cx, Some(now + timeouts.client_header)).map(|()| None),
        Poll::Ready(result) => Poll::Ready(result.ok()),
    });
    let Some(connection) = connection.await else {
        return;
    };
    let mut serving = Serving {
        connection,
        streams: JoinSet::new(),
        shared: Arc::new(Shared {
            hop,
            has_permit: permit.is_some(),
            wire,
        }),
        acceptor,
        revision,
        proxy: Arc::clone(&proxy),
        timer,
        requests: 0,
        quiet_since: Some(now),
        end: End::Open,
    };
    poll_fn(|cx| serving.poll(cx)).await;
}

fn builder(config: &ProxyConfig) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(config.limits.streams)
        .max_header_list_size(u32::try_from(config.limits.head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(LOCAL_RESETS));
    builder
}

/// How far a connection is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// The client knows that it should send no more requests; this many have been taken before.
    Announced {
        since: Duration,
        requests: u64,
    },
    /// Nothing is read any more.
    Cut {
        since: Duration,
    },
}

struct Serving<'a, T> {
    connection: Connection<Watched<T>, Bytes>,
    /// One task a stream. They end with the connection.
    streams: JoinSet<()>,
    shared: Arc<Shared>,
    acceptor: &'a Acceptor,
    revision: u64,
    /// What the connection, and its next request, is served by.
    proxy: Arc<Proxy>,
    timer: LazyTimer,
    requests: u64,
    /// Since when there has been no stream.
    quiet_since: Option<Duration>,
    end: End,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Serving<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.tend_streams(cx);
            self.announce_end();
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.requests += 1;
                    self.quiet_since = None;
                    self.renew();
                    let (proxy, shared) = (Arc::clone(&self.proxy), Arc::clone(&self.shared));
                    let story = Story::begin(&request, &proxy, &shared, self.requests);
                    self.streams
                        .spawn(stream::serve(request, respond, proxy, shared, story));
                    continue;
                }
                // A broken connection has been told why by now.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if self.shared.wire.is_flooded() && self.cut(Reason::ENHANCE_YOUR_CALM) {
                tracing::debug!("a client sent frames for nothing");
                continue;
            }
            let deadline = self.deadline();
            if self.timer.poll(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            let is_idle = deadline == self.quiet_deadline();
            // A client that takes nothing doesn't take a goodbye either.
            let reason = if is_idle {
                Reason::NO_ERROR
            } else {
                Reason::ENHANCE_YOUR_CALM
            };
            if deadline == self.blocked_deadline() || !self.cut(reason) {
                return Poll::Ready(());
            }
        }
    }

    /// A request is served by what is current when it begins.
    fn renew(&mut self) {
        if self.revision != self.acceptor.revision() {
            (self.revision, self.proxy) = self.acceptor.current();
            self.timer = LazyTimer::new(self.proxy.config.timeouts.shortest().min(GOODBYE));
        }
    }

    /// Forgets the streams that have ended.
    fn tend_streams(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(_)) = self.streams.poll_join_next(cx) {}
        if self.streams.is_empty() && self.quiet_since.is_none() {
            self.quiet_since = Some(clock::now());
        }
    }

    /// Sends GOAWAY when it is time, and cuts off who doesn't listen.
    fn announce_end(&mut self) {
        let limits = &self.proxy.config.limits;
        // A client that has too many connections is answered once.
        let most = if self.shared.has_permit {
            limits.keepalive_requests.into()
        } else {
            1
        };
        match self.end {
            End::Open if self.acceptor.drain.is_draining() || self.requests >= most => {
                self.connection.graceful_shutdown();
                self.end = End::Announced {
                    since: clock::now(),
                    requests: self.requests,
                };
            }
            // What was under way when the client was told can't be more than it may have under way.
            End::Announced { requests, .. } if self.requests > requests + u64::from(limits.streams) => {
                self.cut(Reason::ENHANCE_YOUR_CALM);
            }
            _ => {}
        }
    }

    /// Ends the connection with a GOAWAY that names the last request which was taken. Says whether that is news.
    fn cut(&mut self, reason: Reason) -> bool {
        if matches!(self.end, End::Cut { .. }) {
            return false;
        }
        self.connection.abrupt_shutdown(reason);
        self.end = End::Cut { since: clock::now() };
        true
    }

    fn deadline(&self) -> Option<Duration> {
        let header = self.proxy.config.timeouts.client_header;
        let begun = self.shared.wire.begun().map(|since| since + header);
        let ends = [begun, self.blocked_deadline(), self.quiet_deadline()];
        ends.into_iter().flatten().min()
    }

    fn blocked_deadline(&self) -> Option<Duration> {
        let send = self.proxy.config.timeouts.client_send;
        self.shared.wire.blocked().map(|since| since + send)
    }

    /// When a connection without a stream has waited long enough. The end of a response may still be on its way then.
    fn quiet_deadline(&self) -> Option<Duration> {
        let (timeouts, wire) = (&self.proxy.config.timeouts, &self.shared.wire);
        let quiet = self.quiet_since.filter(|_| wire.blocked().is_none());
        let quiet = quiet.map(|since| since.max(wire.unblocked()));
        match self.end {
            End::Cut { since } => Some(since + GOODBYE),
            End::Announced { since, .. } => quiet.map(|quiet| quiet.max(since) + GOODBYE),
            End::Open if self.requests == 0 => quiet.map(|since| since + timeouts.client_header),
            End::Open => quiet.map(|since| since + timeouts.keepalive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_a_request_as_early_as_it_can_be() {
        for at in 0..PREFACE.len() {
            assert_eq!(has_preface(&PREFACE[..at]), None);
            let mut other = PREFACE[..at].to_vec();
            other.push(b'!');
            assert_eq!(has_preface(&other), Some(false));
        }
        assert_eq!(has_preface(PREFACE), Some(true));
        assert_eq!(has_preface(&[PREFACE, b"more"].concat()), Some(true));
        assert_eq!(has_preface(b"POST / HTTP/1.1\r\n"), Some(false));
    }
}
