//! The truth that writers change, one at a time; snapshots are made from it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::backend::{Backend, BackendState, Roster, Standing};
use super::config::{BackendId, Life, UpstreamConfig, Weight};
use super::entry::Entry;
use super::panic::Anyone;
use super::queue::Gate;
use super::ramp::{Ramp, STEPS};
use super::snapshot::{PanicRequests, Parts, Snapshot};
use super::status::{Diff, Reason, Transition, UnknownBackend, UpstreamStatus};
use super::strategy::{Member, Members, Placed, Strategy, Table};
use super::upstream::Core;

/// How often a driver is asked to check one backend because of failed requests, at the most.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Control {
    name: Arc<str>,
    strategy: Strategy,
    life: Life,
    /// In the operator's order.
    entries: Vec<Entry>,
    index: HashMap<BackendId, usize>,
    roster: Arc<Roster>,
    census: Census,
    panic_since: Option<Duration>,
    panic_requests: PanicRequests,
    gate: Arc<Gate>,
    /// Who is to be checked, each once.
    suspects: VecDeque<BackendId>,
    driver: Option<Waker>,
}

/// How many are up, and how many ejected: of the primaries, and of the spares.
#[derive(Debug, Default)]
struct Census {
    up: [usize; 2],
    failed: [usize; 2],
}

/// Who belongs into the schedules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) strategy: Strategy,
    pub(super) primaries: Members,
    pub(super) spares: Members,
}

/// One setting of one backend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    Weight(Weight),
    Down(bool),
    Drain(bool),
}

/// What a change concerns, as far as picks are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    /// The backend of that index.
    Backend(usize),
    Set,
}

impl Control {
    pub(super) fn new(config: UpstreamConfig, gate: Arc<Gate>, core: &Weak<Core>) -> Self {
        let mut control = Self {
            name: "".into(),
            strategy: config.strategy(),
            life: Life::default(),
            entries: Vec::new(),
            index: HashMap::new(),
            roster: Arc::new(Roster::new(Vec::new())),
            census: Census::default(),
            panic_since: None,
            panic_requests: PanicRequests::default(),
            gate,
            suspects: VecDeque::new(),
            driver: None,
        };
        control.replace(Duration::ZERO, config, core);
        control
    }

