//! One backend as writers see it: its settings, and everything that decides about its state.

use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, BackendState, NEVER, Roster, Standing, nanos, saturating_nanos};
use super::config::{BackendConfig, Life};
use super::evidence::{Evidence, Rules, Totals};
use super::ramp::Ramp;
use super::status::{BackendStatus, Reason, SlowStart};

/// What is known of one backend besides what all threads share.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) config: BackendConfig,
    pub(super) slot: u16,
    /// What its active check said last.
    pub(super) check: Option<bool>,
    /// Whether a check has ever found it working.
    pub(super) has_passed: bool,
    pub(super) evidence: Evidence,
    pub(super) ramp: Option<Ramp>,
    /// When the driver was last to be asked to check it, and whether it has not fetched that yet.
    pub(super) suspected: Option<Duration>,
    pub(super) is_suspect: bool,
    pub(super) state: BackendState,
    pub(super) since: Duration,
    pub(super) reason: Reason,
}

impl Entry {
    pub(super) fn new(config: BackendConfig, slot: u16, now: Duration) -> Self {
        let mut entry = Self {
            config,
            slot,
            check: None,
            has_passed: false,
            evidence: Evidence::default(),
            ramp: None,
            suspected: None,
            is_suspect: false,
            state: BackendState::Up,
            since: now,
            reason: Reason::Operator,
        };
        entry.state = entry.derive_state(false);
        entry
    }

    /// The state that follows from what is known; `alone` is whether there is no other backend.
    pub(super) const fn derive_state(&self, alone: bool) -> BackendState {
        match self.check {
            _ if self.config.down => BackendState::Down,
            Some(false) => BackendState::Unhealthy,
            None if self.config.mandatory => BackendState::Unchecked,
            _ if self.drains() => BackendState::Drain,
            _ if !alone && self.evidence.ejection().is_some() => BackendState::Failed,
            _ => BackendState::Up,
        }
    }

    /// Why it is in the state that it came into by `trigger`.
    pub(super) fn derive_reason(&self, state: BackendState, trigger: Reason) -> Reason {
        match (state, self.evidence.ejection()) {
            (BackendState::Failed, Some(ejection)) => ejection.cause,
            (BackendState::Unhealthy, _) => Reason::Check,
            (BackendState::Up, _) => trigger,
            _ => Reason::Operator,
        }
    }

    pub(super) const fn standing(&self) -> Standing {
        match (self.state, self.evidence.ejection()) {
            (BackendState::Up, _) => Standing::Open,
            (BackendState::Drain, None) => Standing::Draining,
            (BackendState::Drain, Some(_)) => Standing::DrainingEjected,
            (BackendState::Failed, _) => Standing::Ejected,
            _ => Standing::Barred,
        }
    }

    /// Whether the operator lets it have new requests.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.config.down && !self.drains()
    }

    /// Whether it may be used when nobody is up.
    pub(super) fn is_usable(&self) -> bool {
        self.is_wanted() && self.state != BackendState::Unchecked
    }

    /// Whether it has ever been seen to work.
    pub(super) fn has_worked(&self, backend: &Backend) -> bool {
        let wasted = backend.failures() + backend.cancelled();
        self.has_passed || backend.finished() > wasted
    }

    pub(super) fn handle_failure(
        &mut self,
        now: Duration,
        picked_at: u64,
        backend: &Backend,
        life: &Life,
    ) -> Option<Reason> {
        let totals = Totals {
            ended: backend.finished().saturating_sub(backend.cancelled()),
            failures: backend.failures(),
        };
        let rules = rules(&self.config, life);
        self.evidence.handle_failure(now, picked_at, totals, rules)
    }

    pub(super) fn eject(&mut self, now: Duration, cause: Reason, life: &Life) {
        self.evidence.eject(now, cause, rules(&self.config, life));
    }

    /// Lets threads know which successes make a difference; `panic` is whether nobody is up.
    pub(super) fn publish_heed(&self, backend: &Backend, life: &Life, panic: bool) {
        let consecutive = life.passive.consecutive > 0;
        backend.set_heeds_success_from(self.evidence.heeds_success_from(consecutive, panic));
    }

    /// Lets threads know when it may be tried.
    pub(super) fn publish_probes(&self, backend: &Backend) {
        match self.evidence.ejection() {
            None => backend.set_probes(NEVER, 0),
            Some(ejection) => {
                backend.set_probes(nanos(ejection.until), saturating_nanos(ejection.length));
            }
        }
    }

    pub(super) fn status(&self, backend: &Arc<Backend>) -> BackendStatus {
        let (finished, active) = (backend.finished(), Roster::active(backend));
        BackendStatus {
            id: self.config.id.clone(),
            address: self.config.address,
            weight: self.config.weight,
            spare: self.config.spare,
            state: self.state,
            since: self.since,
            reason: self.reason,
            ejected_until: self.evidence.ejection().map(|ejection| ejection.until),
            slow_start: self.ramp.map(|ramp| SlowStart {
                percent: ramp.percent(),
                until: ramp.until(),
            }),
            max_conns: self.config.max_conns,
            active,
            requests: finished + active,
            failures: backend.failures(),
            cancelled: backend.cancelled(),
            fails: self.evidence.fails(),
            ejections: self.evidence.ejections(),
            withheld_ejections: self.evidence.withheld(),
        }
    }

    const fn drains(&self) -> bool {
        self.config.drain || self.config.weight.get() == 0
    }
}

const fn rules<'a>(config: &BackendConfig, life: &'a Life) -> Rules<'a> {
    Rules {
        max_fails: config.max_fails,
        fail_timeout: config.fail_timeout,
        passive: &life.passive,
    }
}
