//! Upstreams that benches balance over.

use std::net::SocketAddr;

use lb_proxy::balance::{BackendConfig, Strategy, UpstreamConfig};

/// Backends of weights 1 to 10.
pub(crate) fn weighted(backends: u16) -> UpstreamConfig {
    of(Strategy::Weighted, backends)
}

/// The same by another strategy.
pub(crate) fn of(strategy: Strategy, backends: u16) -> UpstreamConfig {
    let backends =
        (0..backends).map(|n| BackendConfig::new(format!("backend-{n}"), address(n)).weight(1 + n % 10));
    UpstreamConfig::builder("bench")
        .strategy(strategy)
        .backends(backends)
        .build()
        .expect("valid")
}

/// Backends without weights.
pub(crate) fn equal(backends: u16) -> UpstreamConfig {
    let backends = (0..backends).map(|n| BackendConfig::new(format!("backend-{n}"), address(n)));
    UpstreamConfig::builder("bench")
        .strategy(Strategy::RoundRobin)
        .backends(backends)
        .build()
        .expect("valid")
}

fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]], 80))
}
