//! Keeps a log from flooding: a line at once, then silence for a while, then one that says how many it stands for.

use std::time::Duration;

/// Least time between two lines of one kind about one router.
const SILENCE: Duration = Duration::from_secs(30);

/// The limit of one kind of line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogLimit {
    silent_until: Option<Duration>,
    suppressed: u64,
}

impl LogLimit {
    /// Whether to log; if so, how many were kept back since the last one.
    pub(super) fn allow(&mut self, now: Duration) -> Option<u64> {
        if self.silent_until.is_some_and(|until| now < until) {
            self.suppressed += 1;
            return None;
        }
        self.silent_until = Some(now + SILENCE);
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// The limit of adverts that answer adverts: RFC 9568 §6.4.3 wants one at once, and says nothing of floods.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplyLimit {
    next_at: Option<Duration>,
}

impl ReplyLimit {
    /// Least time between two, in intervals; and at the least.
    const PARTS: u32 = 10;
    const LEAST: Duration = Duration::from_millis(1);

    /// Whether to answer at this moment, for a router that advertises every `interval`.
    pub(super) fn allow(&mut self, now: Duration, interval: Duration) -> bool {
        let allowed = self.next_at.is_none_or(|at| now >= at);
        if allowed {
            self.next_at = Some(now + (interval / Self::PARTS).max(Self::LEAST));
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_and_the_next_says_how_many_were_not() {
        let mut limit = LogLimit::default();
        assert_eq!(limit.allow(Duration::from_secs(1)), Some(0));
        assert_eq!(limit.allow(Duration::from_secs(2)), None);
        assert_eq!(limit.allow(Duration::from_secs(30)), None);
        assert_eq!(limit.allow(Duration::from_secs(31)), Some(2));
        assert_eq!(limit.allow(Duration::from_secs(62)), Some(0));
    }

    #[test]
    fn an_answer_comes_at_once_and_the_next_a_tenth_of_an_interval_later() {
        let ms = Duration::from_millis;
        for (interval, gap) in [(ms(1000), ms(100)), (ms(10), ms(1))] {
            let mut limit = ReplyLimit::default();
            assert!(limit.allow(ms(5), interval));
            assert!(!limit.allow(ms(5) + gap - Duration::from_nanos(1), interval));
            assert!(limit.allow(ms(5) + gap, interval));
        }
    }
}
