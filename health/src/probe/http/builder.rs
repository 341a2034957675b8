//! The settings of an HTTP probe.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::ops::RangeInclusive;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use super::{Http, Idle};

/// Collects settings; [`build`](Self::build) checks them all.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct HttpBuilder {
    address: SocketAddr,
    method: Method,
    path: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    keep_alive: bool,
    statuses: Vec<RangeInclusive<u16>>,
    expected: Option<Box<[u8]>>,
    max_body: usize,
}

impl HttpBuilder {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            method: Method::GET,
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            keep_alive: false,
            statuses: Vec::new(),
            expected: None,
            max_body: Http::DEFAULT_MAX_BODY,
        }
    }

    /// Sets the address that it connects to, so that one builder does for many servers.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

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

    /// Adds a header. `User-Agent` replaces the default; Host, Connection and what frames a body are not to be set so.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Keeps the connection for the next run. Default: false, each run has its own.
    pub fn keep_alive(mut self, keep_alive: bool) -> Self {
        self.keep_alive = keep_alive;
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
        let path: PathAndQuery = path.and_then(|path| path.parse().ok()).ok_or(HttpError::Path)?;
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
            host.parse::<http::uri::Authority>()
                .is_ok_and(|a| a == host.as_str())
        };
        let host = Some(host).filter(valid_host).ok_or(HttpError::Host)?;
        let host = HeaderValue::try_from(host).map_err(|_| HttpError::Host)?;
        let headers = headers(host, &self.headers, self.keep_alive)?;
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
        let request = render(&self.method, &path, &headers);
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
            request,
            idle: self.keep_alive.then(Idle::default),
            statuses,
            expected,
            max_body,
        })
    }
}

/// Without headers, which may hold a secret.
impl fmt::Debug for HttpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBuilder")
            .field("address", &self.address)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// All headers of the request.
fn headers(host: HeaderValue, added: &[(String, String)], keep_alive: bool) -> Result<HeaderMap, HttpError> {
    const RESERVED: [HeaderName; 6] = [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, TE, UPGRADE];
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host);
    let agent = concat!("ha-health/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if !keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let mut own_agent = false;
    for (index, (name, value)) in added.iter().enumerate() {
        let wrong = HttpError::Header { number: index + 1 };
        let name = HeaderName::try_from(name).map_err(|_| wrong)?;
        let value = HeaderValue::try_from(value).map_err(|_| wrong)?;
        if RESERVED.contains(&name) {
            return Err(wrong);
        }
        if name == USER_AGENT && !own_agent {
            own_agent = true;
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// The request as it is sent.
fn render(method: &Method, path: &PathAndQuery, headers: &HeaderMap) -> Box<[u8]> {
    let mut request = Vec::new();
    request.extend_from_slice(format!("{method} {path} HTTP/1.1\r\n").as_bytes());
    for (name, value) in headers {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    // Methods that may have a body say that there is none (RFC 9110 §8.6).
    if ![
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::DELETE,
        Method::TRACE,
    ]
    .contains(method)
    {
        request.extend_from_slice(b"content-length: 0\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.into()
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
    /// A header has a name or a value that can't be sent, or is not to be set by hand.
    #[error(
        "header {number}: the name must be a token other than Host, Connection, Content-Length, Transfer-Encoding, TE and \
         Upgrade, and the value have no control characters"
    )]
    Header {
        /// Which of the headers, from 1.
        number: usize,
    },
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
