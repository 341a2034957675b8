//! The plain way there and back.

use std::io::Write;

use crate::support::{Backend, Client, Next, block_on, eventually, proxy, proxy_with};

#[test]
fn a_request_and_its_answer_pass() {
    let backend = Backend::bytes("HTTP/1.1 201 Created\r\nX-Answer: yes\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("GET /a//b/../c?d=%20e HTTP/1.1\r\nHost: example.com\r\nX-Question: why\r\n\r\n");
    assert_eq!((answer.status, answer.text()), (201, "hello"));
    assert_eq!(answer.header("x-answer"), Some("yes"));
    assert!(answer.header("date").is_some());
    let request = backend.request();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/a//b/../c?d=%20e")
    );
    assert_eq!(request.header("x-question"), Some("why"));
    assert_eq!(request.body, b"");
}

#[test]
fn backends_take_turns() {
    let (a, b) = (Backend::text("a"), Backend::text("b"));
    let proxy = proxy(&[a.address, b.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answers: String = (0..6).map(|_| client.get("/weight").text().to_owned()).collect();
    assert_eq!(answers, "ababab");
}

#[test]
fn upstream_connections_are_kept_and_used_again() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for _ in 0..3 {
        let mut client = Client::connect(proxy.addresses()[0]);
        for _ in 0..5 {
            assert_eq!(client.get("/").status, 200);
        }
    }
    assert_eq!(backend.connections(), 1);
    let counters = proxy.status().counters;
    assert_eq!((counters.upstream_connects, counters.upstream_reused), (1, 14));
    assert_eq!(
        (counters.accepted, counters.requests, counters.responses[1]),
        (3, 15, 15)
    );
}

#[test]
fn an_upstream_connection_is_replaced_after_its_requests() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.upstream_keepalive_requests(2));
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(backend.connections(), 3);
}

#[test]
fn a_body_with_a_length_passes() {
    let backend = Backend::text("done");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.ask("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world");
    assert_eq!(answer.text(), "done");
    let request = backend.request();
    assert_eq!(request.header("content-length"), Some("11"));
    assert_eq!(request.body, b"hello world");
}

#[test]
fn a_body_in_chunks_passes_whatever_the_method() {
    for method in ["POST", "PUT", "GET", "DELETE", "PURGE"] {
        let backend = Backend::text("done");
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
        ));
        assert_eq!(answer.text(), "done", "{method}");
        let request = backend.request();
        assert_eq!(request.header("transfer-encoding"), Some("chunked"));
        assert_eq!(request.body, b"hello world");
        assert_eq!(client.get("/").text(), "done", "the connection goes on");
    }
}

#[test]
fn answers_in_chunks_pass_and_are_unwrapped_for_http_1_0() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.get("/");
    assert_eq!(
        (answer.text(), answer.header("transfer-encoding")),
        ("abcdef", Some("chunked"))
    );
    let mut old = Client::connect(proxy.addresses()[0]);
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let answer = String::from_utf8(old.read_to_end().expect("a clean end")).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nabcdef"), "{answer}");
    assert!(!answer.to_lowercase().contains("transfer-encoding"), "{answer}");
}

#[test]
fn http_1_0_can_keep_its_connection() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(answer.text(), "x");
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    let answer = client.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(answer.text(), "x");
    assert!(client.is_closed());
}

