//! Answers of backends that break HTTP: a 502 while nothing is sent, a visible cut afterwards, and never a guess.

use std::io::Write;

use crate::support::{Backend, Client, Next, proxy};

/// The answer to a GET when a backend sends `bytes` and closes, and whether the backend was blamed.
fn answer_to(bytes: impl AsRef<[u8]>) -> (std::io::Result<crate::support::Response>, u64) {
    let bytes = bytes.as_ref().to_vec();
    let backend = Backend::start(move |_, stream| {
        let _ = stream.write_all(&bytes);
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.try_response("GET");
    // What the backend gets the blame for is counted when its response is over.
    drop(client);
    crate::support::eventually("it is over", || {
        proxy.config().upstream().status().backends[0].active == 0
    });
    (answer, proxy.config().upstream().status().backends[0].failures)
}

#[track_caller]
fn assert_bad_gateway(bytes: impl AsRef<[u8]>) {
    let shown = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(300)]).into_owned();
    match answer_to(bytes) {
        (Ok(answer), failures) => {
            assert_eq!((answer.status, failures), (502, 1), "{shown:?}");
            assert_eq!(
                answer.text(),
                "502 Bad Gateway: bad response from the upstream\n",
                "{shown:?}"
            );
        }
        (Err(error), _) => panic!("no answer ({error}): {shown:?}"),
    }
}

#[test]
fn a_status_line_that_isnt_one_is_a_502() {
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "XTTP/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "200 OK",
        "<html>",
        "GET / HTTP/1.1",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "\x15\x03\x01\x00\x02\x02\x28",
    ] {
        assert_bad_gateway(format!("{line}\r\nContent-Length: 1\r\n\r\nx"));
    }
}

#[test]
fn a_reason_may_be_anything_or_nothing() {
    for line in [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 ",
        "HTTP/1.1 200",
        "HTTP/1.1 200 Sehr gut: \u{e9}",
        "HTTP/1.1 200 \t",
        "HTTP/1.0 200 OK",
    ] {
        let (answer, failures) = answer_to(format!("{line}\r\nContent-Length: 1\r\n\r\nx"));
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.text(), failures), (200, "x", 0), "{line}");
        assert_eq!(answer.version, "HTTP/1.1", "its own, not the backend's");
    }
}

#[test]
fn a_field_that_is_none_is_a_502() {
    for field in [
        "X",
        "X y: z",
        "X : y",
        "X\t: y",
        ": y",
        "X(: y",
        "X: a\0b",
        "X: a\rb",
        "X: a\x01b",
        "X: a\x7fb",
        "X\0: y",
        " X: y",
        "\tX: y",
        "X: y\r\n z",
        "X: y\r\n\tz",
        "\u{e9}: y",
    ] {
        assert_bad_gateway(format!(
            "HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 1\r\n\r\nx"
        ));
        assert_bad_gateway(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n{field}\r\n\r\nx"
        ));
    }
}

#[test]
fn framing_in_two_ways_is_a_502() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 2",
        "Content-Length: +1",
        "Content-Length: -1",
        "Content-Length: 0x1",
        "Content-Length: 1 1",
        "Content-Length: 1;",
        "Content-Length: x",
        "Content-Length:",
        "Content-Length: 18446744073709551617",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;x",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    ] {
        assert_bad_gateway(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    }
}

#[test]
fn the_same_length_twice_is_one_or_a_502() {
    // RFC 9112 §6.3 leaves the choice.
    for fields in ["Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1, 1"] {
        let (answer, _) = answer_to(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nx"));
        let answer = answer.expect("an answer");
        let whole =
            answer.status == 200 && answer.header("content-length") == Some("1") && answer.text() == "x";
        assert!(whole || answer.status == 502, "{answer:?}");
    }
}

#[test]
fn a_coding_in_http_1_0_is_not_believed_twice() {
    // RFC 9112 §6.1: the framing is faulty, and the connection is closed after it.
    let backend = Backend::bytes(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.get("/");
        assert!(answer.status == 502 || answer.text() == "x", "{answer:?}");
    }
    assert_eq!(backend.connections(), 2);
}

#[test]
fn an_answer_has_limits() {
    let many: String = (0..400).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_bad_gateway(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 1\r\n\r\nx"));
    let long = "y".repeat(512 * 1024);
    assert_bad_gateway(format!(
        "HTTP/1.1 200 OK\r\nX: {long}\r\nContent-Length: 1\r\n\r\nx"
    ));
    assert_bad_gateway(format!("HTTP/1.1 200 {long}\r\nContent-Length: 1\r\n\r\nx"));
    // Never ends, and never stops growing.
    assert_bad_gateway(format!("HTTP/1.1 200 OK\r\n{long}{long}"));
}

#[test]
fn what_is_allowed_in_an_answer_passes_as_it_came() {
    let (answer, _) = answer_to(
        "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"\u{e9}.txt\"\r\nX:\r\nY: a\tb\r\nSet-Cookie: a\r\n\
         set-cookie: b\r\nContent-Length: 1\r\n\r\nx",
    );
    let answer = answer.expect("an answer");
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"\u{e9}.txt\"")
    );
    assert_eq!((answer.header("x"), answer.header("y")), (Some(""), Some("a\tb")));
    assert_eq!(answer.headers.all("set-cookie"), ["a", "b"]);
}

#[test]
fn bad_chunks_of_an_answer_are_a_visible_cut() {
    for chunks in [
        "3\r\nabcX\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "g\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "3;x\nabc\r\n0\r\n\r\n",
        "0\r\nBad Trailer: x\r\n\r\n",
        "0\r\nX: a\0b\r\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "3\r\nabc\r\n",
        "3\r\nab",
        "3\r",
        "0\r\n",
        "0\r\nX: y\r\n",
        "0\r\n\rX",
    ] {
        let (answer, failures) = answer_to(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n{chunks}"
        ));
        match answer {
            Err(_) => {}
            Ok(answer) => assert_eq!(answer.status, 502, "{chunks:?} came out whole: {answer:?}"),
        }
        assert_eq!(failures, 1, "{chunks:?}");
    }
}

#[test]
fn an_answer_in_chunks_has_limits() {
    let long = "x".repeat(256 * 1024);
    let trailers = "X: y\r\n".repeat(64 * 1024);
    for chunks in [
        format!("3;{long}\r\nabc\r\n0\r\n\r\n"),
        format!("0\r\nX: {long}\r\n\r\n"),
        format!("0\r\n{trailers}\r\n"),
    ] {
        let (answer, failures) = answer_to(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n{chunks}"
        ));
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 502));
        assert_eq!(failures, 1);
    }
}

#[test]
fn nothing_at_all_is_a_502() {
    for bytes in [
        "",
        "H",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n",
    ] {
        let (answer, failures) = answer_to(bytes);
        assert_eq!(
            (answer.expect("an answer").status, failures),
            (502, 1),
            "{bytes:?}"
        );
    }
}
