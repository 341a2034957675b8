//! What is done for every request allocates nothing.

use std::net::IpAddr;
use std::time::Duration;

use allocation_counter::measure;
use lb_proxy::forwarded::{Forwarding, Hop, Outgoing, RequestIds, Scheme};
use lb_proxy::limit::{ConnectionLimit, ConnectionLimitConfig, RateLimit, RateLimitConfig};
use lb_proxy::log::{AccessLog, AccessLogConfig, Captured, Format, Record, Target};
use lb_proxy::route::{Action, Facts, HeaderEdits, RouteConfig, Routes};

const HEAD: &[(&str, &[u8])] = &[
    ("Host", b"A.example"),
    ("User-Agent", b"curl/8"),
    ("Referer", b"http://a.example/"),
    ("X-Forwarded-For", b"198.51.100.7, 10.0.0.2"),
];

#[test]
fn a_look_up_edits_and_the_target_allocate_nothing() {
    let edits = HeaderEdits::builder()
        .set("X-Real-IP", "$remote_addr")
        .set("X-Host", "$host");
    let route = RouteConfig::prefix("/app/", Action::Upstream(0))
        .hosts(["a.example", "*.b.example"])
        .replace_prefix("/")
        .request_headers(edits.build().unwrap());
    let routes = Routes::new([route]).unwrap();
    let mut facts = Facts::default();
    facts.host = "A.example";
    facts.client = Some(([192, 0, 2, 1], 1).into());
    let mut out = Vec::with_capacity(1_000);
    assert_none("a look-up", || {
        for host in ["a.example", "A.example:80", "x.y.b.example"] {
            let route = routes.find(host, "/app/x?y=/../").unwrap();
            route.write_target("/app/x?y=/../", &mut out);
            route.request_headers().append(&facts, &mut out);
            assert!(route.request_headers().drops("x-real-ip"));
        }
    });
}

#[test]
fn forwarding_fields_allocate_nothing() {
    let forwarding = Forwarding::builder()
        .trust("10.0.0.0/8".parse().unwrap())
        .request_id("X-Request-ID");
    let forwarding = forwarding.build().unwrap();
    let hop = Hop::new(Some(([10, 0, 0, 1], 1).into()), None, Scheme::Http);
    let mut ids = RequestIds::random();
    let mut out = Vec::with_capacity(1_000);
    assert_none("forwarding", || {
        let received = forwarding.receive(&hop, HEAD);
        assert_eq!(received.client().unwrap().ip(), IpAddr::from([198, 51, 100, 7]));
        let id = forwarding.request_id(&received, &mut ids);
        let outgoing = Outgoing {
            host: "a.example",
            protocol: "HTTP/1.1",
            request_id: id.as_str(),
        };
        forwarding.append(&hop, &received, &outgoing, &mut out);
    });
}

#[test]
fn known_clients_are_counted_without_allocation() {
    let rate = RateLimit::new(RateLimitConfig::per_second(1_000).burst(1_000)).unwrap();
    let connections = ConnectionLimit::new(ConnectionLimitConfig::new(2)).unwrap();
    let client = IpAddr::from([192, 0, 2, 1]);
    rate.check(Duration::ZERO, client);
    let first = connections.acquire(client);
    assert_none("limits", || {
        rate.check(Duration::from_millis(1), client);
        assert!(connections.acquire(client).is_some());
    });
    drop(first);
}

#[test]
fn a_line_of_the_log_allocates_nothing() {
    let target = Target::Writer(Box::new(std::io::sink()));
    let log = AccessLog::start(AccessLogConfig::new(target, Format::combined())).unwrap();
    let mut buffer = log.buffer();
    let mut captured = Captured::default();
    let mut write = || {
        captured.take(log.format().request_fields(), HEAD);
        let mut record = Record::default();
        record.client = Some(([192, 0, 2, 1], 1).into());
        (record.method, record.target, record.protocol) = ("GET", "/", "HTTP/1.1");
        record.request_fields = &captured;
        buffer.write(Duration::ZERO, &record);
    };
    write(); // its memory is taken once
    for _ in 0..20 {
        write();
    }
    assert_none("a line", write);
}

fn assert_none(what: &str, work: impl FnOnce()) {
    let allocations = measure(work).count_total;
    assert_eq!(allocations, 0, "{what} allocates");
}
