//! What routes, forwarding fields, limits and the access log add to a request.
//!
//! `route` looks up one of so many routes, of one host or each of its own, beside going through all of them; `forward`
//! reads a browser's head from a trusted hop and writes the fields for the backend; `limit` counts a request of one of
//! many clients, on one thread and two; `log` writes a line.

#[path = "support/edge.rs"]
mod edge;

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lb_proxy::forwarded::{Forwarding, Hop, Outgoing, Policy, RequestIds, Scheme};
use lb_proxy::limit::{ConnectionLimit, ConnectionLimitConfig, RateLimit, RateLimitConfig};
use lb_proxy::log::{AccessLog, AccessLogConfig, Clock, Format, Target, UtcOffset};
use lb_proxy::route::Route;

fn route(c: &mut Criterion) {
    let mut group = c.benchmark_group("edge/route");
    for routes in [10, 1_000] {
        let (by_path, targets) = (edge::paths(routes), edge::targets(routes));
        let mut asked = targets.iter().cycle();
        group.bench_function(BenchmarkId::new("paths of one host", routes), |b| {
            b.iter(|| {
                by_path
                    .find("app.example.com", black_box(asked.next().expect("endless")))
                    .map(Route::index)
            });
        });
        let prefixes: Vec<&str> = by_path
            .as_slice()
            .iter()
            .map(|route| route.path().as_str())
            .collect();
        group.bench_function(BenchmarkId::new("paths, one after the other", routes), |b| {
            b.iter(|| {
                let target = black_box(asked.next().expect("endless"));
                let fitting = prefixes.iter().filter(|prefix| target.starts_with(**prefix));
                fitting.max_by_key(|prefix| prefix.len())
            });
        });
        let (by_host, names) = (edge::hosts(routes), edge::names(routes));
        let mut asked = names.iter().cycle();
        group.bench_function(BenchmarkId::new("hosts", routes), |b| {
            b.iter(|| {
                by_host
                    .find(black_box(asked.next().expect("endless")), "/orders/4711")
                    .map(Route::index)
            });
        });
    }
    group.finish();
}

fn forward(c: &mut Criterion) {
    let mut group = c.benchmark_group("edge/forward");
    let hop = Hop::new(
        Some(([10, 0, 0, 1], 40_000).into()),
        Some(([10, 0, 0, 2], 80).into()),
        Scheme::Http,
    );
    let outgoing = Outgoing {
        host: "app.example.com",
        protocol: "HTTP/1.1",
        request_id: "0123456789abcdef0123456789abcdef",
    };
    let trusted = Forwarding::builder()
        .trust("10.0.0.0/8".parse().expect("valid"))
        .forwarded(Policy::Append)
        .request_id("X-Request-ID")
        .build()
        .expect("valid");
    for (name, forwarding) in [
        ("by default", Forwarding::default()),
        ("from a trusted hop, all fields", trusted),
    ] {
        let mut out = Vec::with_capacity(1_024);
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                let head = black_box(&edge::HEAD[..]);
                let received = forwarding.receive(&hop, head);
                let dropped = head.iter().filter(|(name, _)| forwarding.drops(name)).count();
                forwarding.append(&hop, &received, &outgoing, &mut out);
                (dropped, out.len())
            });
        });
    }
    let mut ids = RequestIds::random();
    group.bench_function("request id", |b| b.iter(|| ids.next_id()));
    group.finish();
}

fn limit(c: &mut Criterion) {
    let mut group = c.benchmark_group("edge/limit");
    let clients: Vec<IpAddr> = (0..50_000_u32)
        .map(|client| (0x0a00_0000 + client * 7).to_be_bytes().into())
        .collect();
    let rate = RateLimit::new(RateLimitConfig::per_second(100).burst(50).no_delay()).expect("valid");
    let connections = ConnectionLimit::new(ConnectionLimitConfig::new(10)).expect("valid");
    let mut asking = clients.iter().cycle();
    let mut now = Duration::ZERO;
    group.bench_function("rate, 50,000 clients", |b| {
        b.iter(|| {
            now += Duration::from_micros(10);
            rate.check(now, *asking.next().expect("endless"))
        });
    });
    group.bench_function("rate, 50,000 clients, two threads", |b| {
        b.iter_custom(|iters| {
            let begin = Instant::now();
            std::thread::scope(|scope| {
                for thread in 0..2_usize {
                    let (rate, clients) = (&rate, &clients);
                    scope.spawn(move || {
                        let mut asking = clients.iter().cycle().skip(thread * 25_000);
                        for step in 0..iters {
                            let now = now + Duration::from_micros(step * 10);
                            black_box(rate.check(now, *asking.next().expect("endless")));
                        }
                    });
                }
            });
            begin.elapsed()
        });
    });
    group.bench_function("connections, taken and given back", |b| {
        b.iter(|| connections.acquire(*asking.next().expect("endless")).is_some());
    });
    group.finish();
}

fn log(c: &mut Criterion) {
    let mut group = c.benchmark_group("edge/log");
    let head = &edge::HEAD[..];
    let attempts = [edge::attempt()];
    let record = edge::record(&head, &attempts);
    let mut clock = Clock::new(UtcOffset::UTC);
    for (name, format) in [("combined", Format::combined()), ("json", Format::json())] {
        let mut out = Vec::with_capacity(1_024);
        group.bench_function(BenchmarkId::new("format", name), |b| {
            b.iter(|| {
                out.clear();
                format.write(
                    clock.at(Duration::from_secs(1_795_551_186)),
                    black_box(&record),
                    &mut out,
                );
                out.len()
            });
        });
    }
    let target = Target::Writer(Box::new(std::io::sink()));
    let log = AccessLog::start(AccessLogConfig::new(target, Format::combined())).expect("a thread");
    let mut buffer = log.buffer();
    let mut now = Duration::ZERO;
    group.bench_function("combined, to a thread that discards", |b| {
        b.iter(|| {
            now += Duration::from_micros(10);
            buffer.write(now, black_box(&record));
        });
    });
    group.finish();
}

criterion_group!(benches, route, forward, limit, log);
criterion_main!(benches);
