//! The trailer section of a body in chunks, and what of it may go on (RFC 9110 §6.5).

use super::field::Field;

/// Whether a field called `name` may stand behind a body.
///
/// RFC 9110 §6.5.1: not if somebody needs it before the body: for framing, routing, authentication, conditions and
/// controls, or to know what the content is. A recipient that merged such a trailer with the head could be told
/// anything behind the back of those who saw the head alone.
pub(crate) fn may_trail(name: &str) -> bool {
    const HEAD_ONLY: [&str; 23] = [
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "expires",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "origin",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "warning",
        "www-authenticate",
        "x-real-ip",
    ];
    // All that a proxy knows by name is among the first.
    Field::of(name) == Field::Other && !HEAD_ONLY.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Appends what of `section` may go on, and the empty line that a body in chunks ends with. `section` has been checked:
/// whole lines that are fields, and an empty one at the end; or it is empty.
pub(crate) fn push_trailers(out: &mut Vec<u8>, section: &[u8]) {
    for line in section.split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        if line != b"\r\n" && str::from_utf8(name).is_ok_and(may_trail) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_head_decides_is_left_out() {
        let section = b"X-Sum: 1\r\nHost: b\r\ncontent-LENGTH: 5\r\nSet-Cookie: a\r\nGrpc-Status: 0\r\nx-sum: a:b\r\n\r\n";
        let mut out = b"0\r\n".to_vec();
        push_trailers(&mut out, section);
        assert_eq!(out, b"0\r\nX-Sum: 1\r\nGrpc-Status: 0\r\nx-sum: a:b\r\n\r\n");
    }

    #[test]
    fn a_section_of_nothing_is_an_empty_line() {
        for section in [&b""[..], b"\r\n", b"Host: b\r\n\r\n"] {
            let mut out = Vec::new();
            push_trailers(&mut out, section);
            assert_eq!(out, b"\r\n", "{section:?}");
        }
    }
}
