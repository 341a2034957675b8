//! How a proxy ends: gracefully, or as if its process had died.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lb_proxy::proxy::{ProxyConfig, Server, ServerState};

use crate::support::{Backend, Client, Next, block_on, eventually, proxy, proxy_with};

/// Answers after a while.
fn slow(wait: Duration) -> Backend {
    Backend::start(move |_, stream| {
        std::thread::sleep(wait);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        Next::Keep
    })
}

#[test]
fn a_drain_answers_what_is_under_way_and_closes_the_rest() {
    let backend = slow(Duration::from_secs(1));
    let proxy = proxy_with(&[backend.address], |config| config.workers(2));
    let address = proxy.addresses()[0];
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/").text(), "slow");
    let mut fresh = Client::connect(address);
    let mut busy = Client::connect(address);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is under way", || backend.requests().len() == 2);
    eventually("all are accepted", || proxy.status().counters.accepted == 3);

    let start = Instant::now();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| block_on(proxy.shutdown(Duration::MAX)));
        assert!(idle.is_closed());
        assert!(fresh.is_closed());
        eventually("no worker listens", || TcpStream::connect(address).is_err());
        let answer = busy.response();
        assert_eq!(
            (answer.text(), answer.header("connection")),
            ("slow", Some("close"))
        );
        assert!(busy.is_closed());
        assert_eq!(drain.join().expect("no panic"), 0, "nothing was cut off");
    });
    assert!(
        start.elapsed() < Duration::from_secs(7),
        "it ended when the last answer was out"
    );
    eventually("the threads are gone", || {
        proxy.status().state == ServerState::Stopped
    });
    assert_eq!(block_on(proxy.shutdown(Duration::from_secs(8))), 0);
}

#[test]
fn what_is_left_at_the_deadline_is_cut_off() {
    let backend = slow(Duration::from_secs(60));
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is under way", || backend.requests().len() == 1);
    let start = Instant::now();
    assert_eq!(block_on(proxy.shutdown(Duration::from_millis(200))), 1);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(client.is_closed());
}

#[test]
fn an_abort_breaks_everything_at_once_and_leaves_the_port_free() {
    let backend = slow(Duration::from_secs(60));
    let proxy = proxy_with(&[backend.address], |config| config.workers(2));
    let address = proxy.addresses()[0];
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(address)).collect();
    for client in &mut clients[..2] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("two requests are under way", || backend.requests().len() == 2);
    let start = Instant::now();
    proxy.abort();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    for client in &mut clients {
        assert!(client.is_closed());
    }
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    let status = proxy.status();
    assert_eq!(
        (status.state, status.counters.connections),
        (ServerState::Stopped, 0)
    );
    proxy.abort();

    let text = Backend::text("x");
    let config = ProxyConfig::builder(crate::support::upstream(&[text.address], |backend| backend));
    let again =
        Server::spawn(config.listen(address).workers(2).build().expect("valid")).expect("the port is free");
    assert_eq!(Client::connect(address).get("/").text(), "x");
    assert_eq!(again.status().state, ServerState::Running);
}

#[test]
fn an_abort_ends_a_drain() {
    let backend = slow(Duration::from_secs(60));
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is under way", || backend.requests().len() == 1);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| block_on(proxy.shutdown(Duration::from_secs(60))));
        eventually("it drains", || proxy.status().state == ServerState::Draining);
        proxy.abort();
        assert_eq!(drain.join().expect("no panic"), 1);
    });
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn dropping_the_handle_aborts() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let address = proxy.addresses()[0];
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").text(), "x");
    drop(proxy);
    assert!(client.is_closed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config.max_connections(2));
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(proxy.addresses()[0])).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_eq!(clients[0].response().text(), "x");
    assert_eq!(clients[1].response().text(), "x");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(proxy.status().counters.connections, 2);
    drop(clients.remove(0));
    assert_eq!(clients[1].response().text(), "x");
}
