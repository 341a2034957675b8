//! What a pick reads: one immutable picture of an upstream, apart from marks for what has changed since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{Backend, BackendState, NEVER, Roster, Standing, nanos};
use super::outcome::Classifier;
use super::panic::Anyone;
use super::pick::{Choice, Pick, Refusal};
use super::queue::Gate;
use super::slots::{SlotSet, Tried};
use super::strategy::{Asked, Dice, Key, Table};

/// How often a slot may be taken away between choosing it and claiming it before all are gone through.
const MAX_RACES: usize = 4;

/// Everything that decides about picks, published as one.
#[derive(Debug)]
pub(super) struct Snapshot {
    primaries: Group,
    spares: Group,
    /// Who is in a table and must not be picked any more.
    out: SlotSet,
    roster: Arc<Roster>,
    /// Whether any backend has a limit.
    limited: bool,
    anyone: Anyone,
    panic_requests: PanicRequests,
    gate: Arc<Gate>,
    classifier: Classifier,
}

/// What a snapshot is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) roster: Arc<Roster>,
    pub(super) primaries: Arc<Table>,
    pub(super) spares: Arc<Table>,
    pub(super) anyone: Anyone,
    pub(super) panic_requests: PanicRequests,
    pub(super) limited: bool,
    pub(super) gate: Arc<Gate>,
    pub(super) classifier: Classifier,
}

/// How many requests there have been for which nobody was up.
#[derive(Clone, Debug, Default)]
pub(super) struct PanicRequests(Arc<AtomicU64>);

/// The primaries, or the spares.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) table: Arc<Table>,
    failed: SlotSet,
    /// The time, in nanoseconds, before which no failed backend is due for a probe.
    probe_at: AtomicU64,
}

impl Snapshot {
    pub(super) fn new(parts: Parts) -> Self {
        let slots = parts.roster.slots();
        Self {
            primaries: Group::new(parts.primaries, slots),
            spares: Group::new(parts.spares, slots),
            out: SlotSet::new(slots),
            roster: parts.roster,
            limited: parts.limited,
            anyone: parts.anyone,
            panic_requests: parts.panic_requests,
            gate: parts.gate,
            classifier: parts.classifier,
        }
    }

    /// Begins a request at the next backend that can take one and is not among `tried`.
    #[inline]
    pub(super) fn pick(
        &self,
        now: Duration,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
    ) -> Result<Pick, Refusal> {
        if self.limited {
            return self.pick_limited(now, key, tried, dice);
        }
        let choice = self.choose(now, key, tried, dice).ok_or(Refusal::NoBackend)?;
        Ok(choice.begin_free())
    }

