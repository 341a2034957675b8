//! One request on its way to an answer: sent to a backend, and to another if that is safe.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::answer::Reason;
use super::connection::{Connection, dial};
use super::core::Proxy;
use super::counters::Counters;
use super::exchange::{Exchange, Failure, OnHead};
use super::lease::Lease;
use super::request::Admitted;
use super::response::Accepted;
use super::source::Source;
use super::upload::Upload;
use crate::balance::{Outcome, Pick, Refusal, Tried};
use crate::h1::Body;
use crate::log::Attempt;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// A request on its way.
pub(super) struct Attempts<'a> {
    pub(super) request: &'a Admitted,
    /// The backends that it has been sent to.
    pub(super) tried: Tried,
    /// What a backend gets, but for a `Host` of its own.
    head: &'a [u8],
    tries: u32,
    started: Duration,
}

/// What a try needs, and a failed one leaves for the next.
struct Parts {
    upload: Upload,
    /// Room for the head.
    out: Vec<u8>,
    /// Whether some of the request has left for a backend.
    sent: bool,
}

/// How a try on one backend failed, and what is needed for another unless the request can't be sent again.
struct Failed {
    reason: Reason,
    again: Option<Parts>,
}

/// How sending over one connection failed.
struct Broken {
    failure: Failure,
    again: Option<Parts>,
}

/// A response whose body is to come.
pub(super) struct Answered<T> {
    pub(super) lease: Lease,
    pub(super) accepted: Accepted,
    /// What was made of its head.
    pub(super) made: T,
}

/// The client's side of a request.
pub(super) struct Asker<'a, T> {
    pub(super) source: &'a mut dyn Source,
    pub(super) timer: &'a mut LazyTimer,
    pub(super) on_head: &'a mut OnHead<'a, T>,
    /// The tries, if they are to be remembered.
    pub(super) trail: Option<&'a mut Vec<Attempt>>,
}

/// What a request is told that can't wait, or has waited in vain.
fn refused(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Full => Reason::Full,
        Refusal::TimedOut => Reason::QueueTimeout,
        _ => Reason::NoBackend,
    }
}

/// Remembers how the last try went.
fn note<T>(asker: &mut Asker<'_, T>, status: u16, began: Duration) {
    if let Some(attempt) = asker.trail.as_mut().and_then(|trail| trail.last_mut()) {
        attempt.status = Some(status);
        attempt.header = Some(clock::now().saturating_sub(began));
        attempt.response = attempt.header;
    }
}

impl<'a> Attempts<'a> {
    pub(super) fn new(request: &'a Admitted, head: &'a [u8], started: Duration) -> Self {
        Self {
            request,
            tried: Tried::new(),
            head,
            tries: 0,
            started,
        }
    }

    /// Counts a try; says whether it is a further one.
    pub(super) fn count(&mut self) -> bool {
        self.tries += 1;
        self.tries > 1
    }

    /// Tries one backend after the other. `out` is room for the head, an empty vector.
    pub(super) async fn run<T>(
        mut self,
        proxy: &Arc<Proxy>,
        mut asker: Asker<'_, T>,
        out: Vec<u8>,
    ) -> Result<Answered<T>, Reason> {
        let replay = if self.request.body == Body::Length(0) {
            0
        } else {
            proxy.config.limits.replay_bytes
        };
        let mut parts = Parts {
            upload: Upload::new(self.request.body, replay),
            out,
            sent: false,
        };
        let mut last = Reason::NoBackend;
        let mut now = self.started;
        loop {
            let (pick, kept) = match proxy.choose(&mut self, parts.sent, now) {
                Ok(chosen) => chosen,
                Err(Refusal::Full) => self.wait(proxy, &mut *asker.source, now).await?,
                Err(_) => return Err(last),
            };
            let tried_at = clock::now();
            if let Some(trail) = &mut asker.trail {
                trail.push(Attempt::new(pick.address()));
            }
            let failed = match self.try_backend(proxy, pick, kept, parts, &mut asker).await {
                Ok(answered) => {
                    note(&mut asker, answered.accepted.status, tried_at);
                    return Ok(answered);
                }
                Err(failed) => failed,
            };
            note(&mut asker, failed.reason.status().as_u16(), tried_at);
            last = failed.reason;
            now = clock::now();
            match failed.again {
                Some(again) if self.may_go_on(now, proxy) => parts = again,
                _ => return Err(last),
            }
        }
    }

