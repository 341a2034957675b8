//! What a pick reads: one immutable picture of an upstream, apart from marks for what has changed since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{NEVER, Roster, nanos};
use super::pick::Choice;
use super::slots::{SlotSet, Tried};
use super::strategy::ring::Ring;

/// Everything that decides about picks, published as one.
#[derive(Debug)]
pub(super) struct Snapshot {
    primaries: Group,
    spares: Group,
    /// Who is in a ring and must not be picked any more.
    out: SlotSet,
    roster: Arc<Roster>,
}

/// The primaries, or the spares.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) ring: Arc<Ring>,
    failed: SlotSet,
    /// The time, in nanoseconds, before which no failed backend is due for a probe.
    probe_at: AtomicU64,
}

impl Snapshot {
    pub(super) fn new(roster: Arc<Roster>, primaries: Arc<Ring>, spares: Arc<Ring>) -> Self {
        let slots = roster.slots();
        Self {
            primaries: Group::new(primaries, slots),
            spares: Group::new(spares, slots),
            out: SlotSet::new(slots),
            roster,
        }
    }

    /// The next backend that can take a request and is not among `tried`.
    ///
    /// A failed primary that is due for a probe comes first, then the primaries' schedule; then the same for
    /// spares.
    #[inline]
    pub(super) fn choose(&self, now: Duration, tried: &Tried) -> Option<Choice<'_>> {
        let now = nanos(now);
        let slot = match self.choose_in(&self.primaries, now, tried) {
            Some(slot) => slot,
            None => self.choose_in(&self.spares, now, tried)?,
        };
        Some(Choice::new(self.roster.get(slot)?, now))
    }

    /// Notes what has become of `slot` until the schedules are laid out again.
    pub(super) fn mark(&self, slot: u16, spare: bool, fit: bool, failed: bool) {
        self.out.set(slot, !fit);
        let group = if spare { &self.spares } else { &self.primaries };
        group.failed.set(slot, failed);
        if let Some(backend) = self.roster.get(slot).filter(|_| failed) {
            group.probe_at.fetch_min(backend.probe_at(), Ordering::SeqCst);
        }
    }

    pub(super) const fn rings(&self) -> [&Arc<Ring>; 2] {
        [&self.primaries.ring, &self.spares.ring]
    }

    #[inline]
    fn choose_in(&self, group: &Group, now: u64, tried: &Tried) -> Option<u16> {
        let due = group.probe_at.load(Ordering::Relaxed);
        if now >= due {
            let probe = group.claim_probe(due, now, tried, &self.roster);
            if probe.is_some() {
                return probe;
            }
        }
        group
            .ring
            .next(|slot| !self.out.contains(slot) && !tried.contains(slot))
    }
}

impl Group {
    fn new(ring: Arc<Ring>, slots: usize) -> Self {
        Self {
            ring,
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
