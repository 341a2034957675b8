//! One request: admitted, sent to a backend, to another if that is safe, and answered.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::Notify;

use super::admit::admit;
use super::answer::Reason;
use super::attempts::Attempts;
use super::body::ResponseBody;
use super::config::ProxyConfig;
use super::counters::Counters;
use super::dial::{DialError, dial};
use super::forwarded::ClientName;
use super::head::{Head, Spares};
use super::lease::Lease;
use super::pool::{Connection, Pool};
use super::reply;
use super::tunnel;
use super::upload::{BoxError, RequestBody, Upload};
use crate::balance::{Outcome, Pick, Reader};
use crate::runtime::clock;

/// What the requests of one worker share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) counters: Counters,
    /// Notified whenever a connection or a tunnel ends.
    pub(super) ended: Notify,
    /// Locked for the length of a pick, never over an `await`, and by one thread only if the worker is one thread.
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    reader: Reader,
    pool: Pool,
    spares: Spares,
}

/// How a try on one backend failed.
struct Failure {
    reason: Reason,
    /// The request, if nothing of it was sent or if it can be sent again.
    again: Option<Request<RequestBody>>,
}

/// How sending over one connection failed.
struct SendError {
    error: hyper::Error,
    again: Option<Request<RequestBody>>,
}

impl Proxy {
    pub(super) fn new(config: Arc<ProxyConfig>) -> Arc<Self> {
        let shared = Shared {
            reader: config.upstream.reader(),
            pool: Pool::new(config.keep),
            spares: Spares::default(),
        };
        Arc::new(Self {
            config,
            counters: Counters::default(),
            ended: Notify::new(),
            shared: Mutex::new(shared),
        })
    }

    /// Answers `request`; never fails, because a failure is an answer too.
    pub(super) async fn handle<B>(
        self: &Arc<Self>,
        request: Request<B>,
        client: Option<&ClientName>,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        Counters::count(&self.counters.requests);
        let response = match self.forward(request, client).await {
            Ok(response) => response,
            Err((reason, body_left)) => {
                tracing::debug!(
                    status = reason.status().as_u16(),
                    reason = reason.as_str(),
                    "refused a request"
                );
                reason.answer(body_left || reason.is_client_fault())
            }
        };
        self.counters.response(response.status());
        response
    }

    /// Forwards `request`. An error says why there is no response, and whether part of the request is still unread.
    async fn forward<B>(
        self: &Arc<Self>,
        request: Request<B>,
        client: Option<&ClientName>,
    ) -> Result<Response<ResponseBody>, (Reason, bool)>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let length = if has_body {
            body.size_hint().exact()
        } else {
            Some(0)
        };
        let admitted = admit(&mut head, length, &self.config, client).map_err(|reason| (reason, has_body))?;
        let client_upgrade = admitted
            .upgrade
            .then(|| head.extensions.remove::<OnUpgrade>())
            .flatten();
        head.extensions.clear();
        let upload = has_body.then(|| {
            let replay = if admitted.idempotent {
                self.config.limits.replay_bytes
            } else {
                0
            };
            Upload::new(body, self.config.limits.body_bytes, replay)
        });
        let mut attempts = Attempts::new(admitted, upload, clock::now());
        let (response, lease) = match self.attempt(&mut attempts, head).await {
            Ok(answered) => answered,
            Err(reason) => return Err((reason, attempts.is_body_left())),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return tunnel::open(self, response, lease, client_upgrade).map_err(|reason| (reason, false));
        }
        let (mut head, body) = response.into_parts();
        if attempts.is_body_left() {
            // The backend answered before it had the whole request. RFC 9112 §9.3: without the rest of the
            // request the connection can't be used again, and the client should know before it sends another.
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(Response::from_parts(head, ResponseBody::upstream(body, lease)))
    }

    /// Tries one backend after the other.
    async fn attempt(
        self: &Arc<Self>,
        attempts: &mut Attempts,
        head: request::Parts,
    ) -> Result<(Response<Incoming>, Lease), Reason> {
        let mut request = Request::from_parts(head, RequestBody::empty());
        let mut last = Reason::NoBackend;
        let mut now = attempts.started();
        loop {
            let Some((pick, kept)) = self.choose(attempts, now) else {
                return Err(last);
            };
            let failure = match self.try_backend(attempts, pick, kept, request).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            last = failure.reason;
            now = clock::now();
            match failure.again {
                Some(again) if attempts.may_go_on(now, &self.config.retry) => request = again,
                _ => return Err(last),
            }
        }
    }

    /// Picks a backend that hasn't been tried, and a kept connection to it if there is one that will do.
    fn choose(&self, attempts: &mut Attempts, now: Duration) -> Option<(Pick, Option<Connection>)> {
        let within = if attempts.admitted.idempotent {
            Duration::MAX
        } else {
            self.config.retry.young
        };
        let mut shared = self.shared();
        let pick = shared.reader.pick(now, &attempts.tried)?;
        attempts.tried.insert(&pick);
        if attempts.count() {
            Counters::count(&self.counters.retries);
        }
        let kept = shared.pool.take(pick.slot(), pick.address(), now, within);
        Some((pick, kept))
    }

