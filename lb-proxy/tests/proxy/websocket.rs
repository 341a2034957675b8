//! Upgrades to WebSocket, and to nothing else.

use std::io::{Read, Write};
use std::time::Duration;

use crate::support::{Backend, Client, Next, block_on, eventually, proxy, proxy_with};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees to every upgrade, greets, and then echoes.
fn echo() -> Backend {
    Backend::start(|_, stream| {
        stream.write_all(SWITCHING).expect("connected");
        stream.write_all(b"hi").expect("connected");
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        Next::Close
    })
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    // The first frame may come with the request.
    client.send([UPGRADE.as_bytes(), b"early"].concat());
    let answer = client.response();
    assert_eq!(
        (
            answer.status,
            answer.header("connection"),
            answer.header("upgrade")
        ),
        (101, Some("upgrade"), Some("websocket"))
    );
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(client.read_bytes(7), b"hiearly");
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_bytes(18), b"GET / HTTP/1.1\r\n\r\n");

    let request = backend.request();
    assert_eq!(
        (request.header("connection"), request.header("upgrade")),
        (Some("upgrade"), Some("websocket"))
    );
    assert_eq!(
        request.header("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(proxy.status().counters.tunnels, 1);
    assert_eq!(
        proxy.config().upstream().status().backends[0].active,
        1,
        "it counts until it ends"
    );

    client.finish_sending();
    assert!(client.is_closed());
    eventually("the tunnel is gone", || proxy.status().counters.tunnels == 0);
    let status = &proxy.config().upstream().status().backends[0];
    assert_eq!((status.active, status.failures), (0, 0));
}

#[test]
fn megabytes_pass_both_ways_at_once() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.ask(UPGRADE).status, 101);
    client.read_bytes(2);
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = client.socket().try_clone().expect("a descriptor");
    let copy = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy));
    assert!(client.read_bytes(sent.len()) == sent);
    writing.join().expect("no panic").expect("all was taken");
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let backend = Backend::bytes("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for _ in 0..2 {
        let answer = client.ask(UPGRADE);
        assert_eq!((answer.status, answer.text()), (403, "no"));
    }
}

#[test]
fn other_protocols_are_never_upgraded_to() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for request in [
        UPGRADE.replace("WebSocket", "h2c"),
        UPGRADE.replace("keep-alive, Upgrade", "keep-alive"),
        UPGRADE.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let answer = Client::connect(proxy.addresses()[0]).ask(&request);
        assert_eq!((answer.status, answer.text()), (200, "x"), "{request}");
        let seen = backend.requests().pop().expect("a request");
        assert_eq!(
            (seen.header("upgrade"), seen.header("connection")),
            (None, None),
            "{request}"
        );
    }
    let off = proxy_with(&[backend.address], |config| config.websocket(false));
    assert_eq!(Client::connect(off.addresses()[0]).ask(UPGRADE).status, 200);
    assert_eq!(
        backend.requests().pop().expect("a request").header("upgrade"),
        None
    );
}

#[test]
fn an_upgrade_with_a_body_or_another_method_is_refused() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for request in [
        UPGRADE.replace("GET", "POST"),
        UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx"),
        UPGRADE.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        assert_eq!(
            Client::connect(proxy.addresses()[0]).ask(&request).status,
            400,
            "{request}"
        );
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_switch_to_something_else_is_a_502() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let backend = Backend::bytes(answer);
        let proxy = proxy(&[backend.address]);
        assert_eq!(
            Client::connect(proxy.addresses()[0]).ask(UPGRADE).status,
            502,
            "{answer}"
        );
        assert_eq!(proxy.status().counters.tunnels, 0);
    }
}

#[test]
fn a_silent_tunnel_ends() {
    let backend = echo();
    let proxy = proxy_with(&[backend.address], |config| {
        config.upgrade_timeout(Duration::from_secs(1))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.ask(UPGRADE).status, 101);
    client.read_bytes(2);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(400));
        client.send("x");
        assert_eq!(client.read_bytes(1), b"x");
    }
    assert!(client.is_closed());
}

#[test]
fn tunnels_outlive_a_drain_until_its_deadline() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.ask(UPGRADE).status, 101);
    client.read_bytes(2);
    let cut = std::thread::scope(|scope| {
        let drain = scope.spawn(|| block_on(proxy.shutdown(Duration::from_secs(2))));
        std::thread::sleep(Duration::from_millis(200));
        client.send("still");
        assert_eq!(client.read_bytes(5), b"still");
        drain.join().expect("no panic")
    });
    assert_eq!(cut, 1);
    assert!(client.is_closed());
}

#[test]
fn an_upgrade_that_offers_more_is_not_passed_on_as_it_is() {
    // RFC 9110 §7.8 allows several protocols; the backend must not be able to choose one that the proxy can't follow.
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for request in [
        UPGRADE.replace("WebSocket", "h2c, websocket"),
        UPGRADE.replace("WebSocket", "websocket, h2c"),
        UPGRADE.replace("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: h2c"),
        UPGRADE.replace("Upgrade: WebSocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        UPGRADE.replace(
            "Upgrade: WebSocket",
            "Upgrade: websocket\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        UPGRADE.replace("WebSocket", "websocket/13"),
        UPGRADE.replace("WebSocket", "TLS/1.0"),
        UPGRADE.replace("WebSocket", ""),
    ] {
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(&request);
        assert!([200, 400].contains(&answer.status), "{request}");
        if answer.status == 200 {
            let seen = backend.requests().pop().expect("a request");
            let upgrade = seen.header("upgrade").map(str::to_ascii_lowercase);
            assert!(upgrade.is_none_or(|upgrade| upgrade == "websocket"), "{request}");
            assert_eq!(seen.header("http2-settings"), None, "{request}");
        }
    }
    assert_eq!(
        (backend.malformed(), proxy.status().counters.tunnels),
        (Vec::new(), 0)
    );
}

#[test]
fn no_tunnel_opens_without_a_switch() {
    // A backend that refuses; a proxy that takes the client's word would carry what follows as it comes.
    for answer in [
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 100 Continue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let backend = Backend::bytes(answer);
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        let answer = client.ask(UPGRADE);
        assert_eq!(
            (
                answer.text(),
                answer.header("upgrade").filter(|_| answer.status == 200)
            ),
            ("x", None)
        );
        let _ = client.try_send("GET /admin HTTP/1.1\r\nHost: internal\r\nTransfer-Encoding: x\r\n\r\n");
        let _ = client.try_response("GET");
        assert_eq!((backend.requests().len(), backend.malformed()), (1, Vec::new()));
        assert_eq!(proxy.status().counters.tunnels, 0);
    }
}

#[test]
fn a_tunnel_is_never_used_for_another_request() {
    let backend = echo();
    let proxy = proxy(&[backend.address]);
    for _ in 0..3 {
        let mut client = Client::connect(proxy.addresses()[0]);
        assert_eq!(client.ask(UPGRADE).status, 101);
        client.read_bytes(2);
        drop(client);
        eventually("the tunnel is gone", || proxy.status().counters.tunnels == 0);
    }
    assert_eq!(backend.connections(), 3);
}
