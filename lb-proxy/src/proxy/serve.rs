//! One HTTP/1 connection of a client, from the first request to the last.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::answer::{self, Reason};
use super::attempts::{Answered, Asker, Attempts};
use super::client::Client;
use super::core::Proxy;
use super::counters::Counters;
use super::forwarded::ClientName;
use super::lease::Lease;
use super::relay::{Broken, Relay};
use super::request::{Admitted, admit};
use super::response::{self, Delivery};
use super::transport::Transport;
use super::tunnel::Tunnel;
use crate::h1::{self, HeadError};
use crate::runtime::clock;
use crate::runtime::drain::Drain;
use crate::runtime::timer::LazyTimer;
use crate::runtime::worker::Serve;

/// What the connections of a worker share.
pub(super) struct Acceptor {
    proxy: Arc<Proxy>,
    drain: Drain,
    shortest_timeout: Duration,
}

/// What follows a request.
enum Next {
    /// The next request.
    Continue,
    /// The connection is to be closed, with everything on it delivered.
    Close,
    /// The connection is broken.
    Abort,
    /// It became a WebSocket's.
    Tunnel(Box<Lease>),
}

impl Acceptor {
    pub(super) fn new(proxy: Arc<Proxy>) -> Self {
        let shortest_timeout = proxy.config.timeouts.shortest();
        Self {
            proxy,
            drain: Drain::default(),
            shortest_timeout,
        }
    }

    /// Serves one connection to its end, or until it becomes a tunnel.
    async fn run(&self, stream: TcpStream, peer: SocketAddr) -> Option<Tunnel> {
        // Fails on a connection that is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let _registered = self.drain.register(waker);
        let mut connection = Serving {
            acceptor: self,
            client: Client::new(Transport::Tcp(stream), Arc::clone(&self.proxy)),
            name: ClientName::new(peer.ip(), false),
            timer: LazyTimer::new(self.shortest_timeout),
            requests: 0,
            head: Vec::new(),
            out: Vec::new(),
            response: Vec::new(),
        };
        loop {
            match connection.serve_one().await {
                Next::Continue => {}
                Next::Close => {
                    connection.client.close().await;
                    return None;
                }
                Next::Abort => return None,
                Next::Tunnel(lease) => {
                    return Some(Tunnel::new(Arc::clone(&self.proxy), connection.client, *lease));
                }
            }
        }
    }
}

impl Serve for Acceptor {
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let open = OpenConnection::new(Arc::clone(&self.proxy));
        async move {
            let tunnel = self.run(stream, peer).await;
            drop(open);
            if let Some(tunnel) = tunnel {
                tunnel.run().await;
            }
        }
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn open(&self) -> usize {
        let counters = &self.proxy.counters;
        counters.connections.load(Ordering::Relaxed) + counters.tunnels.load(Ordering::Relaxed)
    }

    fn ended(&self) -> &Notify {
        &self.proxy.ended
    }

    fn tend(&self, now: Duration) {
        self.proxy.sweep(now);
    }

    fn max_connections(&self) -> usize {
        self.proxy.config.limits.connections
    }
}

struct Serving<'a> {
    acceptor: &'a Acceptor,
    client: Client,
    name: ClientName,
    timer: LazyTimer,
    requests: u32,
    /// Room for the head that a backend gets, as far as it is the same for all of them; for the one that goes out; and
    /// for the client's.
    head: Vec<u8>,
    out: Vec<u8>,
    response: Vec<u8>,
}

/// What came instead of a request.
enum NoRequest {
    /// The client has nothing more to say, or is gone.
    End,
    Refused(Reason),
}

/// The head of a response as the client gets it.
struct Made {
    delivery: Delivery,
    close: bool,
}

