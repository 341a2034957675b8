//! Answers that break off must not look whole.

use std::io::{ErrorKind, Write};

use crate::support::{Backend, Client, Next, eventually, proxy};

/// Answers with `start` and breaks off.
fn breaking(start: &'static str) -> Backend {
    Backend::start(move |_, stream| {
        let _ = stream.write_all(start.as_bytes());
        Next::Close
    })
}

#[test]
fn a_body_shorter_than_its_length_is_visibly_cut() {
    let backend = breaking("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let proxy = proxy(&[backend.address]);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let raw = String::from_utf8(client.read_to_end().unwrap_or_default()).expect("text");
        assert!(
            raw.contains("Content-Length: 10\r\n") && raw.ends_with("\r\n\r\nhalf"),
            "{raw}"
        );
    }
    assert_eq!(backend.connections(), 2, "such a connection is never used again");
    eventually("both count as failures", || {
        proxy.config().upstream().status().backends[0].failures == 2
    });
}

#[test]
fn chunks_without_an_end_get_none() {
    for start in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n",
    ] {
        let backend = breaking(start);
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let raw = String::from_utf8(client.read_to_end().unwrap_or_default()).expect("text");
        assert!(raw.contains("half") && !raw.contains("\r\n0\r\n"), "{raw}");
    }
}

#[test]
fn http_1_0_sees_a_reset_where_an_end_would_look_like_the_whole() {
    let backend = breaking("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let error = client.read_to_end().expect_err("no clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
