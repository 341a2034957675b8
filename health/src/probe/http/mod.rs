//! An HTTP/1.1 request.

mod body;
mod builder;
mod connection;
mod head;

pub use builder::{HttpBuilder, HttpError};

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use ::http::Method;
use ::http::uri::PathAndQuery;

use self::body::Body;
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
#[derive(Clone)]
pub struct Http {
    address: SocketAddr,
    method: Method,
    path: PathAndQuery,
    /// All that is sent.
    request: Box<[u8]>,
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

    async fn run(&self) -> Outcome {
        match self.exchange().await {
            Ok(outcome) => outcome,
            Err(failure) => failure.into(),
        }
    }

    async fn exchange(&self) -> Result<Outcome, Failure> {
        if let Some(kept) = self.idle.as_ref().and_then(Idle::take) {
            // The server may have closed it at any time. What is wrong with more than that shows on a new one.
            if let Ok(outcome) = self.ask(kept).await {
                return Ok(outcome);
            }
        }
        self.ask(Connection::open(self.address).await?).await
    }

    async fn ask(&self, mut connection: Connection) -> Result<Outcome, Failure> {
        let head = connection
            .ask(&self.request, &self.method, Self::MAX_HEAD)
            .await?;
        let status = head.status;
        let mut body = Body::new(head.framing);
        let outcome = if self.statuses.iter().any(|range| range.contains(&status.as_u16())) {
            if let Some(expected) = &self.expected {
                find(expected, &mut connection, &mut body, self.max_body).await?;
            }
            Outcome::success().with_message(format!("{status}"))
        } else {
            let outcome = Outcome::failed(Failure::Status {
                status: status.as_u16(),
            });
            outcome.with_message(status.canonical_reason().unwrap_or_default())
        };
        if let Some(idle) = self.idle.as_ref().filter(|_| head.keeps) {
            // What is left unread would stand before the next answer.
            if skip(&mut connection, &mut body, self.max_body).await {
                if let Some(stream) = connection.into_kept() {
                    idle.put(stream);
                }
            }
        }
        Ok(outcome)
    }
}

impl Probe for Http {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(within(timeout, self.run()))
    }
}

/// Without headers, which may hold a secret.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("address", &self.address)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {} {}{}", self.method, self.address, self.path)
    }
}

/// Reads a body until it has shown `expected`, for `limit` bytes at most.
async fn find(
    expected: &[u8],
    connection: &mut Connection,
    body: &mut Body,
    limit: usize,
) -> Result<(), Failure> {
    let mut seen = Vec::new();
    loop {
        // Only where a match could end in the new part.
        let from = seen.len().saturating_sub(expected.len() - 1);
        let add = |part: &[u8]| seen.extend_from_slice(&part[..part.len().min(limit - seen.len())]);
        let more = connection.next(body, add).await?;
        if seen[from..]
            .windows(expected.len())
            .any(|window| window == expected)
        {
            return Ok(());
        }
        if !more || seen.len() == limit {
            return Err(Failure::BodyMismatch { read: seen.len() });
        }
    }
}

/// Reads what is left of a body, for `limit` bytes at most; says whether it was all.
async fn skip(connection: &mut Connection, body: &mut Body, limit: usize) -> bool {
    let mut seen = 0;
    while seen <= limit {
        match connection.next(body, |part| seen += part.len()).await {
            Ok(true) => {}
            Ok(false) => return body.has_ended(),
            Err(_) => return false,
        }
    }
    false
}