    /// Takes over `config`; what backends of the same id have gone through stays, as long as their address
    /// does.
    pub(super) fn replace(&mut self, now: Duration, config: UpstreamConfig, core: &Weak<Core>) -> Diff {
        let mut diff = Diff::default();
        let (name, strategy, configs, life) = config.into_parts();
        let judged_from = life.classifier.judged_from();
        let mut old: Vec<Option<Entry>> = self.entries.drain(..).map(Some).collect();
        let mut slots = FreeSlots::new(old.iter().flatten().map(|entry| entry.slot));
        let mut backends = vec![None; self.roster.slots().max(configs.len())];

        for config in configs {
            let known = self.index.get(&config.id).and_then(|&index| old[index].take());
            let (entry, backend) =
                match known.and_then(|entry| self.roster.get(entry.slot).cloned().zip(Some(entry))) {
                    None => {
                        diff.added.push(config.id.clone());
                        let slot = slots.take();
                        let (gate, core) = (Arc::clone(&self.gate), Weak::clone(core));
                        let backend = Arc::new(Backend::new(&config, slot, judged_from, gate, core));
                        (Entry::new(config, slot, now), backend)
                    }
                    Some((backend, mut entry)) => {
                        if entry.config != config {
                            diff.changed.push(config.id.clone());
                        }
                        if entry.config.address == config.address {
                            backend.set_config(&config, judged_from);
                            entry.ramp = entry.ramp.filter(|_| !config.slow_start.is_zero());
                            entry.config = config;
                            (entry, backend)
                        } else {
                            let backend = Arc::new(backend.moved(&config, judged_from));
                            (Entry::new(config, entry.slot, now), backend)
                        }
                    }
                };
            let place = usize::from(entry.slot);
            if place >= backends.len() {
                backends.resize(place + 1, None);
            }
            backends[place] = Some(backend);
            self.entries.push(entry);
        }

        diff.removed = old.into_iter().flatten().map(|entry| entry.config.id).collect();
        self.index = self
            .entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (entry.config.id.clone(), index))
            .collect();
        backends.truncate(
            backends
                .iter()
                .rposition(Option::is_some)
                .map_or(0, |last| last + 1),
        );
        let before = std::mem::replace(&mut self.roster, Arc::new(Roster::new(backends)));
        for gone in before.iter().filter(|backend| self.find(backend).is_none()) {
            gone.set_standing(Standing::Barred);
        }
        (self.name, self.strategy, self.life) = (name, strategy, life);
        for backend in self.roster.iter() {
            backend.latency().set_measured(strategy.measures_latency());
        }
        self.gate.set_config(self.life.queue);
        let (index, entries) = (&self.index, &self.entries);
        let is_suspect = |id: &BackendId| index.get(id).is_some_and(|&index| entries[index].is_suspect);
        self.suspects.retain(is_suspect);
        self.suspects.reserve(self.entries.len()); // so that a failing request does not allocate
        self.census = Census::of(&self.entries);
        for index in 0..self.entries.len() {
            self.refresh(index, now, Reason::Operator);
        }
        self.heed_census(now);
        self.publish_heeds();
        diff
    }

    /// Changes one setting.
    pub(super) fn set(
        &mut self,
        now: Duration,
        id: &BackendId,
        setting: Setting,
    ) -> Result<(Changed, Option<Transition>), UnknownBackend> {
        let index = self.index_of(id)?;
        let entry = &mut self.entries[index];
        let before = (entry.config.weight, entry.is_wanted());
        match setting {
            Setting::Weight(weight) => entry.config.weight = weight,
            Setting::Down(down) => entry.config.down = down,
            Setting::Drain(drain) => entry.config.drain = drain,
        }
        let same = before == (entry.config.weight, entry.is_wanted());
        let transition = self.refresh(index, now, Reason::Operator);
        if !same && self.heed_census(now) {
            self.publish_heeds();
        }
        Ok((
            if same && transition.is_none() {
                Changed::Nothing
            } else {
                Changed::Backend(index)
            },
            transition,
        ))
    }

    /// Heeds what a backend's active check says.
    pub(super) fn handle_check(
        &mut self,
        now: Duration,
        id: &BackendId,
        passes: bool,
    ) -> Result<Option<(usize, Transition)>, UnknownBackend> {
        let index = self.index_of(id)?;
        let entry = &mut self.entries[index];
        if passes && entry.check == Some(false) {
            // The check has seen it answer again, which is what a probe request would be for.
            entry.evidence.forgive(now);
            if let Some(backend) = self.roster.get(entry.slot) {
                entry.publish_heed(backend, &self.life, self.panic_since.is_some());
                entry.publish_probes(backend);
            }
        }
        entry.check = Some(passes);
        let transition = self.refresh(index, now, Reason::Check);
        self.entries[index].has_passed |= passes;
        Ok(transition.map(|transition| (index, transition)))
    }

    /// Counts a failure of `backend`, as nginx does: `fails` add up until a request that began `fail_timeout`
    /// or later after the last of them succeeds.
    pub(super) fn handle_failure(
        &mut self,
        now: Duration,
        picked_at: u64,
        backend: &Arc<Backend>,
    ) -> Option<(usize, Transition)> {
        let index = self.find(backend)?;
        let entry = &mut self.entries[index];
        if let Some(cause) = entry.handle_failure(now, picked_at, backend, &self.life) {
            if self.may_eject(index) {
                self.entries[index].eject(now, cause, &self.life);
            } else {
                self.entries[index].evidence.withhold();
            }
        }
        self.suspect(index, now);
        let entry = &self.entries[index];
        entry.publish_heed(backend, &self.life, self.panic_since.is_some());
        entry.publish_probes(backend);
        let transition = self.refresh(index, now, Reason::Operator);
        transition.map(|transition| (index, transition))
    }

    /// Counts a success of a request picked at `picked_at`, if it makes a difference.
    pub(super) fn handle_success(
        &mut self,
        now: Duration,
        picked_at: u64,
        backend: &Arc<Backend>,
    ) -> Option<(usize, Transition)> {
        let index = self.find(backend)?;
        let (consecutive, panic) = (self.life.passive.consecutive > 0, self.panic_since.is_some());
        let entry = &mut self.entries[index];
        if !entry.evidence.handle_success(now, picked_at, consecutive, panic) {
            return None;
        }
        entry.publish_heed(backend, &self.life, panic);
        if entry.evidence.ejection().is_none() {
            entry.publish_probes(backend);
        }
        let transition = self.refresh(index, now, Reason::Recovered);
        transition.map(|transition| (index, transition))
    }

    /// Lets shares grow that are due to; returns whether some did.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        let mut grown = false;
        for entry in &mut self.entries {
            let ramp = entry.ramp.and_then(|ramp| ramp.at(now));
            grown |= ramp != entry.ramp;
            entry.ramp = ramp;
        }
        grown
    }

    /// When a share is next due to grow.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let ramps = self.entries.iter().filter_map(|entry| entry.ramp);
        ramps.map(|ramp| ramp.next_step()).min()
    }

    /// The next backend that an active check should look at; else wakes `driver` when there is one, or when a
    /// deadline changes.
    pub(super) fn poll_suspect(&mut self, driver: &Waker) -> Option<BackendId> {
        let suspect = self.suspects.pop_front();
        if let Some(&index) = suspect.as_ref().and_then(|id| self.index.get(id)) {
            self.entries[index].is_suspect = false;
        }
        match &mut self.driver {
            Some(known) => known.clone_from(driver),
            none => *none = Some(driver.clone()),
        }
        suspect
    }

    /// Whom to wake, if there is a reason: a change, or a suspect.
    pub(super) fn take_driver(&mut self, changed: bool) -> Option<Waker> {
        self.driver.take_if(|_| changed || !self.suspects.is_empty())
    }

    /// Who belongs into the schedules as things stand.
    pub(super) fn plan(&self) -> Plan {
        let is_up = |entry: &&Entry| entry.state == BackendState::Up;
        let starting = self
            .entries
            .iter()
            .filter(is_up)
            .any(|entry| entry.ramp.is_some());
        let members = |spare: bool| {
            let eligible = move |entry: &&Entry| entry.config.spare == spare && is_up(entry);
            let member = |entry: &Entry| {
                let weight = match self.strategy {
                    Strategy::RoundRobin => 1,
                    _ => u32::from(entry.config.weight.get()),
                };
                let step = entry.ramp.map_or(STEPS, |ramp| ramp.step());
                Member {
                    slot: entry.slot,
                    weight: if starting { weight * step } else { weight },
                }
            };
            let has_keys = |entry: &&Entry| {
                self.strategy.places_keys() && entry.config.spare == spare && entry.config.weight.get() > 0
            };
            let place = |entry: &Entry| Placed {
                member: Member {
                    slot: entry.slot,
                    weight: entry.config.weight.get().into(),
                },
                id: entry.config.id.clone(),
            };
            Members {
                eligible: self.entries.iter().filter(eligible).map(member).collect(),
                placed: self.entries.iter().filter(has_keys).map(place).collect(),
            }
        };
        Plan {
            strategy: self.strategy,
            primaries: members(false),
            spares: members(true),
        }
    }

    /// A snapshot with these schedules, which may have been laid out for an earlier plan, and whether they
    /// fit the present one.
    pub(super) fn snapshot(&self, primaries: Arc<Table>, spares: Arc<Table>) -> (Snapshot, bool) {
        let plan = self.plan();
        let settled =
            primaries.is_for(plan.strategy, &plan.primaries) && spares.is_for(plan.strategy, &plan.spares);
        let is_usable = |entry: &&Entry| self.life.panic && entry.is_usable();
        let usable = self.entries.iter().filter(is_usable);
        let snapshot = Snapshot::new(Parts {
            roster: Arc::clone(&self.roster),
            primaries,
            spares,
            anyone: Anyone::new(usable.map(|entry| (entry.slot, entry.config.weight.get()))),
            panic_requests: self.panic_requests.clone(),
            limited: self.entries.iter().any(|entry| entry.config.max_conns > 0),
            gate: Arc::clone(&self.gate),
            classifier: self.life.classifier.clone(),
        });
        for index in 0..self.entries.len() {
            if self.entries[index].state != BackendState::Up {
                self.mark(index, &snapshot);
            }
        }
        (snapshot, settled)
    }

    /// Lets a snapshot that is in use know of one backend's present state.
    pub(super) fn mark(&self, index: usize, snapshot: &Snapshot) {
        let entry = &self.entries[index];
        snapshot.mark(entry.slot, entry.config.spare, entry.state);
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let backends = self.entries.iter();
        let backends = backends.filter_map(|entry| Some(entry.status(self.roster.get(entry.slot)?)));
        UpstreamStatus {
            name: Arc::clone(&self.name),
            strategy: self.strategy,
            panic_since: self.panic_since,
            panic_requests: self.panic_requests.count(),
            queue: self.gate.status(),
            backends: backends.collect(),
        }
    }

    fn index_of(&self, id: &BackendId) -> Result<usize, UnknownBackend> {
        let index = self.index.get(id).copied();
        index.ok_or_else(|| UnknownBackend { id: id.clone() })
    }

    /// The entry of `backend`, unless it has been removed or moved since it was picked.
    fn find(&self, backend: &Arc<Backend>) -> Option<usize> {
        let present = self.roster.get(backend.slot())?;
        Arc::ptr_eq(present, backend).then(|| self.index.get(backend.id()).copied())?
    }

    /// Whether a backend may be ejected, in view of those that are.
    fn may_eject(&self, index: usize) -> bool {
        let (entry, up) = (&self.entries[index], self.census.up);
        if entry.state != BackendState::Up {
            return true; // nobody counts on it
        }
        if self.entries.len() == 1 {
            return false; // nginx: a server that is the only one is tried whatever it did
        }
        let group = usize::from(entry.config.spare);
        if !entry.config.spare && up[1] > 0 {
            return true;
        }
        let (passive, ejected) = (&self.life.passive, self.census.failed[group]);
        let is_last = up[0] + up[1] == 1;
        !(is_last && passive.keep_last) && passive.allows(ejected, ejected + up[group])
    }

    /// Asks the driver to check a backend of which a request failed, once in a while.
    fn suspect(&mut self, index: usize, now: Duration) {
        let entry = &mut self.entries[index];
        let recently = |at: Duration| now < at.saturating_add(SUSPECT_INTERVAL);
        if entry.is_suspect || entry.suspected.is_some_and(recently) {
            return;
        }
        (entry.is_suspect, entry.suspected) = (true, Some(now));
        self.suspects.push_back(entry.config.id.clone());
    }

    /// Derives a backend's state anew; `trigger` is what may have changed it.
    fn refresh(&mut self, index: usize, now: Duration, trigger: Reason) -> Option<Transition> {
        let alone = self.entries.len() == 1;
        let entry = &mut self.entries[index];
        let backend = self.roster.get(entry.slot);
        let (from, to) = (entry.state, entry.derive_state(alone));
        if from != to {
            entry.reason = entry.derive_reason(to, trigger);
            (entry.state, entry.since) = (to, now);
            let was_ill = matches!(from, BackendState::Failed | BackendState::Unhealthy);
            let is_well = to == BackendState::Up && trigger != Reason::Operator;
            entry.ramp = backend
                .filter(|backend| was_ill && is_well && entry.has_worked(backend))
                .and_then(|_| Ramp::new(now, entry.config.slow_start));
        }
        if let Some(backend) = backend {
            backend.set_standing(entry.standing());
        }
        if from == to {
            return None;
        }
        let transition = Transition {
            id: entry.config.id.clone(),
            from,
            to,
            since: now,
            reason: entry.reason,
            ejected_until: entry.evidence.ejection().map(|ejection| ejection.until),
        };
        let spare = entry.config.spare;
        self.census.count(spare, from, -1);
        self.census.count(spare, to, 1);
        if self.heed_census(now) {
            self.publish_heeds();
        }
        Some(transition)
    }

    /// Begins and ends the panic; returns whether it did.
    fn heed_census(&mut self, now: Duration) -> bool {
        let panic = self.life.panic && self.census.up == [0, 0] && self.entries.iter().any(Entry::is_usable);
        let changes = panic != self.panic_since.is_some();
        if changes {
            self.panic_since = panic.then_some(now);
        }
        changes
    }

    /// Whether there is a panic says which successes make a difference.
    fn publish_heeds(&self) {
        for entry in &self.entries {
            if let Some(backend) = self.roster.get(entry.slot) {
                entry.publish_heed(backend, &self.life, self.panic_since.is_some());
            }
        }
    }
}

