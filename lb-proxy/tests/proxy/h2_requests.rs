//! HTTP/2 requests, right and wrong (RFC 9113 §8): what a backend gets of them in HTTP/1.1 is well-formed, or nothing.

use lb_proxy::proxy::ServerHandle;

use crate::support::h2::{self, End, Frame, H2};
use crate::support::{Backend, proxy};

struct Front {
    backend: Backend,
    proxy: ServerHandle,
}

impl Front {
    fn new() -> Self {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        Self { backend, proxy }
    }

    fn connect(&self) -> H2 {
        H2::connect(self.proxy.addresses()[0])
    }

    /// Checks that these frames are no request: the stream or the connection ends with an error or a 4xx, the backend
    /// sees nothing, and others are served as before.
    #[track_caller]
    fn refuses(&self, frames: &[Frame], shown: &str) {
        let before = self.backend.requests().len();
        let mut client = self.connect();
        for frame in frames {
            let _ = client.try_send(frame.bytes());
        }
        match client.end_of(1) {
            End::Answer {
                status: 400..=499 | 501,
                ..
            }
            | End::Reset(1.., _)
            | End::GoAway(_)
            | End::Closed => {}
            other => panic!("{other:?} to {shown}"),
        }
        assert_eq!(self.backend.requests().len(), before, "{shown}");
        assert_eq!(self.backend.malformed(), [""; 0], "{shown}");
        let good = self.connect().ask(1, &h2::get("/good"));
        assert!(
            matches!(good, End::Answer { status: 200, .. }),
            "{good:?} after {shown}"
        );
    }

    #[track_caller]
    fn refuses_fields(&self, fields: &[(&str, &str)]) {
        self.refuses(&[Frame::headers(1, fields, true)], &format!("{fields:?}"));
    }
}

/// The usual fields, with `name` set to `value`.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields = h2::get("/");
    match fields.iter_mut().find(|(n, _)| *n == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    fields
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    let mut fields = h2::get("/");
    fields.retain(|(n, _)| *n != name);
    fields
}

#[track_caller]
fn assert_ok(end: End) {
    let End::Answer {
        status,
        body,
        trailers,
    } = end
    else {
        panic!("{end:?}");
    };
    assert_eq!((status, &body[..], trailers), (200, &b"x"[..], false));
}

#[test]
fn a_request_becomes_one_of_http_1_1() {
    let front = Front::new();
    let mut client = front.connect();
    let fields = [
        &h2::get("/a?b")[..],
        &[
            ("x", "y"),
            ("te", "trailers"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ],
    ]
    .concat();
    for stream in [1, 3, 5] {
        assert_ok(client.ask(stream, &fields));
    }
    for request in front.backend.requests() {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("GET", "/a?b")
        );
        assert_eq!(
            (request.header("host"), request.header("x")),
            (Some("a"), Some("y"))
        );
        // RFC 9113 §8.2.3: the crumbs of a cookie are one line of HTTP/1.1.
        assert_eq!(request.header("cookie"), Some("a=1; b=2"));
        assert!(request.headers.0.iter().all(|(name, _)| !name.starts_with(':')));
        assert_eq!(
            (
                request.header("content-length"),
                request.header("transfer-encoding")
            ),
            (None, None)
        );
    }
    assert_eq!(front.backend.malformed(), [""; 0]);
}

#[test]
fn a_body_passes_with_and_without_a_length() {
    let front = Front::new();
    let mut client = front.connect();
    let post = with(":method", "POST");
    client.send(&Frame::headers(
        1,
        &[&post[..], &[("content-length", "5")]].concat(),
        false,
    ));
    client.send(&Frame::data(1, "he", false));
    client.send(&Frame::data(1, "llo", true));
    assert_ok(client.end_of(1));
    client.send(&Frame::headers(3, &post, false));
    client.send(&Frame::data(3, "hello", false));
    client.send(&Frame::data(3, "", true));
    assert_ok(client.end_of(3));
    client.send(&Frame::headers(5, &post, false));
    client.send(&Frame::data(5, "hello", false));
    client.send(&Frame::headers(5, &[("x-sum", "42")], true));
    assert_ok(client.end_of(5));
    let [long, chunked, trailing] = &front.backend.requests()[..] else {
        panic!("three requests");
    };
    assert_eq!(
        (long.header("content-length"), long.header("transfer-encoding")),
        (Some("5"), None)
    );
    for request in [chunked, trailing] {
        assert_eq!(
            (
                request.header("content-length"),
                request.header("transfer-encoding")
            ),
            (None, Some("chunked"))
        );
    }
    assert!(
        [long, chunked, trailing]
            .iter()
            .all(|request| request.body == b"hello")
    );
    assert_eq!(trailing.trailers.get("x-sum"), Some("42"));
}

