//! HTTP/1.1 as RFC 9112 writes it, decoded slowly and all at once: grammar by grammar, without a limit, an offset that
//! is kept, or a byte that is trusted.

/// A head: its first line, its fields, and how many octets it took.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    pub line: Vec<&'a [u8]>,
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    pub len: usize,
}

/// What there is of a message so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    Whole(T),
    /// Nothing is wrong yet, and something is missing.
    Partial,
    Malformed,
}

use Decoded::{Malformed, Partial, Whole};

/// RFC 9112 §3: method, target and version, each a part of `line`.
pub fn request_head(data: &[u8]) -> Decoded<Head<'_>> {
    head(data, |line| {
        let parts: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let [method, target, version] = parts[..] else {
            return None;
        };
        // Octets outside ASCII and fragments are refused later, where the forms of targets are told apart.
        let is_plain = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
        let fine =
            is_token(method) && !target.is_empty() && target.iter().all(is_plain) && is_version(version);
        fine.then_some(parts)
    })
}

/// RFC 9112 §4: version, status and reason.
pub fn response_head(data: &[u8]) -> Decoded<Head<'_>> {
    head(data, |line| {
        let (version, rest) = line.split_at_checked(8)?;
        let (status, reason) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
        // The space before an empty reason is missing often enough.
        let reason = match reason {
            [] => reason,
            _ => reason.strip_prefix(b" ")?,
        };
        let fine = is_version(version)
            && matches!(status[0], b'1'..=b'9')
            && status.iter().all(u8::is_ascii_digit)
            && reason.iter().all(is_text);
        fine.then(|| vec![version, status, reason])
    })
}

fn head<'a>(data: &'a [u8], first: impl Fn(&'a [u8]) -> Option<Vec<&'a [u8]>>) -> Decoded<Head<'a>> {
    let mut rest = data;
    let line = match line(&mut rest) {
        Whole(line) => line,
        Partial => return Partial,
        Malformed => return Malformed,
    };
    let Some(line) = first(line) else {
        return Malformed;
    };
    match fields(&mut rest) {
        Whole(fields) => Whole(Head {
            line,
            fields,
            len: data.len() - rest.len(),
        }),
        Partial => Partial,
        Malformed => Malformed,
    }
}

/// The lines up to an empty one, as name and value without the white space around it.
fn fields<'a>(rest: &mut &'a [u8]) -> Decoded<Vec<(&'a [u8], &'a [u8])>> {
    let mut fields = Vec::new();
    loop {
        let line = match line(rest) {
            Whole(line) => line,
            Partial => return Partial,
            Malformed => return Malformed,
        };
        if line.is_empty() {
            return Whole(fields);
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Malformed;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) || !value.iter().all(is_text) {
            return Malformed;
        }
        fields.push((name, trim(value)));
    }
}

/// Takes a line that ends with CRLF and has no other CR or LF.
fn line<'a>(rest: &mut &'a [u8]) -> Decoded<&'a [u8]> {
    let Some(end) = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') else {
        return Partial;
    };
    match rest[end..] {
        [b'\r'] => Partial,
        [b'\r', b'\n', ..] => {
            let line = &rest[..end];
            *rest = &rest[end + 2..];
            Whole(line)
        }
        _ => Malformed,
    }
}

/// A body in the chunked coding (RFC 9112 §7.1): what it holds, its trailers, and how many octets it took.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunked<'a> {
    pub body: Vec<u8>,
    pub trailers: Vec<(&'a [u8], &'a [u8])>,
    pub len: usize,
}

pub fn chunked(data: &[u8]) -> Decoded<Chunked<'_>> {
    let (mut rest, mut body) = (data, Vec::new());
    loop {
        let line = match line(&mut rest) {
            Whole(line) => line,
            Partial => return Partial,
            Malformed => return Malformed,
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        let Some(size) = std::str::from_utf8(size)
            .ok()
            .and_then(|size| u64::from_str_radix(size, 16).ok())
        else {
            return Malformed;
        };
        // Bad white space may stand before the first semicolon; what follows it is text.
        let starts_well = matches!(trim(extension), [] | [b';', ..]);
        if !starts_well || !extension.iter().all(is_text) {
            return Malformed;
        }
        if size == 0 {
            return match fields(&mut rest) {
                Whole(trailers) => Whole(Chunked {
                    body,
                    trailers,
                    len: data.len() - rest.len(),
                }),
                Partial => Partial,
                Malformed => Malformed,
            };
        }
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= rest.len()) else {
            return Partial;
        };
        body.extend(&rest[..size]);
        rest = &rest[size..];
        match rest {
            [] | [b'\r'] => return Partial,
            [b'\r', b'\n', behind @ ..] => rest = behind,
            _ => return Malformed,
        }
    }
}

/// Where the body of a request ends (RFC 9112 §6.3); an error is a message that nobody may forward.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

pub fn request_framing(head: &Head<'_>) -> Result<Framing, ()> {
    let all = |name: &str| -> Vec<&[u8]> {
        let named = |field: &&(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        head.fields.iter().filter(named).map(|field| field.1).collect()
    };
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Ok(Framing::None),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && head.line[2] == b"HTTP/1.1" => {
            Ok(Framing::Chunked)
        }
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(length).map_err(drop)?;
            text.parse().map(Framing::Length).map_err(drop)
        }
        _ => Err(()),
    }
}

fn is_version(text: &[u8]) -> bool {
    text == b"HTTP/1.0" || text == b"HTTP/1.1"
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// RFC 9110 §5.5: visible characters, white space, and obs-text.
fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
