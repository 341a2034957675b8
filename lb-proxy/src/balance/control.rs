//! The truth that writers change, one at a time; snapshots are made from it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::backend::{Backend, BackendState, Roster};
use super::config::{BackendConfig, BackendId, UpstreamConfig, Weight};
use super::snapshot::Snapshot;
use super::status::{BackendStatus, Diff, Transition, UnknownBackend, UpstreamStatus};
use super::strategy::{Member, Members, Strategy, Table};
use super::upstream::Core;

#[derive(Debug)]
pub(super) struct Control {
    name: Arc<str>,
    strategy: Strategy,
    /// In the operator's order.
    entries: Vec<Entry>,
    index: HashMap<BackendId, usize>,
    roster: Arc<Roster>,
}

/// What is known of one backend besides what all threads share.
#[derive(Debug)]
struct Entry {
    config: BackendConfig,
    slot: u16,
    passes_check: bool,
    fails: u32,
    state: BackendState,
    since: Duration,
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
    PassesCheck(bool),
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
    pub(super) fn new(config: UpstreamConfig, core: &Weak<Core>) -> Self {
        let mut control = Self {
            name: "".into(),
            strategy: config.strategy(),
            entries: Vec::new(),
            index: HashMap::new(),
            roster: Arc::new(Roster::new(Vec::new())),
        };
        control.replace(Duration::ZERO, config, core);
        control
    }

    /// Takes over `config`; what backends of the same id have gone through stays, as long as their address
    /// does.
    pub(super) fn replace(&mut self, now: Duration, config: UpstreamConfig, core: &Weak<Core>) -> Diff {
        let mut diff = Diff::default();
        let (name, strategy, configs) = config.into_parts();
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
                        let backend = Arc::new(Backend::new(&config, slot, Weak::clone(core)));
                        (Entry::new(config, slot, now), backend)
                    }
                    Some((backend, mut entry)) => {
                        if entry.config != config {
                            diff.changed.push(config.id.clone());
                        }
                        if entry.config.address == config.address {
                            backend.set_fail_timeout(config.fail_timeout);
                            entry.config = config;
                            (entry, backend)
                        } else {
                            let backend = Arc::new(backend.moved(&config));
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
        (self.name, self.strategy, self.roster) = (name, strategy, Arc::new(Roster::new(backends)));
        for index in 0..self.entries.len() {
            self.refresh(index, now);
        }
        diff
    }

    /// Changes one setting.
    pub(super) fn set(
        &mut self,
        now: Duration,
        id: &BackendId,
        setting: Setting,
    ) -> Result<(Changed, Option<Transition>), UnknownBackend> {
        let index = *self
            .index
            .get(id)
            .ok_or_else(|| UnknownBackend { id: id.clone() })?;
        let entry = &mut self.entries[index];
        let weight = entry.config.weight;
        match setting {
            Setting::Weight(weight) => entry.config.weight = weight,
            Setting::Down(down) => entry.config.down = down,
            Setting::PassesCheck(passes) => {
                if passes && !entry.passes_check {
                    // The check has seen it answer again, which is what a probe request would be for.
                    entry.fails = 0;
                    if let Some(backend) = self.roster.get(entry.slot) {
                        backend.forgive();
                    }
                }
                entry.passes_check = passes;
            }
        }
        let transition = self.refresh(index, now);
        let same = transition.is_none() && self.entries[index].config.weight == weight;
        Ok((
            if same {
                Changed::Nothing
            } else {
                Changed::Backend(index)
            },
            transition,
        ))
    }

    /// Counts a failure of `backend`, as nginx does: `fails` add up until a request that began `fail_timeout`
    /// or later after the last of them succeeds.
    pub(super) fn handle_failure(
        &mut self,
        now: Duration,
        backend: &Arc<Backend>,
    ) -> Option<(usize, Transition)> {
        let index = self.find(backend)?;
        self.entries[index].fails = self.entries[index].fails.saturating_add(1);
        backend.blame(now);
        backend.postpone_probe(now);
        self.refresh(index, now).map(|transition| (index, transition))
    }

    /// Forgets the failures of `backend`, if a request picked at `picked_at` may do that.
    pub(super) fn handle_success(
        &mut self,
        now: Duration,
        picked_at: u64,
        backend: &Arc<Backend>,
    ) -> Option<(usize, Transition)> {
        let index = self.find(backend)?;
        if !backend.forgives(picked_at) {
            return None; // it failed again meanwhile, or another success was first
        }
        self.entries[index].fails = 0;
        backend.forgive();
        self.refresh(index, now).map(|transition| (index, transition))
    }

    /// Who belongs into the schedules as things stand.
    pub(super) fn plan(&self) -> Plan {
        let members = |spare: bool| {
            let eligible =
                move |entry: &&Entry| entry.config.spare == spare && entry.state == BackendState::Up;
            let member = |entry: &Entry| Member {
                slot: entry.slot,
                weight: match self.strategy {
                    Strategy::RoundRobin => 1,
                    _ => u32::from(entry.config.weight.get()),
                },
            };
            Members {
                eligible: self.entries.iter().filter(eligible).map(member).collect(),
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
        let snapshot = Snapshot::new(Arc::clone(&self.roster), primaries, spares);
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
        let backends = self.entries.iter().filter_map(|entry| {
            let backend = self.roster.get(entry.slot)?;
            let (finished, active) = (backend.finished(), Roster::active(backend));
            Some(BackendStatus {
                id: entry.config.id.clone(),
                address: entry.config.address,
                weight: entry.config.weight,
                spare: entry.config.spare,
                state: entry.state,
                since: entry.since,
                active,
                requests: finished + active,
                failures: backend.failures(),
            })
        });
        UpstreamStatus {
            name: Arc::clone(&self.name),
            strategy: self.strategy,
            backends: backends.collect(),
        }
    }

    /// The entry of `backend`, unless it has been removed or moved since it was picked.
    fn find(&self, backend: &Arc<Backend>) -> Option<usize> {
        let present = self.roster.get(backend.slot())?;
        Arc::ptr_eq(present, backend).then(|| self.index.get(backend.id()).copied())?
    }

    fn refresh(&mut self, index: usize, now: Duration) -> Option<Transition> {
        // nginx: a server that is the only one is tried whatever it did, and a second one that is `down`
        // makes two.
        let alone = self.entries.len() == 1;
        let entry = &mut self.entries[index];
        let (from, to) = (entry.state, entry.derive_state(alone));
        if from == to {
            return None;
        }
        (entry.state, entry.since) = (to, now);
        Some(Transition {
            id: entry.config.id.clone(),
            from,
            to,
        })
    }
}

impl Entry {
    fn new(config: BackendConfig, slot: u16, now: Duration) -> Self {
        let mut entry = Self {
            config,
            slot,
            passes_check: true,
            fails: 0,
            state: BackendState::Up,
            since: now,
        };
        entry.state = entry.derive_state(false);
        entry
    }

    const fn derive_state(&self, alone: bool) -> BackendState {
        if self.config.down {
            BackendState::Down
        } else if !self.passes_check {
            BackendState::Unhealthy
        } else if self.config.weight.get() == 0 {
            BackendState::Drain
        } else if !alone && self.config.max_fails > 0 && self.fails >= self.config.max_fails {
            BackendState::Failed
        } else {
            BackendState::Up
        }
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
