//! A backend that sends more than it was asked for: none of it may ever become the answer to somebody else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Backend, Client, Next, eventually, proxy};

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

/// A backend that answers a target under `/attack` with `attack`, and every other with its own target.
fn backend(attack: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Backend {
    Backend::start(move |request, stream| {
        if request.target.starts_with("/attack") {
            attack(stream);
        } else {
            let text = &request.target;
            send(
                stream,
                &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
            );
        }
        Next::Keep
    })
}

/// Sends `text` in one piece, so that it arrives at once.
fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

/// Attacks with `method` from one connection, and checks that others get what they asked for.
fn assert_victims_are_safe(method: &str, attack: impl Fn(&mut TcpStream) + Send + Sync + 'static) {
    let backend = backend(attack);
    let proxy = proxy(&[backend.address]);
    let (mut attacker, mut victim) = (
        Client::connect(proxy.addresses()[0]),
        Client::connect(proxy.addresses()[0]),
    );
    for round in 0..8 {
        let target = format!("/victim-{round}");
        let _ = attacker.try_send(format!("{method} /attack HTTP/1.1\r\nHost: a\r\n\r\n"));
        if attacker.try_response(method).is_err() {
            attacker = Client::connect(proxy.addresses()[0]);
        }
        // Half of the time what is too much has come before the connection is used again.
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = victim.get(&target);
        assert_eq!(
            (answer.status, answer.text()),
            (200, target.as_str()),
            "round {round}"
        );
    }
}

#[test]
fn bytes_behind_a_body() {
    assert_victims_are_safe("GET", |stream| {
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}"),
        );
    });
}

#[test]
fn bytes_behind_a_body_that_come_later() {
    // Later than the answer, and before the next request: what comes after that is an answer to it, for all that
    // HTTP/1.1 lets anybody know.
    let backend = backend(|stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        std::thread::sleep(Duration::from_millis(5));
        send(stream, EVIL);
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for round in 0..8 {
        assert_eq!(client.get("/attack").text(), "ok");
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(client.get("/next").text(), "/next", "round {round}");
    }
}

#[test]
fn bytes_behind_the_last_chunk() {
    assert_victims_are_safe("GET", |stream| {
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"),
        );
    });
}

#[test]
fn an_empty_line_behind_a_body() {
    assert_victims_are_safe("GET", |stream| {
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n{EVIL}"),
        );
    });
}

#[test]
fn a_body_behind_the_answer_to_head() {
    for framing in ["Content-Length: 55", "Transfer-Encoding: chunked", "X: y"] {
        assert_victims_are_safe("HEAD", move |stream| {
            send(stream, &format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{EVIL}"));
        });
    }
}

#[test]
fn a_body_behind_204_and_304() {
    for status in ["204 No Content", "304 Not Modified"] {
        for framing in ["Content-Length: 42", "Transfer-Encoding: chunked", "X: y"] {
            assert_victims_are_safe("GET", move |stream| {
                send(stream, &format!("HTTP/1.1 {status}\r\n{framing}\r\n\r\n{EVIL}"));
            });
        }
    }
}

#[test]
fn a_second_answer_without_a_request() {
    assert_victims_are_safe("GET", |stream| {
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}{EVIL}{EVIL}"),
        );
    });
}

#[test]
fn an_interim_response_without_a_request() {
    assert_victims_are_safe("GET", |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 103 Early Hints\r\nLink: </evil>\r\n\r\n",
        );
    });
}

#[test]
fn half_an_answer_without_a_request() {
    assert_victims_are_safe("GET", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 2");
    });
}

#[test]
fn a_backend_that_speaks_on_an_idle_connection_loses_it() {
    let backend = backend(|stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        std::thread::sleep(Duration::from_millis(50));
        // The 408 that some servers send to a connection that has been idle for too long.
        send(
            stream,
            "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for round in 0..3 {
        assert_eq!(client.get("/attack").text(), "ok");
        std::thread::sleep(Duration::from_millis(120));
        assert_eq!(client.get("/next").text(), "/next", "round {round}");
    }
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
}

#[test]
fn an_answer_that_its_client_left_is_nobody_elses() {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    let backend = Backend::start(|request, stream| {
        if request.target == "/left" {
            LEFT.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = &request.target;
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
        );
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut victim = Client::connect(proxy.addresses()[0]);
    for round in 0..8 {
        let mut leaving = Client::connect(proxy.addresses()[0]);
        leaving.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
        eventually("the backend has it", || LEFT.load(Ordering::SeqCst) > round);
        drop(leaving);
        let target = format!("/stay-{round}");
        assert_eq!(victim.get(&target).text(), target);
    }
}

#[test]
fn half_a_request_whose_client_left_never_becomes_whole() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for _ in 0..8 {
        let mut leaving = Client::connect(proxy.addresses()[0]);
        leaving.send("POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nGET /x HTT");
        std::thread::sleep(Duration::from_millis(10));
        drop(leaving);
        assert_eq!(Client::connect(proxy.addresses()[0]).get("/stays").text(), "x");
    }
    let targets: Vec<_> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["/stays"; 8]);
    assert_eq!(backend.malformed(), [""; 0]);
}

#[test]
fn the_body_of_an_answer_that_was_left_is_nobody_elses() {
    let backend = Backend::start(|request, stream| {
        let text = request
            .target
            .repeat(if request.target == "/long" { 200_000 } else { 1 });
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
        );
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut victim = Client::connect(proxy.addresses()[0]);
    for _ in 0..8 {
        let mut leaving = Client::connect(proxy.addresses()[0]);
        leaving.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut some = [0; 100];
        leaving
            .socket()
            .read_exact(&mut some)
            .expect("the start of an answer");
        drop(leaving);
        assert_eq!(victim.get("/short").text(), "/short");
    }
}
