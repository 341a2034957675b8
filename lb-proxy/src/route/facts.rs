//! What variables are filled from.

use std::net::{IpAddr, SocketAddr};

use crate::fields::{Fields, each_value, host_name, push_value};
use crate::template::{Part, Template};
use crate::text::{push_address, push_decimal, push_socket};

/// What is known of a request, and of its response if there is one yet. Begin with the default, in which all is
/// unknown, and set what is known.
///
/// ```
/// use lb_proxy::route::Facts;
///
/// let mut facts = Facts::default();
/// facts.host = "example.com";
/// facts.target = "/a?b=c";
/// facts.client = Some("192.0.2.1:40000".parse()?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The host that was asked for, as in `Host` or `:authority`: with its port, if it had one.
    pub host: &'a str,
    /// The method.
    pub method: &'a str,
    /// The target in origin form as the client wrote it, with its query.
    pub target: &'a str,
    /// `HTTP/1.1` and the like.
    pub protocol: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The client; behind trusted hops, the one that they tell. A port of 0 is unknown.
    pub client: Option<SocketAddr>,
    /// The address that the client came to.
    pub server: Option<SocketAddr>,
    /// The request's id.
    pub request_id: &'a str,
    /// The backend that it went to.
    pub upstream: Option<SocketAddr>,
    /// The status of the response.
    pub status: Option<u16>,
    /// The fields of the request.
    pub fields: &'a dyn Fields,
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            host: "",
            method: "",
            target: "",
            protocol: "",
            scheme: "",
            client: None,
            server: None,
            request_id: "",
            upstream: None,
            status: None,
            fields: &(),
        }
    }
}

/// The variables of the module's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Args,
    Host,
    /// The field's name.
    Http(Box<str>),
    HttpHost,
    IsArgs,
    ProxyAddXForwardedFor,
    RemoteAddr,
    RemotePort,
    RequestId,
    RequestMethod,
    RequestUri,
    Scheme,
    ServerAddr,
    ServerPort,
    ServerProtocol,
    Status,
    UpstreamAddr,
}

impl Variable {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "args" | "query_string" => Self::Args,
            "host" => Self::Host,
            "http_host" => Self::HttpHost,
            "is_args" => Self::IsArgs,
            "proxy_add_x_forwarded_for" => Self::ProxyAddXForwardedFor,
            "remote_addr" => Self::RemoteAddr,
            "remote_port" => Self::RemotePort,
            "request_id" => Self::RequestId,
            "request_method" => Self::RequestMethod,
            "request_uri" => Self::RequestUri,
            "scheme" => Self::Scheme,
            "server_addr" => Self::ServerAddr,
            "server_port" => Self::ServerPort,
            "server_protocol" => Self::ServerProtocol,
            "status" => Self::Status,
            "upstream_addr" => Self::UpstreamAddr,
            _ => {
                let field = name.strip_prefix("http_").filter(|field| !field.is_empty())?;
                Self::Http(field.replace('_', "-").into())
            }
        })
    }

    fn push(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Args => push_value(out, query(facts.target).as_bytes()),
            Self::Host => out.extend(
                host_name(facts.host)
                    .bytes()
                    .map(|byte| byte.to_ascii_lowercase()),
            ),
            Self::Http(name) => push_field(facts.fields, name, out),
            // Not from a field: HTTP/2 has none for it.
            Self::HttpHost => push_value(out, facts.host.as_bytes()),
            Self::IsArgs => out.extend((!query(facts.target).is_empty()).then_some(b'?')),
            Self::ProxyAddXForwardedFor => {
                let before = out.len();
                push_field(facts.fields, "x-forwarded-for", out);
                if out.len() > before {
                    out.extend_from_slice(b", ");
                }
                push_ip(facts.client.map(|client| client.ip()), out);
            }
            Self::RemoteAddr => push_ip(facts.client.map(|client| client.ip()), out),
            Self::RemotePort => push_port(facts.client, out),
            Self::RequestId => push_value(out, facts.request_id.as_bytes()),
            Self::RequestMethod => push_value(out, facts.method.as_bytes()),
            Self::RequestUri => push_value(out, facts.target.as_bytes()),
            Self::Scheme => push_value(out, facts.scheme.as_bytes()),
            Self::ServerAddr => push_ip(facts.server.map(|server| server.ip()), out),
            Self::ServerPort => push_port(facts.server, out),
            Self::ServerProtocol => push_value(out, facts.protocol.as_bytes()),
            Self::Status => {
                if let Some(status) = facts.status {
                    push_decimal(out, status.into());
                }
            }
            Self::UpstreamAddr => {
                if let Some(upstream) = facts.upstream {
                    push_socket(out, upstream);
                }
            }
        }
    }
}

