//! Limits by client address.

use lb_proxy::forwarded::Forwarding;
use lb_proxy::limit::{ConnectionLimit, ConnectionLimitConfig, RateLimit, RateLimitConfig};

use crate::support::{Backend, Client, eventually, proxy_with};

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
