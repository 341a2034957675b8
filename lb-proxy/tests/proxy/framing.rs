//! Where one message ends and the next begins, byte by byte.

use std::io::Write;

use crate::support::{Backend, Client, Next, eventually, proxy};

#[test]
fn a_malformed_head_is_refused_and_never_forwarded() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        let answer = Client::connect(proxy.addresses()[0]).ask(head);
        assert_eq!(answer.status, 400, "{head:?}");
        assert!(
            backend.requests().is_empty() && backend.malformed().is_empty(),
            "{head:?}"
        );
    }
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for byte in b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "x");
    assert_eq!(backend.request().body, b"ok");
}

#[test]
fn both_framings_at_once_are_refused_and_the_connection_closed() {
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    ] {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(format!(
            "{head}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
        assert!(client.is_closed());
        assert_eq!(backend.connections(), 0);
    }
}

#[test]
fn another_version_is_refused() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for version in ["HTTP/1.2", "HTTP/2.0"] {
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(format!("GET / {version}\r\nHost: a\r\n\r\n"));
        assert_eq!((answer.status, answer.header("connection")), (505, Some("close")));
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn bad_chunks_are_a_400_and_the_backend_never_sees_a_whole_request() {
    for body in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "x\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\rhello",
        "ffffffffffffffffff\r\n",
    ] {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        assert_eq!(
            (answer.status, answer.text()),
            (400, "400 Bad Request: bad request body\n"),
            "{body:?}"
        );
        assert!(backend.requests().is_empty(), "{body:?}");
        assert_eq!(
            proxy.config().upstream().status().backends[0].failures,
            0,
            "the client's fault"
        );
    }
}

#[test]
fn a_body_that_breaks_off_is_no_request() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    eventually("the backend is connected", || backend.connections() == 1);
    client.finish_sending();
    let _ = client.read_to_end();
    eventually("it is over", || {
        proxy.config().upstream().status().backends[0].active == 0
    });
    assert!(backend.requests().is_empty());
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn bytes_behind_an_answer_are_not_the_next_answer() {
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        );
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(backend.connections(), 5, "such a connection is never used again");
}

#[test]
fn a_body_where_none_may_be_is_not_the_next_answer() {
    let backend = Backend::start(|request, stream| {
        let answer: &[u8] = match request.target.as_str() {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "/304" => b"HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        let _ = stream.write_all(answer);
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..3 {
        assert_eq!(client.get("/204").status, 204);
        assert_eq!(client.get("/304").status, 304);
        assert_eq!(client.get("/").text(), "ok");
    }
}

#[test]
fn an_answer_before_the_body_closes_both_connections() {
    let backend = Backend::raw(|_, mut reader, record| {
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if std::io::Read::read(&mut reader, &mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        record(Err("a head".to_owned()));
        let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart");
    assert_eq!(
        (answer.status, answer.text(), answer.header("connection")),
        (401, "no", Some("close"))
    );
    assert!(client.is_closed());
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 401);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_refusal_of_a_malformed_head_can_be_read_while_more_is_sent() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n");
    let _ = client.try_send(vec![b'x'; 2 * 1024 * 1024]);
    assert_eq!(client.response().status, 400);
}
