//! One request: admitted, sent to a backend, to another if that is safe, and answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, request};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::Notify;

use super::admit::{Admitted, admit};
use super::answer::Reason;
use super::body::ResponseBody;
use super::clock;
use super::config::ProxyConfig;
use super::counters::Counters;
use super::dial::{DialError, dial};
use super::forwarded::ClientName;
use super::lease::Lease;
use super::pool::{Connection, Pool};
use super::reply;
use super::tunnel;
use super::upload::{BoxError, Progress, RequestBody, Upload};
use crate::balance::{Outcome, Pick, Reader, Tried};

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
}

/// A request on its way, with what is left of its chances.
struct Attempts {
    admitted: Admitted,
    upload: Option<Arc<Upload>>,
    tried: Tried,
    started: Duration,
}

/// How a try on one backend failed.
struct Failure {
    reason: Reason,
    /// The request, if nothing of it was sent or if it can be sent again.
    again: Option<Request<RequestBody>>,
}

impl Proxy {
    pub(super) fn new(config: Arc<ProxyConfig>) -> Arc<Self> {
        let shared = Shared {
            reader: config.upstream.reader(),
            pool: Pool::new(config.keep),
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
        let mut attempts = Attempts {
            admitted,
            upload,
            tried: Tried::new(),
            started: clock::now(),
        };
        let (response, lease) = match self.attempt(&mut attempts, head).await {
            Ok(answered) => answered,
            Err(reason) => return Err((reason, attempts.is_body_left())),
        };
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
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
        let mut tries = 0;
        let mut last = Reason::NoBackend;
        loop {
            let Some(pick) = self.shared().reader.pick(clock::now(), &attempts.tried) else {
                return Err(last);
            };
            attempts.tried.insert(&pick);
            tries += 1;
            if tries > 1 {
                Counters::count(&self.counters.retries);
            }
            let failure = match self.try_backend(attempts, pick, request).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            last = failure.reason;
            let time_left = clock::now().saturating_sub(attempts.started) < self.config.retry.timeout;
            match failure.again {
                Some(again) if tries < self.config.retry.tries && time_left => request = again,
                _ => return Err(last),
            }
        }
    }

    /// Sends the request to one backend: over a kept connection if there is one, and once more over a new one if
    /// the backend had closed that one meanwhile.
    async fn try_backend(
        self: &Arc<Self>,
        attempts: &mut Attempts,
        pick: Pick,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let mut kept = self.take(&pick, attempts);
        loop {
            let reused = kept.is_some();
            let connection = match kept.take() {
                Some(connection) => connection,
                None => match self.connect(&pick).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        let reason = match error {
                            DialError::Timeout => Reason::ConnectTimeout,
                            DialError::Connect(_) | DialError::Http(_) => Reason::Connect,
                        };
                        self.failed(pick, reason, &error);
                        return Err(Failure {
                            reason,
                            again: Some(request),
                        });
                    }
                },
            };
            let sent = self.send(attempts, connection, request).await;
            let (reason, error, again) = match sent {
                Ok((response, connection)) => match reply::check(response, attempts.admitted.upgrade) {
                    Ok(response) => {
                        let lease = Lease::new(Arc::clone(self), pick, connection, attempts.upload.clone());
                        return Ok((response, lease));
                    }
                    Err(problem) => {
                        self.failed(pick, Reason::BadResponse, problem);
                        return Err(Failure {
                            reason: Reason::BadResponse,
                            again: None,
                        });
                    }
                },
                Err(SendError { error, again }) => (attempts.blame(&error), error, again),
            };
            match again {
                // An idle connection that the backend closed says nothing of the backend.
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

    fn take(&self, pick: &Pick, attempts: &Attempts) -> Option<Connection> {
        let within = if attempts.admitted.idempotent {
            Duration::MAX
        } else {
            self.config.retry.young
        };
        let connection = self
            .shared()
            .pool
            .take(pick.slot(), pick.address(), clock::now(), within)?;
        Counters::count(&self.counters.reused);
        Some(connection)
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
        if attempts.admitted.host_of_backend {
            let host = self.shared().pool.host(connection.slot, connection.address);
            request.headers_mut().insert(HOST, host);
        }
        connection.state.request_starts(attempts.upload.is_some());
        if let Some(upload) = &attempts.upload {
            *request.body_mut() = RequestBody::pass(Arc::clone(upload), Arc::clone(&connection.state));
        }
        let spare = attempts.admitted.idempotent.then(|| Head::of(&request));
        match connection.sender.try_send_request(request).await {
            Ok(response) => Ok((response, connection)),
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

    /// Puts a connection whose exchange is complete back for the next request.
    pub(super) fn give_back(&self, connection: Connection, now: Duration) {
        self.shared().pool.put(connection, now);
    }

    /// Counts a failure against the backend, and says so in the log, where its name belongs.
    pub(super) fn failed(&self, pick: Pick, reason: Reason, error: impl std::fmt::Display) {
        tracing::warn!(backend = %pick.id(), address = %pick.address(), reason = reason.as_str(), %error, "backend failed");
        self.finish(pick, clock::now(), Outcome::Failure);
    }

    /// Ends a request at its backend, and does what a change of the backend's state asks for.
    pub(super) fn finish(&self, pick: Pick, now: Duration, outcome: Outcome) {
        let upstream = &self.config.upstream;
        if let Some(transition) = pick.finish(now, outcome) {
            tracing::info!(?transition, "backend changed");
            if upstream.poll_timeout().is_some() {
                upstream.handle_timeout(now);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts {
    /// Whether a request of which some may have been sent can be sent again.
    fn can_repeat(&self) -> bool {
        self.admitted.idempotent && self.upload.as_ref().is_none_or(|upload| upload.can_replay())
    }

    fn is_body_left(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| upload.progress() != Progress::Complete)
    }

    /// Whose fault it is that no response came.
    fn blame(&self, error: &hyper::Error) -> Reason {
        match self.upload.as_ref().map(|upload| upload.progress()) {
            Some(Progress::Broken) => return Reason::BadBody,
            Some(Progress::TimedOut) => return Reason::ClientTimeout,
            Some(Progress::TooLarge) => return Reason::BodyTooLarge,
            Some(Progress::Open | Progress::Complete) | None => {}
        }
        if is_timeout(error) {
            Reason::ReadTimeout
        } else if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
            Reason::BadResponse
        } else {
            Reason::Closed
        }
    }
}

struct SendError {
    error: hyper::Error,
    again: Option<Request<RequestBody>>,
}

/// A copy of a request's head, in case it has to be sent again.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.version_mut() = Version::HTTP_11;
        request
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        if source
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
        {
            return true;
        }
        next = source.source();
    }
    false
}
