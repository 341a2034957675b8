//! The chunked coding of requests (RFC 9112 §7.1): sizes, extensions, data and trailers, byte by byte.

use crate::support::{Backend, Gate, proxy};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Every body that isn't in the coding is a 400, and the backend never sees the end of a request.
fn assert_malformed(bodies: &[&str]) {
    let gate = Gate::new();
    for body in bodies {
        let answer = gate.refuses(format!("{HEAD}{body}"), &[400]);
        assert_eq!(answer.text(), "400 Bad Request: bad request body\n");
        // The same behind a chunk that was good, of which some may be on its way.
        gate.refuses(format!("{HEAD}3\r\nabc\r\n{body}"), &[400]);
    }
    gate.settles();
}

#[test]
fn a_size_is_hexadecimal_digits() {
    assert_malformed(&[
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "5g\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "-0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\t5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "5.0\r\nhello\r\n0\r\n\r\n",
        "5,\r\nhello\r\n0\r\n\r\n",
        "\"5\"\r\nhello\r\n0\r\n\r\n",
        "\u{665}\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n",
        ";x=y\r\n0\r\n\r\n",
    ]);
}

#[test]
fn a_size_that_overflows_is_not_a_small_one() {
    assert_malformed(&[
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "100000000000000000000000000000000\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ]);
    let gate = Gate::new();
    for size in [
        "ffffffffffffffff",
        "fffffffffffffffe",
        "8000000000000000",
        "7fffffffffffffff",
        "100001",
    ] {
        gate.refuses(format!("{HEAD}{size}\r\nhello\r\n0\r\n\r\n"), &[400, 413]);
    }
    gate.settles();
}

#[test]
fn lines_of_the_coding_end_with_crlf() {
    assert_malformed(&[
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\rhello\r\n0\r\n\r\n",
        "5\n\rhello\r\n0\r\n\r\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "5;x\rhello\r\n0\r\n\r\n",
        "5;x=\"a\nb\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5\r\nhello \r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "0\n\n",
        "0\n\r\n",
        "0\r\n\n",
        "0\r\r\n",
        "0\r\n\rX",
    ]);
}

#[test]
fn trailers_are_fields() {
    assert_malformed(&[
        "0\r\nX\r\n\r\n",
        "0\r\nX y: z\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nX: a\0b\r\n\r\n",
        "0\r\nX: a\rb\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\r\n\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
    ]);
}

#[test]
fn extensions_are_read_over_and_not_passed_on() {
    let gate = Gate::new();
    for body in [
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;x\r\nhello\r\n0\r\n\r\n",
        "5;x=y\r\nhello\r\n0;z\r\n\r\n",
        "5;x=y;z\r\nhello\r\n0\r\n\r\n",
        "5;x=\"a b;c\"\r\nhello\r\n0\r\n\r\n",
        "5 ; x = y\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n000\r\n\r\n",
        "2\r\nhe\r\n3;last\r\nllo\r\n0\r\n\r\n",
        "000000000000005\r\nhello\r\n0\r\n\r\n",
    ] {
        // The backend's reader knows no extensions: that it read the body shows that there were none.
        assert_eq!(gate.passes(format!("{HEAD}{body}")).body, b"hello", "{body:?}");
    }
    assert_eq!(
        gate.passes(format!("{HEAD}A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n"))
            .body
            .len(),
        21
    );
    gate.settles();
}

#[test]
fn a_coding_that_is_mostly_extensions_is_refused() {
    let gate = Gate::new();
    // One long extension, and many short ones: 64 KiB for three bytes of body.
    gate.refuses(
        format!("{HEAD}3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(64 * 1024)),
        &[400, 413],
    );
    let chunk = format!("1;{}\r\na\r\n", "x".repeat(1000));
    gate.refuses(format!("{HEAD}{}0\r\n\r\n", chunk.repeat(65)), &[400, 413]);
    gate.settles();
}

#[test]
fn a_line_of_the_coding_without_an_end_is_refused() {
    let gate = Gate::new();
    for start in ["5;", "5;x=\"", "0\r\nX: ", "0\r\n", "000000"] {
        let unit = if start == "000000" {
            "0"
        } else if start == "0\r\n" {
            "X: y\r\n"
        } else {
            "x"
        };
        gate.refuses(
            format!("{HEAD}{start}{}", unit.repeat(128 * 1024 / unit.len())),
            &[400, 413, 431],
        );
    }
    gate.settles();
}

#[test]
fn trailers_of_a_request_reach_the_backend() {
    let gate = Gate::new();
    let request = gate.passes(format!(
        "{HEAD}5\r\nhello\r\n0\r\nX-Sum: 42\r\nGrpc-Status: 0\r\nX-Sum: 43\r\n\r\n"
    ));
    assert_eq!(request.body, b"hello");
    assert_eq!(request.trailers.all("x-sum"), ["42", "43"]);
    assert_eq!(request.trailers.get("grpc-status"), Some("0"));
}

#[test]
fn trailers_cannot_be_what_a_head_decides() {
    // RFC 9110 §6.5.1: framing, routing, modifiers, authentication and content handling are for the head alone.
    let gate = Gate::new();
    let forbidden = [
        "Transfer-Encoding: chunked",
        "Content-Length: 5",
        "Host: b",
        "Connection: close",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Authorization: Basic eA==",
        "Proxy-Authorization: Basic eA==",
        "Cookie: a=b",
        "Content-Type: text/html",
        "Content-Encoding: gzip",
        "Content-Range: bytes 0-1/2",
        "Range: bytes=0-1",
        "Max-Forwards: 1",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: b",
        "X-Forwarded-Proto: https",
        "Forwarded: for=192.0.2.1",
        "Proxy-Connection: close",
        "Proxy: http://b/",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Cache-Control: no-store",
        "If-Match: x",
        "Set-Cookie: a=b",
    ];
    for field in forbidden {
        let request = gate.passes(format!("{HEAD}5\r\nhello\r\n0\r\n{field}\r\nX-Sum: 42\r\n\r\n"));
        let names: Vec<_> = request.trailers.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-sum"], "{field}");
    }
    gate.settles();
}

#[test]
fn trailers_have_limits() {
    let gate = Gate::with(|config| config.max_head(8 * 1024));
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    gate.refuses(format!("{HEAD}5\r\nhello\r\n0\r\n{many}\r\n"), &[400, 413, 431]);
    let long = "y".repeat(40 * 1024);
    gate.refuses(
        format!("{HEAD}5\r\nhello\r\n0\r\nX: {long}\r\n\r\n"),
        &[400, 413, 431],
    );
    gate.settles();
}

#[test]
fn a_body_passes_however_it_is_cut() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let request = format!("{HEAD}5;x=\"y\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
    let mut client = crate::support::Client::connect(proxy.addresses()[0]);
    for at in HEAD.len() - 2..request.len() {
        client.send(&request[..at]);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(client.ask(&request[at..]).text(), "x", "cut at {at}");
    }
    for byte in request.as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "x");
    let requests = backend.requests();
    assert!(requests.iter().all(|request| request.body == b"hello world"));
    assert_eq!(
        (requests.len(), backend.malformed()),
        (request.len() - HEAD.len() + 3, Vec::new())
    );
}

#[test]
fn what_stands_behind_a_body_is_the_next_request() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = crate::support::Client::connect(proxy.addresses()[0]);
    client.send(format!(
        "{HEAD}5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n{HEAD}0\r\nX-Sum: 1\r\n\r\n"
    ));
    for _ in 0..3 {
        assert_eq!(client.response().text(), "x");
    }
    let targets: Vec<_> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["/", "/next", "/"]);
}
