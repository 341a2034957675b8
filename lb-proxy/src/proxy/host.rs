//! The `Host` header and the authority of a target, checked as strictly as RFC 3986 §3.2 allows.
//!
//! A proxy that passes on a host which a backend reads differently is how caches get poisoned and virtual hosts
//! bypassed; so nothing but `host` or `host:port` is passed on: no userinfo, list, path or white space.

use std::net::Ipv6Addr;

/// Whether `authority` is a host with an optional port: a name or IPv4 address of at most 255 bytes, or an IPv6
/// address in brackets.
pub(super) fn is_valid(authority: &[u8]) -> bool {
    if authority.first() == Some(&b'[') {
        return is_bracketed(authority);
    }
    let name_len = authority
        .iter()
        .position(|&byte| byte == b':')
        .unwrap_or(authority.len());
    let (name, port) = authority.split_at(name_len);
    (1..=255).contains(&name.len()) && is_reg_name(name) && is_port(port)
}

/// `[` IPv6 address `]` and an optional port. IPvFuture has no user and is refused.
fn is_bracketed(authority: &[u8]) -> bool {
    let Some(end) = authority.iter().position(|&byte| byte == b']') else {
        return false;
    };
    let address = std::str::from_utf8(&authority[1..end]);
    address.is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()) && is_port(&authority[end + 1..])
}

/// RFC 3986 §3.2.2 reg-name without `,`: unreserved, other sub-delims, and percent-encoded bytes.
fn is_reg_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match byte {
            b'%' => match tail {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
                _ => return false,
            },
            // A comma would read as two hosts once somebody joins header lines into a list.
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';'
            | b'=' => tail,
            _ if byte.is_ascii_alphanumeric() => tail,
            _ => return false,
        };
    }
    true
}

/// Nothing, or `:` and a port of 0 to 65535. An empty port is legal (RFC 3986 §3.2.3).
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')) <= 65_535
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_rfc_3986_are_valid() {
        for host in [
            "example.com",
            "example.com:8080",
            "example.com:",
            "EXAMPLE",
            "a_b.example",
            "192.0.2.1",
            "192.0.2.1:80",
            "[::1]",
            "[2001:db8::1]:443",
            "[::ffff:192.0.2.1]",
            "xn--bcher-kva.example",
            "%41.example",
            "h:65535",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for host in [
            "",
            ":80",
            "user@example.com",
            "a b",
            "a,b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:000080",
            "a:-1",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[v1.a]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "%4",
            "%zz",
            "a\"b",
            "a<b>",
            "caf\u{e9}",
            "a\tb",
            "a^b",
            "a`b",
            "a{b}",
            "a|b",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
        assert!(!is_valid(&[b'a'; 256]));
    }
}
