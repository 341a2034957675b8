//! Interim responses (RFC 9110 §15.2): the proxy's own 100, and those of a backend.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Backend, Client, Next, proxy, proxy_with};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn early_hints_pass_before_the_answer_is_there() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let backend = Backend::start(move |_, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\
              Connection: X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\r\n",
        );
        let _ = wait.lock().expect("no panic").recv();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        client.send(GET);
        let hints = client.any_response();
        assert_eq!((hints.version.as_str(), hints.status), ("HTTP/1.1", 103));
        assert_eq!(
            hints.headers.all("link"),
            ["</a.css>; rel=preload", "</b.js>; rel=preload"]
        );
        for gone in [
            "connection",
            "x-internal",
            "keep-alive",
            "content-length",
            "transfer-encoding",
        ] {
            assert_eq!(hints.header(gone), None, "{gone}");
        }
        go.send(()).expect("the backend waits");
        let answer = client.any_response();
        assert_eq!((answer.status, answer.text()), (200, "x"));
    }
    assert_eq!(backend.connections(), 1, "the connection is as good as before");
}

#[test]
fn several_interim_responses_pass_in_their_order() {
    let backend = Backend::bytes(
        "HTTP/1.1 103 Early Hints\r\nLink: <1>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <2>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send([GET, GET].concat());
    for _ in 0..2 {
        assert_eq!(client.any_response().header("link"), Some("<1>"));
        assert_eq!(client.any_response().header("link"), Some("<2>"));
        assert_eq!(client.any_response().text(), "x");
    }
}

#[test]
fn http_1_0_gets_none() {
    let backend = Backend::bytes(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <1>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let proxy = proxy(&[backend.address]);
    for request in [
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        // RFC 9110 §10.1.1: the expectation of HTTP/1.0 is ignored, so the body comes without a 100.
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(request);
        let answer = client.any_response();
        assert_eq!((answer.status, answer.text()), (200, "x"), "{request}");
    }
}

#[test]
fn the_proxy_says_continue_and_the_backend_is_not_asked() {
    let backend = Backend::text("done");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for (expect, framing, body) in [
        ("100-continue", "Content-Length: 5", "hello"),
        (
            "100-Continue",
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\n{framing}\r\n\r\n"
        ));
        let interim = client.any_response();
        assert_eq!((interim.status, interim.headers.0.len()), (100, 0));
        client.send(body);
        let answer = client.any_response();
        assert_eq!((answer.status, answer.text()), (200, "done"));
    }
    for request in backend.requests() {
        assert_eq!(
            (request.header("expect"), &request.body[..]),
            (None, &b"hello"[..])
        );
    }
}

#[test]
fn a_body_that_did_not_wait_is_taken_all_the_same() {
    let backend = Backend::text("done");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.response().text(), "done");
    }
    // Without a body there is nothing to wait for.
    client.send("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.any_response().status, 200);
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn a_continue_of_the_backend_is_never_taken_for_the_answer() {
    let backend = Backend::bytes(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for request in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"] {
        assert_eq!(client.ask(request).text(), "x");
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_flood_of_interim_responses_is_a_502() {
    for interim in [
        "100 Continue\r\n\r\n",
        "103 Early Hints\r\nLink: </a.css>\r\n\r\n",
        "102 Processing\r\n\r\n",
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let backend = Backend::start(move |_, stream| {
            let many = format!("HTTP/1.1 {interim}").repeat(100);
            for _ in 0..FLOOD / 100 {
                if stream.write_all(many.as_bytes()).is_err() {
                    return Next::Close;
                }
                counter.fetch_add(100, Ordering::Relaxed);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
            Next::Close
        });
        let proxy = proxy(&[backend.address]);
        let answer = Client::connect(proxy.addresses()[0]).get("/");
        assert_eq!(answer.status, 502, "{interim:?} {}", sent.load(Ordering::Relaxed));
        assert_eq!(proxy.config().upstream().status().backends[0].failures, 1);
    }
}

/// More than any honest backend sends for one request.
const FLOOD: usize = 100_000;

#[test]
fn an_interim_response_that_breaks_http_is_a_502() {
    for interim in [
        "HTTP/1.1 103 Early Hints\r\nBad Header: x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 10 Continue\r\n\r\n",
    ] {
        let backend = Backend::bytes(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"));
        let proxy = proxy(&[backend.address]);
        assert_eq!(
            Client::connect(proxy.addresses()[0]).get("/").status,
            502,
            "{interim:?}"
        );
    }
    // RFC 9110 §8.6: none has a body, whatever its fields say.
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let backend = Backend::bytes(format!(
            "HTTP/1.1 103 Early Hints\r\n{framing}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
        ));
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(GET);
        loop {
            let response = client.any_response();
            if response.status >= 200 {
                assert!(
                    response.status == 502 || (response.status, response.text()) == (200, "x"),
                    "{framing}: {response:?}"
                );
                break;
            }
            assert_eq!(
                (
                    response.header("content-length"),
                    response.header("transfer-encoding")
                ),
                (None, None)
            );
        }
    }
}

#[test]
fn an_interim_response_without_a_final_one_is_no_answer() {
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: <1>\r\n\r\n");
        Next::Close
    });
    let proxy = proxy_with(&[backend.address], |config| config.retry_tries(1));
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").status, 502);
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let backend = Backend::bytes(answer);
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        assert_eq!(client.ask(GET).status, 502, "{answer:?}");
        assert_eq!(proxy.status().counters.tunnels, 0);
    }
}