    /// The next backend that can take a request and is not among `tried`.
    ///
    /// A failed primary that is due for a probe comes first, then the primaries' schedule; then the same for
    /// spares; and if there is none because nobody is up, anybody.
    #[inline]
    pub(super) fn choose(
        &self,
        now: Duration,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
    ) -> Option<Choice<'_>> {
        let (now, key) = (nanos(now), key.or_none());
        if let Key::Sticky(name) = key {
            let stuck = self.stick(name, now, tried);
            if stuck.is_some() {
                return stuck;
            }
        }
        let slot = if self.limited {
            self.choose_where(now, key, tried, dice, |slot| {
                !tried.contains(slot) && self.has_room(slot)
            })?
        } else {
            self.choose_where(now, key, tried, dice, |slot| !tried.contains(slot))?
        };
        Some(Choice::new(self.roster.get(slot)?, now))
    }

    /// A slot at a backend, claimed, or why there is none.
    pub(super) fn claim(
        &self,
        now: Duration,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
    ) -> Result<Arc<Backend>, Refusal> {
        for _ in 0..MAX_RACES {
            let Some(choice) = self.choose(now, key, tried, dice) else {
                break;
            };
            if choice.backend().claim() {
                return Ok(Arc::clone(choice.backend()));
            }
        }
        self.claim_any(tried)
    }

    /// Notes what has become of `slot` until the schedules are laid out again.
    pub(super) fn mark(&self, slot: u16, spare: bool, state: BackendState) {
        let failed = state == BackendState::Failed;
        self.out.set(slot, state != BackendState::Up);
        let group = if spare { &self.spares } else { &self.primaries };
        group.failed.set(slot, failed);
        if let Some(backend) = self.roster.get(slot).filter(|_| failed) {
            group.probe_at.fetch_min(backend.probe_at(), Ordering::SeqCst);
        }
    }

    pub(super) const fn tables(&self) -> [&Arc<Table>; 2] {
        [&self.primaries.table, &self.spares.table]
    }

    pub(super) const fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    #[inline(never)]
    fn pick_limited(
        &self,
        now: Duration,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
    ) -> Result<Pick, Refusal> {
        if self.gate.is_shut() {
            return Err(Refusal::Full); // who comes later waits behind those who wait
        }
        Ok(Pick::holding(self.claim(now, key, tried, dice)?, now))
    }

    #[inline]
    fn choose_where(
        &self,
        now: u64,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
        fit: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let slot = match self.choose_in(&self.primaries, now, key, tried, dice, &fit) {
            Some(slot) => Some(slot),
            None => self.choose_in(&self.spares, now, key, tried, dice, &fit),
        };
        match slot {
            Some(slot) => Some(slot),
            None => self.choose_in_panic(fit),
        }
    }

    #[inline]
    fn choose_in(
        &self,
        group: &Group,
        now: u64,
        key: Key<'_>,
        tried: &Tried,
        dice: &mut Dice,
        fit: &impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let is_up = |slot| !self.out.contains(slot) && fit(slot);
        if group.table.places(key) {
            // Who is due for a probe gets it from the keys that belong there.
            let probes = |slot| {
                group.failed.contains(slot)
                    && fit(slot)
                    && self
                        .roster
                        .get(slot)
                        .is_some_and(|backend| backend.claim_probe(now))
            };
            let place = group
                .table
                .find(key, tried.len(), |slot| is_up(slot) || probes(slot));
            if place.is_some() {
                return place;
            }
        }
        let due = group.probe_at.load(Ordering::Relaxed);
        if now >= due {
            let probe = group.claim_probe(due, now, fit, &self.roster);
            if probe.is_some() {
                return probe;
            }
        }
        let roster = &self.roster;
        group.table.next(Asked { now, dice, roster }, is_up)
    }

    /// The backend that has the session, if it can take the request: also while it drains.
    ///
    /// If it is ejected and due for a probe, this is the probe.
    fn stick(&self, name: &[u8], now: u64, tried: &Tried) -> Option<Choice<'_>> {
        let backend = self.roster.find(name)?;
        if tried.contains(backend.slot()) || !backend.has_room() {
            return None;
        }
        let can = match backend.standing() {
            Standing::Open | Standing::Draining => true,
            Standing::Ejected | Standing::DrainingEjected => backend.claim_probe(now),
            Standing::Barred => false,
        };
        can.then(|| Choice::new(backend, now))
    }

    #[cold]
    fn choose_in_panic(&self, fit: impl Fn(u16) -> bool) -> Option<u16> {
        if self.is_anybody_up() {
            return None;
        }
        let slot = self.anyone.next(fit)?;
        self.panic_requests.0.fetch_add(1, Ordering::Relaxed);
        Some(slot)
    }

    /// Any free slot, or why there is none: gone through one by one.
    #[cold]
    fn claim_any(&self, tried: &Tried) -> Result<Arc<Backend>, Refusal> {
        let mut refusal = Refusal::NoBackend;
        for slot in self.members().filter(|&slot| !tried.contains(slot)) {
            let Some(backend) = self.roster.get(slot) else {
                continue;
            };
            if backend.claim() {
                return Ok(Arc::clone(backend));
            }
            refusal = Refusal::Full;
        }
        let is_untried = |slot| !tried.contains(slot);
        if !self.is_anybody_up() && self.anyone.any(is_untried) {
            refusal = Refusal::Full;
        }
        Err(refusal)
    }

    fn is_anybody_up(&self) -> bool {
        self.members().next().is_some()
    }

    /// Who is up.
    fn members(&self) -> impl Iterator<Item = u16> {
        let members = self.tables().into_iter().flat_map(|table| table.eligible());
        let slots = members.map(|member| member.slot);
        slots.filter(|&slot| !self.out.contains(slot))
    }

    fn has_room(&self, slot: u16) -> bool {
        self.roster.get(slot).is_some_and(|backend| backend.has_room())
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

    /// A failed backend whose ejection is over, for this one request.
    ///
    /// Whoever sets `probe_at` to [`NEVER`] looks through the failed ones, and puts the next time in its
    /// place. A failure meanwhile marks its backend as failed before it lowers `probe_at`, so it is either
    /// seen here or lowers it afterwards.
    #[cold]
    fn claim_probe(&self, due: u64, now: u64, fit: impl Fn(u16) -> bool, roster: &Roster) -> Option<u16> {
        self.probe_at
            .compare_exchange(due, NEVER, Ordering::SeqCst, Ordering::SeqCst)
            .ok()?;
        let (mut claimed, mut next) = (None, NEVER);
        for slot in self.failed.iter() {
            let Some(backend) = roster.get(slot) else { continue };
            if claimed.is_none() && fit(slot) && backend.claim_probe(now) {
                claimed = Some(slot);
            }
            next = next.min(backend.probe_at());
        }
        self.probe_at.fetch_min(next, Ordering::SeqCst);
        claimed
    }
}

impl PanicRequests {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
