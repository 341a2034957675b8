//! A backend that answers before it has the whole request: the answer arrives whole, and neither connection is used
//! again, because nobody knows any more what the rest of the request would be taken for.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Backend, Client, proxy, proxy_with};

/// Reads a request head, and none of the body.
fn read_head(reader: &mut BufReader<TcpStream>) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if reader.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// Answers each head at once, does `then` with the connection, and counts the heads of each connection.
fn hasty(
    answer: impl Into<Vec<u8>>,
    then: impl Fn(&mut BufReader<TcpStream>) + Send + Sync + 'static,
) -> (Backend, Arc<AtomicUsize>) {
    let answer = answer.into();
    let heads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heads);
    let backend = Backend::raw(move |_, mut reader, _| {
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        while read_head(&mut reader) {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(&answer);
            then(&mut reader);
        }
    });
    (backend, heads)
}

const NO: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";

#[test]
fn neither_connection_is_used_again() {
    for (framing, start) in [
        ("Content-Length: 100000", "start"),
        ("Transfer-Encoding: chunked", "5\r\nstart\r\n"),
        ("Content-Length: 100000", ""),
        ("Transfer-Encoding: chunked", ""),
    ] {
        let (backend, heads) = hasty(NO, |reader| {
            // Whatever comes now is the rest of the body.
            let _ = std::io::copy(reader, &mut std::io::sink());
        });
        let proxy = proxy(&[backend.address]);
        for round in 1..=3 {
            let mut client = Client::connect(proxy.addresses()[0]);
            let answer = client.ask(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{start}"));
            assert_eq!((answer.status, answer.text()), (401, "no"), "{framing}");
            assert_eq!(answer.header("connection"), Some("close"));
            client.finish_sending();
            assert!(client.is_closed());
            assert_eq!(
                (backend.connections(), heads.load(Ordering::SeqCst)),
                (round, round)
            );
        }
        assert_eq!(
            proxy.config().upstream().status().backends[0].failures,
            0,
            "an answer is no failure"
        );
    }
}

#[test]
fn what_looks_like_a_request_in_the_rest_of_the_body_is_none() {
    let (backend, heads) = hasty(NO, |_| {});
    let proxy = proxy(&[backend.address]);
    for round in 1..=8 {
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.status, 401);
        // The backend would take this for a second request, if any of it arrived.
        for _ in 0..5 {
            let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
            std::thread::sleep(Duration::from_millis(2));
        }
        client.finish_sending();
        let rest = client.read_to_end().expect("a clean end");
        assert_eq!(String::from_utf8_lossy(&rest), "");
        assert_eq!(heads.load(Ordering::SeqCst), round);
    }
}

#[test]
fn a_long_answer_arrives_whole_while_the_body_is_stuck() {
    let body = "z".repeat(2 * 1024 * 1024);
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (backend, _) = hasty(answer, |_| std::thread::sleep(Duration::from_millis(300)));
    let proxy = proxy_with(&[backend.address], |config| config.max_body(1 << 30));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status, answer.body.len()), (403, body.len()));
}

#[test]
fn the_answer_is_heard_although_the_client_sends_to_the_end() {
    let (backend, _) = hasty(NO, |reader| {
        let _ = std::io::copy(reader, &mut std::io::sink());
    });
    let proxy = proxy_with(&[backend.address], |config| config.max_body(1 << 30));
    let mut client = Client::connect(proxy.addresses()[0]);
    const LENGTH: usize = 8 * 1024 * 1024;
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    // As curl and browsers do it: first everything out, then the answer.
    let sent = client.try_send(vec![b'x'; LENGTH]);
    assert!(sent.is_ok(), "{sent:?}");
    let answer = client.response();
    assert_eq!((answer.status, answer.text()), (401, "no"));
}

#[test]
fn an_answer_whose_backend_resets_the_connection_is_heard() {
    // What Tomcat and nginx do when a body is too large for them: answer, close their half, and take no more.
    let (backend, _) = hasty(
        "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
        |reader| {
            let _ = reader.get_ref().shutdown(Shutdown::Write);
            std::thread::sleep(Duration::from_millis(200));
            let _ = reader.get_ref().shutdown(Shutdown::Both);
        },
    );
    let proxy = proxy_with(&[backend.address], |config| config.max_body(1 << 30));
    for _ in 0..4 {
        let mut client = Client::connect(proxy.addresses()[0]);
        const LENGTH: usize = 16 * 1024 * 1024;
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        let mut writer = client.socket().try_clone().expect("a descriptor");
        let writing = std::thread::spawn(move || {
            let block = vec![b'x'; 64 * 1024];
            for _ in 0..LENGTH / block.len() {
                if writer.write_all(&block).is_err() {
                    return;
                }
            }
        });
        let answer = client.response();
        assert_eq!((answer.status, answer.text()), (413, "big"));
        let _ = client.socket().shutdown(Shutdown::Both);
        writing.join().expect("no panic");
    }
}

#[test]
fn an_early_answer_in_chunks_arrives_whole() {
    let (backend, _) = hasty(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n",
        |reader| {
            let _ = std::io::copy(reader, &mut std::io::sink());
        },
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart");
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("early", Some("close"))
    );
    client.finish_sending();
    assert!(client.is_closed());
}

#[test]
fn both_ways_at_once_is_no_early_end() {
    // A backend that answers while it reads, as an echo does: the head of the response comes before the end of the
    // request, and both go on.
    let backend = Backend::raw(|_, mut reader, _| {
        if !read_head(&mut reader) {
            return;
        }
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..10 {
            let mut byte = [0];
            if reader.read_exact(&mut byte).is_err() {
                return;
            }
            let _ = stream.write_all(&byte);
        }
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let mut writer = client.socket().try_clone().expect("a descriptor");
    let writing = std::thread::spawn(move || {
        for byte in b"0123456789" {
            std::thread::sleep(Duration::from_millis(5));
            writer.write_all(&[*byte]).expect("connected");
        }
    });
    assert_eq!(client.response().text(), "0123456789");
    writing.join().expect("no panic");
}
