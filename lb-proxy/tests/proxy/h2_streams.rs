//! HTTP/2 connections from the preface to the end: what streams carry both ways, how they are given up, and when a
//! connection ends.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use lb_proxy::proxy::ServerHandle;

use crate::support::h2::{self as raw, End, Frame, H2};
use crate::support::{
    Backend, Client, Next, PATIENCE, block_on, dead_address, eventually, proxy, proxy_with,
};

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;

fn post(path: &str) -> Vec<(&str, &str)> {
    [&[(":method", "POST")], &raw::get(path)[1..]].concat()
}

/// Reads until the connection ends, and gives the codes of its GOAWAYs.
#[track_caller]
fn goodbyes(client: &mut H2) -> Vec<u32> {
    let mut codes = Vec::new();
    while let Some(frame) = client.read().expect("the proxy doesn't wait for ever") {
        if frame.kind == raw::GOAWAY {
            codes.push(u32::from_be_bytes(
                frame.payload[4..8].try_into().expect("a code"),
            ));
        }
    }
    codes
}

/// Sends one request by a client of another make, and gives the response's head, body and trailers.
fn ask(proxy: &ServerHandle, request: Request<()>) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
    let address = proxy.addresses()[0];
    let exchange = async move {
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("the proxy accepts");
        let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let (response, _) = sender.send_request(request, true).expect("a request");
        let (head, mut body) = response.await.expect("a response").into_parts();
        let mut data = Vec::new();
        while let Some(piece) = body.data().await {
            let piece: Bytes = piece.expect("a whole body");
            body.flow_control()
                .release_capacity(piece.len())
                .expect("a window");
            data.extend_from_slice(&piece);
        }
        let trailers = body.trailers().await.expect("a clean end");
        connection.abort();
        (Response::from_parts(head, ()), data, trailers)
    };
    block_on(async { tokio::time::timeout(PATIENCE, exchange).await.expect("in time") })
}

fn get(proxy: &ServerHandle, path: &str) -> Request<()> {
    Request::get(format!("http://{}{path}", proxy.addresses()[0]))
        .header("te", "trailers")
        .body(())
        .expect("a request")
}

#[test]
fn a_preface_may_come_in_pieces() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::bare(proxy.addresses()[0]);
    let bytes = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &Frame::settings(&[(1, 0)]).bytes(),
        &Frame::headers(1, &raw::get("/"), true).bytes(),
    ]
    .concat();
    for piece in bytes.chunks(7) {
        client.send_raw(piece);
        std::thread::sleep(Duration::from_millis(5));
    }
    let end = client.end_of(1);
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
}

#[test]
fn without_http2_the_preface_is_an_unknown_version() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.http2(false));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.response().status, 505);
}

#[test]
fn a_response_has_a_date_and_no_field_of_a_connection() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-End: 2\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let (head, body, trailers) = ask(&proxy, get(&proxy, "/"));
    assert_eq!(
        (head.status().as_u16(), &body[..], trailers),
        (200, &b"abc"[..], None)
    );
    assert!(head.headers().contains_key("date"));
    let names: Vec<_> = head.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(head.headers()["x-end"], "2");
    let request = backend.request();
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), request.header("host"));
}

#[test]
fn trailers_of_grpc_arrive() {
    let backend = Backend::bytes(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n",
    );
    let proxy = proxy(&[backend.address]);
    let (head, body, trailers) = ask(&proxy, get(&proxy, "/app.Service/Call"));
    assert_eq!((head.status().as_u16(), body.len()), (200, 5));
    let trailers = trailers.expect("trailers");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["grpc-message"]),
        (&"0".parse().unwrap(), &"fine".parse().unwrap())
    );
    assert_eq!(backend.request().header("te"), Some("trailers"));
}

#[test]
fn the_proxys_own_answers_are_whole() {
    let (dead, _socket) = dead_address();
    let proxy = proxy(&[dead]);
    let (head, body, _) = ask(&proxy, get(&proxy, "/"));
    assert_eq!(head.status().as_u16(), 502);
    assert_eq!(head.headers()["content-length"], body.len().to_string());
    assert!(body.starts_with(b"502 Bad Gateway") && head.headers().contains_key("date"));
    let mut request = get(&proxy, "/");
    *request.method_mut() = http::Method::HEAD;
    let (head, body, _) = ask(&proxy, request);
    assert_eq!((head.status().as_u16(), body.len()), (502, 0));
}

