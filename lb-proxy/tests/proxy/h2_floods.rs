//! HTTP/2 clients that make work for nothing: the connection ends, or costs nothing, and others are served meanwhile.

use std::time::{Duration, Instant};

use lb_proxy::proxy::ServerHandle;

use crate::support::h2::{self, End, Frame, H2};
use crate::support::{Backend, Client, PATIENCE, eventually, proxy, proxy_with};

/// Writes what `frames` makes, count after count, until the proxy takes no more or `most` are out; says whether the
/// proxy ended it.
fn flood(client: &mut H2, most: u32, mut frames: impl FnMut(u32) -> Vec<u8>) -> bool {
    for n in 0..most {
        if client.try_send(frames(n)).is_err() {
            return true;
        }
    }
    client
        .socket()
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a timeout");
    client.is_ended()
}

/// Others are served, in HTTP/1.1 and HTTP/2, and in the end nothing is left of the flood.
#[track_caller]
fn assert_unharmed(proxy: &ServerHandle) {
    let answer = Client::connect(proxy.addresses()[0]).get("/other");
    assert_eq!((answer.status, answer.text()), (200, "x"));
    let end = H2::connect(proxy.addresses()[0]).ask(1, &h2::get("/other"));
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    eventually("nothing is under way", || {
        proxy.status().counters.connections == 0 && proxy.config().upstream().status().backends[0].active == 0
    });
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "a client's fault"
    );
}

/// Checks that a client which writes what `frames` makes is cut off.
#[track_caller]
fn assert_ends(what: &str, most: u32, frames: impl FnMut(u32) -> Vec<u8>) {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::connect(proxy.addresses()[0]);
    assert!(flood(&mut client, most, frames), "{what} goes on");
    drop(client);
    assert!(
        backend.requests().len() < 2000,
        "{} requests reached the backend",
        backend.requests().len()
    );
    assert_unharmed(&proxy);
}

/// Checks that a client which writes what `frames` makes is cut off or is no burden.
#[track_caller]
fn assert_bearable(most: u32, frames: impl FnMut(u32) -> Vec<u8>) {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::connect(proxy.addresses()[0]);
    client
        .socket()
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a timeout");
    flood(&mut client, most, frames);
    let answer = Client::connect(proxy.addresses()[0]).get("/other");
    assert_eq!(answer.text(), "x");
    drop(client);
    assert_unharmed(&proxy);
}

fn stream(n: u32) -> u32 {
    2 * n + 1
}

#[test]
fn rapid_reset() {
    // CVE-2023-44487.
    assert_ends("a stream that is reset at once", 20_000, |n| {
        let head = Frame::headers(stream(n), &h2::get("/flood"), true);
        [head.bytes(), Frame::reset(stream(n), 8).bytes()].concat()
    });
}

#[test]
fn resets_that_the_proxy_is_made_to_send() {
    // CVE-2025-8671: frames that are errors of a stream that is open.
    for bad in [
        |stream| Frame::window_update(stream, 0),
        |stream| Frame::window_update(stream, 0x7fff_ffff),
        |stream| Frame::new(h2::PRIORITY, 0, stream, [0; 4]),
        |stream: u32| {
            Frame::new(
                h2::PRIORITY,
                0,
                stream,
                [&stream.to_be_bytes()[..], &[0]].concat(),
            )
        },
    ] {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        let mut client = H2::connect(proxy.addresses()[0]);
        client
            .socket()
            .set_write_timeout(Some(Duration::from_secs(1)))
            .expect("a timeout");
        flood(&mut client, 20_000, |n| {
            [
                Frame::headers(stream(n), &h2::get("/flood"), true).bytes(),
                bad(stream(n)).bytes(),
            ]
            .concat()
        });
        drop(client);
        assert_unharmed(&proxy);
        assert!(
            backend.requests().len() < 4000,
            "{} requests",
            backend.requests().len()
        );
    }
}

#[test]
fn a_block_of_fields_without_an_end() {
    // CVE-2024-27316 and others.
    let field = h2::block(&[("x", &"y".repeat(1000))]);
    assert_ends("a block of 100 MB", 100_000, |n| match n {
        0 => Frame::new(h2::HEADERS, 0, 1, h2::block(&h2::get("/"))).bytes(),
        _ => Frame::new(h2::CONTINUATION, 0, 1, &field[..]).bytes(),
    });
    assert_ends("a block of nothing", 200_000, |n| match n {
        0 => Frame::new(h2::HEADERS, 0, 1, h2::block(&h2::get("/"))).bytes(),
        _ => Frame::new(h2::CONTINUATION, 0, 1, []).bytes(),
    });
}

