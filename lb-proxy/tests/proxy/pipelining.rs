//! Requests that come before the answer to the one before them (RFC 9112 §9.3.2).

use std::io::Write;
use std::time::Duration;

use crate::support::{Backend, Client, Next, proxy, proxy_with};

/// Answers with the target; `/slow…` after a while.
fn echo() -> Backend {
    Backend::start(|request, stream| {
        if request.target.starts_with("/slow") {
            std::thread::sleep(Duration::from_millis(30));
        }
        let text = format!("{}{}", request.target, String::from_utf8_lossy(&request.body));
        let body = if request.method == "HEAD" { "" } else { &text };
        let _ = stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", text.len()).as_bytes());
        Next::Keep
    })
}

#[test]
fn answers_come_in_the_order_of_the_requests_whatever_their_kind() {
    let (a, b) = (echo(), echo());
    let proxy = proxy(&[a.address, b.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send(
        "GET /slow1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n\
         PUT /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n\
         GET /slow5 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /6 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
         GET /7 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for expected in ["/slow1", "/2hello", "", "/4hello", "/slow5", "/6", "/7"] {
        let method = if expected.is_empty() { "HEAD" } else { "GET" };
        assert_eq!(client.try_response(method).expect("an answer").text(), expected);
    }
    assert_eq!((a.malformed(), b.malformed()), (Vec::new(), Vec::new()));
}

#[test]
fn the_proxys_own_answers_keep_their_place() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send(
        "GET /slow1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /3 HTTP/1.1\r\nBad Header: x\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().text(), "/slow1");
    assert_eq!(client.response().text(), "/2");
    assert_eq!(client.response().status, 400);
    client.finish_sending();
    assert!(client.is_closed(), "what stands behind it is not a request");
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn nothing_behind_a_close_is_served() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    for first in [
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
        "GET /1 HTTP/1.0\r\nHost: a\r\n\r\n",
    ] {
        let before = backend.requests().len();
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(format!("{first}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.response();
        assert_eq!(answer.text(), "/1");
        assert!(client.read_to_end().expect("a clean end").is_empty(), "{first}");
        assert_eq!(backend.requests().len(), before + 1, "{first}");
    }
}

#[test]
fn nothing_beyond_the_number_of_requests_is_served() {
    let backend = echo();
    let proxy = proxy_with(&[backend.address], |config| config.keepalive_requests(3));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10));
    for n in 1..=3 {
        let answer = client.response();
        assert_eq!(answer.header("connection"), (n == 3).then_some("close"));
    }
    assert!(client.read_to_end().expect("a clean end").is_empty());
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn a_client_that_only_asks_is_not_read_for_ever() {
    // What the proxy takes without anybody reading the answers is bounded by buffers, not by the client.
    let body = "y".repeat(64 * 1024);
    let backend = Backend::bytes(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let proxy = proxy(&[backend.address]);
    let client = Client::connect(proxy.addresses()[0]);
    client
        .socket()
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a timeout");
    let requests = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let blocked = (0..2000).any(|_| client.socket().write_all(requests.as_bytes()).is_err());
    assert!(blocked, "two million requests were taken");
    assert!(backend.requests().len() < 10_000, "{}", backend.requests().len());
}

#[test]
fn a_refused_upgrade_leaves_the_next_request_in_its_place() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().text(), "/ws");
    let next = client.try_response("GET");
    // Either it is served as what it is, or the connection is over; it is never part of a tunnel.
    if let Ok(next) = next {
        assert_eq!(next.text(), "/next");
    }
    assert_eq!(backend.malformed(), [""; 0]);
    assert_eq!(proxy.status().counters.tunnels, 0);
}
