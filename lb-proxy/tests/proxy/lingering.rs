//! A client that is refused while it sends can still read why (nginx: `lingering_close`): no reset may overtake the
//! answer.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use crate::support::{Backend, Client, Gate, dead_address, eventually, proxy, proxy_with};

/// Each kind of refusal with a body behind it that nobody wants.
#[test]
fn every_refusal_can_be_read_by_a_client_that_is_still_sending() {
    let gate = Gate::new();
    let much = "z".repeat(300 * 1024);
    for (head, status) in [
        ("POST / HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 400000\r\n\r\n",
            417,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n",
            405,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\n\r\n", 411),
    ] {
        gate.refuses(format!("{head}{much}"), &[status]);
    }
    gate.settles();
}

#[test]
fn a_failure_of_the_backend_can_be_read_by_a_client_that_is_still_sending() {
    let (dead, _socket) = dead_address();
    let proxy = proxy_with(&[dead], |config| config.max_body(1 << 30));
    for framing in ["Content-Length: 4000000", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(proxy.addresses()[0]);
        let start = if framing.starts_with('T') {
            "3D0900\r\n"
        } else {
            ""
        };
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{start}"));
        for _ in 0..20 {
            client.send([b'z'; 32 * 1024]);
            std::thread::sleep(Duration::from_millis(1));
        }
        let answer = client.response();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (502, Some("close")),
            "{framing}"
        );
    }
}

#[test]
fn the_end_of_a_refused_client_ends_the_lingering() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.ask("GET / HTTP/1.1\r\n\r\nmore").status, 400);
    assert!(client.is_closed(), "the proxy's half is closed at once");
    assert_eq!(proxy.status().counters.connections, 1);
    client.finish_sending();
    eventually("the connection is gone", || {
        proxy.status().counters.connections == 0
    });
}

#[test]
fn a_client_that_never_stops_is_cut_off() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n");
    // Without a pause, and for longer than any honest client would: bytes or time (nginx's `lingering_time` is 30 s)
    // must end it.
    let block = vec![b'z'; 64 * 1024];
    let error = loop {
        std::thread::sleep(Duration::from_millis(2));
        if let Err(error) = client.try_send(&block) {
            break error;
        }
    };
    assert!(
        [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()),
        "{error}"
    );
    eventually("the connection is gone", || {
        proxy.status().counters.connections == 0
    });
}

#[test]
fn an_answer_to_a_whole_request_needs_no_lingering() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for _ in 0..8 {
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.text(), "x");
        assert!(client.is_closed());
    }
    // No wait for clients that have said goodbye themselves.
    eventually("all connections are gone", || {
        proxy.status().counters.connections == 0
    });
}

#[test]
fn a_timeout_can_be_read_by_a_client_that_wakes_up() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config
            .client_header_timeout(Duration::from_millis(200))
            .client_body_timeout(Duration::from_millis(200))
    });
    for start in [
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf",
    ] {
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(start);
        std::thread::sleep(Duration::from_millis(600));
        for _ in 0..3 {
            client.socket().write_all(b"late").expect("the proxy lingers");
            std::thread::sleep(Duration::from_millis(2));
        }
        let answer = client.response();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (408, Some("close")),
            "{start}"
        );
    }
}
