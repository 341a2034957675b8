//! Where the body of a request ends (RFC 9112 §6): one field says so, in one way, or the request is refused.

use crate::support::{Backend, Client, Gate, eventually, proxy};

/// A body that both readings of a contradiction accept.
const BODY: &str = "5\r\nhello\r\n0\r\n\r\n";

fn request(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{BODY}")
}

#[test]
fn a_length_and_a_coding_at_once_are_refused() {
    let gate = Gate::new();
    for fields in [
        "Content-Length: 15\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 15",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "transfer-encoding: CHUNKED\r\nX: y\r\ncontent-length: 15",
        "Connection: Content-Length\r\nContent-Length: 15\r\nTransfer-Encoding: chunked",
        "Connection: Transfer-Encoding\r\nContent-Length: 15\r\nTransfer-Encoding: chunked",
    ] {
        gate.refuses(request(fields), &[400]);
        gate.refuses(request(fields).replace("POST", "GET"), &[400]);
    }
    for coding in [
        "gzip",
        "identity",
        "xchunked",
        "chunked, identity",
        "\"chunked\"",
        "",
    ] {
        gate.refuses(
            request(&format!("Content-Length: 15\r\nTransfer-Encoding: {coding}")),
            &[400, 501],
        );
    }
    gate.settles();
}

#[test]
fn a_length_is_one_number() {
    let gate = Gate::new();
    for length in [
        "",
        " ",
        "+15",
        "-15",
        "-0",
        "0x0f",
        "15.0",
        "1e1",
        "15 15",
        "1 5",
        "1_5",
        "15;",
        "15,",
        ",15",
        "15, 15",
        "15,15",
        "15, 16",
        "\"15\"",
        "a",
        "15a",
        "\u{661}\u{665}",
        "18446744073709551616",
        "18446744073709551631",
        "99999999999999999999999999",
        "0, 15",
    ] {
        gate.refuses(request(&format!("Content-Length: {length}")), &[400]);
    }
    for fields in [
        "Content-Length: 15\r\nContent-Length: 15",
        "Content-Length: 15\r\nContent-Length: 16",
        "Content-Length: 0\r\nContent-Length: 15",
        "Content-Length: 15\r\nX: y\r\ncontent-length: 0",
        "Content-Length:\r\nContent-Length: 15",
        "Content-Length : 15",
        "Content-Length\t: 15",
    ] {
        gate.refuses(request(fields), &[400]);
    }
    gate.settles();
}

#[test]
fn a_length_beyond_the_limit_is_too_large_and_not_malformed() {
    let gate = Gate::new();
    for length in ["1048577", "999999999999999999"] {
        gate.refuses(request(&format!("Content-Length: {length}")), &[413]);
    }
    // What is no length of anything may be called either.
    for length in ["9223372036854775807", "18446744073709551615"] {
        gate.refuses(request(&format!("Content-Length: {length}")), &[400, 413]);
    }
    gate.settles();
}

#[test]
fn the_coding_is_chunked_once() {
    let gate = Gate::new();
    for coding in [
        "gzip",
        "identity",
        "xchunked",
        "chunke",
        "gzip, chunked",
        "identity, chunked",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked chunked",
        "",
        "chu nked",
        "chunked\u{e9}",
        "(chunked)",
    ] {
        gate.refuses(request(&format!("Transfer-Encoding: {coding}")), &[400, 501]);
    }
    for coding in [
        "\x0bchunked",
        "chunked\x0b",
        "chunked\x0c",
        "chunked\0",
        "chunked\x01",
    ] {
        gate.refuses(request(&format!("Transfer-Encoding: {coding}")), &[400]);
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: x",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
    ] {
        gate.refuses(request(fields), &[400, 501]);
    }
    for fields in ["Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked"] {
        gate.refuses(request(fields), &[400]);
    }
    gate.settles();
}

#[test]
fn a_coding_that_isnt_known_is_not_implemented() {
    // RFC 9112 §6.1.
    let gate = Gate::new();
    gate.refuses(request("Transfer-Encoding: gzip"), &[501]);
    gate.refuses(request("Transfer-Encoding: gzip, chunked"), &[501]);
}

#[test]
fn http_1_0_knows_no_codings() {
    // RFC 9112 §6.1: framing that is faulty.
    let gate = Gate::new();
    for connection in ["close", "keep-alive"] {
        gate.refuses(
            format!("POST / HTTP/1.0\r\nHost: a\r\nConnection: {connection}\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}"),
            &[400],
        );
    }
    gate.settles();
}

#[test]
fn the_framing_that_a_backend_sees_is_one_line() {
    let gate = Gate::new();
    for coding in ["chunked", "Chunked", "CHUNKED", " \tchunked\t "] {
        let seen = gate.passes(request(&format!("Transfer-Encoding: {coding}")));
        assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
        assert_eq!(
            (seen.header("content-length"), &seen.body[..]),
            (None, &b"hello"[..])
        );
    }
    for length in ["15", " \t15 \t"] {
        let seen = gate.passes(request(&format!("Content-Length: {length}")));
        assert_eq!((seen.header("content-length"), seen.body.len()), (Some("15"), 15));
        assert_eq!(seen.header("transfer-encoding"), None);
    }
    for fields in [
        "Connection: Content-Length\r\nContent-Length: 15",
        "Content-Length: 15\r\nConnection: close, content-length",
    ] {
        assert_eq!(gate.passes(request(fields)).body.len(), 15);
    }
    let seen = gate.passes(request(
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    ));
    assert_eq!(seen.body, b"hello");
    let seen = gate.passes("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((seen.header("content-length"), seen.body.len()), (Some("0"), 0));
    gate.settles();
}

#[test]
fn leading_zeros_make_no_second_reading() {
    let gate = Gate::new();
    let mut client = gate.connect();
    client.send(request("Content-Length: 0000000000000000000000000000015"));
    let answer = client.response();
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
}

#[test]
fn a_request_without_framing_has_no_body() {
    let gate = Gate::new();
    for method in ["GET", "POST", "DELETE"] {
        let mut client = gate.connect();
        client.send(format!(
            "{method} / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert_eq!(
            (client.response().text(), client.response().text()),
            ("x", "x"),
            "{method}"
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
