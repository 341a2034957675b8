//! Answers that break off must not look whole.

use std::io::{ErrorKind, Write};
use std::time::Duration;

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

/// Answers with `start`, and then resets the connection instead of closing it.
fn resetting(start: &'static str) -> Backend {
    Backend::start(move |_, stream| {
        let _ = stream.write_all(start.as_bytes());
        // What was sent should have arrived: a reset overtakes what hasn't.
        std::thread::sleep(Duration::from_millis(50));
        let socket = socket2::SockRef::from(&*stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
        Next::Close
    })
}

#[test]
fn an_answer_that_ends_with_its_connection_does_not_end_with_a_reset() {
    let backend = resetting("HTTP/1.1 200 OK\r\n\r\nhalf");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let error = client.try_response("GET").expect_err("no whole answer");
    assert_ne!(error.kind(), ErrorKind::WouldBlock, "{error}");
    let mut old = Client::connect(proxy.addresses()[0]);
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let error = old.read_to_end().expect_err("no clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_cut_answer_is_cut_for_whoever_asked_and_nobody_else() {
    let backend = resetting("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    // The second request must not get its answer as the rest of the first.
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let raw = String::from_utf8(client.read_to_end().unwrap_or_default()).expect("text");
    assert_eq!(raw.matches("HTTP/1.1 ").count(), 1, "{raw}");
    assert!(raw.ends_with("\r\n\r\nhalf"), "{raw}");
    eventually("nothing is left", || proxy.status().counters.connections == 0);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn an_empty_answer_that_was_announced_longer_is_cut() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let backend = breaking(head);
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_response("GET") {
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            // Nothing of it was on its way yet, so an honest error is as good.
            Ok(answer) => assert_eq!(answer.status, 502),
        }
    }
}
