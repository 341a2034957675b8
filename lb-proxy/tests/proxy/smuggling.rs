//! Attempts to make proxy and backend disagree on where requests end.
//!
//! Whatever a client sends, the backend (a strict reader) sees well-formed requests alone, and never more of them than the
//! client gets answers.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::support::{Backend, Client, PATIENCE, proxy};

/// Sends `bytes` and checks the two rules. Returns how many requests the backend saw.
#[track_caller]
fn attempt(bytes: &[u8]) -> usize {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.socket().set_read_timeout(Some(QUIET)).expect("a timeout");
    let _ = client.try_send(bytes);
    let deadline = Instant::now() + PATIENCE;
    let (mut received, mut ended) = (Vec::new(), false);
    loop {
        // An answer may still be on its way to us after the backend has seen its request.
        ended = client.read_more(&mut received) || ended;
        let seen = backend.requests().len();
        if seen <= answers(&received) {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(backend.malformed(), [""; 0], "{shown:?}");
            return seen;
        }
        assert!(
            !ended && Instant::now() < deadline,
            "{seen} requests, and these answers: {:?} to {:?}",
            String::from_utf8_lossy(&received),
            String::from_utf8_lossy(bytes)
        );
    }
}

/// How long a connection is silent once everything has been answered.
const QUIET: Duration = Duration::from_millis(150);

/// Counts final answers. No body of theirs looks like one.
fn answers(received: &[u8]) -> usize {
    let text = String::from_utf8_lossy(received);
    text.match_indices("HTTP/1.")
        .filter(|(at, _)| !text[at + 8..].starts_with(" 100"))
        .count()
}

#[test]
fn known_attempts_fail() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n";
    let heads = [
        // CL.TE and TE.CL, in both orders, and with every disguise of `chunked` that some server has fallen for.
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 6\r\nTransfer-Encoding: xchunked",
        "Content-Length: 6\r\nTransfer-Encoding : chunked",
        "Content-Length: 6\r\nTransfer-Encoding:\tchunked",
        "Content-Length: 6\r\nTransfer-Encoding: \x0bchunked",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\x0c",
        "Content-Length: 6\r\n Transfer-Encoding: chunked",
        "Content-Length: 6\r\nX: y\rTransfer-Encoding: chunked",
        "Content-Length: 6\r\nX: y\nTransfer-Encoding: chunked",
        "Content-Length: 6\r\nTransfer-Encoding: chunked, identity",
        "Content-Length: 6\r\nTransfer-Encoding: identity, chunked",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Content-Length: 6\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Content-Length: 6\r\nTransfer-Encoding: \"chunked\"",
        "Content-Length: 6\r\nTransfer-Encoding: chunked;q=1",
        "Content-Length: 6\r\nTransfer_Encoding: chunked",
        "Content-Length: 6\r\nTransfer-Encoding:\r\n chunked",
        "Transfer-Encoding: CHUNKED",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        // Lengths that are read in two ways.
        "Content-Length: 6\r\nContent-Length: 60",
        "Content-Length: 60\r\nContent-Length: 6",
        "Content-Length: 6, 60",
        "Content-Length: +6",
        "Content-Length: -6",
        "Content-Length: 0x6",
        "Content-Length: 6 0",
        "Content-Length: 6\r\nContent-Length: 6",
        "Content-Length: \r\nContent-Length: 6",
        "Content-Length : 6",
        "Content-Length: 18446744073709551622",
        "Content-Length: 000000000000000000006",
        "Content_Length: 6",
        // Framing that Connection says to drop.
        "Connection: Content-Length\r\nContent-Length: 6",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        // Upgrades that hide what follows.
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 6",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked",
        "Expect: 100-continue\r\nContent-Length: 6",
        "Expect: 100-continue\r\nTransfer-Encoding: chunked",
    ];
    let bodies = [
        "0\r\n\r\nX",
        "0\r\n\r\n",
        "6\r\nabcdef\r\n0\r\n\r\n",
        "",
        "00000000000000006\r\nabcdef\r\n0\r\n\r\n",
    ];
    std::thread::scope(|scope| {
        for heads in heads.chunks(5) {
            scope.spawn(move || {
                for head in heads {
                    for body in bodies {
                        attempt(
                            format!("POST /first HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}{smuggled}")
                                .as_bytes(),
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn a_target_cannot_hold_a_second_request() {
    for target in [
        "/%20HTTP/1.1%0d%0aHost:%20b%0d%0a%0d%0aGET%20/x",
        "/a\tHTTP/1.1",
        "/\u{a0}x",
        "http://a/ HTTP/1.1",
    ] {
        attempt(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }
}

#[test]
fn a_prefix_of_the_second_request_is_not_forwarded() {
    let seen = attempt(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nX-Half: ");
    assert_eq!(seen, 1);
}

/// Fragments of which request streams are made, well-formed and not.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /p HTTP/1.1\r\n",
        "PUT /p HTTP/1.0\r\n",
        "HEAD / HTTP/1.1\r\n",
        "GET http://b/ HTTP/1.1\r\n",
        "Host: a\r\n",
        "Host: a\r\n",
        "Host: a\r\n",
        "Host: b\r\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 44\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding : chunked\r\n",
        "transfer-encoding:chunked\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, host\r\n",
        "Connection: content-length, transfer-encoding\r\n",
        "Expect: 100-continue\r\n",
        "TE: trailers\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "X: y\r\n",
        "X: y\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "hello",
        "5;ext=\"\r\n\"\r\n",
        "\0",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_streams_never_smuggle(parts in prop::collection::vec(fragment(), 1..24)) {
        attempt(parts.concat().as_bytes());
    }
}
