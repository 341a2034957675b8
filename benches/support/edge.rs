//! What the edge of the proxy is measured with: routes, a browser's head, a record.

use std::net::SocketAddr;
use std::time::Duration;

use lb_proxy::log::{Attempt, Record};
use lb_proxy::route::{Action, RouteConfig, Routes};

/// A browser's request through one proxy.
pub(crate) const HEAD: [(&str, &[u8]); 10] = [
    ("Host", b"app.example.com"),
    (
        "User-Agent",
        b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "Accept",
        b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", b"en-US,en;q=0.5"),
    ("Accept-Encoding", b"gzip, deflate, br"),
    ("Referer", b"https://app.example.com/orders?page=3"),
    ("Cookie", b"JSESSIONID=0123456789ABCDEF0123456789ABCDEF.node1"),
    ("X-Forwarded-For", b"198.51.100.7"),
    ("X-Forwarded-Proto", b"https"),
    ("Cache-Control", b"max-age=0"),
];

/// So many routes, all of one host.
pub(crate) fn paths(routes: usize) -> Routes {
    let configs = (0..routes).map(|index| {
        RouteConfig::prefix(
            format!("/api/v{}/service-{index:04}/", index % 3),
            Action::Upstream(index),
        )
        .host("app.example.com")
        .slash_redirect(false)
    });
    Routes::new(configs).expect("valid")
}

/// So many routes, each of a host of its own.
pub(crate) fn hosts(routes: usize) -> Routes {
    let configs = (0..routes).map(|index| {
        RouteConfig::prefix("/", Action::Upstream(index)).host(format!("tenant-{index:04}.example.com"))
    });
    Routes::new(configs).expect("valid")
}

/// What is asked for with [`paths`].
pub(crate) fn targets(routes: usize) -> Vec<String> {
    (0..routes)
        .map(|index| {
            format!(
                "/api/v{}/service-{index:04}/orders/4711?expand=lines&page=2",
                index % 3
            )
        })
        .collect()
}

/// Who is asked for with [`hosts`].
pub(crate) fn names(routes: usize) -> Vec<String> {
    (0..routes)
        .map(|index| format!("tenant-{index:04}.example.com"))
        .collect()
}

/// An attempt that went well.
pub(crate) fn attempt() -> Attempt {
    let mut attempt = Attempt::new(SocketAddr::from(([192, 0, 2, 10], 8080)));
    attempt.status = Some(200);
    attempt.connect = Some(Duration::ZERO);
    attempt.header = Some(Duration::from_millis(3));
    attempt.response = Some(Duration::from_millis(4));
    attempt
}

/// A request of [`HEAD`] that went well.
pub(crate) fn record<'a>(fields: &'a &'a [(&'a str, &'a [u8])], attempts: &'a [Attempt]) -> Record<'a> {
    let mut record = Record::default();
    record.client = Some(SocketAddr::from(([198, 51, 100, 7], 40_000)));
    record.method = "GET";
    record.target = "/orders/4711?expand=lines&page=2";
    record.protocol = "HTTP/1.1";
    record.host = "app.example.com";
    record.scheme = "https";
    record.request_id = "0123456789abcdef0123456789abcdef";
    record.request_fields = fields;
    record.request_length = 612;
    record.status = 200;
    record.bytes_sent = 10_500;
    record.body_bytes_sent = 10_240;
    record.duration = Duration::from_millis(5);
    record.attempts = attempts;
    record
}
