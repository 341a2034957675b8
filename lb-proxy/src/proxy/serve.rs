//! One HTTP/1 connection of a client, from the first request to the last.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use super::acceptor::Acceptor;
use super::answer::{self, Reason};
use super::attempts::{Answered, Asker, Attempts};
use super::client::Client;
use super::core::Proxy;
use super::counters::Counters;
use super::http2;
use super::journal::{self, Journal, Sent};
use super::lease::Lease;
use super::local::Local;
use super::relay::{Broken, Relay};
use super::request::{Admitted, Sender, admit};
use super::response::{self, Accepted, Delivery, Touch};
use super::transport::Transport;
use crate::forwarded::Hop;
use crate::h1::{self, HeadError};
use crate::limit::Permit;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// What became of a connection.
pub(super) enum Served {
    /// It is broken, or its client has left.
    End,
    /// It is to be closed, with everything on it delivered.
    Close,
    /// It became a WebSocket's.
    Tunnel(Box<Lease>),
    /// It is one of HTTP/2.
    Http2,
}

/// A connection that is being served.
pub(super) struct Serving<'a> {
    acceptor: &'a Acceptor,
    revision: u64,
    proxy: Arc<Proxy>,
    client: Client,
    hop: Hop,
    timer: LazyTimer,
    requests: u32,
    /// `None` if the client has too many connections.
    permit: Option<Option<Permit>>,
    journal: Journal,
    /// Room for the head that a backend gets, as far as it is the same for all of them; for the one that goes out; and
    /// for the client's.
    head: Vec<u8>,
    out: Vec<u8>,
    response: Vec<u8>,
}

/// What came instead of a request.
enum NoRequest {
    /// The preface of HTTP/2.
    Http2,
    /// The client has nothing more to say, or is gone.
    End,
    Refused(Reason),
}

/// The head of a response as the client gets it.
struct Made {
    delivery: Delivery,
    close: bool,
}

impl<'a> Serving<'a> {
    pub(super) fn new(acceptor: &'a Acceptor, transport: Transport, hop: Hop) -> Self {
        let (revision, proxy) = acceptor.current();
        let limit = proxy.config.connection_limit.as_ref().zip(hop.peer());
        let permit = match limit {
            None => Some(None),
            Some((limit, peer)) => limit.acquire(peer.ip()).map(Some),
        };
        Self {
            acceptor,
            revision,
            client: Client::new(transport, Arc::clone(&proxy)),
            timer: LazyTimer::new(proxy.config.timeouts.shortest()),
            proxy,
            hop,
            requests: 0,
            permit,
            journal: Journal::default(),
            head: Vec::new(),
            out: Vec::new(),
            response: Vec::new(),
        }
    }

    pub(super) fn into_client(self) -> Client {
        self.client
    }

    /// Gives the connection to one that speaks HTTP/2, with what has been read of it.
    pub(super) fn into_http2(self) -> (Transport, http2::Start) {
        let Client {
            transport, buffer, ..
        } = self.client;
        let early = buffer.data().to_vec();
        self.proxy.take_back(buffer);
        let start = http2::Start {
            early,
            hop: self.hop,
            permit: self.permit,
        };
        (transport, start)
    }

    /// Serves requests until there are no more.
    pub(super) async fn serve(&mut self) -> Served {
        loop {
            if let Some(end) = self.serve_one().await {
                return end;
            }
        }
    }