#[test]
fn names_are_lower_case_tokens() {
    let front = Front::new();
    for name in [
        "X-Upper", "xY", "x y", "x:", "x\r\n", "x\0", "x\n", "", " x", "x ", "x\t", "\u{e9}", "x(", "x\x7f",
    ] {
        front.refuses_fields(&with(name, "y"));
    }
}

#[test]
fn values_cannot_break_out_of_their_line() {
    let front = Front::new();
    for value in [
        "a\r\nX: y",
        "a\nb",
        "a\rb",
        "a\0b",
        "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b",
        "a\n",
        "\na",
    ] {
        front.refuses_fields(&with("x", value));
        front.refuses_fields(&with("cookie", value));
    }
    // RFC 9113 §8.2.1: nor may white space surround them.
    for value in [" a", "\ta", "a ", "a\t", " "] {
        front.refuses_fields(&with("x", value));
    }
}

#[test]
fn fields_of_a_connection_are_malformed() {
    let front = Front::new();
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, chunked"),
    ] {
        front.refuses_fields(&with(name, value));
    }
}

#[test]
fn pseudo_headers_are_there_once_and_first() {
    let front = Front::new();
    for name in [":method", ":scheme", ":path"] {
        front.refuses_fields(&without(name));
    }
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ] {
        front.refuses_fields(&[&h2::get("/")[..], &[(name, value)]].concat());
    }
    for (name, value) in [
        (":status", "200"),
        (":protocol", "websocket"),
        (":x", "y"),
        (":", "y"),
        (":host", "a"),
        (":Path", "/"),
    ] {
        front.refuses_fields(&[&h2::get("/")[..], &[(name, value)]].concat());
    }
    front.refuses_fields(&[
        ("x", "y"),
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ]);
    front.refuses_fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        ("x", "y"),
        (":authority", "a"),
        (":path", "/"),
    ]);
    front.refuses_fields(&[]);
}

#[test]
fn a_method_is_a_token_and_neither_connect_nor_trace() {
    let front = Front::new();
    for method in [
        "",
        " ",
        "GET ",
        "G ET",
        "GET / HTTP/1.1\r\nHost: b\r\n\r\nGET",
        "GET\r\n",
        "G\0T",
        "G@T",
        "CONNECT",
        "TRACE",
    ] {
        front.refuses_fields(&with(":method", method));
    }
    // RFC 9113 §8.5: CONNECT as it should be, and RFC 8441's, which needs the peer's consent.
    front.refuses_fields(&[(":method", "CONNECT"), (":authority", "b:443")]);
    front.refuses_fields(&[&with(":method", "CONNECT")[..], &[(":protocol", "websocket")]].concat());
}

#[test]
fn a_path_is_an_origin_form() {
    let front = Front::new();
    for path in [
        "",
        "*",
        "a",
        "?q",
        "http://b/",
        "b:80",
        "/a b",
        "/a\tb",
        "/a\r\nX: y",
        "/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "/a\0",
        "/\u{e9}",
        "/\x7f",
        " /",
        "/ ",
    ] {
        front.refuses_fields(&with(":path", path));
    }
    let mut client = front.connect();
    let options = [
        (":method", "OPTIONS"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "*"),
    ];
    assert_ok(client.ask(1, &options));
    assert_ok(client.ask(3, &h2::get("//a//b/../c;d?e?f")));
    let targets: Vec<_> = front
        .backend
        .requests()
        .iter()
        .rev()
        .take(2)
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["//a//b/../c;d?e?f", "*"]);
}

#[test]
fn a_fragment_goes_no_further() {
    let front = Front::new();
    let mut client = front.connect();
    assert_ok(client.ask(1, &h2::get("/a?b#/c")));
    assert_ok(client.ask(3, &h2::get("#")));
    let requests = front.backend.requests();
    let targets: Vec<_> = requests.iter().map(|request| &request.target[..]).collect();
    assert_eq!(targets, ["/a?b", "/"]);
}