impl Serving<'_> {
    async fn serve_one(&mut self) -> Next {
        let request = match self.next_request().await {
            Ok(request) => request,
            Err(NoRequest::End) => return Next::Abort,
            Err(NoRequest::Refused(reason)) => {
                // Where the next request begins, or whether there is one, nobody can tell.
                self.client.lose_track();
                return self.answer(reason, None).await;
            }
        };
        self.requests += 1;
        self.client.begin(request.body, request.expects_continue);
        let last = self.requests >= self.acceptor.proxy.config.limits.keepalive_requests;
        let close = !request.keep_alive || last;
        let Acceptor { proxy, drain, .. } = self.acceptor;
        let head = std::mem::take(&mut self.head);
        let mut response = std::mem::take(&mut self.response);
        let mut on_head = |head: h1::Response<'_>, accepted: &response::Accepted, whole: bool| {
            response.clear();
            if accepted.status == 101 {
                response::push_switching(&mut response, head, accepted);
                return Made {
                    delivery: Delivery::None,
                    close: true,
                };
            }
            let delivery = response::delivery(accepted.body, &request);
            // A backend that answers before it has the whole request: RFC 9112 §9.3, without the rest of the request
            // the connection can't be used again, and the client should know before it sends another.
            let close = close || delivery == Delivery::Close || !whole || drain.is_draining();
            proxy.with_date(|date| {
                response::push_head(&mut response, head, accepted, &request, delivery, close, date);
            });
            Made { delivery, close }
        };
        let asker = Asker {
            source: &mut self.client,
            timer: &mut self.timer,
            on_head: &mut on_head,
        };
        let attempts = Attempts::new(&request, &head, clock::now());
        let answered = attempts.run(proxy, asker, std::mem::take(&mut self.out)).await;
        self.head = head;
        match answered {
            Ok(answered) => self.respond(answered, &request, response).await,
            Err(reason) => {
                self.response = response;
                self.answer(reason, Some(&request)).await
            }
        }
    }

    /// Waits for the next request and writes the head that goes to its backend into `head`.
    async fn next_request(&mut self) -> Result<Admitted, NoRequest> {
        let timeouts = &self.acceptor.proxy.config.timeouts;
        let waits = if self.requests == 0 {
            timeouts.client_header
        } else {
            timeouts.keepalive
        };
        // The head has one deadline for all of it, from its first byte.
        let mut begun = (!self.client.buffer.is_empty()).then(clock::now);
        let since = clock::now();
        loop {
            if !self.client.buffer.is_empty() {
                if let Some(request) = self.take_request()? {
                    return Ok(request);
                }
            }
            let deadline = begun.map_or(since + waits, |begun| begun + timeouts.client_header);
            let (client, timer, drain) = (&mut self.client, &mut self.timer, &self.acceptor.drain);
            let read = poll_fn(|cx| {
                let polled = client.poll_more(cx);
                if polled.is_pending() {
                    if begun.is_none() && drain.is_draining() {
                        return Poll::Ready(Ok(0));
                    }
                    if timer.poll(cx, Some(deadline)).is_ready() {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
                polled
            });
            match read.await {
                Ok(1..) => begun = begun.or_else(|| Some(clock::now())),
                Err(error) if error.kind() == io::ErrorKind::TimedOut && begun.is_some() => {
                    return Err(NoRequest::Refused(Reason::HeadTimeout));
                }
                Ok(0) | Err(_) => return Err(NoRequest::End),
            }
        }
    }

    /// Takes the request that the buffer begins with; `None` if its head is not complete.
    fn take_request(&mut self) -> Result<Option<Admitted>, NoRequest> {
        let config = &self.acceptor.proxy.config;
        self.head.clear();
        let input = self.client.buffer.data();
        let input = &input[..input.len().min(config.limits.head_bytes)];
        let parsed = h1::parse_request(input, |head, length| {
            (admit(head, config, Some(&self.name), &mut self.head), length)
        });
        let refused = match parsed {
            Ok(Some((admitted, length))) => {
                self.client.buffer.consume(length);
                Counters::count(&self.acceptor.proxy.counters.requests);
                return admitted.map(Some).map_err(NoRequest::Refused);
            }
            Ok(None) if input.len() < config.limits.head_bytes => return Ok(None),
            Ok(None) if !input.contains(&b'\n') => Reason::TargetTooLong,
            Ok(None) | Err(HeadError::TooMany) => Reason::HeadTooLarge,
            Err(HeadError::Version) => Reason::Version,
            Err(HeadError::StartLine | HeadError::Field | HeadError::LineEnd) => Reason::BadHead,
        };
        Err(NoRequest::Refused(refused))
    }

    /// Passes a backend's response on. `head` is what the client gets first.
    async fn respond(&mut self, answered: Answered<Made>, request: &Admitted, head: Vec<u8>) -> Next {
        let proxy = &self.acceptor.proxy;
        let Answered {
            mut lease,
            accepted,
            made,
        } = answered;
        proxy.counters.response(accepted.status);
        let mut interim = self.client.take_interim();
        if !interim.is_empty() {
            interim.extend_from_slice(&head);
        }
        let head = if interim.is_empty() { head } else { interim };
        if accepted.status == 101 {
            if self.client.write_all(&mut self.timer, &head).await.is_err() {
                return Next::Abort;
            }
            return Next::Tunnel(Box::new(lease));
        }
        let mut relay = Relay::new(head, made.delivery, request.takes_trailers);
        let (client, timer) = (&mut self.client, &mut self.timer);
        let send_timeout = proxy.config.timeouts.client_send;
        let relayed = poll_fn(|cx| {
            let polled = relay.poll(cx, client, &mut lease);
            if polled.is_pending()
                && timer
                    .poll(cx, Some(relay.deadline(&lease, send_timeout)))
                    .is_ready()
            {
                return Poll::Ready(Err(relay.timed_out(&lease)));
            }
            polled
        });
        match relayed.await {
            Ok(()) => {
                self.out = lease.complete();
                self.response = relay.into_out();
                if made.close || !self.client.has_whole_request() {
                    Next::Close
                } else {
                    Next::Continue
                }
            }
            Err(Broken::Client(error)) => {
                tracing::debug!(%error, "a client went away");
                Next::Abort
            }
            Err(Broken::Backend(failure)) => {
                lease.broken(&failure);
                if made.delivery == Delivery::Close {
                    // Nothing but the end of the connection tells the client where the body ends.
                    self.client.transport.reset_on_drop();
                }
                Next::Abort
            }
        }
    }

    /// Answers a request that no backend answered.
    async fn answer(&mut self, reason: Reason, request: Option<&Admitted>) -> Next {
        tracing::debug!(
            status = reason.status().as_u16(),
            reason = reason.as_str(),
            "refused a request"
        );
        let proxy = &self.acceptor.proxy;
        if reason == Reason::ClientGone {
            return Next::Abort;
        }
        proxy.counters.response(reason.status().as_u16());
        let close = reason.is_client_fault()
            || !self.client.has_whole_request()
            || self.acceptor.drain.is_draining()
            || request.is_none_or(|request| !request.keep_alive)
            || self.requests >= proxy.config.limits.keepalive_requests;
        let mut out = self.client.take_interim();
        let (minor, is_head) = request.map_or((1, false), |request| (request.minor, request.is_head));
        proxy.with_date(|date| answer::push(&mut out, reason, minor, is_head, close, date));
        match self.client.write_all(&mut self.timer, &out).await {
            Ok(()) if close => Next::Close,
            Ok(()) => Next::Continue,
            Err(_) => Next::Abort,
        }
    }
}

/// Counts a connection as long as it lives.
struct OpenConnection(Arc<Proxy>);

impl OpenConnection {
    fn new(proxy: Arc<Proxy>) -> Self {
        proxy.counters.accepted.fetch_add(1, Ordering::Relaxed);
        proxy.counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(proxy)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}
