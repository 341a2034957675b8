//! When the probe of a check runs.

use core::time::Duration;

use crate::{CheckConfig, Hysteresis};

/// The runs of one check: which is on, and when the next is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Polling {
    times: Times,
    pace: Pace,
    phase: Phase,
    last_start: Option<Duration>,
    /// Where the sequence of draws is.
    random: u64,
    /// By how much the run to come is shifted: 0 for earliest.
    draw: u32,
}

/// The times of a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    interval: Duration,
    fast_interval: Duration,
    down_interval: Duration,
    timeout: Duration,
    jitter_percent: u8,
}

/// Which of the intervals holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Steady,
    Fast,
    Down,
}

/// Each phase owns the deadlines that may pass in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for the next run.
    Idle { due: Duration },
    /// The probe runs, within its time.
    Running {
        started: Duration,
        deadline: Duration,
        due: Duration,
        skip_told: bool,
    },
    /// The probe has run out of time and is counted; it has not ended yet. Without `due` the next run
    /// has fallen due and starts when this one ends.
    Overdue {
        started: Duration,
        due: Option<Duration>,
    },
}

/// What has fallen due.
pub(crate) enum Due {
    Nothing,
    Start,
    /// The run before is still on. `told` if that has been said of it.
    Skip {
        running: Duration,
        missed: u64,
        told: bool,
    },
}

/// What became of a run when its probe had ended.
pub(crate) enum Ended {
    /// None was on.
    NotOn,
    InTime {
        started: Duration,
    },
    /// Its time had passed, which nobody had noticed.
    Late {
        started: Duration,
        after: Duration,
    },
    /// It has been counted. `due` if the next waits for its end.
    Counted {
        due: bool,
    },
}

impl Polling {
    /// The first run is due at `first`.
    pub(crate) fn new(first: Duration, config: &CheckConfig, seed: u64) -> Self {
        Self {
            times: Times::of(config),
            pace: Pace::Steady,
            phase: Phase::Idle { due: first },
            last_start: None,
            random: seed,
            draw: 0,
        }
    }

    /// Begins a run, and gives the time that it may take.
    ///
    /// The next is due one interval after this start and not after the moment that was planned: a driver that woke a
    /// little late would otherwise find the run still on and skip the next.
    pub(crate) fn start(&mut self, now: Duration) -> Duration {
        self.draw = self.next_draw();
        self.last_start = Some(now);
        self.phase = Phase::Running {
            started: now,
            deadline: now.saturating_add(self.times.timeout),
            due: now.saturating_add(self.times.after(self.pace, self.draw)),
            skip_told: false,
        };
        self.times.timeout
    }

    /// Ends a run that has run out of time, and gives its start and the time that it had.
    pub(crate) fn handle_deadline(&mut self, now: Duration) -> Option<(Duration, Duration)> {
        match self.phase {
            Phase::Running {
                started,
                deadline,
                due,
                ..
            } if now >= deadline => {
                self.phase = Phase::Overdue {
                    started,
                    due: Some(due),
                };
                Some((started, deadline - started))
            }
            _ => None,
        }
    }

    /// Says what has fallen due.
    pub(crate) fn handle_due(&mut self, now: Duration) -> Due {
        let interval = self.times.interval_at(self.pace);
        match &mut self.phase {
            Phase::Idle { due } if now >= *due => Due::Start,
            Phase::Running {
                started,
                due,
                skip_told,
                ..
            } if now >= *due => {
                let missed = (now - *due).as_nanos() / interval.as_nanos() + 1;
                // More than u32::MAX intervals are at least 49 days of silence: from there it counts from `now`.
                *due = match u32::try_from(missed) {
                    Ok(missed) => due.saturating_add(interval.saturating_mul(missed)),
                    Err(_) => now.saturating_add(interval),
                };
                Due::Skip {
                    running: now.saturating_sub(*started),
                    missed: u64::try_from(missed).unwrap_or(u64::MAX),
                    told: core::mem::replace(skip_told, true),
                }
            }
            Phase::Overdue { due, .. } if due.is_some_and(|due| now >= due) => {
                *due = None;
                Due::Nothing
            }
            _ => Due::Nothing,
        }
    }