/// Appends the text, its variables filled in. No control byte gets through.
pub(super) fn render(template: &Template<Variable>, facts: &Facts<'_>, out: &mut Vec<u8>) {
    for part in template.parts() {
        match part {
            Part::Literal(literal) => out.extend_from_slice(literal),
            Part::Variable(variable) => variable.push(facts, out),
        }
    }
}

/// What follows the `?`.
fn query(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

/// All lines of a field as one list.
fn push_field(fields: &dyn Fields, name: &str, out: &mut Vec<u8>) {
    each_value(fields, name, |separator, value| {
        out.extend_from_slice(separator);
        push_value(out, value);
    });
}

fn push_ip(address: Option<IpAddr>, out: &mut Vec<u8>) {
    if let Some(address) = address {
        push_address(out, address.to_canonical());
    }
}

fn push_port(address: Option<SocketAddr>, out: &mut Vec<u8>) {
    if let Some(port) = address.map(|address| address.port()).filter(|&port| port != 0) {
        push_decimal(out, port.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_nginx_meanings() {
        let fields: &[(&str, &[u8])] = &[
            ("X-Forwarded-For", b"203.0.113.7"),
            ("User-Agent", b"curl/8"),
            ("x-forwarded-for", b"198.51.100.1"),
        ];
        let facts = Facts {
            host: "WWW.Example.com:8443",
            method: "GET",
            target: "/a%20b?c=d",
            protocol: "HTTP/1.1",
            scheme: "https",
            client: Some("[::ffff:192.0.2.1]:4000".parse().unwrap()),
            server: Some("[2001:db8::1]:8443".parse().unwrap()),
            request_id: "abc",
            upstream: Some("[2001:db8::2]:8080".parse().unwrap()),
            status: Some(404),
            fields: &fields,
        };
        for (text, value) in [
            ("https://$host$request_uri", "https://www.example.com/a%20b?c=d"),
            ("$scheme $request_method $server_protocol", "https GET HTTP/1.1"),
            ("${args}|$query_string|$is_args", "c=d|c=d|?"),
            ("$remote_addr:$remote_port", "192.0.2.1:4000"),
            ("$server_addr:$server_port", "2001:db8::1:8443"),
            ("$http_user_agent", "curl/8"),
            ("$http_host", "WWW.Example.com:8443"),
            ("$http_x_forwarded_for", "203.0.113.7, 198.51.100.1"),
            (
                "$proxy_add_x_forwarded_for",
                "203.0.113.7, 198.51.100.1, 192.0.2.1",
            ),
            ("$request_id/$status", "abc/404"),
            ("$upstream_addr", "[2001:db8::2]:8080"),
            ("$$5", "$5"),
        ] {
            assert_eq!(rendered(text, &facts), value, "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_empty() {
        let names = "$args$host$http_x$is_args$proxy_add_x_forwarded_for$remote_addr$remote_port$request_id\
            $request_method$request_uri$scheme$server_addr$server_port$server_protocol$status$upstream_addr";
        assert_eq!(rendered(names, &Facts::default()), "");
    }

    #[test]
    fn a_client_cannot_add_lines() {
        let fields: &[(&str, &[u8])] = &[("X", b"a\r\nSet-Cookie: b")];
        let facts = Facts {
            fields: &fields,
            target: "/\r\n",
            ..Facts::default()
        };
        assert_eq!(rendered("$http_x$request_uri", &facts), "aSet-Cookie: b/");
    }

    fn rendered(text: &str, facts: &Facts<'_>) -> String {
        let template = Template::parse(text, Variable::named).unwrap();
        let mut out = Vec::new();
        render(&template, facts, &mut out);
        String::from_utf8(out).unwrap()
    }
}
