//! The fields of a message's head, however they are kept.
//!
//! What routes, forwards, limits and logs reads fields through [`Fields`], so that it serves a head that was just
//! parsed, a header map and a few copies that outlived their buffer alike. What they write are whole lines,
//! `Name: value\r\n`, at the end of a head under construction; [`lines`] takes them apart for who has no use for text.
//!
//! ```
//! use lb_proxy::fields::{self, Fields};
//!
//! let head: &[(&str, &[u8])] = &[("Host", b"example.com"), ("Accept", b"*/*")];
//! assert_eq!(head.field("accept"), Some(&b"*/*"[..]));
//!
//! let written = b"X-Real-IP: 192.0.2.1\r\nVia: 1.1 lb\r\n";
//! let mut lines = fields::lines(written);
//! assert_eq!(lines.next(), Some(("X-Real-IP", &b"192.0.2.1"[..])));
//! assert_eq!(lines.next(), Some(("Via", &b"1.1 lb"[..])));
//! assert_eq!(lines.next(), None);
//! ```

/// The fields of a head: names in any case, values without the white space around them.
pub trait Fields {
    /// Calls `visit` with name and value of every field line, in the order in which they came.
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8]));

    /// The value of the first line of that name, in any case.
    fn field(&self, name: &str) -> Option<&[u8]> {
        let mut found = None;
        self.visit(&mut |line, value| {
            if found.is_none() && line.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
        });
        found
    }
}

impl<F: Fields + ?Sized> Fields for &F {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        (**self).visit(visit);
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        (**self).field(name)
    }
}

/// No fields at all.
impl Fields for () {
    fn visit<'a>(&'a self, _visit: &mut dyn FnMut(&'a str, &'a [u8])) {}
}

impl Fields for [(&str, &[u8])] {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for &(name, value) in self {
            visit(name, value);
        }
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|&(_, value)| value)
    }
}

#[cfg(feature = "proxy")]
impl Fields for [httparse::Header<'_>] {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for header in self {
            visit(header.name, header.value);
        }
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }
}

#[cfg(feature = "proxy")]
impl Fields for http::HeaderMap {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name.as_str(), value.as_bytes());
        }
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

/// Takes lines apart that this crate wrote: each name, and its value.
///
/// Not a parser for what came over the wire: what isn't `Name: value\r\n` is passed over.
pub fn lines(written: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    written.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, line[colon + 1..].trim_ascii()))
    })
}

/// RFC 9110 §5.6.2: what a field's name, a method or a cookie's name is made of.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Why nobody but the proxy may write that field, which says how a message is framed or where it goes: what it does
/// instead. `None` for all other fields.
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "content-length" | "transfer-encoding" | "trailer" | "te" => Some("frames messages itself"),
        "connection" | "keep-alive" | "proxy-connection" => Some("keeps its connections itself"),
        "upgrade" | "http2-settings" => Some("passes on upgrades itself"),
        "host" => Some("has a host policy for it"),
        _ => None,
    }
}

/// RFC 9110 §5.5: a byte that may stand within a value.
pub(crate) const fn is_value_byte(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}

/// Calls `each` with all values of a field, and what stands before each in a list of them.
pub(crate) fn each_value<'a>(
    fields: &'a dyn Fields,
    name: &str,
    mut each: impl FnMut(&'static [u8], &'a [u8]),
) {
    let mut separator: &[u8] = b"";
    fields.visit(&mut |field, value| {
        if field.eq_ignore_ascii_case(name) {
            each(separator, value);
            // RFC 6265 §5.4: cookies are the one list without commas.
            separator = if name == "cookie" { b"; " } else { b", " };
        }
    });
}

/// The host without its port, and without the dot of a fully qualified name.
pub(crate) fn host_name(authority: &str) -> &str {
    let bytes = authority.as_bytes();
    let name_end = if bytes.first() == Some(&b'[') {
        bytes.iter().position(|&byte| byte == b']').map(|end| end + 1)
    } else {
        // A port has five digits at most, so there is no need to look at all of the name.
        let tail = bytes.len().saturating_sub(6);
        bytes[tail..]
            .iter()
            .position(|&byte| byte == b':')
            .map(|colon| tail + colon)
    };
    let name_end = name_end.unwrap_or(bytes.len());
    let name = &authority[..name_end];
    name.strip_suffix('.').unwrap_or(name)
}

/// Appends what may stand in a value; control bytes, which would end the line, are left out.
pub(crate) fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    // No early exit, so that it becomes vector code: nearly all values are clean.
    if value
        .iter()
        .fold(true, |clean, &byte| clean & is_value_byte(byte))
    {
        out.extend_from_slice(value);
    } else {
        out.extend(value.iter().copied().filter(|&byte| is_value_byte(byte)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_in_any_case_and_the_first_line_counts() {
        let fields: &[(&str, &[u8])] = &[("A", b"1"), ("b", b"2"), ("a", b"3")];
        assert_eq!(fields.field("a"), Some(&b"1"[..]));
        assert_eq!(fields.field("B"), Some(&b"2"[..]));
        assert_eq!(fields.field("c"), None);
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn parsed_heads_and_header_maps_read_alike() {
        let parsed: &[httparse::Header<'_>] = &[
            httparse::Header {
                name: "X-A",
                value: b"1",
            },
            httparse::Header {
                name: "x-a",
                value: b"2",
            },
        ];
        let mut map = http::HeaderMap::new();
        map.append("x-a", http::HeaderValue::from_static("1"));
        map.append("x-a", http::HeaderValue::from_static("2"));
        for fields in [&parsed as &dyn Fields, &map] {
            let mut values = Vec::new();
            fields.visit(&mut |_, value| values.push(value));
            assert_eq!(values, [b"1", b"2"]);
            assert_eq!(fields.field("X-A"), Some(&b"1"[..]));
        }
    }

    #[test]
    fn hosts_lose_port_and_last_dot() {
        for (authority, name) in [
            ("a", "a"),
            ("a:80", "a"),
            ("a.", "a"),
            ("a.:80", "a"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("[::1", "[::1"),
            ("", ""),
        ] {
            assert_eq!(host_name(authority), name, "{authority}");
        }
    }

    #[test]
    fn a_value_cannot_end_its_line() {
        let mut out = Vec::new();
        push_value(&mut out, b"a\r\nX: b\0\x7f\tc\xff");
        assert_eq!(out, b"aX: b\tc\xff");
    }
}
