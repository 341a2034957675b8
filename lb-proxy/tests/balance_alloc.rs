//! Requests are balanced without a single allocation.

use std::time::Duration;

use lb_proxy::balance::{BackendConfig, Outcome, Pick, Tried, Upstream, UpstreamConfig};

const NOW: Duration = Duration::from_secs(100);

#[test]
fn picks_retries_and_ends_of_requests_do_not_allocate() {
    let backends = (0..50_u16).map(|n| {
        backend(n)
            .weight(1 + n % 10)
            .max_fails(if n == 7 { 1_000_000 } else { 1 })
    });
    let upstream = Upstream::new(UpstreamConfig::builder("app").backends(backends).build().unwrap());
    let mut reader = upstream.reader();
    assert_eq!(upstream.status().backends.len(), 50);
    let mut failures = 0;
    let requests = || {
        for _ in 0..2_000 {
            let mut tried = Tried::new();
            for attempt in 0..3 {
                let pick: Pick = reader.pick(NOW, &tried).unwrap();
                tried.insert(&pick);
                if pick.slot() == 7 {
                    failures += 1;
                    pick.finish(NOW, Outcome::Failure);
                } else if attempt == 1 {
                    drop(pick);
                } else {
                    pick.finish(NOW, Outcome::Success);
                }
            }
            drop(upstream.pick(NOW, &tried));
        }
    };
    let allocations = allocation_counter::measure(requests);
    assert_eq!((allocations.count_total, failures > 0), (0, true));
}

#[test]
fn picks_beside_failed_backends_and_their_probes_do_not_allocate() {
    let backends = (0..50).map(backend);
    let upstream = Upstream::new(UpstreamConfig::builder("app").backends(backends).build().unwrap());
    let mut reader = upstream.reader();
    for _ in 0..20 {
        reader
            .pick(NOW, &Tried::new())
            .unwrap()
            .finish(NOW, Outcome::Failure);
    }
    let mut due = NOW;
    let requests = || {
        for _ in 0..200 {
            due += Duration::from_secs(1);
            drop(reader.pick(due, &Tried::new()));
        }
    };
    assert_eq!(allocation_counter::measure(requests).count_total, 0);
}

#[test]
fn the_count_sees_allocations() {
    assert_eq!(
        allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1)))).count_total,
        1
    );
}

fn backend(n: u16) -> BackendConfig {
    BackendConfig::new(n.to_string(), ([192, 0, 2, 1], 80).into())
}
