//! What all threads share about one backend.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::config::{BackendConfig, BackendId};
use super::queue::Gate;
use super::strategy::Latency;
use super::upstream::Core;

/// Nobody may be let through, or nothing is to be forgotten: later than any [`nanos`].
pub(super) const NEVER: u64 = u64::MAX;

/// One backend, from the pick to the end of the request. What a finish touches stands first, beside the
/// `Arc`'s own count.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Backend {
    finished: AtomicU64,
    /// When a request must have begun, at the least, for its success to make a difference; [`NEVER`] if none
    /// would.
    heeds_success_from: AtomicU64,
    /// Below which status an answer is a success without asking.
    judged_from: AtomicU16,
    standing: AtomicU8,
    rosters: AtomicU32,
    /// 0 for any number.
    max_conns: AtomicU32,
    /// Requests under way that count towards `max_conns`.
    in_use: AtomicU32,
    latency: Latency,
    failures: AtomicU64,
    cancelled: AtomicU64,
    /// When an ejected backend may be tried with one request; [`NEVER`] if it is not ejected.
    probe_at: AtomicU64,
    /// How long after one such request another may follow.
    probe_interval: AtomicU64,
    slot: u16,
    address: SocketAddr,
    id: BackendId,
    gate: Arc<Gate>,
    core: Weak<Core>,
}

/// What may be sent to a backend, as the last change left it: for those who do not go by the schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Standing {
    /// Its share.
    Open,
    /// What sticks to it.
    Draining,
    /// Probes.
    Ejected,
    /// A probe by what sticks to it.
    DrainingEjected,
    /// Nothing.
    Barred,
}

impl Backend {
    pub(super) fn new(
        config: &BackendConfig,
        slot: u16,
        judged_from: u16,
        gate: Arc<Gate>,
        core: Weak<Core>,
    ) -> Self {
        Self {
            finished: AtomicU64::new(0),
            heeds_success_from: AtomicU64::new(NEVER),
            judged_from: AtomicU16::new(judged_from),
            standing: AtomicU8::new(Standing::Open as u8),
            rosters: AtomicU32::new(0),
            max_conns: AtomicU32::new(config.max_conns),
            in_use: AtomicU32::new(0),
            latency: Latency::new(),
            failures: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            probe_at: AtomicU64::new(NEVER),
            probe_interval: AtomicU64::new(0),
            slot,
            address: config.address,
            id: config.id.clone(),
            gate,
            core,
        }
    }

    /// The same backend of the operator's at another address: its counters, but none of its failures.
    pub(super) fn moved(&self, config: &BackendConfig, judged_from: u16) -> Self {
        let (gate, core) = (Arc::clone(&self.gate), Weak::clone(&self.core));
        let moved = Self::new(config, self.slot, judged_from, gate, core);
        moved.finished.store(self.finished(), Ordering::Relaxed);
        moved.failures.store(self.failures(), Ordering::Relaxed);
        moved.cancelled.store(self.cancelled(), Ordering::Relaxed);
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

    pub(super) const fn latency(&self) -> &Latency {
        &self.latency
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

    pub(super) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn count_finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether an answer of this status is a success without asking.
    #[inline]
    pub(super) fn passes(&self, status: u16) -> bool {
        status < self.judged_from.load(Ordering::Relaxed)
    }

    /// Whether the success of a request that was picked at `picked_at` makes a difference.
    #[inline]
    pub(super) fn heeds_success(&self, picked_at: u64) -> bool {
        picked_at >= self.heeds_success_from.load(Ordering::Relaxed)
    }

    pub(super) fn set_heeds_success_from(&self, picked_at: u64) {
        self.heeds_success_from.store(picked_at, Ordering::SeqCst);
    }

    /// Takes over settings that may change while it has requests under way.
    pub(super) fn set_config(&self, config: &BackendConfig, judged_from: u16) {
        self.max_conns.store(config.max_conns, Ordering::SeqCst);
        self.judged_from.store(judged_from, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        let standing = self.standing.load(Ordering::SeqCst);
        [
            Standing::Open,
            Standing::Draining,
            Standing::Ejected,
            Standing::DrainingEjected,
        ]
        .into_iter()
        .find(|&known| known as u8 == standing)
        .unwrap_or(Standing::Barred)
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::SeqCst);
    }

    /// Whether a freed slot goes to somebody who waits.
    pub(super) fn takes_queued(&self) -> bool {
        self.standing() == Standing::Open
    }

    /// Lets one request through at `at`, and then one each `interval`.
    pub(super) fn set_probes(&self, at: u64, interval: u64) {
        self.probe_interval.store(interval, Ordering::SeqCst);
        self.probe_at.store(at, Ordering::SeqCst);
    }

    pub(super) fn probe_at(&self) -> u64 {
        self.probe_at.load(Ordering::SeqCst)
    }

    /// Takes the one request that an ejected backend gets; `false` if it is not due or another took it.
    pub(super) fn claim_probe(&self, now: u64) -> bool {
        let due = self.probe_at();
        let next = now.saturating_add(self.probe_interval.load(Ordering::SeqCst));
        now >= due
            && self
                .probe_at
                .compare_exchange(due, next.min(NEVER - 1), Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }

    pub(super) fn max_conns(&self) -> u32 {
        self.max_conns.load(Ordering::Relaxed)
    }

    /// Whether one more request may be under way, as things stand.
    pub(super) fn has_room(&self) -> bool {
        let max = self.max_conns();
        max == 0 || self.in_use.load(Ordering::SeqCst) < max
    }

    /// Takes a slot if there is one free; without a limit there always is.
    pub(super) fn claim(&self) -> bool {
        let max = self.max_conns();
        let one_more = |used: u32| (max == 0 || used < max).then(|| used + 1);
        self.in_use
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .is_ok()
    }

    /// Takes a slot whether there is one free or not.
    pub(super) fn claim_over(&self) {
        self.in_use.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets a slot go without a look at the queue.
    pub(super) fn unclaim(&self) {
        self.in_use.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets a slot go: to the first who waits for it, if there is somebody.
    ///
    /// Who begins to wait says so before it looks for room once more, and this frees the slot before it looks
    /// whether somebody waits: one of the two sees the other.
    #[cold]
    pub(super) fn release(self: &Arc<Self>) {
        let max = self.max_conns();
        let over = max != 0 && self.in_use.load(Ordering::SeqCst) > max;
        if self.gate.is_waiting() && !over && self.gate.hand_over(self) {
            return;
        }
        self.unclaim();
        if self.gate.is_waiting() {
            self.gate.offer(self);
        }
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

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.by_slot.iter().flatten()
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
    /// Its requests failed ([`Passive`](super::Passive)): after its ejection one at a time is let through
    /// until one succeeds.
    Failed,
    /// It runs dry: its weight is 0, or the operator said `drain`. Only requests that stick to it come.
    Drain,
    /// Its active check says that it does not work.
    Unhealthy,
    /// Its active check is mandatory and has not said anything yet.
    Unchecked,
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
            Self::Unchecked => "unchecked",
            Self::Down => "down",
        })
    }
}

/// Nanoseconds since the driver's epoch, which is less than 292 years ago: the highest bit stays free.
#[inline]
pub(super) const fn nanos(now: Duration) -> u64 {
    now.as_nanos() as u64
}

/// Nanoseconds of a setting, which may be longer than time itself.
pub(super) fn saturating_nanos(setting: Duration) -> u64 {
    u64::try_from(setting.as_nanos()).unwrap_or(u64::MAX)
}