    /// Waits in the upstream's queue for a backend that has a place for the request.
    async fn wait(
        &mut self,
        proxy: &Proxy,
        source: &mut dyn Source,
        now: Duration,
    ) -> Result<(Pick, Option<Connection>), Reason> {
        let upstream = &proxy.config.upstreams[self.request.upstream];
        let mut waiting = upstream.wait(now, &self.tried).map_err(refused)?;
        let patience = waiting.deadline().saturating_sub(now);
        let granted = poll_fn(|cx| match waiting.poll_pick(clock::now(), cx.waker()) {
            Poll::Ready(granted) => Poll::Ready(granted.map_err(refused)),
            Poll::Pending => source.poll_gone(cx).map(|()| Err(Reason::ClientGone)),
        });
        let pick = tokio::time::timeout(patience, granted)
            .await
            .unwrap_or(Err(Reason::QueueTimeout))?;
        let kept = proxy.begin(self, &pick, clock::now());
        Ok((pick, kept))
    }

    /// Whether number and time allow another backend.
    fn may_go_on(&self, now: Duration, proxy: &Proxy) -> bool {
        let retry = &proxy.config.retry;
        self.tries < retry.tries && now.saturating_sub(self.started) < retry.timeout
    }

    /// Sends the request to one backend: over a kept connection if there is one, and once more over a new one if
    /// the backend had closed that one meanwhile.
    async fn try_backend<T>(
        &self,
        proxy: &Arc<Proxy>,
        pick: Pick,
        mut kept: Option<Connection>,
        mut parts: Parts,
        asker: &mut Asker<'_, T>,
    ) -> Result<Answered<T>, Failed> {
        loop {
            let reused = kept.is_some();
            let connection = match kept.take() {
                Some(connection) => {
                    Counters::count(&proxy.counters.reused);
                    connection
                }
                None => {
                    Counters::count(&proxy.counters.connects);
                    match dial(&proxy.config, self.request.upstream, pick.slot(), pick.address()).await {
                        Ok(connection) => connection,
                        Err(error) => {
                            let reason = error.reason();
                            proxy.failed(self.request.upstream, pick, reason, Outcome::ConnectError, &error);
                            return Err(Failed {
                                reason,
                                again: Some(parts),
                            });
                        }
                    }
                }
            };
            let Broken { failure, again } = match self.send(proxy, connection, parts, asker).await {
                Ok((exchange, accepted, made)) => {
                    let lease = Lease::new(
                        Arc::clone(proxy),
                        self.request.upstream,
                        pick,
                        accepted.status,
                        exchange,
                    );
                    return Ok(Answered {
                        lease,
                        accepted,
                        made,
                    });
                }
                Err(broken) => broken,
            };
            let reason = failure.reason();
            match again {
                // A kept connection that the backend closed says nothing of the backend.
                Some(again) if reused && reason == Reason::Closed => parts = again,
                again => {
                    if matches!(failure, Failure::Client(_)) {
                        tracing::debug!(backend = %pick.id(), reason = reason.as_str(), "gave up a request");
                    } else {
                        proxy.failed(self.request.upstream, pick, reason, failure.outcome(), &failure);
                    }
                    return Err(Failed { reason, again });
                }
            }
        }
    }

    /// Sends the request over one connection and waits for the head of the response.
    async fn send<T>(
        &self,
        proxy: &Arc<Proxy>,
        connection: Connection,
        parts: Parts,
        asker: &mut Asker<'_, T>,
    ) -> Result<(Exchange, Accepted, T), Broken> {
        let Parts {
            upload,
            mut out,
            sent,
        } = parts;
        out.clear();
        proxy.push_head(self.request, self.head, &connection, &mut out);
        let mut exchange = Exchange::new(connection, out, upload, self.request.idempotent);
        let Asker {
            source,
            timer,
            on_head,
            ..
        } = asker;
        let answered = poll_fn(|cx| {
            let polled = exchange.poll_head(cx, proxy, self.request, &mut **source, &mut **on_head);
            if polled.is_pending() && timer.poll(cx, Some(exchange.deadline(proxy))).is_ready() {
                return Poll::Ready(Err(exchange.timed_out()));
            }
            polled
        });
        match answered.await {
            Ok((accepted, made)) => Ok((exchange, accepted, made)),
            Err(failure) => {
                let unsent = exchange.is_unsent();
                let (upload, out) = exchange.into_upload();
                let repeatable = match failure {
                    Failure::Client(_) | Failure::BadResponse(_) => false,
                    Failure::Io(_) | Failure::Closed | Failure::TimedOut => self.request.idempotent || unsent,
                };
                let again = (repeatable && upload.can_replay()).then_some(Parts {
                    upload,
                    out,
                    sent: sent || !unsent,
                });
                Err(Broken { failure, again })
            }
        }
    }
}
