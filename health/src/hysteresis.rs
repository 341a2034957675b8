//! Rise and fall: how many results in a row change the mind of a check.

use core::num::NonZeroU32;

/// The state of a check between its results: unknown, up, or down.
///
/// The rules are keepalived's (`vrrp_script_child_thread`). The first result counts at once, whatever `rise` and
/// `fall` are. From then on `fall` failures in a row bring an up check down and `rise` successes in a row bring
/// a down check up; a result of the other kind starts the count anew. With `init_fail` the check starts down, and
/// so needs `rise` successes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hysteresis {
    rise: NonZeroU32,
    fall: NonZeroU32,
    state: State,
}

/// Each state counts only what can end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Unknown,
    Up { failures: u32 },
    Down { successes: u32 },
}

impl Hysteresis {
    /// Makes one that is unknown, or down with `init_fail`.
    pub fn new(rise: NonZeroU32, fall: NonZeroU32, init_fail: bool) -> Self {
        let state = if init_fail {
            State::Down { successes: 0 }
        } else {
            State::Unknown
        };
        Self { rise, fall, state }
    }

    /// Counts one result; says whether [`up`](Self::up) has changed by it.
    pub fn handle_result(&mut self, success: bool) -> bool {
        let before = self.up();
        self.state = match (self.state, success) {
            (State::Up { failures }, false) if failures + 1 < self.fall.get() => State::Up {
                failures: failures + 1,
            },
            (State::Down { successes }, true) if successes + 1 < self.rise.get() => State::Down {
                successes: successes + 1,
            },
            // The first result, one that completes a count, or one that starts a count anew.
            (_, true) => State::Up { failures: 0 },
            (_, false) => State::Down { successes: 0 },
        };
        self.up() != before
    }

    /// Changes the thresholds and keeps the state and the count. If the count is beyond a lowered threshold, the
    /// next result of that kind decides.
    pub fn set_thresholds(&mut self, rise: NonZeroU32, fall: NonZeroU32) {
        self.rise = rise;
        self.fall = fall;
    }

    /// Says whether a count is under way that may change it: an up check has failed, or a down check has succeeded.
    pub fn is_changing(&self) -> bool {
        matches!(
            self.state,
            State::Up { failures: 1.. } | State::Down { successes: 1.. }
        )
    }

    /// Says whether the check is up; `None` before the first result.
    pub fn up(&self) -> Option<bool> {
        match self.state {
            State::Unknown => None,
            State::Up { .. } => Some(true),
            State::Down { .. } => Some(false),
        }
    }
}
