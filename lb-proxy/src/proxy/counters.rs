//! What a proxy has done: plain counters of a worker, summed when somebody asks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) responses: [AtomicU64; 5],
    pub(super) retries: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) reused: AtomicU64,
    pub(super) connections: AtomicUsize,
    pub(super) tunnels: AtomicUsize,
    /// Notified whenever a connection or a tunnel ends.
    pub(super) ended: Notify,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn response(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        Self::count(&self.responses[class]);
    }

    pub(super) fn add_to(&self, sum: &mut ProxyCounters) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sum.accepted += read(&self.accepted);
        sum.requests += read(&self.requests);
        for (sum, counter) in sum.responses.iter_mut().zip(&self.responses) {
            *sum += read(counter);
        }
        sum.retries += read(&self.retries);
        sum.upstream_connects += read(&self.connects);
        sum.upstream_reused += read(&self.reused);
        sum.connections += self.connections.load(Ordering::Relaxed);
        sum.tunnels += self.tunnels.load(Ordering::Relaxed);
    }
}

/// What a proxy has done since it started, over all its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyCounters {
    /// Client connections accepted.
    pub accepted: u64,
    /// Requests whose head was read; malformed ones don't count.
    pub requests: u64,
    /// Responses by class, 1xx to 5xx, the proxy's own included. A 101 counts as 1xx.
    pub responses: [u64; 5],
    /// Times that a request was sent to a further backend.
    pub retries: u64,
    /// Connections opened to backends.
    pub upstream_connects: u64,
    /// Requests that went over a kept connection.
    pub upstream_reused: u64,
    /// Client connections open now; those that became tunnels don't count.
    pub connections: usize,
    /// WebSocket tunnels open now.
    pub tunnels: usize,
}
