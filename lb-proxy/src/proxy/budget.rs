//! How many requests may be sent again: a share of those that come, so that retries never become the load that brings
//! the last backends down.

use std::time::Duration;

/// What one request is worth, in the unit that is counted in.
const ONE: u64 = 100_000;
/// How long what isn't used is kept.
const WINDOW: Duration = Duration::from_secs(10);
/// The least that is kept, whatever the floor.
const LEAST: u64 = 10;

/// Credit for retries: each request brings some, time brings the floor, and each retry costs one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// What a request brings.
    deposit: u64,
    /// Retries a second that are always allowed.
    floor: u64,
    credit: u64,
    /// When the floor was last paid out.
    paid: Duration,
}

impl Budget {
    /// Allows `percent` of the requests, and `floor` a second whatever comes, to be sent again.
    pub(super) fn new(percent: u32, floor: u32) -> Self {
        let mut budget = Self {
            deposit: u64::from(percent) * (ONE / 100),
            floor: u64::from(floor),
            credit: 0,
            paid: Duration::ZERO,
        };
        budget.credit = budget.most();
        budget
    }

    /// A request came.
    pub(super) fn deposit(&mut self) {
        self.credit = (self.credit + self.deposit).min(self.most());
    }

    /// Takes what a retry at `now` costs; says whether it was there.
    pub(super) fn withdraw(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.paid).min(WINDOW);
        self.paid = self.paid.max(now);
        let microseconds = u64::try_from(since.as_micros()).expect("at most the window");
        self.credit = (self.credit + microseconds * self.floor / (1_000_000 / ONE)).min(self.most());
        let left = self.credit.checked_sub(ONE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    fn most(&self) -> u64 {
        if self.deposit == 0 && self.floor == 0 {
            return 0;
        }
        (self.floor * WINDOW.as_secs()).max(LEAST) * ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_bring_their_share() {
        let mut budget = Budget::new(20, 0);
        let granted = |budget: &mut Budget| (0..1000).filter(|_| budget.withdraw(Duration::ZERO)).count();
        assert_eq!(granted(&mut budget), 10, "the least is there from the start");
        for _ in 0..25 {
            budget.deposit();
        }
        assert_eq!(granted(&mut budget), 5);
        let mut again = 0;
        for _ in 0..10_000 {
            budget.deposit();
            again += usize::from(budget.withdraw(Duration::ZERO));
        }
        assert_eq!(again, 2000);
    }

    #[test]
    fn time_brings_the_floor() {
        let mut budget = Budget::new(0, 10);
        let mut now = Duration::from_secs(1);
        let drain = |budget: &mut Budget, now| (0..1000).filter(|_| budget.withdraw(now)).count();
        assert_eq!(drain(&mut budget, now), 100);
        now += Duration::from_millis(100);
        assert_eq!(drain(&mut budget, now), 1);
        now += Duration::from_secs(1);
        assert_eq!(drain(&mut budget, now), 10);
        now += Duration::from_secs(3600);
        assert_eq!(
            drain(&mut budget, now),
            100,
            "no more than ten seconds of it are kept"
        );
        assert_eq!(
            drain(&mut budget, Duration::ZERO),
            0,
            "a clock that goes back brings nothing"
        );
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let mut budget = Budget::new(0, 0);
        budget.deposit();
        assert!(!budget.withdraw(Duration::from_secs(100)));
    }
}
