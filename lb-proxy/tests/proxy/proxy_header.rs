//! The PROXY protocol in front of a request.

use lb_proxy::forwarded::{Forwarding, TrustedHops};

use crate::support::{Backend, Client, proxy_with};

fn loopback() -> TrustedHops {
    let trusting = Forwarding::builder().trust("127.0.0.0/8".parse().expect("a network"));
    trusting.build().expect("valid").trusted().clone()
}

#[test]
fn the_client_is_who_the_header_says() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.receive_proxy_protocol(loopback())
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("PROXY TCP4 192.0.2.7 192.0.2.80 40000 80\r\n");
    assert_eq!(client.get("/one").text(), "x");
    assert_eq!(client.get("/two").text(), "x", "it comes once a connection");
    for request in backend.requests() {
        assert_eq!(request.header("x-forwarded-for"), Some("192.0.2.7"));
    }
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn without_a_good_header_there_is_no_request() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.receive_proxy_protocol(loopback())
    });
    for bytes in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROXY TCP4 nonsense\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(bytes);
        assert_eq!(client.read_to_end().unwrap_or_default(), b"");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn from_others_the_header_is_a_bad_request() {
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| config);
    let answer = Client::connect(proxy.addresses()[0])
        .ask("PROXY TCP4 192.0.2.7 192.0.2.80 40000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 505, "its version is no HTTP");
    assert_eq!(backend.connections(), 0);
}
