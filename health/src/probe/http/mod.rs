//! An HTTP/1.1 request.

mod builder;
mod connection;

pub use builder::{HttpBuilder, HttpError};

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, Method, Request, Response, Version};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

use self::connection::{Connection, Idle};
use super::{Probe, ProbeFuture, within};
use crate::{Failure, Outcome};

/// Sends one request and judges the answer by its status, and by its body if a text is expected there. Redirects are not
/// followed.
///
/// Each run has a connection of its own, and so asks whether the server takes new ones too. With `keep_alive` it is kept for
/// the next run, which costs both sides less; one that the server has closed meanwhile is replaced, and that is no failure.
///
/// | setting | default |
/// |---|---|
/// | `method` | GET |
/// | `path` | `/` |
/// | `host` | the address |
/// | `header` | none but `User-Agent: ha-health/…` |
/// | `keep_alive` | false: `Connection: close` is sent |
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
    headers: HeaderMap,
    idle: Option<Idle>,
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
        HttpBuilder::new(address)
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
        request.headers_mut().clone_from(&self.headers);
        request
    }

    async fn run(&self) -> Outcome {
        match self.exchange().await {
            Ok(outcome) => outcome,
            Err(failure) => failure.into(),
        }
    }

    async fn exchange(&self) -> Result<Outcome, Failure> {
        if let Some(mut kept) = self.idle.as_ref().and_then(Idle::take) {
            // The server may have closed it at any time. What is wrong with more than that shows on a new one.
            if let Ok(outcome) = self.ask(&mut kept).await {
                self.keep(kept).await;
                return Ok(outcome);
            }
        }
        let mut connection = Connection::open(self.address, Self::MAX_HEAD).await?;
        let outcome = self.ask(&mut connection).await?;
        self.keep(connection).await;
        Ok(outcome)
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Failure> {
        connection
            .ask(self.request(), |response| self.judge(response))
            .await
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<Outcome, Failure> {
        let (head, mut body) = response.into_parts();
        let status = head.status;
        let outcome = if self.statuses.iter().any(|range| range.contains(&status.as_u16())) {
            if let Some(expected) = &self.expected {
                find(expected, &mut body, self.max_body).await?;
            }
            Outcome::success().with_message(format!("{status}"))
        } else {
            let outcome = Outcome::failed(Failure::Status {
                status: status.as_u16(),
            });
            outcome.with_message(status.canonical_reason().unwrap_or_default())
        };
        if self.idle.is_some() {
            // What is left unread would stand before the next answer.
            skip(body, self.max_body).await;
        }
        Ok(outcome)
    }

    async fn keep(&self, mut connection: Connection) {
        if let Some(idle) = &self.idle {
            if connection.is_ready().await {
                idle.put(connection);
            }
        }
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

/// Reads a body until it has shown `expected`, for `limit` bytes at most.
async fn find(expected: &[u8], body: &mut Incoming, limit: usize) -> Result<(), Failure> {
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

/// Reads what is left of a body, for `limit` bytes at most.
async fn skip(mut body: Incoming, limit: usize) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > limit {
            return;
        }
    }
}

fn failure_of(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        Failure::NotHttp
    } else {
        Failure::Closed
    }
}
