//! An HTTP/1.1 request.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::pin::pin;
use core::time::Duration;

use ::http::header::{CONNECTION, HOST, USER_AGENT};
use ::http::uri::PathAndQuery;
use ::http::{HeaderValue, Method, Request, Response, Version};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{Probe, ProbeFuture, tcp, within};
use crate::{Failure, Outcome};

/// Sends one request on a connection of its own and judges the answer by its status, and by its body if a text is
/// expected there. Redirects are not followed.
///
/// | setting | default |
/// |---|---|
/// | `method` | GET |
/// | `path` | `/` |
/// | `host` | the address |
/// | `expect_status` | 200 to 399 |
/// | `expect_body` | none; the body is not read |
/// | `max_body` | 64 KiB |
///
/// ```
/// use ha_health::probe::Http;
///
/// let probe = Http::builder(([192, 168, 192, 20], 8080).into())
///     .path("/weight")
///     .host("www.example.org")
///     .expect_status(200..=200)
///     .expect_body("<h1>port:8080</h1>")
///     .build()?;
/// assert_eq!(probe.to_string(), "http GET 192.168.192.20:8080/weight");
/// # Ok::<(), ha_health::probe::HttpError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Http {
    address: SocketAddr,
    method: Method,
    path: PathAndQuery,
    host: HeaderValue,
    statuses: Vec<RangeInclusive<u16>>,
    expected: Option<Box<[u8]>>,
    max_body: usize,
}

impl Http {
    /// The default bound on how much of a body is searched, in bytes.
    pub const DEFAULT_MAX_BODY: usize = 64 * 1024;
    /// The highest such bound that can be set, in bytes.
    pub const MAX_BODY_LIMIT: usize = 16 * 1024 * 1024;
    /// The bound on the head of an answer, in bytes.
    const MAX_HEAD: usize = 64 * 1024;

    /// Begins a probe of the server at `address`.
    pub fn builder(address: SocketAddr) -> HttpBuilder {
        HttpBuilder {
            address,
            method: Method::GET,
            path: "/".to_owned(),
            host: None,
            statuses: Vec::new(),
            expected: None,
            max_body: Self::DEFAULT_MAX_BODY,
        }
    }

    /// Gives the address that it connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone().into();
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        let agent = concat!("ha-health/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }

    async fn run(&self) -> Outcome {
        match self.exchange().await {
            Ok(outcome) => outcome,
            Err(failure) => failure.into(),
        }
    }

    async fn exchange(&self) -> Result<Outcome, Failure> {
        let stream = tcp::connect(self.address).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(Self::MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure_of(&error))?;
        let answer = async {
            let response = sender
                .send_request(self.request())
                .await
                .map_err(|error| failure_of(&error))?;
            self.judge(response).await
        };
        alongside(connection, answer).await
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<Outcome, Failure> {
        let status = response.status();
        if !self.statuses.iter().any(|range| range.contains(&status.as_u16())) {
            let outcome = Outcome::failed(Failure::Status {
                status: status.as_u16(),
            });
            return Ok(outcome.with_message(status.canonical_reason().unwrap_or_default()));
        }
        if let Some(expected) = &self.expected {
            find(expected, response.into_body(), self.max_body).await?;
        }
        Ok(Outcome::success().with_message(format!("{status}")))
    }
}

impl Probe for Http {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(within(timeout, self.run()))
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {} {}{}", self.method, self.address, self.path)
    }
}

/// Collects settings; [`build`](Self::build) checks them all.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct HttpBuilder {
    address: SocketAddr,
    method: Method,
    path: String,
    host: Option<String>,
    statuses: Vec<RangeInclusive<u16>>,
    expected: Option<Box<[u8]>>,
    max_body: usize,
}

impl HttpBuilder {
    /// Sets the method. Default GET.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets the path, with the query if any: `/health?deep=1`. Default `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the Host header. Default: the address, without the port if it is 80.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Adds a range of statuses that are a success. The first call replaces the default, 200 to 399.
    pub fn expect_status(mut self, statuses: RangeInclusive<u16>) -> Self {
        self.statuses.push(statuses);
        self
    }

    /// Sets a text that the body must contain, byte by byte. Default: the body does not matter and is not read.
    pub fn expect_body(mut self, text: impl AsRef<[u8]>) -> Self {
        self.expected = Some(text.as_ref().into());
        self
    }

