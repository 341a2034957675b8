//! Another config while requests and connections go on.

use std::io::Write;

use lb_proxy::proxy::{ProxyConfig, ProxyConfigBuilder};
use lb_proxy::route::{Action, RouteConfig, Routes};

use crate::support::{Backend, Client, Next, proxy, upstream};

fn config(backends: &[std::net::SocketAddr]) -> ProxyConfigBuilder {
    ProxyConfig::builder(upstream(backends, |backend| backend))
        .workers(1)
        .listen("127.0.0.1:0".parse().expect("an address"))
}

#[test]
fn the_next_request_of_an_open_connection_is_served_by_the_new_config() {
    let (old, new) = (Backend::text("old"), Backend::text("new"));
    let proxy = proxy(&[old.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").text(), "old");
    let routes = Routes::new([RouteConfig::prefix("/", Action::Upstream(1))]).expect("valid");
    let changed = config(&[old.address])
        .upstream(upstream(&[new.address], |backend| backend))
        .routes(routes)
        .max_body(3);
    proxy
        .apply(changed.build().expect("valid"))
        .expect("it can be applied");
    assert_eq!(client.get("/").text(), "new");
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(answer.status, 413);
    let counters = proxy.status().counters;
    assert_eq!((counters.accepted, counters.requests), (1, 3), "counters go on");
    assert_eq!(proxy.config().upstreams().len(), 2);
}

#[test]
fn a_request_under_way_goes_on_as_it_began() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let old = Backend::start(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        wait.lock().expect("no panic").recv().expect("it is told");
        let _ = stream.write_all(b" half");
        Next::Keep
    });
    let new = Backend::text("new");
    let proxy = proxy(&[old.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::support::eventually("it is under way", || old.requests().len() == 1);
    let applied = config(&[new.address]).build().expect("valid");
    proxy.apply(applied).expect("it can be applied");
    go_on.send(()).expect("the backend waits");
    assert_eq!(client.response().text(), "first half");
    assert_eq!(client.get("/").text(), "new");
}

#[test]
fn what_cannot_change_is_named_and_nothing_changes() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    for (changed, setting) in [
        (config(&[backend.address]).workers(2), "workers"),
        (
            config(&[backend.address]).listen("127.0.0.1:0".parse().expect("an address")),
            "listen",
        ),
        (config(&[backend.address]).max_connections(5), "max_connections"),
    ] {
        let error = proxy
            .apply(changed.max_body(0).build().expect("valid"))
            .expect_err("fixed");
        assert_eq!(error.setting(), setting);
    }
    let answer =
        Client::connect(proxy.addresses()[0]).ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(answer.status, 200, "the old limit stands");
}
