//! Peers that are slow, silent, or never let go.
//!
//! That a wait ends at all is bounded by the client's patience; here it is checked that none ends too early.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::{Backend, Client, Next, proxy_with};

const SHORT: Duration = Duration::from_millis(400);

#[test]
fn a_slow_head_is_answered_408() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.client_header_timeout(SHORT));
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").text(), "x", "the limit is for each head");
    let start = Instant::now();
    // A byte now and then doesn't help: the head has one deadline.
    let mut writer = client.socket().try_clone().expect("a descriptor");
    let trickling = std::thread::spawn(move || {
        while writer.write_all(b"G").is_ok() {
            std::thread::sleep(SHORT / 10);
        }
    });
    let answer = client.response();
    assert_eq!(
        (answer.status, answer.text()),
        (408, "408 Request Timeout: request head timed out\n")
    );
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    let _ = client.socket().shutdown(std::net::Shutdown::Both);
    trickling.join().expect("no panic");
}

#[test]
fn a_connection_without_a_request_ends() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.client_header_timeout(SHORT));
    let start = Instant::now();
    assert!(Client::connect(proxy.addresses()[0]).is_closed());
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
}

#[test]
fn an_idle_connection_ends() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.keepalive_timeout(SHORT));
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "x");
        std::thread::sleep(SHORT / 2);
    }
    assert!(client.is_closed());
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.client_body_timeout(SHORT));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..3 {
        std::thread::sleep(SHORT / 2);
        client.send("x");
    }
    let answer = client.response();
    assert_eq!(
        (answer.status, answer.text()),
        (408, "408 Request Timeout: request body timed out\n")
    );
    assert!(client.is_closed());
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn a_slow_backend_does_not_run_into_the_clients_body_timeout() {
    let backend = Backend::start(|_, stream| {
        std::thread::sleep(SHORT * 3);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        Next::Keep
    });
    let proxy = proxy_with(&[backend.address], |config| {
        config.client_body_timeout(SHORT).client_header_timeout(SHORT)
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(
        client
            .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            .text(),
        "x"
    );
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(client.ask(chunked).text(), "x");
}

#[test]
fn a_silent_backend_is_a_504() {
    let backend = Backend::start(|_, _| Next::Keep);
    let proxy = proxy_with(&[backend.address], |config| config.read_timeout(SHORT));
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let start = Instant::now();
        let answer = client.get("/");
        assert_eq!(
            (answer.status, answer.text()),
            (504, "504 Gateway Timeout: the upstream timed out\n")
        );
        assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    }
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 2);
}

#[test]
fn the_read_timeout_starts_over_with_each_request_and_each_read() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let backend = Backend::start(|_, stream| {
        for part in [
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
            "a",
            "b",
            "c",
            "d",
            "e",
            "f",
        ] {
            std::thread::sleep(TIMEOUT / 5);
            let _ = stream.write_all(part.as_bytes());
        }
        Next::Keep
    });
    let proxy = proxy_with(&[backend.address], |config| config.read_timeout(TIMEOUT));
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "abcdef");
        std::thread::sleep(TIMEOUT * 5 / 4);
    }
    assert_eq!(backend.connections(), 1, "idle time is not reading time");
}

#[test]
fn a_backend_that_takes_nothing_is_a_504() {
    let backend = Backend::raw(|_, _reader, _| std::thread::sleep(crate::support::PATIENCE));
    let proxy = proxy_with(&[backend.address], |config| {
        config
            .send_timeout(SHORT)
            .max_body(1 << 30)
            .read_timeout(SHORT * 100)
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let mut writer = client.socket().try_clone().expect("a descriptor");
    let writing = std::thread::spawn(move || while writer.write_all(&[0; 65_536]).is_ok() {});
    assert_eq!(client.response().status, 504);
    client
        .socket()
        .shutdown(std::net::Shutdown::Both)
        .expect("connected");
    writing.join().expect("no panic");
}

#[test]
fn a_client_that_takes_nothing_is_dropped() {
    let body = vec![b'x'; 64 * 1024 * 1024];
    let backend = Backend::start(move |_, stream| {
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(&body);
        Next::Close
    });
    let proxy = proxy_with(&[backend.address], |config| config.client_send_timeout(SHORT));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::support::eventually("the connection is gone", || {
        let status = proxy.status().counters;
        status.accepted == 1 && status.connections == 0
    });
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn an_idle_upstream_connection_is_closed() {
    let (closed, wait) = std::sync::mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let backend = Backend::raw(move |_, mut reader, _| {
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        let _ = stream.write_all(b"");
        let mut buffer = [0; 4096];
        while let Ok(1..) = std::io::Read::read(&mut reader, &mut buffer) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        }
        let _ = closed.lock().expect("no panic").send(Instant::now());
    });
    let proxy = proxy_with(&[backend.address], |config| {
        config.upstream_keepalive_timeout(SHORT)
    });
    let start = Instant::now();
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").text(), "x");
    let at = wait
        .recv_timeout(crate::support::PATIENCE)
        .expect("the connection ends");
    assert!(at - start >= SHORT, "{:?}", at - start);
}

#[test]
fn a_refused_client_that_keeps_sending_is_let_go_in_the_end() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.max_body(1));
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(answer.status, 413);
    client.send("more");
    let start = Instant::now();
    crate::support::eventually("it is let go", || proxy.status().counters.connections == 0);
    assert!(
        start.elapsed() > Duration::from_secs(4),
        "after nginx's lingering_timeout of 5 s"
    );
}
