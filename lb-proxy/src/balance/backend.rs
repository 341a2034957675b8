//! What all threads share about one backend.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::config::{BackendConfig, BackendId};
use super::upstream::Core;

/// Nobody may be let through, or nothing is to be forgotten: later than any [`nanos`].
pub(super) const NEVER: u64 = u64::MAX;

/// One backend, from the pick to the end of the request. What a finish touches stands first, beside the
/// `Arc`'s own count.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Backend {
    finished: AtomicU64,
    /// When a request must have begun, at the least, for its success to forget failures; [`NEVER`] if there
    /// are none.
    forgive_at: AtomicU64,
    failures: AtomicU64,
    /// When a failed backend may be tried with one request; [`NEVER`] if it has not failed.
    probe_at: AtomicU64,
    fail_timeout: AtomicU64,
    rosters: AtomicU32,
    slot: u16,
    address: SocketAddr,
    id: BackendId,
    core: Weak<Core>,
}

impl Backend {
    pub(super) fn new(config: &BackendConfig, slot: u16, core: Weak<Core>) -> Self {
        Self {
            finished: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            forgive_at: AtomicU64::new(NEVER),
            probe_at: AtomicU64::new(NEVER),
            fail_timeout: AtomicU64::new(saturating_nanos(config.fail_timeout)),
            rosters: AtomicU32::new(0),
            slot,
            address: config.address,
            id: config.id.clone(),
            core,
        }
    }

    /// The same backend of the operator's at another address: its counters, but none of its failures.
    pub(super) fn moved(&self, config: &BackendConfig) -> Self {
        let moved = Self::new(config, self.slot, Weak::clone(&self.core));
        moved.finished.store(self.finished(), Ordering::Relaxed);
        moved.failures.store(self.failures(), Ordering::Relaxed);
        moved
    }

    pub(super) const fn id(&self) -> &BackendId {
        &self.id
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn slot(&self) -> u16 {
        self.slot
    }

    pub(super) fn core(&self) -> Option<Arc<Core>> {
        self.core.upgrade()
    }

    pub(super) fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn count_finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_fail_timeout(&self, fail_timeout: Duration) {
        self.fail_timeout
            .store(saturating_nanos(fail_timeout), Ordering::Relaxed);
    }

    /// Whether the success of a request that was picked at `picked_at` ends a run of failures.
    #[inline]
    pub(super) fn forgives(&self, picked_at: u64) -> bool {
        picked_at >= self.forgive_at.load(Ordering::Relaxed)
    }

    /// A failure at `now`: only a success of a request that begins `fail_timeout` later makes up for it.
    pub(super) fn blame(&self, now: Duration) {
        self.forgive_at
            .store(self.after_timeout(nanos(now)), Ordering::SeqCst);
    }

    /// No probe before `fail_timeout` from `now`.
    pub(super) fn postpone_probe(&self, now: Duration) {
        self.probe_at
            .store(self.after_timeout(nanos(now)), Ordering::SeqCst);
    }

    /// Nothing is held against it.
    pub(super) fn forgive(&self) {
        self.forgive_at.store(NEVER, Ordering::SeqCst);
        self.probe_at.store(NEVER, Ordering::SeqCst);
    }

    pub(super) fn probe_at(&self) -> u64 {
        self.probe_at.load(Ordering::SeqCst)
    }

    /// Takes the one request that a failed backend gets per `fail_timeout`; `false` if it is not due or
    /// another took it.
    pub(super) fn claim_probe(&self, now: u64) -> bool {
        let due = self.probe_at();
        now >= due
            && self
                .probe_at
                .compare_exchange(due, self.after_timeout(now), Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }

    fn after_timeout(&self, now: u64) -> u64 {
        now.saturating_add(self.fail_timeout.load(Ordering::Relaxed))
            .min(NEVER - 1)
    }
}

/// All backends of an upstream by slot; made anew only when backends come or go.
///
/// Besides picks, rosters alone own backends, each roster once. So an `Arc`'s count less the rosters is the
/// number of requests under way, and a pick costs no second atomic operation to count it.
#[derive(Debug)]
pub(super) struct Roster {
    by_slot: Box<[Option<Arc<Backend>>]>,
    /// The hash of each name and the slot of its backend, in the order of hashes.
    by_name: Box<[(u64, u16)]>,
}

impl Roster {
    pub(super) fn new(backends: Vec<Option<Arc<Backend>>>) -> Self {
        let mut by_name = Vec::with_capacity(backends.len());
        for backend in backends.iter().flatten() {
            backend.rosters.fetch_add(1, Ordering::Relaxed);
            by_name.push((xxh3_64(backend.id.as_str().as_bytes()), backend.slot));
        }
        by_name.sort_unstable();
        Self {
            by_slot: backends.into_boxed_slice(),
            by_name: by_name.into_boxed_slice(),
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: u16) -> Option<&Arc<Backend>> {
        self.by_slot.get(usize::from(slot))?.as_ref()
    }

    /// The backend that sessions know by `name`.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Arc<Backend>> {
        let hash = xxh3_64(name);
        let first = self.by_name.partition_point(|&(other, _)| other < hash);
        self.by_name[first..]
            .iter()
            .take_while(|&&(other, _)| other == hash)
            .filter_map(|&(_, slot)| self.get(slot))
            .find(|backend| backend.id.as_str().as_bytes() == name)
    }

    pub(super) const fn slots(&self) -> usize {
        self.by_slot.len()
    }

    /// How many requests `backend` has under way.
    pub(super) fn active(backend: &Arc<Backend>) -> u64 {
        let rosters = backend.rosters.load(Ordering::Relaxed) as usize;
        Arc::strong_count(backend).saturating_sub(rosters) as u64
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        // Before the backends are let go: for a moment a count may be too high, but never too low.
        for backend in self.by_slot.iter().flatten() {
            backend.rosters.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether a backend gets requests, and if not, why; the strongest reason where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendState {
    /// It gets its share.
    Up,
    /// Its requests failed ([`BackendConfig::max_fails`]): one a `fail_timeout` is let through until one
    /// succeeds.
    Failed,
    /// Its weight is 0: no new requests.
    Drain,
    /// Its active check says that it does not work.
    Unhealthy,
    /// The operator took it out.
    Down,
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Failed => "failed",
            Self::Drain => "drain",
            Self::Unhealthy => "unhealthy",
            Self::Down => "down",
        })
    }
}

/// Nanoseconds since the driver's epoch, which is less than 584 years ago.
#[inline]
pub(super) const fn nanos(now: Duration) -> u64 {
    now.as_nanos() as u64
}

/// Nanoseconds of a setting, which may be longer than time itself.
fn saturating_nanos(setting: Duration) -> u64 {
    u64::try_from(setting.as_nanos()).unwrap_or(u64::MAX)
}
