//! How long connections live: what the client says, what the backend says, and that one is not the other's business.

use std::io::Write;

use crate::support::{Backend, Client, Next, proxy, proxy_with};

#[test]
fn the_client_decides_for_its_connection() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: Keep-Alive, X-Y\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x-y , close\r\n", false),
        ("1.1", "Connection: x-y\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: close\r\n", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n"));
        let said = answer.header("connection").map(str::to_ascii_lowercase);
        match (version, stays) {
            ("1.1", true) => assert_eq!(said, None, "{connection}"),
            (_, true) => assert_eq!(said.as_deref(), Some("keep-alive"), "{connection}"),
            (_, false) => assert!(said.is_none_or(|said| said == "close"), "{connection}"),
        }
        if version == "1.1" && !stays {
            assert_eq!(answer.header("connection"), Some("close"), "{connection}");
        }
        if stays {
            assert_eq!(client.get("/").text(), "x", "HTTP/{version} {connection}");
        } else {
            assert!(client.is_closed(), "HTTP/{version} {connection}");
        }
    }
    assert_eq!(
        backend.connections(),
        1,
        "what clients do to theirs doesn't matter here"
    );
}

#[test]
fn the_backend_decides_for_its_connection() {
    for (head, stays) in [
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1", false),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\nContent-Length: 1",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1", false),
        (
            "HTTP/1.0 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 1",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 1",
            false,
        ),
    ] {
        let backend = Backend::bytes(format!("{head}\r\n\r\nx"));
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        for _ in 0..3 {
            let answer = client.get("/");
            assert_eq!(
                (answer.text(), answer.header("connection")),
                ("x", None),
                "{head}"
            );
        }
        assert_eq!(backend.connections(), if stays { 1 } else { 3 }, "{head}");
        assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
    }
}

#[test]
fn a_connection_without_end_of_answer_is_used_once() {
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end");
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "to the end");
    }
    assert_eq!(backend.connections(), 3);
}

#[test]
fn no_more_connections_are_kept_than_configured() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.upstream_keepalive(0));
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "x");
    }
    assert_eq!(backend.connections(), 3);
}

#[test]
fn the_request_to_a_backend_asks_for_nothing_special() {
    // What the client says of its own connection is not what the proxy says of that to the backend.
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for connection in ["close", "keep-alive", "x", ""] {
        for version in ["1.0", "1.1"] {
            Client::connect(proxy.addresses()[0]).ask(format!(
                "GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n"
            ));
            let request = backend.requests().pop().expect("a request");
            let said = request.header("connection");
            assert!(
                said.is_none_or(|said| said.eq_ignore_ascii_case("keep-alive")),
                "{said:?}"
            );
        }
    }
    assert_eq!(backend.connections(), 1);
}