    async fn serve_one(&mut self) -> Option<Served> {
        let request = match self.next_request().await {
            Ok(request) => request,
            Err(NoRequest::End) => return Some(Served::End),
            Err(NoRequest::Http2) => return Some(Served::Http2),
            Err(NoRequest::Refused(reason)) => {
                // Where the next request begins, or whether there is one, nobody can tell.
                self.client.lose_track();
                return self.refuse(reason, None).await;
            }
        };
        self.requests += 1;
        self.client.begin(request.body, request.expects_continue);
        if let Some(local) = self.limit(&request).await {
            return self.answer(&local, &request).await;
        }
        if let Some(local) = &request.local {
            return self.answer(local, &request).await;
        }
        let (proxy, drain) = (&*self.proxy, &self.acceptor.drain);
        let close = !request.keep_alive || self.requests >= proxy.config.limits.keepalive_requests;
        let mut response = std::mem::take(&mut self.response);
        let (journal, hop) = (&mut self.journal, &self.hop);
        let mut attempts = std::mem::take(&mut journal.attempts);
        let logged = journal.is_logged();
        let mut on_head = |head: h1::Response<'_>, accepted: &Accepted, whole: bool| {
            response.clear();
            journal.answered(proxy, head.status, head.fields);
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
            let made = Made { delivery, close };
            let mut push = |touch: &Touch<'_>| {
                proxy.with_date(|date| {
                    response::push_head(
                        &mut response,
                        head,
                        accepted,
                        &request,
                        delivery,
                        close,
                        date,
                        touch,
                    );
                });
            };
            let forwarding = &proxy.config.forwarding;
            match proxy.response_edits(&request) {
                None => push(&Touch {
                    forwarding,
                    edits: None,
                }),
                Some(edits) => {
                    journal.with_facts(hop, &request, |facts| {
                        push(&Touch {
                            forwarding,
                            edits: Some((edits, facts)),
                        });
                    });
                }
            }
            made
        };
        let asker = Asker {
            source: &mut self.client,
            timer: &mut self.timer,
            on_head: &mut on_head,
            trail: logged.then_some(&mut attempts),
        };
        let head = std::mem::take(&mut self.head);
        let tries = Attempts::new(&request, &head, clock::now());
        let answered = tries.run(&self.proxy, asker, std::mem::take(&mut self.out)).await;
        self.head = head;
        self.journal.attempts = attempts;
        match answered {
            Ok(answered) => self.respond(answered, &request, response).await,
            Err(reason) => {
                self.response = response;
                self.refuse(reason, Some(&request)).await
            }
        }
    }

    /// Waits for the next request and writes the head that goes to its backend into `head`.
    async fn next_request(&mut self) -> Result<Admitted, NoRequest> {
        let mut begun = None;
        let since = clock::now();
        loop {
            if !self.client.buffer.is_empty() {
                // The head has one deadline for all of it, from its first byte.
                if begun.is_none() {
                    begun = Some(clock::now());
                    self.begin();
                }
                if !self.may_be_http2()? {
                    if let Some(request) = self.take_request()? {
                        return Ok(request);
                    }
                }
            }
            let timeouts = &self.proxy.config.timeouts;
            let waits = if self.requests == 0 {
                timeouts.client_header
            } else {
                timeouts.keepalive
            };
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
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && begun.is_some() => {
                    return Err(NoRequest::Refused(Reason::HeadTimeout));
                }
                Ok(0) | Err(_) => return Err(NoRequest::End),
            }
        }
    }

    /// A request begins, and is served by what is current now.
    fn begin(&mut self) {
        if self.revision != self.acceptor.revision() {
            (self.revision, self.proxy) = self.acceptor.current();
            self.client.serve_by(&self.proxy);
            self.timer = LazyTimer::new(self.proxy.config.timeouts.shortest());
        }
        self.journal.begin(self.proxy.config.access_log.is_some());
    }

    /// Whether the client may be about to speak HTTP/2; that it does is told by the error.
    fn may_be_http2(&self) -> Result<bool, NoRequest> {
        if self.requests > 0 || !self.proxy.config.http2 {
            return Ok(false);
        }
        match http2::has_preface(self.client.buffer.data()) {
            Some(true) => Err(NoRequest::Http2),
            Some(false) => Ok(false),
            None => Ok(true),
        }
    }

    /// Takes the request that the buffer begins with; `None` if its head is not complete.
    fn take_request(&mut self) -> Result<Option<Admitted>, NoRequest> {
        let proxy = &*self.proxy;
        let limit = proxy.config.limits.head_bytes;
        self.head.clear();
        let input = self.client.buffer.data();
        let input = &input[..input.len().min(limit)];
        let parsed = h1::parse_request(input, |head, length| {
            let sender = Sender {
                hop: Some(&self.hop),
                protocol: journal::protocol(head.minor),
            };
            (
                admit(head, proxy, sender, &mut self.head, &mut self.journal.id),
                length,
            )
        });
        let refused = match parsed {
            Ok(Some((admitted, length))) => {
                let edited = matches!(&admitted, Ok(request) if proxy.response_edits(request).is_some());
                if edited || self.journal.is_logged() {
                    self.journal.keep(&input[..length]);
                }
                self.client.buffer.consume(length);
                Counters::count(&proxy.counters.requests);
                return admitted.map(Some).map_err(NoRequest::Refused);
            }
            Ok(None) if input.len() < limit => return Ok(None),
            Ok(None) if !input.contains(&b'\n') => Reason::TargetTooLong,
            Ok(None) | Err(HeadError::TooMany) => Reason::HeadTooLarge,
            Err(HeadError::Version) => Reason::Version,
            Err(HeadError::StartLine | HeadError::Field | HeadError::LineEnd) => Reason::BadHead,
        };
        if self.journal.is_logged() {
            self.journal.keep(input);
        }
        Err(NoRequest::Refused(refused))
    }

    /// Holds the request up, or has an answer for it, if its client asks for too much.
    async fn limit(&self, request: &Admitted) -> Option<Local> {
        let config = &self.proxy.config;
        if let (None, Some(limit)) = (&self.permit, &config.connection_limit) {
            return Some(Local::status(limit.status()));
        }
        self.proxy.limit(request).await
    }

    /// Passes a backend's response on. `head` is what the client gets first.
    async fn respond(
        &mut self,
        answered: Answered<Made>,
        request: &Admitted,
        head: Vec<u8>,
    ) -> Option<Served> {
        let Answered {
            mut lease,
            accepted,
            made,
        } = answered;
        self.proxy.counters.response(accepted.status);
        let mut interim = self.client.take_interim();
        if !interim.is_empty() {
            interim.extend_from_slice(&head);
        }
        let head = if interim.is_empty() { head } else { interim };
        if accepted.status == 101 {
            let written = self.client.write_all(&mut self.timer, &head).await;
            self.ended(Some(request), head.len() as u64, 0, written.is_ok());
            return Some(if written.is_ok() {
                Served::Tunnel(Box::new(lease))
            } else {
                Served::End
            });
        }
        let head_length = head.len() as u64;
        let mut relay = Relay::new(head, made.delivery, request.takes_trailers);
        let (client, timer) = (&mut self.client, &mut self.timer);
        let send_timeout = self.proxy.config.timeouts.client_send;
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
        })
        .await;
        let sent = relay.sent();
        self.ended(
            Some(request),
            sent,
            sent.saturating_sub(head_length),
            relayed.is_ok(),
        );
        match relayed {
            Ok(()) => {
                self.out = lease.complete();
                self.response = relay.into_out();
                (made.close || !self.client.has_whole_request()).then_some(Served::Close)
            }
            Err(Broken::Client(error)) => {
                tracing::debug!(%error, "a client went away");
                Some(Served::End)
            }
            Err(Broken::Backend(failure)) => {
                lease.broken(&failure);
                if made.delivery == Delivery::Close {
                    // Nothing but the end of the connection tells the client where the body ends.
                    self.client.transport.reset_on_drop();
                }
                Some(Served::End)
            }
        }
    }

    /// Answers a request that no backend answered.
    async fn refuse(&mut self, reason: Reason, request: Option<&Admitted>) -> Option<Served> {
        tracing::debug!(
            status = reason.status().as_u16(),
            reason = reason.as_str(),
            "refused a request"
        );
        self.journal
            .refused(&self.proxy, reason.status().as_u16(), Some(reason));
        if reason == Reason::ClientGone {
            self.ended(request, 0, 0, false);
            return Some(Served::End);
        }
        let close = reason.is_client_fault() || self.is_last(request);
        let mut out = self.client.take_interim();
        let (minor, is_head) = request.map_or((1, false), |request| (request.minor, request.is_head));
        self.proxy
            .with_date(|date| answer::push(&mut out, reason, minor, is_head, close, date));
        let body = if is_head { 0 } else { reason.text().len() };
        self.send(request, reason.status().as_u16(), &out, body, close)
            .await
    }

    /// Answers a request whose answer the proxy has itself.
    async fn answer(&mut self, local: &Local, request: &Admitted) -> Option<Served> {
        self.journal.refused(&self.proxy, local.status, None);
        let close = self.is_last(Some(request)) || self.permit.is_none();
        let mut edited = Vec::new();
        if let Some(edits) = self.proxy.response_edits(request) {
            self.journal.with_facts(&self.hop, request, |facts| {
                let facts = crate::route::Facts {
                    status: Some(local.status),
                    ..facts
                };
                edits.append(&facts, &mut edited);
            });
        }
        let mut out = self.client.take_interim();
        self.proxy
            .with_date(|date| local.push(&mut out, request.minor, request.is_head, close, date, &edited));
        let body = if request.is_head { 0 } else { local.body.len() };
        self.send(Some(request), local.status, &out, body, close).await
    }

    /// Whether nothing can follow the request.
    fn is_last(&self, request: Option<&Admitted>) -> bool {
        !self.client.has_whole_request()
            || self.acceptor.drain.is_draining()
            || request.is_none_or(|request| !request.keep_alive)
            || self.requests >= self.proxy.config.limits.keepalive_requests
    }

    /// Sends an answer whose last `body` bytes are its body.
    async fn send(
        &mut self,
        request: Option<&Admitted>,
        status: u16,
        out: &[u8],
        body: usize,
        close: bool,
    ) -> Option<Served> {
        self.proxy.counters.response(status);
        let sent = self.client.write_all(&mut self.timer, out).await;
        self.ended(request, out.len() as u64, body as u64, sent.is_ok());
        match sent {
            Ok(()) if close => Some(Served::Close),
            Ok(()) => None,
            Err(_) => Some(Served::End),
        }
    }

    fn ended(&self, request: Option<&Admitted>, bytes: u64, body: u64, completed: bool) {
        let sent = Sent {
            bytes,
            body,
            completed,
            request_body: self.client.body_bytes(),
            requests: self.requests,
        };
        self.journal.end(&self.proxy, &self.hop, request, sent);
    }
}
