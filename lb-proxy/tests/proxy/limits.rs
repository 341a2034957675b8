//! Limits by client address.

use std::io::Write;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use lb_proxy::balance::{BackendConfig, QueueConfig, Strategy, Upstream, UpstreamConfig};
use lb_proxy::forwarded::Forwarding;
use lb_proxy::limit::{ConnectionLimit, ConnectionLimitConfig, RateLimit, RateLimitConfig};

use crate::support::h2::{self, End, H2};
use crate::support::{Backend, Client, Next, eventually, proxy_with, start};

#[test]
fn a_client_that_asks_too_often_is_refused_and_others_are_not() {
    let backend = Backend::text("x");
    let limit = RateLimit::new(RateLimitConfig::per_minute(1).status(429)).expect("valid");
    let trusting = Forwarding::builder().trust("127.0.0.0/8".parse().expect("a network"));
    let proxy = proxy_with(&[backend.address], |config| {
        config
            .rate_limit(limit)
            .forwarding(trusting.build().expect("valid"))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    let ask = |client: &mut Client, from: &str| {
        client
            .ask(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n\r\n"
            ))
            .status
    };
    assert_eq!(ask(&mut client, "192.0.2.1"), 200);
    assert_eq!(ask(&mut client, "192.0.2.1"), 429);
    assert_eq!(
        ask(&mut client, "192.0.2.2"),
        200,
        "another client behind the same trusted hop"
    );
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn a_client_with_too_many_connections_is_answered_and_closed() {
    let backend = Backend::text("x");
    let limit = ConnectionLimit::new(ConnectionLimitConfig::new(1)).expect("valid");
    let proxy = proxy_with(&[backend.address], |config| config.connection_limit(limit));
    let mut first = Client::connect(proxy.addresses()[0]);
    assert_eq!(first.get("/").status, 200);
    let mut second = Client::connect(proxy.addresses()[0]);
    let answer = second.get("/");
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    assert!(second.is_closed());
    assert_eq!(first.get("/").status, 200, "the first goes on");
    drop((first, second));
    eventually("there is room again", || {
        Client::connect(proxy.addresses()[0]).get("/").status == 200
    });
}

#[test]
fn connections_of_http2_are_limited_alike() {
    let backend = Backend::text("x");
    let limit = ConnectionLimit::new(ConnectionLimitConfig::new(1)).expect("valid");
    let proxy = proxy_with(&[backend.address], |config| config.connection_limit(limit));
    let mut first = H2::connect(proxy.addresses()[0]);
    let end = first.ask(1, &h2::get("/"));
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    let mut second = H2::connect(proxy.addresses()[0]);
    let end = second.ask(1, &h2::get("/"));
    assert!(matches!(end, End::Answer { status: 503, .. }), "{end:?}");
    assert!(second.is_ended());
    let end = first.ask(3, &h2::get("/"));
    assert!(matches!(end, End::Answer { status: 200, .. }), "{end:?}");
    drop(first);
    eventually("there is room again", || {
        let end = H2::connect(proxy.addresses()[0]).ask(1, &h2::get("/"));
        matches!(end, End::Answer { status: 200, .. })
    });
}

/// A backend that answers a request each time it is told to.
fn told() -> (Sender<()>, Backend) {
    let (go_on, wait) = channel();
    let wait = Mutex::new(wait);
    let backend = Backend::start(move |_, stream| {
        let _ = wait.lock().expect("no panic").recv();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        Next::Keep
    });
    (go_on, backend)
}

fn busy(backend: &Backend, queue: Option<QueueConfig>) -> Upstream {
    let config =
        UpstreamConfig::builder("app").backend(BackendConfig::new("a", backend.address).max_conns(1));
    let config = match queue {
        Some(queue) => config.queue(queue),
        None => config,
    };
    Upstream::new(config.build().expect("valid"))
}

#[test]
fn a_request_waits_until_a_backend_has_a_place_for_it() {
    let (go_on, backend) = told();
    let queue = QueueConfig::new(NonZeroU32::MIN);
    let upstream = busy(&backend, Some(queue));
    let proxy = start(upstream.clone(), |config| config);
    let mut clients: Vec<_> = (0..2).map(|_| Client::connect(proxy.addresses()[0])).collect();
    clients[0].send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("one is under way", || backend.requests().len() == 1);
    clients[1].send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("one waits", || {
        upstream.status().queue.is_some_and(|queue| queue.waiting == 1)
    });
    let answer = Client::connect(proxy.addresses()[0]).get("/third");
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("every upstream server is busy"),
        "{}",
        answer.text()
    );
    assert_eq!(backend.requests().len(), 1, "no more than max_conns at a time");
    for client in &mut clients {
        go_on.send(()).expect("the backend waits");
        assert_eq!(client.response().text(), "x");
    }
}

#[test]
fn a_request_that_waits_too_long_and_one_without_a_queue_are_refused() {
    for (queue, text) in [
        (
            Some(QueueConfig::new(NonZeroU32::MIN).timeout(Duration::from_millis(20))),
            "the wait for an upstream server timed out",
        ),
        (None, "every upstream server is busy"),
    ] {
        let (go_on, backend) = told();
        let proxy = start(busy(&backend, queue), |config| config);
        let mut first = Client::connect(proxy.addresses()[0]);
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        eventually("one is under way", || backend.requests().len() == 1);
        let answer = Client::connect(proxy.addresses()[0]).get("/");
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains(text), "{}", answer.text());
        go_on.send(()).expect("the backend waits");
        assert_eq!(first.response().text(), "x");
    }
}

#[test]
fn a_client_that_leaves_the_queue_takes_nobodys_place() {
    let (go_on, backend) = told();
    let queue = QueueConfig::new(NonZeroU32::new(5).expect("not 0"));
    let upstream = busy(&backend, Some(queue));
    let proxy = start(upstream.clone(), |config| config);
    let mut first = Client::connect(proxy.addresses()[0]);
    first.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("one is under way", || backend.requests().len() == 1);
    let mut leaves = Client::connect(proxy.addresses()[0]);
    leaves.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("one waits", || {
        upstream.status().queue.is_some_and(|queue| queue.waiting == 1)
    });
    drop(leaves);
    eventually("it has left", || proxy.status().counters.connections == 1);
    go_on.send(()).expect("the backend waits");
    assert_eq!(first.response().text(), "x");
    go_on.send(()).expect("the backend waits");
    assert_eq!(first.get("/next").text(), "x");
    let targets: Vec<_> = backend
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(targets, ["/first", "/next"]);
}

#[test]
fn one_client_goes_to_one_backend_by_its_address() {
    let backends: Vec<_> = ["a", "b", "c", "d"].map(Backend::text).into();
    let named = backends.iter().zip(["a", "b", "c", "d"]);
    let config = UpstreamConfig::builder("app")
        .strategy(Strategy::IpHash)
        .backends(named.map(|(backend, name)| BackendConfig::new(name, backend.address)));
    let trusting = Forwarding::builder().trust("127.0.0.0/8".parse().expect("a network"));
    let proxy = start(Upstream::new(config.build().expect("valid")), |config| {
        config.forwarding(trusting.build().expect("valid"))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    let mut ask = |from: usize| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.{from}.0.1\r\n\r\n");
        client.ask(request).text().to_owned()
    };
    let first: Vec<_> = (0..16).map(&mut ask).collect();
    let second: Vec<_> = (0..16).map(&mut ask).collect();
    assert_eq!(first, second);
    assert!(
        first.iter().any(|name| *name != first[0]),
        "they are spread: {first:?}"
    );
}
