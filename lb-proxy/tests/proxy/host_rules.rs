//! Which host and which target a request may have, and what the backend sees of them.

use lb_proxy::proxy::HostPolicy;

use crate::support::{Backend, Client, proxy, proxy_with};

/// Sends `request` and returns the status and, if it was forwarded, the target and host that the backend saw.
fn send(request: &str) -> (u16, Option<(String, String)>) {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0]).ask(request);
    let seen = backend.requests().pop();
    assert_eq!(backend.malformed(), [""; 0]);
    let seen = seen.map(|request| {
        (
            request.target.clone(),
            request.header("host").expect("a host").to_owned(),
        )
    });
    (answer.status, seen)
}

#[track_caller]
fn assert_forwarded(request: &str, target: &str, host: &str) {
    assert_eq!(
        send(request),
        (200, Some((target.to_owned(), host.to_owned()))),
        "{request:?}"
    );
}

#[track_caller]
fn assert_refused(request: &str, status: u16) {
    assert_eq!(send(request), (status, None), "{request:?}");
}

#[test]
fn a_request_needs_one_valid_host() {
    assert_refused("GET / HTTP/1.1\r\n\r\n", 400);
    assert_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
    for host in [
        "a b", "a,b", "user@a", "a/b", "a:x", "a:99999", "[::1", "http://a", "a\tb", "a#b", "a?b", "\"a\"",
    ] {
        assert_refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400);
    }
    for host in ["a", "a:80", "[::1]:80", "192.0.2.1", "a.b-c_d", "a:"] {
        assert_forwarded(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), "/", host);
    }
}

#[test]
fn an_absolute_target_is_made_relative_and_names_the_host() {
    assert_forwarded("GET http://b/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "/p?q", "b");
    assert_forwarded("GET http://b:8080 HTTP/1.1\r\nHost: a\r\n\r\n", "/", "b:8080");
    assert_forwarded("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "/?q", "b");
    assert_forwarded("GET HTTPS://b//c HTTP/1.1\r\nHost: a\r\n\r\n", "//c", "b");
    assert_refused("GET http://b/ HTTP/1.1\r\n\r\n", 400);
    assert_refused("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

#[test]
fn targets_of_no_origin_are_refused() {
    assert_refused("GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_refused("GET ?q HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    assert_forwarded("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "a");
    assert_forwarded("GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n", "//evil/x", "a");
}

#[test]
fn connect_and_trace_are_not_allowed() {
    assert_refused("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 405);
    assert_refused("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405);
}

#[test]
fn http_1_0_without_a_host_gets_one() {
    let backend = Backend::text("x");
    let request = "GET / HTTP/1.0\r\n\r\n";
    let plain = proxy(&[backend.address]);
    assert_eq!(Client::connect(plain.addresses()[0]).ask(request).status, 200);
    let named = proxy_with(&[backend.address], |config| {
        config.default_host("www.example.com")
    });
    assert_eq!(Client::connect(named.addresses()[0]).ask(request).status, 200);
    let hosts: Vec<_> = backend
        .requests()
        .iter()
        .map(|request| request.header("host").map(String::from))
        .collect();
    assert_eq!(
        hosts,
        [
            Some(backend.address.to_string()),
            Some("www.example.com".to_owned())
        ]
    );
}

#[test]
fn the_policy_decides_what_the_backend_sees() {
    let backend = Backend::text("x");
    for (policy, expected) in [
        (HostPolicy::Preserve, "example.com".to_owned()),
        (HostPolicy::Upstream, backend.address.to_string()),
        (
            HostPolicy::Fixed("app.internal:8080".to_owned()),
            "app.internal:8080".to_owned(),
        ),
    ] {
        let proxy = proxy_with(&[backend.address], |config| config.host(policy));
        assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 200);
        let request = backend.requests().pop().expect("a request");
        assert_eq!(request.header("host"), Some(expected.as_str()));
        assert_eq!(request.header("x-forwarded-host"), Some("example.com"));
    }
}

#[test]
fn a_policy_with_a_bad_host_is_no_config() {
    let upstream = crate::support::upstream(&["127.0.0.1:1".parse().expect("an address")], |backend| backend);
    for bad in ["", "a b", "http://a", "a/b", "a\r\nX: y"] {
        let config = lb_proxy::proxy::ProxyConfig::builder(upstream.clone());
        assert!(
            config
                .clone()
                .host(HostPolicy::Fixed(bad.to_owned()))
                .build()
                .is_err(),
            "{bad:?}"
        );
        assert!(config.default_host(bad).build().is_err(), "{bad:?}");
    }
}
