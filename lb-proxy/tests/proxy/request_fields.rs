//! The header lines of a request (RFC 9112 §5): names, values, ends of lines, and how many and how long they may be.

use crate::support::{Backend, Client, Gate, proxy};

#[test]
fn a_malformed_field_is_refused_wherever_it_stands() {
    let gate = Gate::new();
    for field in [
        // Names.
        "X y: z",
        "X : y",
        "X\t: y",
        ": y",
        "X",
        "X;y",
        "X(: y",
        "X\0: y",
        "X\x01: y",
        "\u{c9}: y",
        "[X]: y",
        "X/Y: z",
        "X{: y",
        "X\": y",
        "=: y",
        "@: y",
        // Values.
        "X: a\0b",
        "X: \0",
        "X: a\x01b",
        "X: \x7f",
        "X: a\x08",
        "X: a\x0bb",
        "X: a\x0cb",
        "X: \x1b[2J",
    ] {
        for head in [
            format!("GET / HTTP/1.1\r\n{field}\r\nHost: a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"),
        ] {
            gate.refuses(head, &[400]);
        }
    }
    gate.settles();
}

#[test]
fn a_folded_line_is_refused() {
    let gate = Gate::new();
    for fields in [
        " Host: a",
        "\tHost: a",
        "Host: a\r\n X: y",
        "Host: a\r\nX: y\r\n z",
        "Host: a\r\nX: y\r\n\tz",
        "Host: a\r\nX: y\r\n z: q\r\nZ: y",
        "Host: a\r\nX: y\r\n ",
        "Host: a\r\nX:\r\n y",
        "Host:\r\n a",
        "Host: a\r\nTransfer-Encoding:\r\n chunked",
        "Host: a\r\nContent-Length:\r\n 5",
    ] {
        gate.refuses(format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n"), &[400]);
    }
    gate.settles();
}

#[test]
fn lines_end_with_crlf_and_nothing_else() {
    let gate = Gate::new();
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: q\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: q\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\rX: y\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\r",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n",
        "GET / HTTP/1.1\n\nHost: a\r\n\r\n",
    ] {
        gate.refuses(head, &[400]);
    }
    gate.settles();
}

#[test]
fn what_is_allowed_in_a_field_passes_as_it_came() {
    let gate = Gate::new();
    for (field, value) in [
        ("X:", ""),
        ("X: ", ""),
        ("X:y", "y"),
        ("X: \t y \t ", "y"),
        ("X: a\tb", "a\tb"),
        ("X: a  b", "a  b"),
        ("X: a:b;c,d=\"e\"", "a:b;c,d=\"e\""),
        ("X: \u{e9}", "\u{e9}"),
        ("X: (a) [b] {c} <d> \\e", "(a) [b] {c} <d> \\e"),
    ] {
        let request = gate.passes(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
        assert_eq!(request.header("x"), Some(value), "{field:?}");
    }
    let name = "!#$%&'*+-.^_`|~9aZ";
    let request = gate.passes(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: y\r\n\r\n"));
    assert_eq!(request.header(&name.to_ascii_lowercase()), Some("y"));
    let request = gate.passes("GET / HTTP/1.1\r\nX: 1\r\nHOST: a\r\nx: 2\r\nY: 3\r\nX: 4\r\n\r\n");
    assert_eq!(request.headers.all("x"), ["1", "2", "4"], "in their order");
}

#[test]
fn a_hundred_fields_are_enough() {
    let gate = Gate::new();
    let request = |fields: usize| {
        let fields: String = (1..fields).map(|n| format!("X-{n}: {n}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    };
    assert_eq!(gate.passes(request(100)).header("x-99"), Some("99"));
    for fields in [101, 102, 1000, 4000] {
        gate.refuses(request(fields), &[431]);
    }
    gate.settles();
}

#[test]
fn a_head_that_never_ends_is_refused_at_the_limit() {
    let gate = Gate::with(|config| config.max_head(8 * 1024));
    let long = "a".repeat(16 * 1024);
    for head in [
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{long}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(3000)),
    ] {
        gate.refuses(head, &[431]);
    }
    gate.settles();
}

#[test]
fn a_head_passes_however_it_is_cut() {
    let gate = Gate::new();
    let head = b"GET /cut HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 2\r\n\r\nok";
    for at in 1..head.len() {
        let mut client = gate.connect();
        client.send(&head[..at]);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(client.ask(&head[at..]).text(), "x", "cut at {at}");
    }
    gate.settles();
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
