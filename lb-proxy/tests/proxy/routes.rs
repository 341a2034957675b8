//! Which request goes where, and what is changed on the way.

use lb_proxy::forwarded::{Forwarding, ServerField};
use lb_proxy::proxy::{ConfigError, ProxyConfig};
use lb_proxy::route::{Action, HeaderEdits, RouteConfig, Routes};

use crate::support::{Backend, Client, proxy, proxy_with, upstream};

fn routes(routes: impl IntoIterator<Item = RouteConfig>) -> Routes {
    Routes::new(routes).expect("valid routes")
}

#[test]
fn host_and_path_choose_the_upstream_and_the_target_stays_as_it_came() {
    let (web, api) = (Backend::text("web"), Backend::text("api"));
    let proxy = proxy_with(&[web.address], |config| {
        config
            .upstream(upstream(&[api.address], |backend| backend))
            .routes(routes([
                RouteConfig::prefix("/", Action::Upstream(0)).host("example.com"),
                RouteConfig::prefix("/api/", Action::Upstream(1)).host("example.com"),
            ]))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/index").text(), "web");
    assert_eq!(client.get("/static/..//%61pi/x?y=%2F").text(), "api");
    assert_eq!(api.request().target, "/static/..//%61pi/x?y=%2F");
    let missing = client.ask("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!((missing.status, missing.header("connection")), (404, None));
    assert_eq!(client.get("/").text(), "web", "the connection goes on");
}

#[test]
fn a_prefix_is_replaced_and_fields_are_edited_both_ways() {
    let backend =
        Backend::bytes("HTTP/1.1 200 OK\r\nServer: old\r\nX-Secret: 1\r\nContent-Length: 1\r\n\r\nx");
    let request = HeaderEdits::builder()
        .set("X-Real-IP", "$remote_addr")
        .set("X-Id", "$request_id")
        .remove("Cookie");
    let response = HeaderEdits::builder()
        .add("X-Served", "$host$request_uri $status $request_id")
        .remove("X-Secret");
    let route = RouteConfig::prefix("/app/", Action::Upstream(0))
        .replace_prefix("/v2/")
        .request_headers(request.build().expect("valid"))
        .response_headers(response.build().expect("valid"));
    let forwarding = Forwarding::builder()
        .request_id("X-Request-ID")
        .via("lb")
        .server(ServerField::Replace("ours".into()))
        .build()
        .expect("valid");
    let proxy = proxy_with(&[backend.address], |config| {
        config.routes(routes([route])).forwarding(forwarding)
    });
    let answer = Client::connect(proxy.addresses()[0])
        .ask("GET /app/x?q HTTP/1.1\r\nHost: Example.com\r\nCookie: a=b\r\nX-Real-IP: 6.6.6.6\r\n\r\n");
    let got = backend.request();
    assert_eq!(got.target, "/v2/x?q");
    assert_eq!(got.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!((got.header("cookie"), got.header("via")), (None, Some("1.1 lb")));
    let id = got.header("x-request-id").expect("an id");
    assert_eq!(got.header("x-id"), Some(id));
    assert_eq!(
        answer.header("x-served"),
        Some(&*format!("example.com/app/x?q 200 {id}"))
    );
    assert_eq!(
        (answer.header("x-secret"), answer.header("server")),
        (None, Some("ours"))
    );
}

#[test]
fn redirects_and_fixed_answers_need_no_backend() {
    let backend = Backend::text("x");
    let redirect = Action::redirect(308, "https://$host$request_uri").expect("valid");
    let respond = Action::respond(200, "text/plain", "fine\n").expect("valid");
    let proxy = proxy_with(&[backend.address], |config| {
        config.routes(routes([
            RouteConfig::prefix("/", redirect),
            RouteConfig::exact("/health", respond),
        ]))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.get("/a?b");
    assert_eq!(
        (answer.status, answer.header("location")),
        (308, Some("https://example.com/a?b"))
    );
    let answer = client.get("/health");
    assert_eq!(
        (answer.text(), answer.header("content-type")),
        ("fine\n", Some("text/plain"))
    );
    client.send("HEAD /health HTTP/1.1\r\nHost: example.com\r\n\r\n");
    let answer = client.try_response("HEAD").expect("a response");
    assert_eq!((answer.header("content-length"), answer.text()), (Some("5"), ""));
    let answer = client.ask("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_path_that_leaves_the_root_is_refused() {
    let backend = Backend::text("x");
    let with_routes = proxy_with(&[backend.address], |config| {
        config.routes(routes([RouteConfig::prefix("/", Action::Upstream(0))]))
    });
    let answer = Client::connect(with_routes.addresses()[0]).get("/../etc/passwd");
    assert_eq!(answer.status, 400);
    let without = proxy(&[backend.address]);
    assert_eq!(
        Client::connect(without.addresses()[0]).get("/../x").status,
        200,
        "nothing is matched"
    );
}

#[test]
fn a_route_to_no_upstream_is_refused() {
    let (address, _socket) = crate::support::dead_address();
    let config = ProxyConfig::builder(upstream(&[address], |backend| backend))
        .routes(routes([RouteConfig::prefix("/", Action::Upstream(1))]));
    let error = config.build().expect_err("there is only one");
    assert!(
        matches!(
            error,
            ConfigError::NoSuchUpstream {
                route: 0,
                upstream: 1,
                count: 1
            }
        ),
        "{error}"
    );
}
