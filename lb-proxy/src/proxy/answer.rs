//! Answers that the proxy gives by itself: a status, and one line that says why.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use super::request::push_field;
use super::response::{push_connection, push_status};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $phrase:literal $why:literal,)*) => {
        /// Why the proxy answered a request itself.
        ///
        /// The reason is the text of the answer and goes to the log; it never names a backend.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Returns the status code of the answer.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => const { status($code) },)* }
            }

            /// Returns the reason in a few words, without status or full stop.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }

            fn phrase(self) -> &'static str {
                match self { $(Self::$name => $phrase,)* }
            }

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($code, " ", $phrase, ": ", $why, "\n"),)* }
            }
        }
    };
}

reasons! {
    /// The head breaks the grammar of RFC 9112.
    BadHead = 400 "Bad Request" "malformed request head",
    /// The request target is none of the forms that a reverse proxy serves (RFC 9112 §3.2).
    BadTarget = 400 "Bad Request" "bad request target",
    /// No `Host`, more than one, or not a host and port (RFC 9112 §3.2).
    BadHost = 400 "Bad Request" "bad Host header",
    /// `Transfer-Encoding` more than once (RFC 9112 §6.1).
    BadFraming = 400 "Bad Request" "bad message framing",
    /// The request's body broke off, or its chunks are malformed.
    BadBody = 400 "Bad Request" "bad request body",
    /// An upgrade with a body, or not by GET (RFC 6455 §4.1).
    BadUpgrade = 400 "Bad Request" "bad upgrade request",
    /// CONNECT or TRACE.
    Method = 405 "Method Not Allowed" "method not allowed",
    /// The client took too long to send the head.
    HeadTimeout = 408 "Request Timeout" "request head timed out",
    /// The client sent no byte of its body for too long.
    ClientTimeout = 408 "Request Timeout" "request body timed out",
    /// HTTP/1.0 with a method that needs a body, and no `Content-Length`.
    LengthRequired = 411 "Length Required" "length required",
    /// The body is longer than the limit.
    BodyTooLarge = 413 "Content Too Large" "request body too large",
    /// The request line alone is longer than the limit of the head.
    TargetTooLong = 414 "URI Too Long" "request target too long",
    /// `Expect` asks for something else than `100-continue` (RFC 9110 §10.1.1).
    Expectation = 417 "Expectation Failed" "expectation not supported",
    /// The head is longer than the limit, or has more than 100 fields.
    HeadTooLarge = 431 "Request Header Fields Too Large" "request head too large",
    /// The client went away; nobody gets this answer (nginx logs it as 499).
    ClientGone = 499 "Client Closed Request" "the client went away",
    /// The body's transfer coding isn't exactly `chunked`.
    Coding = 501 "Not Implemented" "transfer coding not supported",
    /// A backend could not be reached.
    Connect = 502 "Bad Gateway" "could not connect to the upstream",
    /// A backend closed or reset the connection before it answered.
    Closed = 502 "Bad Gateway" "the upstream closed the connection",
    /// A backend's answer isn't HTTP/1, or breaks its framing.
    BadResponse = 502 "Bad Gateway" "bad response from the upstream",
    /// No backend can take the request: all are down, failed, full, or tried already.
    NoBackend = 503 "Service Unavailable" "no upstream available",
    /// Every backend has as many requests as it may have, and so has the queue.
    Full = 503 "Service Unavailable" "every upstream server is busy",
    /// No backend had a place for the request while it waited in the queue.
    QueueTimeout = 503 "Service Unavailable" "the wait for an upstream server timed out",
    /// A backend did not accept the connection in time.
    ConnectTimeout = 504 "Gateway Timeout" "connecting to the upstream timed out",
    /// A backend did not take the request, or did not answer, in time.
    ReadTimeout = 504 "Gateway Timeout" "the upstream timed out",
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version = 505 "HTTP Version Not Supported" "HTTP version not supported",
}

const fn status(code: u16) -> StatusCode {
    match StatusCode::from_u16(code) {
        Ok(status) => status,
        Err(_) => panic!("every code above is a valid status"),
    }
}

/// RFC 9110 §15.5.6: the methods that the resource supports must be named.
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";
const TEXT: &str = "text/plain; charset=utf-8";

impl Reason {
    /// Whether the fault is the client's; the connection is then closed after the answer.
    pub(super) fn is_client_fault(self) -> bool {
        self.status().is_client_error() || matches!(self, Self::Coding | Self::Version)
    }

    /// Builds the answer for a program that serves it.
    pub(super) fn answer(self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::text(Bytes::from_static(self.text().as_bytes())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        response
    }
}

/// Writes the answer as an HTTP/1.`minor` client gets it, without its text if the request was a HEAD.
pub(super) fn push(out: &mut Vec<u8>, reason: Reason, minor: u8, is_head: bool, close: bool, date: &[u8]) {
    let text = reason.text();
    push_status(out, reason.status().as_u16(), reason.phrase());
    push_field(out, "Content-Type", TEXT.as_bytes());
    push_field(out, "Content-Length", text.len().to_string().as_bytes());
    if reason == Reason::Method {
        push_field(out, "Allow", METHODS.as_bytes());
    }
    push_field(out, "Date", date);
    push_connection(out, minor, close);
    out.extend_from_slice(b"\r\n");
    if !is_head {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_that_starts_with_the_status() {
        for reason in [
            Reason::BadHost,
            Reason::Coding,
            Reason::NoBackend,
            Reason::ReadTimeout,
        ] {
            let text = reason.text();
            assert!(text.starts_with(reason.status().as_str()), "{text}");
            assert!(text.ends_with(&format!("{}\n", reason.as_str())), "{text}");
            assert_eq!(text.matches('\n').count(), 1);
        }
    }

    #[test]
    fn method_not_allowed_names_the_methods() {
        let answer = Reason::Method.answer();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert!(answer.headers().contains_key(ALLOW));
    }
}