    /// Sets how much of the body is searched for the expected text, in bytes. Default 64 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is wrong, in the order of [`HttpError`]'s variants.
    pub fn build(self) -> Result<Http, HttpError> {
        if self.method == Method::CONNECT || (self.method == Method::HEAD && self.expected.is_some()) {
            return Err(HttpError::Method);
        }
        // `PathAndQuery` would take `*`, and cut the path at `#`.
        let path = Some(&self.path).filter(|path| path.starts_with('/') && !path.contains('#'));
        let path = path.and_then(|path| path.parse().ok()).ok_or(HttpError::Path)?;
        let host = match self.host {
            Some(host) => host,
            None if self.address.port() == 80 => match self.address {
                SocketAddr::V4(address) => format!("{}", address.ip()),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            },
            None => match self.address {
                SocketAddr::V4(address) => format!("{address}"),
                // Without the scope, which means nothing to the peer.
                SocketAddr::V6(address) => format!("[{}]:{}", address.ip(), address.port()),
            },
        };
        let valid_host = |host: &String| {
            host.parse::<::http::uri::Authority>()
                .is_ok_and(|a| a == host.as_str())
        };
        let host = Some(host).filter(valid_host).ok_or(HttpError::Host)?;
        let host = HeaderValue::try_from(host).map_err(|_| HttpError::Host)?;
        let valid =
            |range: &&RangeInclusive<u16>| !range.is_empty() && *range.start() >= 200 && *range.end() <= 599;
        if let Some(range) = self.statuses.iter().find(|range| !valid(range)) {
            return Err(HttpError::Status {
                from: *range.start(),
                to: *range.end(),
            });
        }
        let statuses = if self.statuses.is_empty() {
            Vec::from([200..=399])
        } else {
            self.statuses
        };
        if let Some(expected) = &self.expected {
            if expected.is_empty() || expected.len() > self.max_body {
                return Err(HttpError::Body {
                    length: expected.len(),
                    max_body: self.max_body,
                });
            }
        }
        if self.max_body > Http::MAX_BODY_LIMIT {
            return Err(HttpError::MaxBody { got: self.max_body });
        }
        let Self {
            address,
            method,
            expected,
            max_body,
            ..
        } = self;
        Ok(Http {
            address,
            method,
            path,
            host,
            statuses,
            expected,
            max_body,
        })
    }
}

/// Why settings do not make an HTTP probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// CONNECT, or HEAD although a body is expected.
    #[error("method CONNECT can't be probed, and HEAD has no body to expect a text in")]
    Method,
    /// The path does not begin with a slash, or has characters that need escaping, or a fragment.
    #[error("path must begin with / and hold no blanks, control characters or #")]
    Path,
    /// The host is not a host name or address with an optional port.
    #[error("host must be a name or an address, with :port if need be")]
    Host,
    /// A range of statuses is empty or outside of 200 to 599.
    #[error("statuses {from} to {to}: give a range within 200 to 599")]
    Status {
        /// The first status given.
        from: u16,
        /// The last status given.
        to: u16,
    },
    /// The expected text is empty, or longer than what is searched.
    #[error("expected text of {length} bytes must be 1 to {max_body} bytes long")]
    Body {
        /// Length of the text.
        length: usize,
        /// How much of the body is searched.
        max_body: usize,
    },
    /// The bound on the body is above [`Http::MAX_BODY_LIMIT`].
    #[error("max_body {got} is above {}", Http::MAX_BODY_LIMIT)]
    MaxBody {
        /// The bound given.
        got: usize,
    },
}

/// Waits for `answer` while it drives the connection, in one task, so that dropping the one drops the other.
async fn alongside<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        // Its error, if any, shows in the answer too.
        _ = &mut connection => {}
    }
    answer.await
}

/// Reads a body until it has shown `expected`, for `limit` bytes at most.
async fn find(expected: &[u8], mut body: Incoming, limit: usize) -> Result<(), Failure> {
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| failure_of(&error))?.into_data() else {
            continue;
        };
        // Only where a match could end in the new part.
        let from = seen.len().saturating_sub(expected.len() - 1);
        seen.extend_from_slice(&data[..data.len().min(limit - seen.len())]);
        if seen[from..]
            .windows(expected.len())
            .any(|window| window == expected)
        {
            return Ok(());
        }
        if seen.len() == limit {
            break;
        }
    }
    Err(Failure::BodyMismatch { read: seen.len() })
}

fn failure_of(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        Failure::NotHttp
    } else {
        Failure::Closed
    }
}
