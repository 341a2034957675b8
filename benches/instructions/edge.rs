//! Routes, forwarding fields, limits and the access log.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use lb_proxy::forwarded::{Forwarding, Hop, Outgoing, RequestIds, Scheme};
use lb_proxy::limit::{RateLimit, RateLimitConfig};
use lb_proxy::log::{Clock, Format, UtcOffset};
use lb_proxy::route::Route;

use crate::Case;
use crate::edge_inputs as inputs;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("edge/forward/default", forward),
        case("edge/request-id", request_id),
        case("edge/limit/rate", rate),
        case("edge/log/combined", |times| {
            log(&Format::combined(), times);
        }),
        case("edge/log/json", |times| {
            log(&Format::json(), times);
        }),
    ];
    for routes in [10, 1_000] {
        cases.push(case(&format!("edge/route/paths-{routes}"), move |times| {
            paths(routes, times);
        }));
        cases.push(case(&format!("edge/route/hosts-{routes}"), move |times| {
            hosts(routes, times);
        }));
    }
    cases
}

fn case(name: &str, run: impl Fn(u64) + 'static) -> Case {
    Case {
        name: name.to_owned(),
        run: Box::new(run),
    }
}

/// The look-up among the paths of one host.
fn paths(routes: usize, times: u64) {
    let (routes, targets) = (inputs::paths(routes), inputs::targets(routes));
    for (_, target) in (0..times).zip(targets.iter().cycle()) {
        black_box(
            routes
                .find(black_box("app.example.com"), target)
                .map(Route::index),
        )
        .expect("found");
    }
}

/// The look-up among hosts.
fn hosts(routes: usize, times: u64) {
    let (routes, names) = (inputs::hosts(routes), inputs::names(routes));
    for (_, name) in (0..times).zip(names.iter().cycle()) {
        black_box(routes.find(name, black_box("/orders/4711")).map(Route::index)).expect("found");
    }
}

/// A browser's head read, its fields sorted out, and those for the backend written.
fn forward(times: u64) {
    let forwarding = Forwarding::default();
    let hop = Hop::new(Some(([10, 0, 0, 1], 40_000).into()), None, Scheme::Http);
    let outgoing = Outgoing {
        host: "app.example.com",
        protocol: "HTTP/1.1",
        request_id: "",
    };
    let mut out = Vec::with_capacity(1_024);
    for _ in 0..times {
        out.clear();
        let head = black_box(&inputs::HEAD[..]);
        let received = forwarding.receive(&hop, head);
        black_box(head.iter().filter(|(name, _)| forwarding.drops(name)).count());
        forwarding.append(&hop, &received, &outgoing, &mut out);
        black_box(&out);
    }
}

fn request_id(times: u64) {
    let mut ids = RequestIds::new(0);
    for _ in 0..times {
        black_box(ids.next_id());
    }
}

/// A request of one of a thousand clients, within its rate.
fn rate(times: u64) {
    let limit = RateLimit::new(RateLimitConfig::per_second(100).burst(50).no_delay()).expect("valid");
    let clients: Vec<IpAddr> = (0..1_000_u32)
        .map(|client| (0x0a00_0000 + client).to_be_bytes().into())
        .collect();
    for (step, client) in (0..times).zip(clients.iter().cycle()) {
        black_box(limit.check(Duration::from_micros(step * 100), *client));
    }
}

/// A line, its end and all.
fn log(format: &Format, times: u64) {
    let (head, attempts) = (&inputs::HEAD[..], [inputs::attempt()]);
    let record = inputs::record(&head, &attempts);
    let mut clock = Clock::new(UtcOffset::UTC);
    let mut out = Vec::with_capacity(1_024);
    for _ in 0..times {
        out.clear();
        format.write(
            clock.at(Duration::from_secs(1_795_551_186)),
            black_box(&record),
            &mut out,
        );
        black_box(&out);
    }
}
