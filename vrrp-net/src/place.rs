//! The place of a thread among the others of the machine (sched(7)).

use std::io;
use std::time::Duration;

use nix::libc;

use crate::sys;

/// Length of a turn on a core that the VRRP thread asks for: the shortest that the kernel knows. Who asks for shorter turns
/// than others gets them sooner, also before those of other control groups; takes no right. Linux before 6.12 takes no
/// notice.
const TURN: Duration = Duration::from_micros(100);

/// The scheduling policy of a thread, its place under that policy, and whether the children of the thread begin as
/// ordinary ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(libc::sched_attr);

impl Place {
    /// That of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        sys::scheduling().map(Self)
    }

    /// Takes it for the calling thread: one that another thread waits for needs the same, and may not have inherited it.
    pub(crate) fn take(self) -> io::Result<()> {
        if Self::here()?.fields() == self.fields() {
            return Ok(());
        }
        sys::set_scheduling(&self.0)
    }

    /// Whether it is under the policy that a thread has if nobody gave it another.
    pub(crate) fn is_ordinary(self) -> bool {
        self.has_policy(libc::SCHED_OTHER)
    }

    /// An ordinary place with a nice value, and with short turns.
    #[must_use]
    pub(crate) fn with_nice(self, nice: i8) -> Self {
        let mut place = self.with_short_turns();
        place.0.sched_policy = libc::SCHED_OTHER as u32;
        place.0.sched_priority = 0;
        place.0.sched_nice = nice.into();
        if place.0.sched_nice < self.0.sched_nice {
            place.keep_from_children();
        }
        place
    }

    /// The same with turns of [`TURN`].
    #[must_use]
    pub(crate) fn with_short_turns(mut self) -> Self {
        self.0.sched_runtime = TURN.as_nanos() as u64;
        self
    }

    /// A place before all ordinary ones.
    #[must_use]
    pub(crate) fn with_realtime(self, priority: u8) -> Self {
        let mut place = self;
        place.0.sched_policy = libc::SCHED_FIFO as u32;
        place.0.sched_priority = priority.into();
        place.0.sched_nice = 0;
        place.0.sched_runtime = 0;
        let is_had = self.has_policy(libc::SCHED_FIFO) && self.0.sched_priority >= place.0.sched_priority;
        if !is_had {
            place.keep_from_children();
        }
        place
    }

    /// For what was raised, with a right that the children have too, should they need the same. What was given from outside
    /// they inherit: they could not take it again.
    fn keep_from_children(&mut self) {
        self.0.sched_flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    }

    fn has_policy(self, policy: libc::c_int) -> bool {
        self.0.sched_policy == policy as u32
    }

    fn fields(self) -> [u64; 5] {
        let Self(attributes) = self;
        [
            attributes.sched_policy.into(),
            attributes.sched_flags,
            // Bits, to tell them apart.
            attributes.sched_nice as u64,
            attributes.sched_priority.into(),
            attributes.sched_runtime,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// In a thread of its own, which keeps its place to itself.
    fn apart(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    fn nice() -> i32 {
        Place::here().unwrap().0.sched_nice
    }

    #[test]
    fn a_nice_value_is_of_the_calling_thread_alone() {
        apart(|| {
            Place::here().unwrap().with_nice(7).take().unwrap();
            assert_eq!(nice(), 7);
        });
        assert_ne!(nice(), 7);
    }

    #[test]
    fn a_place_that_was_raised_is_not_inherited_but_can_be_taken() {
        apart(|| {
            // Without the right to it there is nothing to inherit.
            if Place::here().unwrap().with_nice(-5).take().is_err() {
                return;
            }
            assert_eq!(nice(), -5);
            let place = Place::here().unwrap();
            apart(move || {
                assert_eq!(nice(), 0);
                place.take().unwrap();
                assert_eq!(Place::here().unwrap().fields(), place.fields());
            });
        });
    }

    #[test]
    fn a_place_that_was_not_raised_is_inherited() {
        apart(|| {
            let before = i8::try_from(nice()).unwrap();
            let place = Place::here().unwrap().with_nice(before);
            place.take().unwrap();
            apart(move || assert_eq!(Place::here().unwrap().fields(), place.fields()));
        });
    }

    #[test]
    fn a_place_of_any_policy_is_told_and_taken() {
        apart(|| {
            for (policy, priority) in [
                (libc::SCHED_BATCH, 0),
                (libc::SCHED_RR, 3),
                (libc::SCHED_FIFO, 2),
                // The last: it may not be left without a right.
                (libc::SCHED_IDLE, 0),
            ] {
                let mut place = Place::here().unwrap();
                place.0.sched_policy = policy as u32;
                place.0.sched_priority = priority;
                place.0.sched_flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
                if place.take().is_err() {
                    assert!(priority > 0, "policy {policy} takes no right");
                    continue;
                }
                let place = Place::here().unwrap();
                assert!(!place.is_ordinary());
                assert!(place.has_policy(policy));
                assert_eq!(place.0.sched_priority, priority);
                apart(move || {
                    // A real-time policy is not inherited, and the flag is not in any case.
                    assert_ne!(Place::here().unwrap().fields(), place.fields());
                    place.take().unwrap();
                    assert_eq!(Place::here().unwrap().fields(), place.fields());
                });
            }
        });
    }

    #[test]
    fn children_inherit_what_was_given_from_outside() {
        let inherits = |place: Place| place.0.sched_flags == 0;
        let mut outside = Place::here().unwrap();
        outside.0.sched_flags = 0;
        outside.0.sched_nice = -10;
        assert!(inherits(outside.with_short_turns()));
        assert!(inherits(outside.with_nice(-10)));
        assert!(inherits(outside.with_nice(-5)));
        assert!(!inherits(outside.with_nice(-11)));
        assert!(!inherits(outside.with_realtime(1)));
        outside.0.sched_policy = libc::SCHED_RR as u32;
        outside.0.sched_priority = 50;
        assert!(!inherits(outside.with_realtime(50)));
        outside.0.sched_policy = libc::SCHED_FIFO as u32;
        assert!(inherits(outside.with_realtime(50)));
        assert!(inherits(outside.with_realtime(10)));
        assert!(!inherits(outside.with_realtime(51)));
    }
}
