//! What a pick reads: one immutable picture of an upstream, apart from marks for what has changed since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{BackendState, NEVER, Roster, nanos};
use super::pick::Choice;
use super::slots::{SlotSet, Tried};
use super::strategy::{Key, Table};

/// Everything that decides about picks, published as one.
#[derive(Debug)]
pub(super) struct Snapshot {
    primaries: Group,
    spares: Group,
    /// Who is in a table and must not be picked any more.
    out: SlotSet,
    /// Who must not even get the requests of sessions that it has.
    shut: SlotSet,
    roster: Arc<Roster>,
}

/// The primaries, or the spares.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) table: Arc<Table>,
    failed: SlotSet,
    /// The time, in nanoseconds, before which no failed backend is due for a probe.
    probe_at: AtomicU64,
}

impl Snapshot {
    pub(super) fn new(roster: Arc<Roster>, primaries: Arc<Table>, spares: Arc<Table>) -> Self {
        let slots = roster.slots();
        Self {
            primaries: Group::new(primaries, slots),
            spares: Group::new(spares, slots),
            out: SlotSet::new(slots),
            shut: SlotSet::new(slots),
            roster,
        }
    }

    /// The next backend that can take a request and is not among `tried`.
    ///
    /// A failed primary that is due for a probe comes first, then the primaries' schedule; then the same for
    /// spares.
    #[inline]
    pub(super) fn choose(&self, now: Duration, key: Key<'_>, tried: &Tried) -> Option<Choice<'_>> {
        let (now, key) = (nanos(now), key.or_none());
        if let Key::Sticky(route) = key {
            if let Some(slot) = self.stick(route, now, tried) {
                return Some(Choice::new(self.roster.get(slot)?, now));
            }
        }
        let slot = match self.choose_in(&self.primaries, now, key, tried) {
            Some(slot) => slot,
            None => self.choose_in(&self.spares, now, key, tried)?,
        };
        Some(Choice::new(self.roster.get(slot)?, now))
    }

    /// Notes what has become of `slot` until the schedules are laid out again.
    pub(super) fn mark(&self, slot: u16, spare: bool, state: BackendState) {
        let failed = state == BackendState::Failed;
        self.out.set(slot, state != BackendState::Up);
        self.shut.set(
            slot,
            matches!(state, BackendState::Down | BackendState::Unhealthy),
        );
        let group = if spare { &self.spares } else { &self.primaries };
        group.failed.set(slot, failed);
        if let Some(backend) = self.roster.get(slot).filter(|_| failed) {
            group.probe_at.fetch_min(backend.probe_at(), Ordering::SeqCst);
        }
    }

    pub(super) const fn tables(&self) -> [&Arc<Table>; 2] {
        [&self.primaries.table, &self.spares.table]
    }

    /// The backend that has the session, if it can take the request.
    fn stick(&self, route: &[u8], now: u64, tried: &Tried) -> Option<u16> {
        let backend = self.roster.find(route)?;
        let slot = backend.slot();
        let failed = self.primaries.failed.contains(slot) || self.spares.failed.contains(slot);
        let can = !tried.contains(slot) && !self.shut.contains(slot) && (!failed || backend.claim_probe(now));
        can.then_some(slot)
    }

    #[inline]
    fn choose_in(&self, group: &Group, now: u64, key: Key<'_>, tried: &Tried) -> Option<u16> {
        let due = group.probe_at.load(Ordering::Relaxed);
        if now >= due {
            let probe = group.claim_probe(due, now, tried, &self.roster);
            if probe.is_some() {
                return probe;
            }
        }
        group
            .table
            .next(key, |slot| !self.out.contains(slot) && !tried.contains(slot))
    }
}

impl Group {
    fn new(table: Arc<Table>, slots: usize) -> Self {
        Self {
            table,
            failed: SlotSet::new(slots),
            probe_at: AtomicU64::new(NEVER),
        }
    }

    /// A failed backend whose `fail_timeout` is over, for this one request.
    ///
    /// Whoever sets `probe_at` to [`NEVER`] looks through the failed ones, and puts the next time in its
    /// place. A failure meanwhile marks its backend as failed before it lowers `probe_at`, so it is either
    /// seen here or lowers it afterwards.
    #[cold]
    fn claim_probe(&self, due: u64, now: u64, tried: &Tried, roster: &Roster) -> Option<u16> {
        self.probe_at
            .compare_exchange(due, NEVER, Ordering::SeqCst, Ordering::SeqCst)
            .ok()?;
        let (mut claimed, mut next) = (None, NEVER);
        for slot in self.failed.iter() {
            let Some(backend) = roster.get(slot) else { continue };
            if claimed.is_none() && !tried.contains(slot) && backend.claim_probe(now) {
                claimed = Some(slot);
            }
            next = next.min(backend.probe_at());
        }
        self.probe_at.fetch_min(next, Ordering::SeqCst);
        claimed
    }
}