#[test]
fn a_block_that_is_small_only_on_the_wire() {
    // An entry of the dynamic table, named thousands of times with an octet each.
    let mut block = h2::block(&h2::get("/"));
    h2::literal(&mut block, 0x40, b"x", &[b'y'; 4000]);
    let names = vec![0xbe; 12_000 - 4000];
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = H2::connect(proxy.addresses()[0]);
    client.send(&Frame::new(
        h2::HEADERS,
        h2::END_HEADERS | h2::END_STREAM,
        1,
        [block, names].concat(),
    ));
    match client.end_of(1) {
        End::Answer {
            status: 400..=499, ..
        }
        | End::Reset(..)
        | End::GoAway(_)
        | End::Closed => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(backend.requests().len(), 0);
    drop(client);
    assert_unharmed(&proxy);
}

#[test]
fn data_of_nothing() {
    let head = Frame::headers(
        1,
        &[&[(":method", "POST")], &h2::get("/flood")[1..]].concat(),
        false,
    );
    assert_bearable(200_000, |n| match n {
        0 => head.bytes(),
        _ => Frame::data(1, [], false).bytes(),
    });
}

#[test]
fn frames_that_ask_for_answers_which_nobody_reads() {
    assert_bearable(200_000, |n| {
        Frame::new(h2::PING, 0, 0, u64::from(n).to_be_bytes()).bytes()
    });
    assert_bearable(200_000, |_| Frame::settings(&[]).bytes());
    assert_bearable(200_000, |n| {
        Frame::settings(&[(h2::INITIAL_WINDOW_SIZE, 65_535 + n % 2)]).bytes()
    });
}

#[test]
fn frames_that_mean_nothing() {
    assert_bearable(200_000, |n| {
        Frame::new(h2::PRIORITY, 0, stream(n), [0, 0, 0, 0, 16]).bytes()
    });
    assert_bearable(200_000, |n| match n {
        0 => Frame::headers(1, &h2::get("/"), false).bytes(),
        _ => Frame::window_update(1, 1).bytes(),
    });
    assert_bearable(200_000, |_| Frame::window_update(0, 1).bytes());
    // RFC 9113 §4.1: frames of a kind that isn't known are ignored.
    assert_bearable(200_000, |_| Frame::new(0xbe, 0, 0, [0; 32]).bytes());
}

#[test]
fn more_streams_than_agreed_are_refused() {
    let backend = Backend::start(|_, _| {
        std::thread::sleep(Duration::from_millis(500));
        crate::support::Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let mut client = H2::connect(proxy.addresses()[0]);
    let heads: Vec<u8> = (0..1000)
        .flat_map(|n| Frame::headers(stream(n), &h2::get("/"), true).bytes())
        .collect();
    let _ = client.try_send(heads);
    let end = client.end_of(stream(999));
    assert!(
        matches!(end, End::Reset(..) | End::GoAway(_) | End::Closed),
        "{end:?}"
    );
    assert!(backend.connections() <= 256, "{}", backend.connections());
}

#[test]
fn a_client_that_never_opens_its_window_is_let_go() {
    let body = "z".repeat(4 * 1024 * 1024);
    let backend = Backend::bytes(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let proxy = proxy_with(&[backend.address], |config| {
        config.client_send_timeout(Duration::from_millis(500))
    });
    let mut client = H2::with(proxy.addresses()[0], &[(h2::INITIAL_WINDOW_SIZE, 0)]);
    for n in 0..10 {
        client.send(&Frame::headers(stream(n), &h2::get("/"), true));
    }
    eventually("no backend is kept waiting", || {
        proxy.config().upstream().status().backends[0].active == 0 && backend.requests().len() == 10
    });
    assert_eq!(
        proxy.config().upstream().status().backends[0].failures,
        0,
        "the client's fault"
    );
}

#[test]
fn half_a_beginning_ends() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config
            .client_header_timeout(Duration::from_millis(500))
            .keepalive_timeout(Duration::from_millis(500))
    });
    let start = Instant::now();
    let half = Frame::new(h2::HEADERS, h2::END_STREAM, 1, h2::block(&h2::get("/")));
    let mut clients = [
        H2::bare(proxy.addresses()[0]),
        H2::bare(proxy.addresses()[0]),
        H2::connect(proxy.addresses()[0]),
        H2::connect(proxy.addresses()[0]),
    ];
    clients[1].send_raw(b"PRI * HTTP/2.0\r\n\r\nSM");
    clients[3].send(&half);
    for (n, client) in clients.iter_mut().enumerate() {
        assert!(client.is_ended(), "client {n}");
    }
    assert!(start.elapsed() < PATIENCE * 2);
    eventually("no connection is left", || {
        proxy.status().counters.connections == 0
    });
}