#[test]
fn an_answer_that_ends_with_its_connection_passes() {
    let backend = Backend::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end")
            .expect("connected");
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(
            (answer.version.as_str(), answer.text()),
            ("HTTP/1.1", "to the end")
        );
    }
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    let backend = Backend::start(|request, stream| {
        let answer: &[u8] = match (request.method.as_str(), request.target.as_str()) {
            ("HEAD", _) => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            (_, "/204") => b"HTTP/1.1 204 No Content\r\n\r\n",
            (_, "/304") => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 99\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        };
        stream.write_all(answer).expect("connected");
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.try_response("HEAD").expect("an answer");
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("1234"))
        );
        let answer = client.get("/204");
        assert_eq!(
            (
                answer.status,
                answer.header("content-length"),
                answer.header("transfer-encoding")
            ),
            (204, None, None)
        );
        let answer = client.get("/304");
        assert_eq!((answer.status, answer.header("etag")), (304, Some("\"x\"")));
        let answer = client.get("/");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let backend = Backend::start(|request, stream| {
        let text = &request.target;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
        .expect("connected");
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let requests: String = (0..20)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
}

#[test]
fn the_continue_that_a_client_waits_for_comes_from_the_proxy() {
    let backend = Backend::text("done");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
    let interim = client.read_bytes(25);
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.ask("hello").text(), "done");
    let request = backend.request();
    assert_eq!(
        (request.header("expect"), &request.body[..]),
        (None, &b"hello"[..])
    );
}

#[test]
fn interim_responses_of_a_backend_do_not_disturb() {
    let backend = Backend::bytes(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn a_client_connection_closes_after_its_requests() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.keepalive_requests(2));
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").header("connection"), None);
    assert_eq!(client.get("/").header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn every_worker_serves() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.workers(3));
    let mut clients: Vec<_> = (0..60).map(|_| Client::connect(proxy.addresses()[0])).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "x");
    }
    // Each worker has upstream connections of its own.
    assert_eq!(backend.connections(), 3);
    assert_eq!(proxy.status().workers, 3);
    drop(clients);
    eventually("all connections end", || proxy.status().counters.connections == 0);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let backend = Backend::text("x");
    let first = proxy(&[backend.address]);
    let address = first.addresses()[0];
    let config = lb_proxy::proxy::ProxyConfig::builder(first.config().upstream().clone()).listen(address);
    let error = lb_proxy::proxy::Server::spawn(config.clone().build().expect("valid")).expect_err("taken");
    assert!(
        error
            .to_string()
            .starts_with(&format!("can't listen on {address}: ")),
        "{error}"
    );
    assert_eq!(block_on(first.shutdown(std::time::Duration::from_secs(5))), 0);
    let second = lb_proxy::proxy::Server::spawn(config.build().expect("valid")).expect("free again");
    assert_eq!(Client::connect(address).get("/").text(), "x");
    drop(second);
}

#[test]
fn freebind_listens_on_an_address_that_is_not_there() {
    let backend = Backend::text("x");
    // TEST-NET-1 (RFC 5737) is nobody's address.
    let address = "192.0.2.77:0".parse().expect("an address");
    let config = lb_proxy::proxy::ProxyConfig::builder(crate::support::upstream(&[backend.address], |b| b))
        .listen(address);
    assert!(lb_proxy::proxy::Server::spawn(config.clone().build().expect("valid")).is_err());
    let proxy = lb_proxy::proxy::Server::spawn(config.freebind(true).build().expect("valid")).expect("bound");
    assert_eq!(proxy.addresses()[0].ip(), address.ip());
}

#[test]
fn addresses_may_cover_each_other_and_be_of_both_families() {
    let backend = Backend::text("x");
    let any = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound")
        .port();
    let config = lb_proxy::proxy::ProxyConfig::builder(crate::support::upstream(&[backend.address], |b| b))
        .listen(([0, 0, 0, 0], any).into())
        .listen(([127, 0, 0, 1], any).into())
        .listen("[::1]:0".parse().expect("an address"));
    let proxy = lb_proxy::proxy::Server::spawn(config.build().expect("valid")).expect("bound");
    assert_eq!(proxy.addresses().len(), 3);
    for address in [proxy.addresses()[1], proxy.addresses()[2]] {
        assert_eq!(Client::connect(address).get("/").text(), "x");
    }
    let seen: Vec<_> = backend
        .requests()
        .iter()
        .map(|r| r.header("x-forwarded-for").map(String::from))
        .collect();
    assert_eq!(seen, [Some("127.0.0.1".to_owned()), Some("::1".to_owned())]);
}
