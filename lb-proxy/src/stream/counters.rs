//! What a server has done: plain counters of a worker, summed when somebody asks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) connections: AtomicUsize,
    pub(super) bad_headers: AtomicU64,
    pub(super) bad_handshakes: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) connect_failures: AtomicU64,
    pub(super) unserved: AtomicU64,
    pub(super) idle_timeouts: AtomicU64,
    pub(super) client_resets: AtomicU64,
    pub(super) backend_resets: AtomicU64,
    to_backends: AtomicU64,
    to_clients: AtomicU64,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn moved(&self, to_backend: u64, to_client: u64) {
        self.to_backends.fetch_add(to_backend, Ordering::Relaxed);
        self.to_clients.fetch_add(to_client, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, sum: &mut StreamCounters) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sum.accepted += read(&self.accepted);
        sum.connections += self.connections.load(Ordering::Relaxed);
        sum.bad_headers += read(&self.bad_headers);
        sum.bad_handshakes += read(&self.bad_handshakes);
        sum.connects += read(&self.connects);
        sum.connect_failures += read(&self.connect_failures);
        sum.unserved += read(&self.unserved);
        sum.idle_timeouts += read(&self.idle_timeouts);
        sum.client_resets += read(&self.client_resets);
        sum.backend_resets += read(&self.backend_resets);
        sum.bytes_to_backends += read(&self.to_backends);
        sum.bytes_to_clients += read(&self.to_clients);
    }
}

/// What a server has done since it started, over all its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Client connections accepted.
    pub accepted: u64,
    /// Client connections open now.
    pub connections: usize,
    /// Connections of trusted peers that did not begin with a PROXY header, or not in time.
    pub bad_headers: u64,
    /// TLS handshakes with clients that failed, or took too long.
    pub bad_handshakes: u64,
    /// Connections made to backends, with TLS if that is spoken.
    pub connects: u64,
    /// Connections to backends that were not made; the next backend was then tried.
    pub connect_failures: u64,
    /// Clients whose connection was reset because no backend could be connected to.
    pub unserved: u64,
    /// Connections that were closed because nothing moved.
    pub idle_timeouts: u64,
    /// Connections that clients broke off.
    pub client_resets: u64,
    /// Connections that backends broke off.
    pub backend_resets: u64,
    /// Bytes passed from clients to backends, without the TLS around them.
    pub bytes_to_backends: u64,
    /// Bytes passed from backends to clients, without the TLS around them.
    pub bytes_to_clients: u64,
}