#[test]
fn large_bodies_pass_through_the_windows() {
    let text = "z".repeat(3 * 1024 * 1024);
    let backend = Backend::text(&text);
    let proxy = proxy_with(&[backend.address], |config| config.max_body(4 * 1024 * 1024));
    let (_, body, _) = ask(&proxy, get(&proxy, "/"));
    assert!(body == text.as_bytes());
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.max_body(10));
    let mut client = H2::connect(proxy.addresses()[0]);
    let head = [&post("/")[..], &[("content-length", "11")]].concat();
    client.send(&Frame::headers(1, &head, false));
    let end = client.end_of(1);
    assert!(matches!(end, End::Answer { status: 413, .. }), "{end:?}");
    client.send(&Frame::headers(3, &post("/"), false));
    client.send(&Frame::data(3, [b'x'; 11], true));
    let end = client.end_of(3);
    assert!(matches!(end, End::Answer { status: 413, .. }), "{end:?}");
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_silent_body_is_given_up() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.client_body_timeout(Duration::from_millis(300))
    });
    let mut client = H2::connect(proxy.addresses()[0]);
    client.send(&Frame::headers(1, &post("/"), false));
    client.send(&Frame::data(1, "half", false));
    let end = client.end_of(1);
    assert!(matches!(end, End::Answer { status: 408, .. }), "{end:?}");
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
}

#[test]
fn a_response_that_breaks_off_is_reset() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let backend = Backend::start(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
            Next::Close
        });
        let proxy = proxy(&[backend.address]);
        let mut client = H2::connect(proxy.addresses()[0]);
        // The connection isn't to blame.
        for stream in [1, 3] {
            let end = client.ask(stream, &raw::get("/"));
            assert!(matches!(end, End::Reset(INTERNAL_ERROR, _)), "{end:?}");
        }
    }
}

#[test]
fn a_reset_stream_gives_its_backend_up_at_once() {
    // Before the response, and within it.
    for begun in [false, true] {
        let backend = Backend::start(move |_, stream| {
            if begun {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
            std::thread::sleep(PATIENCE * 2);
            Next::Close
        });
        let proxy = proxy(&[backend.address]);
        let active = || proxy.config().upstream().status().backends[0].active;
        let mut client = H2::connect(proxy.addresses()[0]);
        client.send(&Frame::headers(1, &raw::get("/"), true));
        eventually("the request is under way", || {
            backend.requests().len() == 1 && active() == 1
        });
        if begun {
            while client.read().expect("in time").expect("open").kind != raw::DATA {}
        }
        client.send(&Frame::reset(1, CANCEL));
        eventually("the backend is free", || active() == 0);
        assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
        assert_eq!(proxy.status().counters.connections, 1, "the connection goes on");
    }
}

#[test]
fn a_connection_that_ends_takes_its_streams_along() {
    let backend = Backend::start(|_, _| {
        std::thread::sleep(PATIENCE * 2);
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let active = || proxy.config().upstream().status().backends[0].active;
    let mut client = H2::connect(proxy.addresses()[0]);
    for stream in [1, 3, 5] {
        client.send(&Frame::headers(stream, &raw::get("/"), true));
    }
    eventually("the requests are under way", || active() == 3);
    drop(client);
    eventually("the backend is free", || active() == 0);
    eventually("the connection is gone", || {
        proxy.status().counters.connections == 0
    });
}

#[test]
fn an_idle_connection_ends_with_a_goodbye() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.keepalive_timeout(Duration::from_millis(300))
    });
    let mut client = H2::connect(proxy.addresses()[0]);
    let end = client.ask(1, &raw::get("/"));
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    assert_eq!(goodbyes(&mut client), [NO_ERROR]);
}

#[test]
fn a_connection_has_so_many_requests() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.keepalive_requests(3));
    let mut client = H2::connect(proxy.addresses()[0]);
    for stream in [1, 3, 5] {
        let end = client.ask(stream, &raw::get("/"));
        assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    }
    // Before the last answer or after it.
    goodbyes(&mut client);
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn who_ignores_a_goodbye_is_cut_off() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.keepalive_requests(1).max_streams(4)
    });
    let mut client = H2::connect(proxy.addresses()[0]);
    for n in 0..100 {
        if client
            .try_send(Frame::headers(2 * n + 1, &raw::get("/"), true).bytes())
            .is_err()
        {
            break;
        }
    }
    assert!(client.is_ended());
    assert!(backend.requests().len() <= 6, "{}", backend.requests().len());
}