#[test]
fn there_is_one_host() {
    let front = Front::new();
    for authority in [
        "",
        "u@a",
        "u:p@a",
        "@a",
        "a b",
        "a,b",
        "a/b",
        "a?b",
        "a#b",
        "a:x",
        "a:99999",
        "[::1",
        "a\\b",
        "a\r\nX: y",
        "http://a",
    ] {
        front.refuses_fields(&with(":authority", authority));
    }
    for host in ["b", "a:81", "u@a", "a, a", ""] {
        front.refuses_fields(&with("host", host));
    }
    front.refuses_fields(&[&h2::get("/")[..], &[("host", "a"), ("host", "b")]].concat());
    front.refuses_fields(&[&without(":authority")[..], &[("host", "a"), ("host", "b")]].concat());
    front.refuses_fields(&without(":authority"));
    let mut client = front.connect();
    assert_ok(client.ask(1, &with("host", "a")));
    // RFC 9113 §8.3.1: a Host alone will do, as from a request of HTTP/1.1.
    assert_ok(client.ask(3, &[&without(":authority")[..], &[("host", "b")]].concat()));
    let hosts: Vec<_> = front
        .backend
        .requests()
        .iter()
        .rev()
        .take(2)
        .map(|request| request.header("host").map(str::to_owned))
        .collect();
    assert_eq!(hosts, [Some("b".to_owned()), Some("a".to_owned())]);
}

#[test]
fn a_length_is_what_comes() {
    // RFC 9113 §8.1.1.
    let front = Front::new();
    let post = with(":method", "POST");
    for (length, data) in [("5", "hell"), ("4", "hello"), ("0", "x"), ("5", "")] {
        let head = Frame::headers(1, &[&post[..], &[("content-length", length)]].concat(), false);
        front.refuses(
            &[head, Frame::data(1, data, true)],
            &format!("{length} for {data:?}"),
        );
    }
    front.refuses_fields(&[&post[..], &[("content-length", "5")]].concat());
    for length in ["+5", "-5", "5, 5", "0x5", "", "a", "18446744073709551621"] {
        let head = Frame::headers(1, &[&post[..], &[("content-length", length)]].concat(), false);
        front.refuses(&[head, Frame::data(1, "hello", true)], length);
    }
    let twice = [&post[..], &[("content-length", "5"), ("content-length", "6")]].concat();
    front.refuses(
        &[Frame::headers(1, &twice, false), Frame::data(1, "hello", true)],
        "two lengths",
    );
}

#[test]
fn trailers_are_the_end_and_no_second_head() {
    let front = Front::new();
    let head = Frame::headers(1, &with(":method", "POST"), false);
    for (trailers, end) in [
        (vec![("x", "a\r\nb")], true),
        (vec![("X", "y")], true),
        (vec![("connection", "close")], true),
        (vec![("x", "y")], false),
    ] {
        let frames = [
            head.clone(),
            Frame::data(1, "hello", false),
            Frame::headers(1, &trailers, end),
        ];
        front.refuses(&frames, &format!("{trailers:?}"));
    }
    front.refuses(
        &[
            head,
            Frame::data(1, "hello", false),
            Frame::headers(1, &[("x-sum", "1")], true),
            Frame::data(1, "more", true),
        ],
        "data behind the end",
    );
}

