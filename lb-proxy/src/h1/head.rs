//! Heads of requests and responses, split and checked.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig};

use super::field::Field;

/// The fields of a head in their order. Names are tokens, values have no CR, LF or NUL.
pub(crate) type Fields<'a> = &'a [Header<'a>];

/// The most fields that a head may have.
pub(crate) const MAX_FIELDS: usize = 100;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("malformed start line")]
    StartLine,
    #[error("not HTTP/1.0 or HTTP/1.1")]
    Version,
    #[error("malformed header field")]
    Field,
    #[error("a line that does not end in CRLF")]
    LineEnd,
    #[error("more than 100 header fields")]
    TooMany,
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::Version => Self::Version,
            httparse::Error::TooManyHeaders => Self::TooMany,
            httparse::Error::HeaderName | httparse::Error::HeaderValue => Self::Field,
            httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => Self::StartLine,
        }
    }
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// The minor version: 0 or 1.
    pub(crate) minor: u8,
    pub(crate) fields: Fields<'a>,
    /// What each field is, in the same order.
    pub(crate) kinds: &'a [Field],
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) reason: &'a str,
    /// The minor version: 0 or 1.
    pub(crate) minor: u8,
    pub(crate) fields: Fields<'a>,
    /// What each field is, in the same order.
    pub(crate) kinds: &'a [Field],
}

/// Splits the request head that `input` begins with and calls `then` with it and with its length; `None` if it is not
/// complete yet.
pub(crate) fn parse_request<T>(
    input: &[u8],
    then: impl FnOnce(Request<'_>, usize) -> T,
) -> Result<Option<T>, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let length = match head.parse_with_uninit_headers(input, &mut fields)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    check_line_ends(&input[..length])?;
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(HeadError::StartLine);
    };
    let mut kinds = [Field::Other; MAX_FIELDS];
    let kinds = classify(head.headers, &mut kinds);
    let request = Request {
        method,
        target,
        minor,
        fields: head.headers,
        kinds,
    };
    Ok(Some(then(request, length)))
}

/// Splits the response head that `input` begins with, as [`parse_request`].
pub(crate) fn parse_response<T>(
    input: &[u8],
    then: impl FnOnce(Response<'_>, usize) -> T,
) -> Result<Option<T>, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut []);
    let parser = ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut head, input, &mut fields)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let (Some(status @ 100..), Some(minor)) = (head.code, head.version) else {
        return Err(HeadError::StartLine);
    };
    let mut kinds = [Field::Other; MAX_FIELDS];
    let kinds = classify(head.headers, &mut kinds);
    let reason = head.reason.unwrap_or_default();
    let response = Response {
        status,
        reason,
        minor,
        fields: head.headers,
        kinds,
    };
    Ok(Some(then(response, length)))
}

fn classify<'a>(fields: Fields<'_>, kinds: &'a mut [Field; MAX_FIELDS]) -> &'a [Field] {
    for (kind, field) in kinds.iter_mut().zip(fields) {
        *kind = Field::of(field.name);
    }
    &kinds[..fields.len()]
}

/// RFC 9112 §2.2 lets a recipient take a bare LF for a line's end; one that does and one that doesn't read two
/// different requests.
fn check_line_ends(head: &[u8]) -> Result<(), HeadError> {
    let mut before = 0;
    for at in memchr::memchr_iter(b'\n', head) {
        if at == before || head[at - 1] != b'\r' {
            return Err(HeadError::LineEnd);
        }
        before = at + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_head_is_split_and_what_follows_is_left() {
        let input = b"GET /a?b HTTP/1.1\r\nHost: x\r\nTE:\r\n\r\nrest";
        let (target, kinds, length) = parse_request(input, |head, length| {
            assert_eq!((head.method, head.minor), ("GET", 1));
            (head.target.to_owned(), head.kinds.to_vec(), length)
        })
        .unwrap()
        .unwrap();
        assert_eq!((target.as_str(), kinds), ("/a?b", vec![Field::Host, Field::Te]));
        assert_eq!(&input[length..], b"rest");
    }

    #[test]
    fn each_beginning_of_a_head_is_incomplete() {
        let input = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
        for end in 0..input.len() {
            assert_eq!(request(&input[..end]), Ok(None), "{end}");
        }
        let input = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..input.len() {
            assert_eq!(parse_response(&input[..end], |_, _| ()), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use HeadError as E;
        for (input, error) in [
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", E::LineEnd),
            ("GET / HTTP/1.1\r\nHost: x\n\r\n", E::LineEnd),
            ("GET / HTTP/1.1\r\nHost: x\r\n\n", E::LineEnd),
            ("\nGET / HTTP/1.1\r\n\r\n", E::LineEnd),
            ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", E::Field),
            ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", E::Field),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", E::Field),
            ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", E::Field),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", E::Field),
            ("GET / HTTP/1.1\r\n: b\r\n\r\n", E::Field),
            ("GET / HTTP/2.0\r\n\r\n", E::Version),
            ("GET / HTTP/1.2\r\n\r\n", E::Version),
            ("GET  / HTTP/1.1\r\n\r\n", E::StartLine),
            ("GET /\r\n\r\n", E::StartLine),
            ("G@T / HTTP/1.1\r\n\r\n", E::StartLine),
        ] {
            assert_eq!(request(input.as_bytes()), Err(error), "{input:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(request(many.as_bytes()), Err(E::TooMany));
    }

    fn request(input: &[u8]) -> Result<Option<usize>, HeadError> {
        parse_request(input, |_, length| length)
    }
}
