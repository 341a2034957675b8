//! Flap damping: a router that changes too often preempts no more for a while.
//!
//! A preemption costs clients a moment, and whatever made the router lose mastership may make it lose it again. So
//! after so many changes in a window it leaves a serving master alone, for longer each time. A master that falls
//! silent is replaced as ever: damping holds preemption back and nothing else.

use alloc::collections::VecDeque;
use core::time::Duration;

/// When preemption is held back, and for how long.
///
/// Counted are changes into and out of master, those by startup and shutdown excepted. The `transitions`th within
/// `window` holds preemption back for the first delay; as many more, unless a whole window has passed since the last
/// hold ended, for twice as long, and so on up to the longest delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damping {
    transitions: u8,
    window: Duration,
    first_delay: Duration,
    longest_delay: Duration,
}

impl Damping {
    /// Fewest transitions that can be meant: losing mastership and taking it back.
    pub const MIN_TRANSITIONS: u8 = 2;
    /// Most transitions that are counted.
    pub const MAX_TRANSITIONS: u8 = 32;
    /// Longest window and longest delay: a day.
    pub const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

    /// Damping after `transitions` (2 to 32) in `window` (up to a day). The first delay is as long as the window, the
    /// longest is ten times that, at most a day.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn new(transitions: u8, window: Duration) -> Result<Self, DampingError> {
        if !(Self::MIN_TRANSITIONS..=Self::MAX_TRANSITIONS).contains(&transitions) {
            return Err(DampingError::Transitions { got: transitions });
        }
        if window.is_zero() || window > Self::MAX_TIME {
            return Err(DampingError::Window { got: window });
        }
        Ok(Self {
            transitions,
            window,
            first_delay: window,
            longest_delay: (window * 10).min(Self::MAX_TIME),
        })
    }

    /// Sets the first delay and the longest to which it grows, up to a day.
    ///
    /// # Errors
    /// When the first is zero, or the longest is shorter than the first or longer than a day.
    pub fn delays(mut self, first: Duration, longest: Duration) -> Result<Self, DampingError> {
        if first.is_zero() || first > longest || longest > Self::MAX_TIME {
            return Err(DampingError::Delays { first, longest });
        }
        self.first_delay = first;
        self.longest_delay = longest;
        Ok(self)
    }

    /// Transitions that hold preemption back.
    pub fn transitions(&self) -> u8 {
        self.transitions
    }

    /// Time in which they are counted.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How long the first hold lasts.
    pub fn first_delay(&self) -> Duration {
        self.first_delay
    }

    /// How long a hold lasts at most.
    pub fn longest_delay(&self) -> Duration {
        self.longest_delay
    }

    /// How long the hold lasts that comes after `holds` others.
    fn delay(&self, holds: u32) -> Duration {
        let grown = self.first_delay.saturating_mul(2_u32.saturating_pow(holds));
        grown.min(self.longest_delay)
    }
}

/// Why values don't make a [`Damping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DampingError {
    /// One transition is no flapping, and more than 32 are not kept.
    #[error("damping after {got} transitions: use 2 to 32")]
    Transitions {
        /// The number given.
        got: u8,
    },
    /// The window can't be meant.
    #[error("damping window {got:?}: use more than 0, up to a day")]
    Window {
        /// The window given.
        got: Duration,
    },
    /// The delays don't grow.
    #[error(
        "damping delays from {first:?} to {longest:?}: use a first of more than 0, up to the longest, up to a day"
    )]
    Delays {
        /// The first delay given.
        first: Duration,
        /// The longest delay given.
        longest: Duration,
    },
}

/// What a router remembers of its transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Damper {
    /// The last transitions, oldest first; fewer than would hold.
    transitions: VecDeque<Duration>,
    /// Until when preemption is held back.
    until: Option<Duration>,
    /// Holds one after the other.
    holds: u32,
}

impl Damper {
    pub(crate) fn new(damping: Option<Damping>) -> Self {
        let capacity = damping.map_or(0, |damping| usize::from(damping.transitions));
        Self {
            transitions: VecDeque::with_capacity(capacity),
            until: None,
            holds: 0,
        }
    }

    /// Counts a transition.
    pub(crate) fn note(&mut self, now: Duration, damping: &Damping) {
        while self
            .transitions
            .front()
            .is_some_and(|at| *at + damping.window < now)
        {
            self.transitions.pop_front();
        }
        self.transitions.push_back(now);
        if self.transitions.len() < usize::from(damping.transitions) {
            return;
        }
        self.transitions.clear();
        if self.until.is_none_or(|until| until + damping.window < now) {
            self.holds = 0;
        }
        self.until = self.until.max(Some(now + damping.delay(self.holds)));
        self.holds = self.holds.saturating_add(1);
    }

    /// Whether preemption is held back.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Until when the last hold lasts, or lasted.
    pub(crate) fn until(&self) -> Option<Duration> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_meant_are_refused() {
        assert!(Damping::new(1, secs(60)).is_err());
        assert!(Damping::new(33, secs(60)).is_err());
        assert!(Damping::new(4, secs(0)).is_err());
        assert!(Damping::new(4, Damping::MAX_TIME + secs(1)).is_err());
        let damping = Damping::new(4, secs(60)).unwrap();
        assert_eq!(
            (damping.first_delay(), damping.longest_delay()),
            (secs(60), secs(600))
        );
        assert!(damping.delays(secs(0), secs(1)).is_err());
        assert!(damping.delays(secs(2), secs(1)).is_err());
        assert!(damping.delays(secs(1), Damping::MAX_TIME + secs(1)).is_err());
    }

    #[test]
    fn transitions_beyond_the_window_do_not_count() {
        let damping = damping();
        let mut damper = Damper::new(Some(damping));
        for at in [0, 50, 101, 152, 203] {
            damper.note(secs(at), &damping);
            assert_eq!(damper.until(), None, "{at}");
        }
        damper.note(secs(204), &damping);
        assert_eq!(damper.until(), Some(secs(214)));
    }

    #[test]
    fn each_hold_is_twice_as_long_up_to_the_longest_and_a_quiet_window_forgets() {
        let damping = damping();
        let mut damper = Damper::new(Some(damping));
        let mut now = secs(1000);
        for delay in [10, 20, 40, 60, 60] {
            for _ in 0..3 {
                damper.note(now, &damping);
            }
            assert_eq!(damper.until(), Some(now + secs(delay)));
            assert!(damper.holds(now) && damper.holds(now + secs(delay - 1)));
            now += secs(delay);
            assert!(!damper.holds(now));
        }
        now += secs(101);
        for _ in 0..3 {
            damper.note(now, &damping);
        }
        assert_eq!(damper.until(), Some(now + secs(10)));
    }

    /// Three in 100 s, for 10 s and up to a minute.
    fn damping() -> Damping {
        Damping::new(3, secs(100))
            .unwrap()
            .delays(secs(10), secs(60))
            .unwrap()
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
