//! What ends at the proxy, and what it adds.

use lb_proxy::proxy::ForwardedPolicy;

use crate::support::{Backend, Client, Request, proxy, proxy_with};

/// What the backend got of a request with these lines.
fn forwarded(lines: &str) -> Request {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0])
        .ask(format!("GET / HTTP/1.1\r\nHost: example.com\r\n{lines}\r\n"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    backend.request()
}

#[test]
fn hop_by_hop_headers_of_a_request_end_here() {
    let request = forwarded(
        "Connection: close, X-Secret\r\nconnection: x-other\r\nX-Secret: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\nTrailer: X-Sum\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: h2c\r\nProxy: http://evil/\r\nAccept: */*\r\n",
    );
    let names: Vec<_> = request.headers.0.iter().map(|(name, _)| name.as_str()).collect();
    let mut expected = [
        "accept",
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ]
    .to_vec();
    let mut got = names.clone();
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected);
}

#[test]
fn connection_cannot_take_away_what_the_proxy_says_or_what_is_end_to_end() {
    let request = forwarded(
        "Connection: Host, Cookie, Authorization, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n\
         Cookie: a=b\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 203.0.113.9\r\n",
    );
    assert_eq!(request.header("host"), Some("example.com"));
    assert_eq!(request.header("cookie"), Some("a=b"));
    assert_eq!(request.header("authorization"), Some("Bearer x"));
    // The client asked for its own to be dropped; ours is there all the same.
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), Some("example.com"));
}

#[test]
fn connection_cannot_hide_a_body() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client
        .ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(answer.status, 200);
    assert_eq!(backend.request().body, b"hello");
}

#[test]
fn only_trailers_is_left_of_te() {
    let request = forwarded("TE: gzip, Trailers ;q=0\r\n");
    assert_eq!(request.header("te"), None);
    let request = forwarded("TE: gzip, trailers\r\nConnection: TE\r\n");
    assert_eq!(request.header("te"), Some("trailers"));
    assert_eq!(request.header("connection"), Some("te"));
}

#[test]
fn trailers_of_an_answer_reach_a_client_that_takes_them() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!((answer.text(), answer.trailers.get("x-sum")), ("ok", Some("42")));
    let answer = client.get("/");
    assert_eq!((answer.text(), answer.trailers.get("x-sum")), ("ok", None));
}

#[test]
fn hop_by_hop_headers_of_an_answer_end_here() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nConnection: X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 1\r\nSet-Cookie: a\r\n\
         Set-Cookie: b\r\n\r\nx",
    );
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0]).get("/");
    for gone in [
        "connection",
        "x-internal",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "upgrade",
    ] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.headers.all("set-cookie"), ["a", "b"]);
}

#[test]
fn the_client_is_appended_to_those_before_it() {
    let request = forwarded(
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n",
    );
    assert_eq!(
        request.header("x-forwarded-for"),
        Some("203.0.113.9, 10.0.0.1, 127.0.0.1")
    );
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn the_policy_can_replace_or_remove() {
    for (policy, expected) in [
        (
            ForwardedPolicy::Replace,
            [Some("127.0.0.1"), Some("http"), Some("a")],
        ),
        (ForwardedPolicy::Remove, [None; 3]),
    ] {
        let backend = Backend::text("x");
        let proxy = proxy_with(&[backend.address], |config| config.forwarded(policy));
        Client::connect(proxy.addresses()[0]).ask(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nX-Forwarded-Proto: 2\r\nX-Forwarded-Host: 3\r\n\r\n",
        );
        let request = backend.request();
        let got =
            ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map(|name| request.header(name));
        assert_eq!(got, expected);
    }
}

#[test]
fn connection_names_are_found_however_they_are_written() {
    for lines in [
        "Connection: X-Secret",
        "connection:x-secret",
        "CONNECTION: X-SECRET",
        "Connection: close, , X-Secret ,",
        "Connection: close,\tX-Secret\t",
        "Connection: ,,X-Secret",
        "Connection: close\r\nAccept: */*\r\nConnection: X-Secret",
        "Connection: x-secret, x-secret",
    ] {
        let request = forwarded(&format!("X-Secret: 1\r\n{lines}\r\nx-secret: 2\r\n"));
        assert_eq!(request.headers.all("x-secret"), [""; 0], "{lines}");
    }
    for lines in [
        "Connection: X-Secret-Not",
        "Connection: \"X-Secret\"",
        "Connection: X-Secret;q=1",
        "Connection: X Secret",
    ] {
        let request = forwarded(&format!("X-Secret: 1\r\n{lines}\r\n"));
        assert_eq!(request.header("x-secret"), Some("1"), "{lines}");
    }
}

#[test]
fn connection_takes_no_field_of_an_answer_that_is_for_all() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nConnection: Set-Cookie, Content-Length, Content-Type, Content-Encoding, Cache-Control, X-Own\r\n\
         Set-Cookie: a\r\nContent-Length: 1\r\nContent-Type: text/html\r\nContent-Encoding: br\r\nCache-Control: no-store\r\n\
         X-Own: 1\r\n\r\nx",
    );
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0]).get("/");
    let fields = [
        "set-cookie",
        "content-length",
        "content-type",
        "content-encoding",
        "cache-control",
        "x-own",
    ];
    assert_eq!(
        fields.map(|name| answer.header(name)),
        [
            Some("a"),
            Some("1"),
            Some("text/html"),
            Some("br"),
            Some("no-store"),
            None
        ]
    );
    assert_eq!(answer.text(), "x");
}

#[test]
fn trailers_of_an_answer_cannot_be_what_a_head_decides() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\
         Connection: close\r\nSet-Cookie: a\r\nContent-Type: text/html\r\nHost: b\r\nUpgrade: h2c\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
        let names: Vec<_> = answer.trailers.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((answer.text(), names), ("ok", vec!["x-sum"]));
    }
}

#[test]
fn te_is_for_trailers_alone_and_only_if_it_is_named() {
    for (lines, expected) in [
        ("TE: trailers\r\n", true),
        ("TE: TRAILERS\r\nConnection: te\r\n", true),
        ("TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n", true),
        ("TE: trailers;q=0\r\nConnection: TE\r\n", false),
        ("TE: gzip\r\nConnection: TE\r\n", false),
        ("TE:\r\nConnection: TE\r\n", false),
        ("TE: trailersx\r\nConnection: TE\r\n", false),
        ("Connection: TE\r\n", false),
    ] {
        let request = forwarded(lines);
        let named = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("te"));
        assert_eq!(
            (request.header("te").is_some(), named),
            (expected, expected),
            "{lines}"
        );
    }
}