    /// Sends the request to one backend: over a kept connection if there is one, and once more over a new one if
    /// the backend had closed that one meanwhile.
    async fn try_backend(
        self: &Arc<Self>,
        attempts: &Attempts,
        pick: Pick,
        mut kept: Option<Connection>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        loop {
            let reused = kept.is_some();
            let connection = match kept.take() {
                Some(connection) => connection,
                None => match self.connect(&pick).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        let reason = error.reason();
                        self.failed(pick, reason, &error);
                        return Err(Failure {
                            reason,
                            again: Some(request),
                        });
                    }
                },
            };
            if reused {
                Counters::count(&self.counters.reused);
            }
            let (reason, error, again) = match self.send(attempts, connection, request).await {
                Ok((response, mut connection)) => {
                    match reply::check(response, attempts.admitted.upgrade, &mut connection) {
                        Ok(response) => {
                            let lease =
                                Lease::new(Arc::clone(self), pick, connection, attempts.upload.clone());
                            return Ok((response, lease));
                        }
                        Err(problem) => {
                            self.failed(pick, Reason::BadResponse, problem);
                            return Err(Failure {
                                reason: Reason::BadResponse,
                                again: None,
                            });
                        }
                    }
                }
                Err(SendError { error, again }) => (attempts.blame(&error), error, again),
            };
            match again {
                // A kept connection that the backend closed says nothing of the backend.
                Some(again) if reused && reason == Reason::Closed => request = again,
                again => {
                    if reason.is_client_fault() {
                        tracing::debug!(backend = %pick.id(), reason = reason.as_str(), "gave up a request");
                    } else {
                        self.failed(pick, reason, &error);
                    }
                    return Err(Failure { reason, again });
                }
            }
        }
    }

    async fn connect(&self, pick: &Pick) -> Result<Connection, DialError> {
        Counters::count(&self.counters.connects);
        dial(&self.config, pick.slot(), pick.address()).await
    }

    /// Sends the request over `connection` and waits for the head of the response.
    async fn send(
        &self,
        attempts: &Attempts,
        mut connection: Connection,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Connection), SendError> {
        if !connection.sender.is_ready() {
            // Its last exchange is over, but its task hasn't been at it since.
            if let Err(error) = connection.sender.ready().await {
                return Err(SendError {
                    error,
                    again: Some(request),
                });
            }
        }
        connection.state.request_starts(attempts.upload.is_some());
        if let Some(upload) = &attempts.upload {
            *request.body_mut() = RequestBody::pass(Arc::clone(upload), Arc::clone(&connection.state));
        }
        let spare = self.prepare(attempts, &connection, &mut request);
        match connection.sender.try_send_request(request).await {
            Ok(response) => {
                if let Some(spare) = spare {
                    self.shared().spares.put(spare);
                }
                Ok((response, connection))
            }
            Err(mut failed) => {
                let unsent = failed.take_message();
                let again =
                    unsent.or_else(|| spare.filter(|_| attempts.can_repeat()).map(Head::into_request));
                Err(SendError {
                    error: failed.into_error(),
                    again,
                })
            }
        }
    }

    /// Sets what differs by backend, and copies the head of a request that may have to be sent again.
    fn prepare(
        &self,
        attempts: &Attempts,
        connection: &Connection,
        request: &mut Request<RequestBody>,
    ) -> Option<Head> {
        let admitted = attempts.admitted;
        if !admitted.idempotent && !admitted.host_of_backend {
            return None;
        }
        let mut shared = self.shared();
        if admitted.host_of_backend {
            let host = shared.pool.host(connection.slot, connection.address);
            request.headers_mut().insert(HOST, host);
        }
        admitted.idempotent.then(|| {
            let mut spare = shared.spares.take();
            spare.copy_of(request);
            spare
        })
    }

    /// Puts a connection whose exchange is complete back for the next request.
    pub(super) fn give_back(&self, connection: Connection, now: Duration) {
        self.shared().pool.put(connection, now);
    }

    /// Counts a failure against the backend, and says so in the log, where its name belongs.
    pub(super) fn failed(&self, pick: Pick, reason: Reason, error: impl fmt::Display) {
        tracing::warn!(backend = %pick.id(), address = %pick.address(), reason = reason.as_str(), %error, "backend failed");
        self.finish(pick, clock::now(), Outcome::Failure);
    }

    /// Ends a request at its backend, and does what a change of the backend's state asks for.
    pub(super) fn finish(&self, pick: Pick, now: Duration, outcome: Outcome) {
        let upstream = &self.config.upstream;
        if let Some(change) = pick.finish(now, outcome) {
            tracing::info!(backend = %change.id, from = %change.from, to = %change.to, "backend changed");
            if upstream.poll_timeout().is_some() {
                upstream.handle_timeout(now);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
