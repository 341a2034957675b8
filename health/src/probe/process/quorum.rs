//! From a number of processes to up and down, with delays. Pure.

use core::time::Duration;

use crate::{Failure, Outcome};

/// What is asked of a number of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thresholds {
    pub(super) quorum: u32,
    pub(super) most: u32,
    pub(super) fork_delay: Duration,
    pub(super) terminate_delay: Duration,
}

/// Whether the number of processes is right, and has been for long enough.
#[derive(Clone, Debug)]
pub(super) struct Quorum {
    thresholds: Thresholds,
    count: u32,
    /// What is told.
    verdict: Option<Failure>,
    /// When another verdict is told, if the number still says so.
    due: Option<Duration>,
}

impl Quorum {
    /// The first number counts at once.
    pub(super) fn new(thresholds: Thresholds, count: u32) -> Self {
        Self {
            thresholds,
            count,
            verdict: thresholds.judge(count),
            due: None,
        }
    }

    /// Takes the number of processes that run. Whether it rose or fell decides which delay applies.
    pub(super) fn handle_count(&mut self, now: Duration, count: u32) {
        let delay = if count > self.count {
            self.thresholds.fork_delay
        } else {
            self.thresholds.terminate_delay
        };
        self.count = count;
        let judged = self.thresholds.judge(count);
        if judged.is_some() == self.verdict.is_some() {
            // Nothing changes, or no longer; the figures may.
            self.verdict = judged;
            self.due = None;
        } else if delay.is_zero() && self.due.is_none() {
            self.verdict = judged;
        } else if self.due.is_none() {
            self.due = Some(now + delay);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.verdict = self.thresholds.judge(self.count);
        }
    }

    /// Whether there are as many as there should be, told or not.
    pub(super) fn is_met(&self) -> bool {
        self.thresholds.judge(self.count).is_none()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    pub(super) fn outcome(&self) -> Outcome {
        let outcome = self.verdict.map_or_else(Outcome::success, Outcome::failed);
        match self.count {
            _ if self.verdict.is_some() && self.due.is_none() => outcome,
            1 => outcome.with_message("1 process"),
            count => outcome.with_message(alloc::format!("{count} processes")),
        }
    }
}

impl Thresholds {
    fn judge(&self, found: u32) -> Option<Failure> {
        let Self { quorum, most, .. } = *self;
        if found < quorum {
            Some(Failure::TooFew { found, quorum })
        } else if found > most {
            Some(Failure::TooMany { found, most })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_the_quorum_is_down_at_once_without_a_delay() {
        let mut quorum = quorum(2, u32::MAX, 0, 0, 2);
        assert!(quorum.outcome().is_success());
        quorum.handle_count(ms(1), 1);
        assert_eq!(
            quorum.outcome().failure(),
            Some(Failure::TooFew { found: 1, quorum: 2 })
        );
        assert_eq!(quorum.poll_timeout(), None);
        quorum.handle_count(ms(2), 2);
        assert!(quorum.outcome().is_success());
    }

    #[test]
    fn more_than_the_maximum_is_down() {
        let mut quorum = quorum(1, 2, 0, 0, 2);
        assert!(quorum.outcome().is_success());
        quorum.handle_count(ms(1), 3);
        assert_eq!(
            quorum.outcome().failure(),
            Some(Failure::TooMany { found: 3, most: 2 })
        );
    }

    #[test]
    fn a_maximum_of_zero_is_up_while_none_runs() {
        let mut quorum = quorum(0, 0, 0, 0, 0);
        assert!(quorum.outcome().is_success());
        quorum.handle_count(ms(1), 1);
        assert!(!quorum.outcome().is_success());
    }

    #[test]
    fn a_restart_within_the_terminate_delay_is_not_told() {
        let mut quorum = quorum(1, u32::MAX, 0, 100, 1);
        quorum.handle_count(ms(0), 0);
        assert!(quorum.outcome().is_success());
        assert_eq!(quorum.poll_timeout(), Some(ms(100)));
        quorum.handle_timeout(ms(99));
        quorum.handle_count(ms(99), 1);
        assert_eq!(quorum.poll_timeout(), None);
        quorum.handle_timeout(ms(1000));
        assert!(quorum.outcome().is_success());
    }

    #[test]
    fn a_death_is_told_when_the_terminate_delay_has_passed() {
        let mut quorum = quorum(1, u32::MAX, 0, 100, 1);
        quorum.handle_count(ms(0), 0);
        // Further looks that find the same don't put it off.
        quorum.handle_count(ms(50), 0);
        quorum.handle_timeout(ms(100));
        assert!(!quorum.outcome().is_success());
        assert_eq!(quorum.poll_timeout(), None);
    }

    #[test]
    fn new_processes_wait_for_the_fork_delay_in_both_directions() {
        let mut quorum = quorum(1, 1, 100, 0, 0);
        quorum.handle_count(ms(0), 1);
        assert!(!quorum.outcome().is_success());
        quorum.handle_timeout(ms(100));
        assert!(quorum.outcome().is_success());
        quorum.handle_count(ms(200), 2);
        assert!(quorum.outcome().is_success());
        // A child that was forked for a moment is gone in time.
        quorum.handle_count(ms(250), 1);
        quorum.handle_timeout(ms(300));
        assert!(quorum.outcome().is_success());
        quorum.handle_count(ms(400), 2);
        quorum.handle_timeout(ms(500));
        assert!(!quorum.outcome().is_success());
    }

    fn quorum(quorum: u32, most: u32, fork: u64, terminate: u64, count: u32) -> Quorum {
        let thresholds = Thresholds {
            quorum,
            most,
            fork_delay: ms(fork),
            terminate_delay: ms(terminate),
        };
        Quorum::new(thresholds, count)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
