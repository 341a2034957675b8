//! The lines that tell a backend of the client, and a client of the proxy.

use std::net::IpAddr;

use super::config::{Forwarding, Policy, ServerField};
use super::hop::Hop;
use super::node::elements;
use super::received::{Class, Lines, Received};
use crate::fields::{is_token, push_value};
use crate::text::{push_address, push_decimal};

/// What a request on its way to a backend has besides its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The host that the client asked for, with its port if it had one; empty if there was none.
    pub host: &'a str,
    /// The protocol that the client spoke: `HTTP/1.1`.
    pub protocol: &'a str,
    /// The request's id.
    pub request_id: &'a str,
}

impl Forwarding {
    /// Whether a request's field is not passed on as it came, in any case of its name: [`append`](Self::append) writes
    /// it anew, or it goes.
    #[must_use]
    #[inline]
    pub fn drops(&self, name: &str) -> bool {
        match Class::of(name) {
            Some(Class::Via) => false,
            Some(_) => true,
            None => self
                .request_id
                .as_deref()
                .is_some_and(|field| field.eq_ignore_ascii_case(name)),
        }
    }

    /// Appends the lines that tell the backend of the client.
    pub fn append(&self, hop: &Hop, received: &Received<'_>, outgoing: &Outgoing<'_>, out: &mut Vec<u8>) {
        if self.x_forwarded != Policy::Remove {
            self.append_x_forwarded(hop, received, outgoing.host, out);
        }
        if self.forwarded != Policy::Remove {
            self.append_forwarded(hop, received, outgoing.host, out);
        }
        if let Some(field) = &self.request_id {
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b": ");
            push_value(out, outgoing.request_id.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        self.append_via(outgoing.protocol, out);
    }

    /// Whether a response's field is not passed on, in any case of its name.
    #[must_use]
    #[inline]
    pub fn drops_from_response(&self, name: &str) -> bool {
        self.server != ServerField::Pass && name.eq_ignore_ascii_case("server")
    }

    /// Appends the lines that tell the client of the proxy; `protocol` is what the backend spoke.
    pub fn append_to_response(&self, protocol: &str, out: &mut Vec<u8>) {
        if let ServerField::Replace(value) = &self.server {
            out.extend_from_slice(b"Server: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        self.append_via(protocol, out);
    }

    fn append_x_forwarded(&self, hop: &Hop, received: &Received<'_>, host: &str, out: &mut Vec<u8>) {
        if let Some(client) = received.client() {
            out.extend_from_slice(b"X-Forwarded-For: ");
            if self.x_forwarded == Policy::Append {
                for line in received.chain.iter() {
                    push_value(out, line);
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(&hop.text);
            } else {
                push_address(out, client.ip());
            }
            out.extend_from_slice(b"\r\n");
        }
        let scheme = received.scheme();
        out.extend_from_slice(b"X-Forwarded-Proto: ");
        out.extend_from_slice(scheme.as_str().as_bytes());
        let host = received.host.unwrap_or(host.as_bytes());
        if !host.is_empty() {
            out.extend_from_slice(b"\r\nX-Forwarded-Host: ");
            push_value(out, host);
        }
        // As the client sees it: the listener's own port may be another, behind a port mapping.
        out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
        let port = received.port.or_else(|| port_of(host)).unwrap_or(scheme.port());
        push_decimal(out, port.into());
        out.extend_from_slice(b"\r\n");
    }

    fn append_forwarded(&self, hop: &Hop, received: &Received<'_>, host: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Forwarded: ");
        let (told, address) = match self.forwarded {
            Policy::Append => {
                push_well_formed(&received.forwarded, out);
                (None, hop.peer)
            }
            _ => (received.host, received.client()),
        };
        push_node(address.map(|address| address.ip()), out);
        let host = told.unwrap_or(host.as_bytes());
        if !host.is_empty() {
            out.extend_from_slice(b";host=");
            push_word(host, out);
        }
        out.extend_from_slice(b";proto=");
        let scheme = if self.forwarded == Policy::Append {
            hop.scheme
        } else {
            received.scheme()
        };
        out.extend_from_slice(scheme.as_str().as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn append_via(&self, protocol: &str, out: &mut Vec<u8>) {
        let Some(name) = &self.via else { return };
        out.extend_from_slice(b"Via: ");
        // RFC 9110 §7.6.3: the protocol's name is left out if it is HTTP.
        push_value(out, protocol.strip_prefix("HTTP/").unwrap_or(protocol).as_bytes());
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// What came, as the beginning of a list, unless it is broken: what is added to an open quote would be within it.
fn push_well_formed(lines: &Lines<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    for line in lines.iter() {
        if !elements(line, |_| {}) {
            out.truncate(start);
            return;
        }
        push_value(out, line);
        out.extend_from_slice(b", ");
    }
}

/// RFC 7239 §6: `for=` an address, IPv6 in brackets and quotes; `unknown` if there is none.
fn push_node(address: Option<IpAddr>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"for=");
    match address {
        Some(address @ IpAddr::V4(_)) => push_address(out, address),
        Some(address @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            push_address(out, address);
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
}

/// A token as it is, anything else in quotes.
fn push_word(word: &[u8], out: &mut Vec<u8>) {
    if is_token(word) {
        out.extend_from_slice(word);
        return;
    }
    out.push(b'"');
    for &byte in word {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        push_value(out, &[byte]);
    }
    out.push(b'"');
}

/// The port of `host:port`.
fn port_of(host: &[u8]) -> Option<u16> {
    let colon = host.iter().rposition(|&byte| byte == b':')?;
    std::str::from_utf8(&host[colon + 1..])
        .ok()?
        .parse()
        .ok()
        .filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::super::hop::Scheme;
    use super::super::{ClientSource, ForwardingBuilder};
    use super::*;

    const SPOOFED: &[(&str, &[u8])] = &[
        ("X-Forwarded-For", b"203.0.113.7"),
        ("X-Forwarded-For", b"10.0.0.1"),
        ("X-Forwarded-Proto", b"https"),
        ("X-Forwarded-Host", b"evil.example"),
        ("X-Forwarded-Port", b"1"),
        ("Forwarded", b"for=203.0.113.7;proto=https"),
    ];

    #[test]
    fn append_joins_all_lines_and_adds_the_peer() {
        assert_eq!(
            written(Forwarding::builder(), "[::ffff:192.0.2.1]:4000", SPOOFED),
            "X-Forwarded-For: 203.0.113.7, 10.0.0.1, 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: example.com:8080\r\nX-Forwarded-Port: 8080\r\n"
        );
    }

    #[test]
    fn replace_forgets_what_came() {
        assert_eq!(
            written(
                Forwarding::builder().x_forwarded(Policy::Replace),
                "192.0.2.1:4000",
                SPOOFED
            ),
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com:8080\r\n\
             X-Forwarded-Port: 8080\r\n"
        );
    }

    #[test]
    fn replace_behind_a_trusted_hop_tells_the_client_that_it_told() {
        let builder = Forwarding::builder()
            .trust("192.0.2.0/24".parse().unwrap())
            .x_forwarded(Policy::Replace)
            .forwarded(Policy::Replace);
        assert_eq!(
            written(builder, "192.0.2.1:4000", SPOOFED),
            "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
             X-Forwarded-Port: 1\r\nForwarded: for=10.0.0.1;host=evil.example;proto=https\r\n"
        );
    }

    #[test]
    fn remove_adds_nothing_and_drops_everything() {
        let builder = Forwarding::builder().x_forwarded(Policy::Remove);
        assert_eq!(written(builder.clone(), "192.0.2.1:4000", SPOOFED), "");
        let forwarding = builder.request_id("X-Request-ID").build().unwrap();
        for (name, _) in SPOOFED {
            assert!(
                forwarding.drops(name) && forwarding.drops(&name.to_ascii_uppercase()),
                "{name}"
            );
        }
        assert!(forwarding.drops("x-request-id"));
        for name in [
            "via",
            "x-forwarded-for2",
            "x-forwarded-prot",
            "x-forwarded-hos",
            "x",
            "",
            "cookie",
            "x-forwarded-hosu",
        ] {
            assert!(!forwarding.drops(name), "{name}");
        }
    }

    #[test]
    fn forwarded_is_written_as_rfc_7239_has_it() {
        let builder = Forwarding::builder()
            .x_forwarded(Policy::Remove)
            .forwarded(Policy::Append);
        assert_eq!(
            written(builder.clone(), "192.0.2.1:4000", SPOOFED),
            "Forwarded: for=203.0.113.7;proto=https, for=192.0.2.1;host=\"example.com:8080\";proto=http\r\n"
        );
        assert_eq!(
            written(builder.clone(), "[2001:db8::1]:4000", &[]),
            "Forwarded: for=\"[2001:db8::1]\";host=\"example.com:8080\";proto=http\r\n"
        );
        // What is added must not end up within somebody's open quote.
        assert_eq!(
            written(
                builder,
                "192.0.2.1:4000",
                &[("Forwarded", b"for=1.1.1.1, for=\"2.2.2.2")]
            ),
            "Forwarded: for=192.0.2.1;host=\"example.com:8080\";proto=http\r\n"
        );
    }

    #[test]
    fn what_is_written_is_read_again_by_the_next_proxy() {
        let told = written(
            Forwarding::builder().forwarded(Policy::Append),
            "[2001:db8::7]:4000",
            &[],
        );
        let lines: Vec<(&str, &[u8])> = crate::fields::lines(told.as_bytes()).collect();
        for source in [ClientSource::XForwardedFor, ClientSource::Forwarded] {
            let next = Forwarding::builder()
                .trust("192.0.2.1".parse().unwrap())
                .client_source(source)
                .build();
            let hop = Hop::new(Some("192.0.2.1:1".parse().unwrap()), None, Scheme::Https);
            let next = next.unwrap();
            let received = next.receive(&hop, &lines[..]);
            assert_eq!(received.client().unwrap().ip().to_string(), "2001:db8::7");
            assert_eq!(
                (received.scheme(), received.host),
                (Scheme::Http, Some(&b"example.com:8080"[..]))
            );
        }
    }

    #[test]
    fn the_port_is_the_one_that_the_client_sees() {
        let port = |host: &str, scheme| {
            let hop = Hop::new(
                Some("192.0.2.1:1".parse().unwrap()),
                Some("10.0.0.1:8443".parse().unwrap()),
                scheme,
            );
            let forwarding = Forwarding::default();
            let received = forwarding.receive(&hop, &());
            let mut out = Vec::new();
            forwarding.append(&hop, &received, &outgoing(host), &mut out);
            let text = String::from_utf8(out).unwrap();
            text.rsplit_once(": ").unwrap().1.trim_end().to_owned()
        };
        assert_eq!(port("a", Scheme::Http), "80");
        assert_eq!(port("a", Scheme::Https), "443");
        assert_eq!(port("a:444", Scheme::Https), "444");
        assert_eq!(port("[::1]", Scheme::Http), "80");
        assert_eq!(port("[::1]:81", Scheme::Http), "81");
        assert_eq!(port("a:", Scheme::Http), "80");
    }

    #[test]
    fn id_via_and_server_are_told_if_configured() {
        let builder = Forwarding::builder()
            .x_forwarded(Policy::Remove)
            .request_id("X-Request-ID")
            .via("lb")
            .server(ServerField::Replace("shop".to_owned()));
        assert_eq!(
            written(builder.clone(), "192.0.2.1:1", &[]),
            "X-Request-ID: 42\r\nVia: 1.1 lb\r\n"
        );
        let forwarding = builder.build().unwrap();
        let mut out = Vec::new();
        forwarding.append_to_response("HTTP/1.0", &mut out);
        assert_eq!(out, b"Server: shop\r\nVia: 1.0 lb\r\n");
        assert!(forwarding.drops_from_response("SERVER") && !forwarding.drops_from_response("date"));

        let plain = Forwarding::default();
        out.clear();
        plain.append_to_response("HTTP/1.1", &mut out);
        assert!(out.is_empty() && !plain.drops_from_response("server"));
        let without = Forwarding::builder().server(ServerField::Remove).build().unwrap();
        without.append_to_response("HTTP/1.1", &mut out);
        assert!(out.is_empty() && without.drops_from_response("Server"));
    }

    #[test]
    fn a_client_without_address_is_not_named() {
        let hop = Hop::new(None, None, Scheme::Https);
        let forwarding = Forwarding::builder().forwarded(Policy::Replace).build().unwrap();
        let received = forwarding.receive(&hop, &SPOOFED);
        let mut out = Vec::new();
        forwarding.append(&hop, &received, &outgoing("a"), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 443\r\n\
             Forwarded: for=unknown;host=a;proto=https\r\n"
        );
    }

    fn written(builder: ForwardingBuilder, peer: &str, fields: &[(&str, &[u8])]) -> String {
        let forwarding = builder.build().unwrap();
        let hop = Hop::new(Some(peer.parse().unwrap()), None, Scheme::Http);
        let received = forwarding.receive(&hop, fields);
        let mut out = Vec::new();
        forwarding.append(&hop, &received, &outgoing("example.com:8080"), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn outgoing(host: &str) -> Outgoing<'_> {
        Outgoing {
            host,
            protocol: "HTTP/1.1",
            request_id: "42",
        }
    }
}
