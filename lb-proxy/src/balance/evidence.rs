//! What requests have told of one backend, and how long it is out for that.

use std::collections::VecDeque;
use std::time::Duration;

use super::backend::{NEVER, nanos, saturating_nanos};
use super::passive::Passive;
use super::status::Reason;

/// In how many parts the window of the ratio slides.
const PARTS: u32 = 8;

/// The passive health of one backend.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Failures that add up to `max_fails`.
    fails: u32,
    /// Failures since the last success.
    run: u32,
    last_failure: u64,
    /// A success of a request that began then or later makes up for `fails`.
    forgive_at: u64,
    /// The counts as they stood at moments within the window, oldest first.
    samples: VecDeque<Sample>,
    ejection: Option<Ejection>,
    /// On how many others the last ejection followed.
    level: u32,
    /// When the last ejection ended.
    recovered: Option<Duration>,
    ejections: u64,
    withheld: u64,
}

/// A time out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ejection {
    pub(super) cause: Reason,
    /// When one request may try it again.
    pub(super) until: Duration,
    pub(super) length: Duration,
}

/// The settings that evidence is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) max_fails: u32,
    pub(super) fail_timeout: Duration,
    pub(super) passive: &'a Passive,
}

/// A backend's counts since it is there: requests that ended and were not cancelled, and failures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) ended: u64,
    pub(super) failures: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    totals: Totals,
}

impl Evidence {
    /// Counts a failure of a request that was picked at `picked_at`; returns why the backend should be
    /// ejected for it, if it should and is not. `totals` count the failure, but not the request as ended.
    pub(super) fn handle_failure(
        &mut self,
        now: Duration,
        picked_at: u64,
        totals: Totals,
        rules: Rules<'_>,
    ) -> Option<Reason> {
        self.fails = self.fails.saturating_add(1);
        self.run = self.run.saturating_add(1);
        self.last_failure = nanos(now);
        if let Some(ejection) = &mut self.ejection {
            // Only what began after the ejection tells that it was too short.
            if picked_at >= nanos(ejection.until) {
                self.level = self.level.saturating_add(1);
                ejection.length = rules.passive.ejection(rules.fail_timeout, self.level);
            }
            // nginx: `checked` is the time of the last failure.
            ejection.until = now.saturating_add(ejection.length);
            return None;
        }
        self.forgive_at = nanos(now).saturating_add(saturating_nanos(rules.fail_timeout));
        let too_many = |count: u32, limit: u32| limit > 0 && count >= limit;
        let ratio_is_met = self.ratio_is_met(now, totals, rules.passive);
        if too_many(self.fails, rules.max_fails) {
            Some(Reason::MaxFails)
        } else if too_many(self.run, rules.passive.consecutive) {
            Some(Reason::Consecutive)
        } else {
            ratio_is_met.then_some(Reason::Ratio)
        }
    }

    /// Takes the backend out.
    pub(super) fn eject(&mut self, now: Duration, cause: Reason, rules: Rules<'_>) {
        let base = rules.passive.base(rules.fail_timeout);
        self.level = match self.recovered {
            None => 0,
            Some(recovered) => {
                let calm = nanos(now.saturating_sub(recovered));
                let periods = calm.checked_div(saturating_nanos(base)).unwrap_or(u64::MAX);
                self.level
                    .saturating_add(1)
                    .saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX))
            }
        };
        let length = rules.passive.ejection(rules.fail_timeout, self.level);
        self.ejection = Some(Ejection {
            cause,
            until: now.saturating_add(length),
            length,
        });
        self.ejections += 1;
    }

    /// Notes that the backend should have been ejected, but others that are out do not allow it.
    pub(super) const fn withhold(&mut self) {
        self.withheld += 1;
    }

    /// Counts the success of a request that was picked at `picked_at`; returns whether that makes a
    /// difference. `panic` is whether nobody is up.
    pub(super) fn handle_success(
        &mut self,
        now: Duration,
        picked_at: u64,
        consecutive: bool,
        panic: bool,
    ) -> bool {
        if picked_at < self.heeds_success_from(consecutive, panic) {
            return false; // it failed again meanwhile, or another success was first
        }
        self.run = 0;
        if self.ejection.is_some() || picked_at >= self.forgive_at {
            self.forgive(now);
        }
        true
    }

    /// Holds nothing against it any more.
    pub(super) fn forgive(&mut self, now: Duration) {
        if self.ejection.take().is_some() {
            self.recovered = Some(now);
        }
        (self.fails, self.run) = (0, 0);
        self.samples.clear();
    }

    /// When a request must have begun, at the least, for its success to make a difference; [`NEVER`] if none
    /// would.
    ///
    /// An ejected backend comes back by a request that began after its time, as in nginx, where one that hung
    /// for long proves nothing; but when nobody is up, by any that began after it last failed.
    pub(super) fn heeds_success_from(&self, consecutive: bool, panic: bool) -> u64 {
        match &self.ejection {
            Some(_) if panic => self.last_failure + 1,
            Some(ejection) => nanos(ejection.until),
            None if consecutive && self.run > 0 => 0,
            None if self.fails > 0 => self.forgive_at.min(NEVER - 1),
            None => NEVER,
        }
    }

    pub(super) const fn ejection(&self) -> Option<&Ejection> {
        self.ejection.as_ref()
    }

    pub(super) const fn fails(&self) -> u32 {
        self.fails
    }

    pub(super) const fn ejections(&self) -> u64 {
        self.ejections
    }

    pub(super) const fn withheld(&self) -> u64 {
        self.withheld
    }

    fn ratio_is_met(&mut self, now: Duration, totals: Totals, passive: &Passive) -> bool {
        if passive.ratio_percent == 0 {
            return false;
        }
        while self
            .samples
            .front()
            .is_some_and(|first| now >= first.at.saturating_add(passive.window))
        {
            self.samples.pop_front();
        }
        let part = passive.window / PARTS;
        if self
            .samples
            .back()
            .is_none_or(|last| now >= last.at.saturating_add(part))
        {
            let totals = Totals {
                failures: totals.failures.saturating_sub(1),
                ..totals
            };
            self.samples.push_back(Sample { at: now, totals });
        }
        let Some(Sample { totals: before, .. }) = self.samples.front() else {
            return false;
        };
        let failures = totals.failures.saturating_sub(before.failures);
        // Other requests may have been counted as failed, and not yet as ended.
        let volume = (totals.ended + 1).saturating_sub(before.ended).max(failures);
        volume >= u64::from(passive.min_volume) && failures * 100 >= volume * u64::from(passive.ratio_percent)
    }
}