#[test]
fn pseudo_headers_of_trailers_go_no_further() {
    let front = Front::new();
    let mut client = front.connect();
    client.send(&Frame::headers(1, &with(":method", "POST"), false));
    client.send(&Frame::data(1, "hello", false));
    client.send(&Frame::headers(1, &[(":path", "/b"), ("x-sum", "42")], true));
    assert_ok(client.end_of(1));
    let request = front.backend.request();
    assert_eq!((request.target.as_str(), &request.body[..]), ("/", &b"hello"[..]));
    assert_eq!(request.trailers.0, [("x-sum".to_owned(), "42".to_owned())]);
    assert_eq!(front.backend.malformed(), [""; 0]);
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let front = Front::new();
    let head = Frame::headers(1, &h2::get("/"), false);
    for (frames, shown) in [
        (vec![Frame::data(1, "x", true)], "DATA on an idle stream"),
        (vec![Frame::headers(2, &h2::get("/"), true)], "an even stream"),
        (
            vec![Frame::headers(0, &h2::get("/"), true)],
            "HEADERS on stream 0",
        ),
        (vec![Frame::data(0, "x", true)], "DATA on stream 0"),
        (vec![Frame::reset(1, 8)], "RST_STREAM on an idle stream"),
        (
            vec![Frame::new(h2::SETTINGS, 0, 0, [0; 5])],
            "SETTINGS of 5 octets",
        ),
        (vec![Frame::new(h2::SETTINGS, 0, 1, [])], "SETTINGS on a stream"),
        (
            vec![Frame::new(h2::SETTINGS, 1, 0, [0; 6])],
            "an acknowledgement with settings",
        ),
        (
            vec![Frame::settings(&[(h2::INITIAL_WINDOW_SIZE, u32::MAX)])],
            "a window of 2^32",
        ),
        (vec![Frame::new(h2::PING, 0, 0, [0; 7])], "PING of 7 octets"),
        (vec![Frame::new(h2::PING, 0, 1, [0; 8])], "PING on a stream"),
        (vec![Frame::window_update(0, 0)], "no increment"),
        (vec![Frame::window_update(0, 0x7fff_ffff)], "a window beyond 2^31"),
        (
            vec![Frame::new(h2::WINDOW_UPDATE, 0, 0, [0; 3])],
            "WINDOW_UPDATE of 3 octets",
        ),
        (
            vec![Frame::new(h2::PUSH_PROMISE, 4, 1, [0, 0, 0, 2])],
            "PUSH_PROMISE from a client",
        ),
        (
            vec![Frame::new(h2::CONTINUATION, 4, 1, [])],
            "CONTINUATION without HEADERS",
        ),
        (
            vec![
                Frame::new(h2::HEADERS, 0, 1, h2::block(&h2::get("/"))),
                Frame::data(1, "x", true),
            ],
            "DATA within a block",
        ),
        (
            vec![
                Frame::new(h2::HEADERS, 0, 1, h2::block(&h2::get("/"))),
                Frame::headers(3, &h2::get("/"), true),
            ],
            "two blocks at once",
        ),
        (vec![Frame::new(h2::HEADERS, 5, 1, [0x80])], "index 0"),
        (
            vec![Frame::new(
                h2::HEADERS,
                5,
                1,
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            )],
            "an index without an end",
        ),
        (
            vec![Frame::new(h2::HEADERS, 5, 1, [0x10, 0x05, b'x'])],
            "a name that is cut",
        ),
        (
            vec![Frame::new(h2::HEADERS, 5, 1, [0x3f, 0xe1, 0xff, 0x7f])],
            "a table beyond the setting",
        ),
        (
            vec![Frame::new(h2::HEADERS, 13, 1, [0xff, 0x82])],
            "more padding than payload",
        ),
        (
            vec![Frame::data(1, vec![0; 20_000], false)],
            "a frame beyond the size",
        ),
        (
            vec![head, Frame::new(h2::DATA, 8, 1, [9, b'x'])],
            "more padding than data",
        ),
    ] {
        front.refuses(&frames, shown);
    }
}

#[test]
fn what_is_no_preface_is_no_http_2() {
    let front = Front::new();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = H2::bare(front.proxy.addresses()[0]);
        client.send_raw(bytes);
        client.finish_sending();
        assert!(client.is_ended());
    }
    assert_eq!(front.backend.requests().len(), 0);
}

#[test]
fn a_list_of_fields_has_a_limit() {
    let front = Front::new();
    let long = "y".repeat(12_000);
    let fields = [
        &h2::get("/")[..],
        &[
            ("a", &long),
            ("b", &long),
            ("c", &long),
            ("d", &long),
            ("e", &long),
        ],
    ]
    .concat();
    let block = h2::block(&fields);
    let mut frames = vec![];
    for (n, piece) in block.chunks(16_000).enumerate() {
        let last = (n + 1) * 16_000 >= block.len();
        let flags = if last { h2::END_HEADERS } else { 0 };
        let (kind, flags) = if n == 0 {
            (h2::HEADERS, flags | h2::END_STREAM)
        } else {
            (h2::CONTINUATION, flags)
        };
        frames.push(Frame::new(kind, flags, 1, piece));
    }
    front.refuses(&frames, "60 KB of fields");
    let names: Vec<_> = (0..2000).map(|n| format!("x{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let block = h2::block(&[&h2::get("/")[..], &many].concat());
    front.refuses(
        &[
            Frame::new(h2::HEADERS, h2::END_STREAM, 1, &block[..8000]),
            Frame::new(h2::CONTINUATION, h2::END_HEADERS, 1, &block[8000..]),
        ],
        "2,000 fields",
    );
}
