//! What the proxy answers by itself.

use std::io::Write;

use lb_proxy::balance::BackendState;

use crate::support::{
    Backend, Client, Next, Response, dead_address, eventually, proxy, proxy_with, start, upstream,
};

fn ask(request: &str) -> Response {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0]).ask(request);
    assert!(backend.requests().is_empty());
    answer
}

#[test]
fn refusals_say_why_and_close() {
    for (request, status, text) in [
        (
            "GET / HTTP/1.1\r\n\r\n",
            400,
            "400 Bad Request: bad Host header\n",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            405,
            "405 Method Not Allowed: method not allowed\n",
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\n\r\n",
            411,
            "411 Length Required: length required\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n",
            413,
            "413 Content Too Large: request body too large\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
            417,
            "417 Expectation Failed: expectation not supported\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            "501 Not Implemented: transfer coding not supported\n",
        ),
    ] {
        let answer = ask(request);
        assert_eq!((answer.status, answer.text()), (status, text));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
}

#[test]
fn heads_beyond_the_limits_are_refused_by_size() {
    let long = "a".repeat(40 * 1024);
    assert_eq!(
        ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")).status,
        431
    );
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(
        ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).status,
        431
    );
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.max_head(64 * 1024));
    let uri = "a".repeat(65_535);
    let answer = Client::connect(proxy.addresses()[0]).ask(format!("GET /{uri} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    let fits = "a".repeat(30 * 1024);
    let answer =
        Client::connect(proxy.addresses()[0]).ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {fits}\r\n\r\n"));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_refusal_can_be_read_although_the_body_was_not() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let body = vec![b'x'; 4 * 1024 * 1024];
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head);
    // A reset before the answer is read would end this with an error. The client sends on after the proxy has answered.
    let _ = client.try_send(&body);
    assert_eq!(client.response().status, 413);
}

#[test]
fn a_body_in_chunks_beyond_the_limit_is_refused() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.max_body(10));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer =
        Client::connect(proxy.addresses()[0]).ask(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    let answer =
        Client::connect(proxy.addresses()[0]).ask(format!("{head}5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"));
    assert_eq!(answer.status, 200);
    assert_eq!(backend.requests().len(), 1);
    eventually("nothing is under way", || {
        proxy.config().upstream().status().backends[0].active == 0
    });
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn a_backend_that_refuses_connections_is_a_502() {
    let (address, _socket) = dead_address();
    let proxy = proxy(&[address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(
            (answer.status, answer.text()),
            (502, "502 Bad Gateway: could not connect to the upstream\n")
        );
        assert_eq!(answer.header("connection"), None, "the client did nothing wrong");
    }
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 2);
}

#[test]
fn a_backend_that_closes_without_an_answer_is_a_502() {
    let backend = Backend::start(|_, _| Next::Close);
    let proxy = proxy(&[backend.address]);
    let answer = Client::connect(proxy.addresses()[0]).get("/");
    assert_eq!(
        (answer.status, answer.text()),
        (502, "502 Bad Gateway: the upstream closed the connection\n")
    );
}

#[test]
fn an_answer_that_breaks_http_is_a_502() {
    for broken in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let backend = Backend::bytes(broken);
        let proxy = proxy(&[backend.address]);
        let answer = Client::connect(proxy.addresses()[0]).get("/");
        assert_eq!(
            (answer.status, answer.text()),
            (502, "502 Bad Gateway: bad response from the upstream\n"),
            "{broken:?}"
        );
        assert_eq!(
            proxy.config().upstream().status().backends[0].failures,
            1,
            "{broken:?}"
        );
    }
}

#[test]
fn an_endless_head_of_a_backend_is_a_502() {
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        for _ in 0..1000 {
            if stream.write_all(&[b'x'; 1024]).is_err() {
                break;
            }
        }
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 502);
}

#[test]
fn no_backend_left_is_a_503_until_one_is_back() {
    let backend = Backend::text("x");
    let upstream = upstream(&[backend.address], |backend| backend.down(true));
    let proxy = start(upstream.clone(), |config| config);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.get("/");
    assert_eq!(
        (answer.status, answer.text()),
        (503, "503 Service Unavailable: no upstream available\n")
    );
    upstream
        .set_down(lb_proxy::proxy::now(), &"a".into(), false)
        .expect("it is there");
    assert_eq!(client.get("/").text(), "x");
}

#[test]
fn failures_take_a_backend_out() {
    let (dead, _socket) = dead_address();
    let alive = Backend::text("x");
    let upstream = upstream(&[dead, alive.address], |backend| backend);
    let proxy = start(upstream.clone(), |config| config);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "x");
    }
    let status = upstream.status();
    assert_ne!(status.backends[0].state, BackendState::Up);
    assert_eq!(status.backends[0].failures, 1);
    assert_eq!(status.backends[1].requests, 10);
    assert_eq!(proxy.status().counters.retries, 1);
    eventually("nothing is under way", || {
        upstream
            .status()
            .backends
            .iter()
            .all(|backend| backend.active == 0)
    });
}

#[test]
fn nobody_is_asked_for_a_body_that_is_refused() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    assert_eq!(client.read_bytes(12), b"HTTP/1.1 413");
    let (dead, _socket) = dead_address();
    let proxy = crate::support::proxy(&[dead]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.read_bytes(12), b"HTTP/1.1 502");
}
