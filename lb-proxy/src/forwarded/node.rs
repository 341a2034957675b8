//! Addresses in `X-Forwarded-For`, and the elements of `Forwarded`.

use std::net::{IpAddr, SocketAddr};

/// An address with an optional port, which is 0 without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`. `unknown` and obfuscated names (RFC 7239 §6.3) are none.
pub(super) fn parse_node(node: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(node).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let alone = text
        .parse()
        .ok()
        .or_else(bracketed)
        .map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let node = alone.or_else(|| text.parse().ok())?;
    Some(SocketAddr::new(node.ip().to_canonical(), node.port()))
}

/// What an element of `Forwarded` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) client: &'a [u8],
    pub(super) host: Option<&'a [u8]>,
    pub(super) proto: Option<&'a [u8]>,
}

/// Calls `each` with every element of a line of `Forwarded` (RFC 7239 §4), in order; whether the line is well formed.
///
/// An address that should be in quotes but isn't is taken, since many senders forget them.
pub(super) fn elements<'a>(line: &'a [u8], mut each: impl FnMut(Element<'a>)) -> bool {
    let mut rest = line;
    let mut element = Element::default();
    let mut pairs = 0_u32;
    loop {
        rest = rest.trim_ascii_start();
        match rest.first() {
            None | Some(b',') => {
                if std::mem::take(&mut pairs) > 0 {
                    each(std::mem::take(&mut element));
                }
                if rest.is_empty() {
                    return true;
                }
                rest = &rest[1..];
            }
            Some(b';') => rest = &rest[1..],
            Some(_) => {
                let Some((name, value, after)) = pair(rest) else {
                    return false;
                };
                pairs += 1;
                if name.eq_ignore_ascii_case(b"for") {
                    element.client = value;
                } else if name.eq_ignore_ascii_case(b"host") {
                    element.host = Some(value);
                } else if name.eq_ignore_ascii_case(b"proto") {
                    element.proto = Some(value);
                }
                rest = after.trim_ascii_start();
                if !matches!(rest.first(), None | Some(b',' | b';')) {
                    return false;
                }
            }
        }
    }
}

/// `name=value` or `name="value"`, and what follows. Escapes within the quotes stay: no address or host has any.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (&text[..equals], &text[equals + 1..]);
    if !crate::fields::is_token(name) {
        return None;
    }
    if let Some(quoted) = value.strip_prefix(b"\"") {
        let mut escaped = false;
        let end = quoted.iter().position(|&byte| {
            let end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            end
        })?;
        return Some((name, &quoted[..end], &quoted[end + 1..]));
    }
    let end = value
        .iter()
        .position(|byte| b",; \t".contains(byte))
        .unwrap_or(value.len());
    let (value, after) = value.split_at(end);
    let plain = !value.is_empty()
        && value
            .iter()
            .all(|&byte| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte));
    plain.then_some((name, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_with_and_without_port_are_read() {
        for (node, address) in [
            ("192.0.2.1", "192.0.2.1:0"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("::ffff:192.0.2.1", "192.0.2.1:0"),
        ] {
            assert_eq!(
                parse_node(node.as_bytes()),
                Some(address.parse().unwrap()),
                "{node}"
            );
        }
        for node in [
            "",
            "unknown",
            "_hidden",
            "1.2.3",
            "1.2.3.4:",
            "1.2.3.4:x",
            "[::1",
            "::1]",
            "1.2.3.4 ",
            "\u{e9}",
        ] {
            assert_eq!(parse_node(node.as_bytes()), None, "{node}");
        }
    }

    #[test]
    fn the_examples_of_rfc_7239_are_read() {
        // §4 and §7.1.
        assert_eq!(clients("for=\"_gazonk\""), Some("_gazonk".to_owned()));
        assert_eq!(
            clients("For=\"[2001:db8:cafe::17]:4711\""),
            Some("[2001:db8:cafe::17]:4711".to_owned())
        );
        assert_eq!(
            clients("for=192.0.2.60;proto=http;by=203.0.113.43"),
            Some("192.0.2.60 http".to_owned())
        );
        assert_eq!(
            clients("for=192.0.2.43, for=198.51.100.17"),
            Some("192.0.2.43|198.51.100.17".to_owned())
        );
        assert_eq!(
            clients("for=192.0.2.43,for=\"[2001:db8:cafe::17]\";host=\"a,b;c\""),
            Some("192.0.2.43|[2001:db8:cafe::17] @a,b;c".to_owned())
        );
    }

    #[test]
    fn what_is_not_well_formed_is_told() {
        for line in [
            "for",
            "for=",
            "for=\"1.2.3.4",
            "for=\"a\"b",
            "=a",
            "f r=a",
            "for=a b",
            "for=a\"b\"",
            "for=\"a\\\"",
        ] {
            assert_eq!(clients(line), None, "{line}");
        }
        for (line, read) in [
            ("", ""),
            (" , ;,", ""),
            ("by=a", ""),
            ("for=a;;", "a"),
            ("for=[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(clients(line).as_deref(), Some(read), "{line}");
        }
    }

    fn clients(line: &str) -> Option<String> {
        let mut read = Vec::new();
        let well_formed = elements(line.as_bytes(), |element| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let mut one = text(element.client);
            if let Some(proto) = element.proto {
                one += &format!(" {}", text(proto));
            }
            if let Some(host) = element.host {
                one += &format!(" @{}", text(host));
            }
            read.push(one);
        });
        well_formed.then(|| read.join("|"))
    }
}
