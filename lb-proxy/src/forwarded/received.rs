//! What a request's fields say of the client, and what of it is believed.

use std::net::SocketAddr;

use super::config::{ClientSource, Forwarding};
use super::hop::{Hop, Scheme};
use super::node::{Element, elements, parse_node};
use super::request_id::{RequestId, RequestIds};
use crate::fields::Fields;

/// How many elements are looked at, from the nearest on: no chain of proxies is as long.
const MAX_HOPS: usize = 64;

/// The fields that tell of the client, found in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Forwarded,
    For,
    Host,
    Port,
    Proto,
    Via,
}

impl Class {
    #[inline]
    pub(super) fn of(name: &str) -> Option<Self> {
        // Length and a letter first: no usual field shares both with one of these.
        let letter = |at: usize| name.as_bytes()[at] | 0x20;
        let (class, full) = match name.len() {
            3 => (Self::Via, "via"),
            9 => (Self::Forwarded, "forwarded"),
            15..=17 if letter(0) != b'x' => return None,
            15 => (Self::For, "x-forwarded-for"),
            16 if letter(12) == b'h' => (Self::Host, "x-forwarded-host"),
            16 => (Self::Port, "x-forwarded-port"),
            17 => (Self::Proto, "x-forwarded-proto"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(full).then_some(class)
    }
}

/// All lines of one field.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines<'a> {
    first: Option<&'a [u8]>,
    more: Vec<&'a [u8]>,
}

impl<'a> Lines<'a> {
    fn push(&mut self, line: &'a [u8]) {
        if line.is_empty() {
            return;
        }
        if self.first.is_none() {
            self.first = Some(line);
        } else {
            self.more.push(line);
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.first.into_iter().chain(self.more.iter().copied())
    }
}

/// What came with a request, and what of it is believed; made by [`Forwarding::receive`].
#[derive(Clone, Debug)]
pub struct Received<'a> {
    pub(super) chain: Lines<'a>,
    pub(super) forwarded: Lines<'a>,
    /// Told by a trusted hop, and well formed.
    pub(super) host: Option<&'a [u8]>,
    pub(super) port: Option<u16>,
    request_id: Option<&'a [u8]>,
    trusted: bool,
    client: Option<SocketAddr>,
    scheme: Scheme,
}

impl Received<'_> {
    /// The client, as far as it is known: the peer, or who trusted hops say it is. A port of 0 is unknown.
    #[must_use]
    #[inline]
    pub const fn client(&self) -> Option<SocketAddr> {
        self.client
    }

    /// How the client speaks: over this connection, or to the trusted hop that tells so.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the request came from a trusted hop.
    #[must_use]
    pub const fn from_trusted_hop(&self) -> bool {
        self.trusted
    }
}

impl Forwarding {
    /// Reads what `fields`, which came over `hop`, say of the client, and decides what to believe.
    ///
    /// Without a trusted hop nothing is parsed; beyond the first line of a field, the others' places are allocated.
    pub fn receive<'a, F: Fields + ?Sized>(&self, hop: &Hop, fields: &'a F) -> Received<'a> {
        let mut received = Received {
            chain: Lines::default(),
            forwarded: Lines::default(),
            host: None,
            port: None,
            request_id: None,
            trusted: hop.peer.is_some_and(|peer| self.trusted.contains(peer.ip())),
            client: hop.peer,
            scheme: hop.scheme,
        };
        let (mut proto, mut host, mut port) = (None, None, None);
        let request_id = self.request_id.as_deref().filter(|_| received.trusted);
        fields.visit(&mut |name, value| match Class::of(name) {
            Some(Class::For) => received.chain.push(value),
            Some(Class::Forwarded) => received.forwarded.push(value),
            Some(Class::Proto) => proto = Some(value),
            Some(Class::Host) => host = Some(value),
            Some(Class::Port) => port = Some(value),
            Some(Class::Via) => {}
            None => {
                if request_id.is_some_and(|field| field.eq_ignore_ascii_case(name)) {
                    received.request_id = Some(value);
                }
            }
        });
        if !received.trusted {
            return received;
        }
        match self.source {
            ClientSource::XForwardedFor => {
                let hops = received
                    .chain
                    .iter()
                    .rev()
                    .flat_map(|line| line.rsplit(|&byte| byte == b','));
                let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
                if let Some((client, _)) = self.client(hops.map(|hop| (parse_node(hop), ()))) {
                    received.client = Some(client);
                }
                received.scheme = proto
                    .map(last_element)
                    .and_then(Scheme::named)
                    .unwrap_or(hop.scheme);
                received.host = host.map(last_element).filter(|host| is_host(host));
                received.port = port.map(last_element).and_then(parse_port);
            }
            ClientSource::Forwarded => {
                let nearest_first = last_elements(&received.forwarded);
                let hops = nearest_first
                    .iter()
                    .map(|element| (parse_node(element.client), *element));
                if let Some((client, element)) = self.client(hops) {
                    received.client = Some(client);
                    received.scheme = element.proto.and_then(Scheme::named).unwrap_or(hop.scheme);
                    received.host = element.host.filter(|host| is_host(host));
                }
            }
        }
        received
    }

    /// The id of a request: the one that a trusted hop gave, else a new one.
    #[must_use]
    pub fn request_id<'a>(&self, received: &Received<'a>, ids: &mut RequestIds) -> RequestId<'a> {
        received
            .request_id
            .and_then(RequestId::given)
            .unwrap_or_else(|| ids.next_id())
    }

    /// The first that is no trusted hop, of those told by trusted hops, the nearest first; else the farthest one before
    /// something that is no address. As nginx's `real_ip_recursive`.
    fn client<T>(
        &self,
        nearest_first: impl Iterator<Item = (Option<SocketAddr>, T)>,
    ) -> Option<(SocketAddr, T)> {
        let mut client = None;
        for (address, told) in nearest_first.take(MAX_HOPS) {
            let Some(address) = address else { break };
            client = Some((address, told));
            if !self.trusted.contains(address.ip()) {
                break;
            }
        }
        client
    }
}

