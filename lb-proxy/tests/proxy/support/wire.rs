//! HTTP/1.1 messages read strictly: what a careful peer would not accept is an error here.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// A response as it came over the wire.
#[derive(Debug, Clone)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// Header lines in their order, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of a header that is there at most once.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times", all.len());
        all.first().copied()
    }
}

impl Response {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

impl Request {
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

pub fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Reads a request; `None` at the end of the connection.
pub fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    if stream.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let line = read_line(stream)?;
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(bad(format!("request line {line:?}")));
    };
    if !is_token(method) || !is_target(target) {
        return Err(bad(format!("request line {line:?}")));
    }
    let headers = read_headers(stream)?;
    check_fields(&headers)?;
    let (method, target) = (method.to_owned(), target.to_owned());
    let (body, trailers) = match framing(&headers)? {
        Framing::Length(length) => (read_exact(stream, length)?, Headers::default()),
        Framing::Chunked => read_chunked(stream)?,
        Framing::None => Default::default(),
    };
    Ok(Some(Request {
        method,
        target,
        headers,
        body,
        trailers,
    }))
}

fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Origin-form, or the asterisk: printable ASCII without a fragment.
fn is_target(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    target == "*" || target.starts_with('/') && target.bytes().all(is_plain)
}

/// One `Host`, and of the fields that end at a proxy no more than a proxy may say itself.
fn check_fields(headers: &Headers) -> io::Result<()> {
    let [host] = headers.all("host")[..] else {
        return Err(bad("not exactly one Host"));
    };
    if host.is_empty() || host.contains([' ', '\t', ',', '/', '@', '?', '#']) {
        return Err(bad(format!("host {host:?}")));
    }
    for (name, value) in &headers.0 {
        let fine = match name.as_str() {
            "connection" => ["close", "keep-alive", "te", "upgrade"].contains(&&*value.to_ascii_lowercase()),
            "upgrade" => value.eq_ignore_ascii_case("websocket"),
            "te" => value == "trailers",
            "keep-alive" | "proxy-connection" | "proxy-authorization" | "http2-settings" | "proxy" => false,
            _ => true,
        };
        if !fine {
            return Err(bad(format!("{name}: {value:?} ends at a proxy")));
        }
    }
    Ok(())
}

/// Reads a response to `method`; interim responses are skipped.
pub fn read_response(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Response> {
    loop {
        let response = read_any_response(stream, method)?;
        if response.status >= 200 || response.status == 101 {
            return Ok(response);
        }
    }
}

/// Reads the next response to `method`, be it interim or final.
pub fn read_any_response(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Response> {
    let line = read_line(stream)?;
    let mut parts = line.splitn(3, ' ');
    let (Some(version), Some(status)) = (parts.next(), parts.next().and_then(|status| status.parse().ok()))
    else {
        return Err(bad(format!("status line {line:?}")));
    };
    let version = version.to_owned();
    let headers = read_headers(stream)?;
    let mut trailers = Headers::default();
    let empty = method == "HEAD" || status < 200 || status == 204 || status == 304;
    let body = match framing(&headers)? {
        _ if empty => Vec::new(),
        Framing::Length(length) => read_exact(stream, length)?,
        Framing::Chunked => {
            let body;
            (body, trailers) = read_chunked(stream)?;
            body
        }
        Framing::None => {
            let mut body = Vec::new();
            stream.read_to_end(&mut body)?;
            body
        }
    };
    Ok(Response {
        version,
        status,
        headers,
        body,
        trailers,
    })
}

enum Framing {
    Length(usize),
    Chunked,
    None,
}

fn framing(headers: &Headers) -> io::Result<Framing> {
    match (
        &headers.all("content-length")[..],
        &headers.all("transfer-encoding")[..],
    ) {
        ([], []) => Ok(Framing::None),
        ([], ["chunked"]) => Ok(Framing::Chunked),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| bad("content-length")),
        other => Err(bad(format!("framing {other:?}"))),
    }
}

fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<Headers> {
    let mut headers = Headers::default();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(bad(format!("header {line:?}")));
        };
        let is_plain = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
        if !is_token(name) || !value.bytes().all(is_plain) {
            return Err(bad(format!("header {line:?}")));
        }
        headers.0.push((
            name.to_ascii_lowercase(),
            value.trim_matches([' ', '\t']).to_owned(),
        ));
    }
}

/// A line up to CRLF, with neither CR nor LF in it.
fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(64 * 1024).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let Some(text) = line.strip_suffix(b"\r\n") else {
        return Err(bad(format!("line {line:?}")));
    };
    if text.contains(&b'\r') || text.contains(&0) {
        return Err(bad(format!("line {line:?}")));
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn read_exact(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunked(stream: &mut BufReader<TcpStream>) -> io::Result<(Vec<u8>, Headers)> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad(format!("chunk size {line:?}")));
        }
        let size = usize::from_str_radix(&line, 16).map_err(|_| bad("chunk size"))?;
        if size == 0 {
            return Ok((body, read_headers(stream)?));
        }
        body.extend(read_exact(stream, size)?);
        if !read_line(stream)?.is_empty() {
            return Err(bad("no CRLF after a chunk"));
        }
    }
}
