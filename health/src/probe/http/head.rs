//! The head of an answer.

use ::http::{Method, StatusCode};
use httparse::{Header, Status};

use super::body::Framing;
use crate::Failure;

/// Most header fields of an answer.
const MAX_HEADERS: usize = 100;
/// How an answer begins (RFC 9112 §4).
const BEGINNING: &[u8] = b"HTTP/1.";

/// What matters of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) framing: Framing,
    /// Whether the server leaves the connection open.
    pub(super) keeps: bool,
    /// How many bytes it is long.
    pub(super) len: usize,
}

impl Head {
    /// Reads a head, if it has come as a whole. The first `seen` bytes have been looked at before.
    pub(super) fn parse(bytes: &[u8], seen: usize, method: &Method) -> Result<Option<Self>, Failure> {
        let common = bytes.len().min(BEGINNING.len());
        if bytes[..common] != BEGINNING[..common] {
            return Err(Failure::NotHttp);
        }
        // So that a server that sends byte by byte does not make work of it.
        let new = &bytes[seen.saturating_sub(3)..];
        let ends = |end: &[u8]| new.windows(end.len()).any(|part| part == end);
        if !ends(b"\n\r\n") && !ends(b"\n\n") {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(Status::Complete(len)) = response.parse(bytes) else {
            return Err(Failure::NotHttp);
        };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Failure::NotHttp)?;
        let says = |word: &str| has_token(response.headers, "connection", word);
        let keeps = match response.version {
            Some(1) => !says("close"),
            _ => says("keep-alive"),
        };
        Ok(Some(Self {
            status,
            framing: framing(response.headers, status, method)?,
            keeps,
            len,
        }))
    }
}

/// How the body ends (RFC 9112 §6.3).
fn framing(headers: &[Header<'_>], status: StatusCode, method: &Method) -> Result<Framing, Failure> {
    let bodiless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || method == Method::HEAD;
    if bodiless {
        return Ok(Framing::Length(0));
    }
    let mut encodings = values(headers, "transfer-encoding").peekable();
    if encodings.peek().is_some() {
        let last = encodings.last().unwrap_or_default().trim_ascii();
        let chunked = last.len() >= 7 && last[last.len() - 7..].eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::Chunked } else { Framing::Close });
    }
    let mut length = None;
    for value in values(headers, "content-length") {
        let text = core::str::from_utf8(value.trim_ascii()).unwrap_or_default();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let given = text.parse::<u64>().ok().filter(|_| digits);
        let given = given.ok_or(Failure::NotHttp)?;
        if length.is_some_and(|length| length != given) {
            return Err(Failure::NotHttp);
        }
        length = Some(given);
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}

fn values<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let of_name = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    headers.iter().filter(of_name).map(|header| header.value)
}

fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    let is_it = |part: &[u8]| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes());
    values(headers, name).any(|value| value.split(|byte| *byte == b',').any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str, method: &Method) -> Result<Option<Head>, Failure> {
        Head::parse(text.as_bytes(), 0, method)
    }

    fn framing_of(fields: &str) -> Result<Framing, Failure> {
        let text = alloc::format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        head(&text, &Method::GET).map(|head| head.unwrap().framing)
    }

    #[test]
    fn the_body_ends_as_the_head_says() {
        assert_eq!(framing_of(""), Ok(Framing::Close));
        assert_eq!(framing_of("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        let twice = "Content-Length: 12\r\ncontent-length: 12\r\n";
        assert_eq!(framing_of(twice), Ok(Framing::Length(12)));
        assert_eq!(
            framing_of("Transfer-Encoding: gzip, Chunked\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(framing_of("Transfer-Encoding: gzip\r\n"), Ok(Framing::Close));
        // RFC 9112 §6.3: chunked goes before a length.
        let both = "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(framing_of(both), Ok(Framing::Chunked));
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        let none = |method, text| head(text, method).unwrap().unwrap().framing == Framing::Length(0);
        assert!(none(&Method::HEAD, text));
        assert!(none(&Method::GET, "HTTP/1.1 204 No\r\n\r\n"));
        assert!(none(&Method::GET, "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n"));
    }

    #[test]
    fn lengths_that_cannot_be_meant_are_no_http() {
        for length in ["", "-1", "+1", "1 2", "0x10", "1, 2", "99999999999999999999"] {
            let field = alloc::format!("Content-Length: {length}\r\n");
            assert_eq!(framing_of(&field), Err(Failure::NotHttp), "{length}");
        }
        let two = "Content-Length: 1\r\nContent-Length: 2\r\n";
        assert_eq!(framing_of(two), Err(Failure::NotHttp));
    }

    #[test]
    fn it_is_known_whether_the_server_leaves_the_connection_open() {
        for (text, keeps) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n\r\n", true),
        ] {
            assert_eq!(head(text, &Method::GET).unwrap().unwrap().keeps, keeps, "{text}");
        }
    }

    #[test]
    fn a_head_is_found_wherever_it_is_cut() {
        for text in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n"] {
            let mut seen = 0;
            for end in 1..text.len() {
                let part = Head::parse(&text.as_bytes()[..end], seen, &Method::GET);
                assert_eq!(part, Ok(None), "{end}");
                seen = end;
            }
            let whole = Head::parse(text.as_bytes(), seen, &Method::GET).unwrap().unwrap();
            assert_eq!(whole.len, text.len());
        }
    }
}
