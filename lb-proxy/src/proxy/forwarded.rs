//! `X-Forwarded-For`, `-Proto` and `-Host`: what the backend is told of the client.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::hop::{Seen, X_FORWARDED_FOR};
use super::policy::ForwardedPolicy;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client as the headers name it, made once a connection.
#[derive(Debug, Clone)]
pub(super) struct ClientName {
    address: HeaderValue,
    scheme: HeaderValue,
}

impl ClientName {
    /// An IPv4 client of a dual-stack socket is named by its IPv4 address.
    pub(super) fn new(address: IpAddr) -> Self {
        let text = address.to_canonical().to_string();
        let address = HeaderValue::from_str(&text).expect("an IP address is visible ASCII");
        Self {
            address,
            scheme: HeaderValue::from_static("http"),
        }
    }
}

/// Applies `policy`. The headers that the client's `Connection` named are gone by now.
pub(super) fn apply(
    headers: &mut HeaderMap,
    seen: Seen,
    policy: ForwardedPolicy,
    client: Option<&ClientName>,
    host: Option<&HeaderValue>,
) {
    let mut chain = None;
    if seen.has(Seen::X_FORWARDED) {
        if policy == ForwardedPolicy::Append {
            chain = join(headers);
        }
        for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
            headers.remove(name);
        }
    }
    let (Some(client), ForwardedPolicy::Append | ForwardedPolicy::Replace) = (client, policy) else {
        return;
    };
    headers.insert(X_FORWARDED_FOR, append(chain, &client.address));
    headers.insert(X_FORWARDED_PROTO, client.scheme.clone());
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host.clone());
    }
}

/// All lines of `X-Forwarded-For` as one list (RFC 9110 §5.3).
fn join(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut lines = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes)
        .filter(|line| !line.is_empty());
    let mut chain = lines.next()?.to_vec();
    for line in lines {
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(line);
    }
    Some(chain)
}

fn append(chain: Option<Vec<u8>>, address: &HeaderValue) -> HeaderValue {
    let Some(mut chain) = chain else {
        return address.clone();
    };
    chain.extend_from_slice(b", ");
    chain.extend_from_slice(address.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(chain)).unwrap_or_else(|_| address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_joins_all_lines_and_adds_the_client() {
        let headers = applied(ForwardedPolicy::Append);
        assert_eq!(headers[X_FORWARDED_FOR], "203.0.113.7, 10.0.0.1, 192.0.2.1");
        assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().count(), 1);
        assert_eq!(headers[X_FORWARDED_PROTO], "http");
        assert_eq!(headers[X_FORWARDED_HOST], "example.com");
    }

    #[test]
    fn replace_forgets_what_came() {
        let headers = applied(ForwardedPolicy::Replace);
        assert_eq!(headers[X_FORWARDED_FOR], "192.0.2.1");
        assert_eq!(headers[X_FORWARDED_PROTO], "http");
    }

    #[test]
    fn remove_adds_nothing() {
        assert!(applied(ForwardedPolicy::Remove).is_empty());
    }

    fn applied(policy: ForwardedPolicy) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"));
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("10.0.0.1"));
        headers.append(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        headers.append(X_FORWARDED_HOST, HeaderValue::from_static("evil.example"));
        let client = ClientName::new("::ffff:192.0.2.1".parse().expect("an address"));
        let seen = Seen::of(&headers);
        apply(
            &mut headers,
            seen,
            policy,
            Some(&client),
            Some(&HeaderValue::from_static("example.com")),
        );
        headers
    }
}