/// The last elements of `Forwarded`, the nearest first; behind a broken line nothing is known of the ones before.
fn last_elements<'a>(lines: &Lines<'a>) -> Vec<Element<'a>> {
    let mut nearest_first = Vec::new();
    for line in lines.iter().rev() {
        let mut of_line = std::collections::VecDeque::new();
        let well_formed = elements(line, |element| {
            of_line.truncate(MAX_HOPS - 1);
            of_line.push_front(element);
        });
        if !well_formed || nearest_first.len() >= MAX_HOPS {
            break;
        }
        nearest_first.extend(of_line);
    }
    nearest_first
}

/// What the nearest hop wrote, if others wrote before it.
fn last_element(value: &[u8]) -> &[u8] {
    value
        .rsplit(|&byte| byte == b',')
        .next()
        .unwrap_or(value)
        .trim_ascii()
}

/// Whether a host, with or without port, has nothing in it that could mean something else to a backend.
fn is_host(host: &[u8]) -> bool {
    (1..=255 + 6).contains(&host.len())
        && host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(byte))
}

fn parse_port(port: &[u8]) -> Option<u16> {
    let digits = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(port)
        .ok()?
        .parse()
        .ok()
        .filter(|&port| digits && port != 0)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_but_trusted_hops_is_believed() {
        let fields: &[(&str, &[u8])] = &[
            ("X-Forwarded-For", b"198.51.100.7"),
            ("X-Forwarded-Proto", b"https"),
            ("X-Forwarded-Host", b"evil.example"),
            ("X-Forwarded-Port", b"1"),
            ("X-Request-ID", b"theirs"),
        ];
        let forwarding = Forwarding::builder().trust("10.0.0.0/8".parse().unwrap());
        let forwarding = forwarding.request_id("x-request-id").build().unwrap();
        let mut ids = RequestIds::new(0);

        let received = forwarding.receive(&hop("203.0.113.1:5"), &fields);
        assert!(!received.from_trusted_hop());
        assert_eq!(received.client(), Some("203.0.113.1:5".parse().unwrap()));
        assert_eq!(
            (received.scheme(), received.host, received.port),
            (Scheme::Http, None, None)
        );
        assert_ne!(forwarding.request_id(&received, &mut ids).as_str(), "theirs");

        let received = forwarding.receive(&hop("10.1.1.1:5"), &fields);
        assert!(received.from_trusted_hop());
        assert_eq!(received.client(), Some("198.51.100.7:0".parse().unwrap()));
        assert_eq!(received.scheme(), Scheme::Https);
        assert_eq!(
            (received.host, received.port),
            (Some(&b"evil.example"[..]), Some(1))
        );
        assert_eq!(forwarding.request_id(&received, &mut ids).as_str(), "theirs");
    }

    #[test]
    fn the_client_is_the_nearest_that_is_no_trusted_hop() {
        for (lines, client) in [
            (&["6.6.6.6, 198.51.100.7"][..], "198.51.100.7:0"),
            (&["6.6.6.6, 198.51.100.7, 10.0.0.2"], "198.51.100.7:0"),
            (
                &["6.6.6.6", "198.51.100.7", "10.0.0.2,10.0.0.3"],
                "198.51.100.7:0",
            ),
            (&["198.51.100.7:81,10.0.0.2:80"], "198.51.100.7:81"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
            (&["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2:0"),
            (&["198.51.100.7, unknown"], "10.0.0.1:5"),
            (&["198.51.100.7, , ,"], "198.51.100.7:0"),
            (&["[2001:db8::7]:80"], "[2001:db8::7]:80"),
            (&["::ffff:198.51.100.7"], "198.51.100.7:0"),
            (&[""], "10.0.0.1:5"),
            (&[], "10.0.0.1:5"),
        ] {
            let fields: Vec<(&str, &[u8])> = lines
                .iter()
                .map(|line| ("x-forwarded-for", line.as_bytes()))
                .collect();
            let received = trusting(ClientSource::XForwardedFor).receive(&hop("10.0.0.1:5"), &fields[..]);
            assert_eq!(received.client(), Some(client.parse().unwrap()), "{lines:?}");
        }
    }

    #[test]
    fn forwarded_tells_client_scheme_and_host_if_it_is_the_source() {
        let fields: &[(&str, &[u8])] = &[
            ("X-Forwarded-For", b"6.6.6.6"),
            ("Forwarded", b"for=6.6.6.6;proto=http"),
            (
                "Forwarded",
                b"for=\"[2001:db8::7]:81\";proto=https;host=\"a.example:444\", for=10.0.0.2;proto=http",
            ),
        ];
        let received = trusting(ClientSource::Forwarded).receive(&hop("10.0.0.1:5"), &fields);
        assert_eq!(received.client(), Some("[2001:db8::7]:81".parse().unwrap()));
        assert_eq!(
            (received.scheme(), received.host),
            (Scheme::Https, Some(&b"a.example:444"[..]))
        );

        let broken: &[(&str, &[u8])] = &[("Forwarded", b"for=6.6.6.6, for=\"10.0.0.2")];
        let received = trusting(ClientSource::Forwarded).receive(&hop("10.0.0.1:5"), &broken);
        assert_eq!(received.client(), Some("10.0.0.1:5".parse().unwrap()));
    }

    #[test]
    fn malformed_words_of_trusted_hops_do_not_count() {
        for (name, value) in [
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-host", "a/b"),
            ("x-forwarded-host", "user@a"),
            ("x-forwarded-port", "0"),
            ("x-forwarded-port", "+80"),
            ("x-forwarded-port", "65536"),
        ] {
            let fields: &[(&str, &[u8])] = &[(name, value.as_bytes())];
            let received = trusting(ClientSource::XForwardedFor).receive(&hop("10.0.0.1:5"), &fields);
            assert_eq!(
                (received.scheme(), received.host, received.port),
                (Scheme::Http, None, None),
                "{value}"
            );
        }
    }

    #[test]
    fn an_endless_chain_is_not_gone_through() {
        let line = "10.0.0.2,".repeat(5_000);
        let line = format!("198.51.100.7,{line}");
        let fields: &[(&str, &[u8])] = &[("X-Forwarded-For", line.as_bytes())];
        let received = trusting(ClientSource::XForwardedFor).receive(&hop("10.0.0.1:5"), &fields);
        assert_eq!(received.client(), Some("10.0.0.2:0".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn both_fields_tell_the_client_of_the_naive_model(
            hops in proptest::collection::vec((0_u8..3, any::<u8>()), 0..8),
            splits in any::<u8>(),
        ) {
            // Trusted, untrusted, or no address.
            let hops: Vec<Option<IpAddr>> = hops
                .into_iter()
                .map(|(kind, octet)| match kind {
                    0 => Some(IpAddr::from([10, 0, 0, octet])),
                    1 => Some(IpAddr::from([198, 51, 100, octet])),
                    _ => None,
                })
                .collect();
            let mut client = IpAddr::from([10, 9, 9, 9]);
            for address in hops.iter().rev() {
                let (true, Some(address)) = (client.to_string().starts_with("10."), address) else { break };
                client = *address;
            }
            let words: Vec<String> =
                hops.iter().map(|hop| hop.map_or("unknown".to_owned(), |address| address.to_string())).collect();
            let mut lines = vec![String::new()];
            for (index, word) in words.iter().enumerate() {
                let line = lines.last_mut().expect("there is one");
                if line.is_empty() {
                    line.push_str(word);
                } else {
                    *line += &format!(", {word}");
                }
                if splits >> (index % 8) & 1 == 1 {
                    lines.push(String::new());
                }
            }
            let chain: Vec<(&str, &[u8])> =
                lines.iter().map(|line| ("X-Forwarded-For", line.as_bytes())).collect();
            let received = trusting(ClientSource::XForwardedFor).receive(&hop("10.9.9.9:1"), &chain[..]);
            prop_assert_eq!(received.client().map(|address| address.ip()), Some(client));

            let lines: Vec<String> = lines
                .iter()
                .map(|line| line.split(", ").filter(|word| !word.is_empty()).map(|word| format!("for={word}")))
                .map(|elements| elements.collect::<Vec<_>>().join(","))
                .collect();
            let chain: Vec<(&str, &[u8])> = lines.iter().map(|line| ("Forwarded", line.as_bytes())).collect();
            let received = trusting(ClientSource::Forwarded).receive(&hop("10.9.9.9:1"), &chain[..]);
            prop_assert_eq!(received.client().map(|address| address.ip()), Some(client));
        }
    }

    fn trusting(source: ClientSource) -> Forwarding {
        let builder = Forwarding::builder().trust("10.0.0.0/8".parse().unwrap());
        builder.client_source(source).build().unwrap()
    }

    fn hop(peer: &str) -> Hop {
        Hop::new(Some(peer.parse().unwrap()), None, Scheme::Http)
    }
}