    /// Takes note that the probe has ended.
    pub(crate) fn handle_end(&mut self, now: Duration) -> Ended {
        match self.phase {
            Phase::Idle { .. } => Ended::NotOn,
            Phase::Running {
                started,
                deadline,
                due,
                ..
            } => {
                self.phase = Phase::Idle { due };
                if now > deadline {
                    let after = deadline - started;
                    Ended::Late { started, after }
                } else {
                    Ended::InTime { started }
                }
            }
            Phase::Overdue { due, .. } => {
                if let Some(due) = due {
                    self.phase = Phase::Idle { due };
                }
                Ended::Counted { due: due.is_none() }
            }
        }
    }

    /// Takes the interval that a result calls for. The next run then comes that long after the start of the last, or at
    /// once.
    pub(crate) fn set_pace(&mut self, now: Duration, state: &Hysteresis) {
        let pace = Pace::of(state);
        let before = self.times.after(self.pace, self.draw);
        self.pace = pace;
        let after = self.times.after(pace, self.draw);
        if before == after {
            return;
        }
        let due = (self.last_start.unwrap_or(now).saturating_add(after)).max(now);
        self.shift(|_| due);
    }

    /// Has the next run at once, but no sooner after the last start than the shortest interval.
    pub(crate) fn hasten(&mut self, now: Duration) {
        let soonest = self
            .last_start
            .map_or(now, |last| last.saturating_add(self.times.shortest()));
        if let Phase::Idle { due } = &mut self.phase {
            *due = (*due).min(soonest.max(now));
        }
    }

    /// Takes other times, and moves what is due; a first run that has not begun stays as it is.
    pub(crate) fn set_times(&mut self, now: Duration, config: &CheckConfig) {
        let old = self.times.after(self.pace, self.draw);
        self.times = Times::of(config);
        let new = self.times.after(self.pace, self.draw);
        if self.last_start.is_some() {
            self.shift(|due| (due.saturating_sub(old) + new).max(now));
        }
    }

    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.random = seed;
    }

    /// When something may fall due, or a run be out of time.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Idle { due } => Some(due),
            Phase::Running { deadline, due, .. } => Some(deadline.min(due)),
            Phase::Overdue { due, .. } => due,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.phase, Phase::Idle { .. })
    }

    fn shift(&mut self, to: impl Fn(Duration) -> Duration) {
        match &mut self.phase {
            Phase::Idle { due } | Phase::Running { due, .. } | Phase::Overdue { due: Some(due), .. } => {
                *due = to(*due);
            }
            Phase::Overdue { due: None, .. } => {}
        }
    }

    /// SplitMix64, of which the upper half is taken.
    fn next_draw(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 32) as u32
    }
}

impl Times {
    fn of(config: &CheckConfig) -> Self {
        Self {
            interval: config.interval(),
            fast_interval: config.fast_interval(),
            down_interval: config.down_interval(),
            timeout: config.timeout(),
            jitter_percent: config.jitter_percent(),
        }
    }

    fn interval_at(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Steady => self.interval,
            Pace::Fast => self.fast_interval,
            Pace::Down => self.down_interval,
        }
    }

    fn shortest(&self) -> Duration {
        self.interval.min(self.fast_interval).min(self.down_interval)
    }

    /// The interval with its jitter.
    fn after(&self, pace: Pace, draw: u32) -> Duration {
        let interval = self.interval_at(pace);
        if self.jitter_percent == 0 {
            return interval;
        }
        // A day has fewer than 2^47 nanoseconds, so nothing overflows.
        let nanos = interval.as_nanos() as u64;
        let span = nanos / 100 * u64::from(self.jitter_percent);
        let shift = (u128::from(2 * span) * u128::from(draw)) >> 32;
        Duration::from_nanos(nanos - span + shift as u64)
    }
}

impl Pace {
    fn of(state: &Hysteresis) -> Self {
        match (state.is_changing(), state.up()) {
            (true, _) => Self::Fast,
            (false, Some(false)) => Self::Down,
            (false, _) => Self::Steady,
        }
    }
}