#[test]
fn a_drain_finishes_the_streams_and_says_goodbye() {
    let backend = Backend::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(700));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        Next::Keep
    });
    let proxy = proxy(&[backend.address]);
    let mut idle = H2::connect(proxy.addresses()[0]);
    let mut busy = H2::connect(proxy.addresses()[0]);
    busy.send(&Frame::headers(1, &raw::get("/"), true));
    eventually("the request is under way", || backend.requests().len() == 1);
    eventually("both are accepted", || proxy.status().counters.accepted == 2);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| block_on(proxy.shutdown(PATIENCE * 2)));
        assert!(goodbyes(&mut idle).iter().all(|code| *code == NO_ERROR));
        let End::Answer { status, body, .. } = busy.end_of(1) else {
            panic!("no answer");
        };
        assert_eq!((status, &body[..]), (200, &b"slow"[..]));
        assert!(goodbyes(&mut busy).iter().all(|code| *code == NO_ERROR));
        assert_eq!(drain.join().expect("no panic"), 0, "nothing was cut off");
    });
}

#[test]
fn a_client_that_reads_nothing_is_let_go() {
    let backend = Backend::text(&"z".repeat(8 * 1024 * 1024));
    let proxy = proxy_with(&[backend.address], |config| {
        config.client_send_timeout(Duration::from_millis(500))
    });
    // Its windows are wide open, and the kernel's buffers fill.
    let mut client = H2::with(proxy.addresses()[0], &[(raw::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    client.send(&Frame::window_update(0, 0x7000_0000));
    client.send(&Frame::headers(1, &raw::get("/"), true));
    eventually("the request is under way", || backend.requests().len() == 1);
    eventually("the connection is gone", || {
        proxy.status().counters.connections == 0
    });
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn pings_for_their_own_sake_end_the_connection() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::connect(proxy.addresses()[0]);
    let ping = Frame::new(raw::PING, 0, 0, [0; 8]).bytes();
    let sent = (0..50_000).take_while(|_| client.try_send(&ping).is_ok()).count();
    assert!(client.is_ended(), "after {sent}");
    // A client that asks between its requests how far the proxy is stays.
    let mut client = H2::connect(proxy.addresses()[0]);
    for n in 0..400 {
        for _ in 0..3 {
            client.send_raw(&ping);
        }
        let end = client.ask(2 * n + 1, &raw::get("/"));
        assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?} to {n}");
    }
}

#[test]
fn a_response_of_nothing_needs_no_window() {
    let backend = Backend::bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::with(proxy.addresses()[0], &[(raw::INITIAL_WINDOW_SIZE, 0)]);
    let end = client.ask(1, &raw::get("/"));
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    // Nor does the end of one that filled the window to the last byte.
    let backend = Backend::text("12345");
    let proxy = self::proxy(&[backend.address]);
    let mut client = H2::with(proxy.addresses()[0], &[(raw::INITIAL_WINDOW_SIZE, 5)]);
    client.send(&Frame::headers(1, &raw::get("/"), true));
    loop {
        let frame = client.read().expect("in time").expect("open");
        if frame.kind == raw::DATA && frame.flags & raw::END_STREAM != 0 {
            break;
        }
    }
}

#[test]
fn a_clients_pause_is_not_its_backends() {
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        std::thread::sleep(Duration::from_secs(3));
        let _ = stream.write_all(b"67890");
        Next::Keep
    });
    let proxy = proxy_with(&[backend.address], |config| {
        config.read_timeout(Duration::from_secs(2))
    });
    let mut client = H2::with(proxy.addresses()[0], &[(raw::INITIAL_WINDOW_SIZE, 5)]);
    client.send(&Frame::headers(1, &raw::get("/"), true));
    while client.read().expect("in time").expect("open").kind != raw::DATA {}
    std::thread::sleep(Duration::from_millis(2500));
    client.send(&Frame::window_update(1, 100));
    loop {
        let frame = client.read().expect("in time").expect("open");
        assert_ne!(frame.kind, raw::RST_STREAM, "the backend was quick enough");
        if frame.kind == raw::DATA && frame.flags & raw::END_STREAM != 0 {
            break;
        }
    }
}