impl Census {
    fn of(entries: &[Entry]) -> Self {
        let mut census = Self::default();
        for entry in entries {
            census.count(entry.config.spare, entry.state, 1);
        }
        census
    }

    fn count(&mut self, spare: bool, state: BackendState, change: isize) {
        let group = usize::from(spare);
        let count = match state {
            BackendState::Up => &mut self.up[group],
            BackendState::Failed => &mut self.failed[group],
            _ => return,
        };
        *count = count.saturating_add_signed(change);
    }
}

/// Slots that no backend has, the lowest first; those of backends removed in the same change come back only
/// with the next one, so that a request that has tried the old backend does not take the new one for it.
struct FreeSlots {
    used: Vec<bool>,
    next: usize,
}

impl FreeSlots {
    fn new(used: impl Iterator<Item = u16>) -> Self {
        let mut free = Self {
            used: Vec::new(),
            next: 0,
        };
        for slot in used.map(usize::from) {
            if slot >= free.used.len() {
                free.used.resize(slot + 1, false);
            }
            free.used[slot] = true;
        }
        free
    }

    fn take(&mut self) -> u16 {
        while self.used.get(self.next).copied().unwrap_or(false) {
            self.next += 1;
        }
        self.next += 1;
        u16::try_from(self.next - 1).expect("an old and a new set of MAX_BACKENDS each have slots enough")
    }
}
