//! One check: when to run its probe, and what the results make of it.

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use crate::{CannotExecute, CheckConfig, Failure, Hysteresis, Outcome, Tracked};

/// One check as a sans-IO machine.
///
/// Feed it facts ([`handle_timeout`](Self::handle_timeout), [`handle_result`](Self::handle_result)), then drain
/// [`poll_output`](Self::poll_output), then come back at [`poll_timeout`](Self::poll_timeout). `now` is the time
/// since an epoch that the driver chose, and never runs backwards.
///
/// * The first run starts at once, each further one `interval` after the start of the one before.
/// * There is never a second run beside the first. A run that falls due meanwhile is skipped; if the run that is
///   still on has timed out, it is made up for as soon as that one has ended.
/// * When `timeout` passes, the run counts as failed, and what it may still report does not count. The machine
///   then waits for that report, since it must know that nothing is left running: the probe has to end by itself,
///   and every [`Output::Start`] has to be answered by one `handle_result`.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    config: CheckConfig,
    hysteresis: Hysteresis,
    phase: Phase,
    outputs: VecDeque<Output>,
    last: Option<Last>,
    counters: Counters,
    consecutive: u64,
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

/// The last run that was counted.
#[derive(Debug, Clone, PartialEq)]
struct Last {
    outcome: Outcome,
    ended: Duration,
    took: Duration,
}

/// What a check wants done or known.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Run the probe now; give its outcome to [`Check::handle_result`].
    Start {
        /// The time that the probe may take, the config's timeout.
        timeout: Duration,
    },
    /// The check went up or down, or reported for the first time.
    Changed {
        /// Whether it is up.
        up: bool,
        /// Whether it was neither before, so that this is its first result.
        first: bool,
        /// The result that decided it.
        outcome: Outcome,
    },
    /// The probe's script can't be executed, which counts as a failure, and is most likely an error of the
    /// set-up. Told once, and again only if the reason changes or the script could be executed in between.
    CannotExecute {
        /// The reason.
        reason: CannotExecute,
    },
    /// A run fell due while the one before was still on, and was skipped. Told once for that run.
    Skipped {
        /// How long the run before has been on.
        running: Duration,
    },
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { timeout } => write!(f, "start, timeout {timeout:?}"),
            Self::Changed { up, first, outcome } => {
                let state = if *up { "up" } else { "down" };
                let first = if *first { " at its first result" } else { "" };
                write!(f, "{state}{first}: {outcome}")
            }
            Self::CannotExecute { reason } => write!(f, "cannot be executed, counted as failed: {reason}"),
            Self::Skipped { running } => {
                write!(f, "skipped a run, the one before has been on for {running:?}")
            }
        }
    }
}

/// What a check has counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Runs started.
    pub runs: u64,
    /// Runs that succeeded.
    pub successes: u64,
    /// Runs that failed, for whatever reason.
    pub failures: u64,
    /// Runs that failed since they took too long; contained in `failures`.
    pub timeouts: u64,
    /// Runs that fell due while the one before was on, and were left out.
    pub skipped: u64,
    /// Changes between up and down. The first result is not one.
    pub transitions: u64,
}

impl Check {
    /// Makes a check whose first run is due at once.
    pub fn new(now: Duration, config: CheckConfig) -> Self {
        Self {
            hysteresis: Hysteresis::new(config.rise(), config.fall(), config.init_fail()),
            config,
            phase: Phase::Idle { due: now },
            // No input leaves more than three outputs.
            outputs: VecDeque::with_capacity(3),
            last: None,
            counters: Counters::default(),
            consecutive: 0,
        }
    }

    /// Says that time has come: starts the run that is due, and ends one that has run out of time. Early, late
    /// and spurious calls are harmless; however late, it starts one run and never a burst.
    pub fn handle_timeout(&mut self, now: Duration) {
        // The deadline first: a run that times out in the very moment in which the next falls due, which is so
        // by default, makes that one wait and not be skipped.
        if let Phase::Running {
            started,
            deadline,
            due,
            ..
        } = self.phase
        {
            if now >= deadline {
                self.phase = Phase::Overdue {
                    started,
                    due: Some(due),
                };
                let after = deadline - started;
                self.count(now, started, Failure::TimedOut { after }.into());
            }
        }
        match &mut self.phase {
            Phase::Idle { due } if now >= *due => self.start(now),
            Phase::Running {
                started,
                due,
                skip_told,
                ..
            } if now >= *due => {
                let interval = self.config.interval();
                let missed = (now - *due).as_nanos() / interval.as_nanos() + 1;
                // More than u32::MAX intervals are at least 49 days of silence: from there it counts from `now`.
                *due = match u32::try_from(missed) {
                    Ok(missed) => due.saturating_add(interval.saturating_mul(missed)),
                    Err(_) => now.saturating_add(interval),
                };
                self.counters.skipped += u64::try_from(missed).unwrap_or(u64::MAX);
                if !*skip_told {
                    *skip_told = true;
                    let running = now.saturating_sub(*started);
                    self.outputs.push_back(Output::Skipped { running });
                }
            }
            Phase::Overdue { due, .. } if due.is_some_and(|due| now >= due) => *due = None,
            _ => {}
        }
    }

    /// Takes the outcome of the run that was started last; its probe has ended. After the timeout it does not
    /// count any more, whatever it is. Ignored if no run is on.
    pub fn handle_result(&mut self, now: Duration, outcome: Outcome) {
        match self.phase {
            Phase::Idle { .. } => {}
            Phase::Running {
                started,
                deadline,
                due,
                ..
            } => {
                self.phase = Phase::Idle { due };
                let after = deadline - started;
                let late = now > deadline;
                self.count(
                    now,
                    started,
                    if late {
                        Failure::TimedOut { after }.into()
                    } else {
                        outcome
                    },
                );
            }
            Phase::Overdue { due: Some(due), .. } => self.phase = Phase::Idle { due },
            Phase::Overdue { due: None, .. } => self.start(now),
        }
    }

    /// Gives the next effect, in order; `None` once all have been given.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes new settings and keeps the state, the count and the run that is on, whose deadline stays as it was.
    /// The next run is due one new interval after the start of the last, or at once if that has passed.
    pub fn set_config(&mut self, now: Duration, config: CheckConfig) {
        self.hysteresis.set_thresholds(config.rise(), config.fall());
        let (old, new) = (self.config.interval(), config.interval());
        let shift = |due: &mut Duration| *due = (due.saturating_sub(old) + new).max(now);
        match &mut self.phase {
            // Nothing has run yet, and the first run is due already.
            Phase::Idle { .. } if self.counters.runs == 0 => {}
            Phase::Idle { due } | Phase::Running { due, .. } => shift(due),
            Phase::Overdue { due, .. } => {
                if let Some(due) = due {
                    shift(due);
                }
            }
        }
        self.config = config;
    }

    /// Says when to call [`handle_timeout`](Self::handle_timeout) next; `None` while all that can come is the end
    /// of a run.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Idle { due } => Some(due),
            Phase::Running { deadline, due, .. } => Some(deadline.min(due)),
            Phase::Overdue { due, .. } => due,
        }
    }

    /// Gives the settings.
    pub fn config(&self) -> &CheckConfig {
        &self.config
    }

    /// Names the check.
    pub fn name(&self) -> &str {
        self.config.name()
    }

    /// Says whether it is up; `None` before the first result. With `init_fail` it is down from the start.
    pub fn up(&self) -> Option<bool> {
        self.hysteresis.up()
    }

    /// Gives what [`effect`](crate::effect::effect) needs, with the config's weight and not reversed.
    pub fn tracked(&self) -> Tracked {
        Tracked::new(self.config.weight(), self.up())
    }

    /// Says whether a run is on.
    pub fn is_running(&self) -> bool {
        !matches!(self.phase, Phase::Idle { .. })
    }

    /// Gives the outcome of the last run that was counted.
    pub fn last_outcome(&self) -> Option<&Outcome> {
        self.last.as_ref().map(|last| &last.outcome)
    }

    /// Says how long the last run took until it was counted, at its end or when its time had passed.
    pub fn last_duration(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.took)
    }

    /// Says when the last run was counted, since the driver's epoch.
    pub fn last_ended(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.ended)
    }

    /// Gives the number of runs up to the last that succeeded in a row, or else failed in a row;
    /// [`last_outcome`](Self::last_outcome) says which.
    pub fn consecutive(&self) -> u64 {
        self.consecutive
    }

    /// Gives the counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Begins a run. The next is due one interval after this start and not after the moment that was planned: a
    /// driver that woke a little late would otherwise find the run still on and skip the next.
    fn start(&mut self, now: Duration) {
        let timeout = self.config.timeout();
        self.phase = Phase::Running {
            started: now,
            deadline: now.saturating_add(timeout),
            due: now.saturating_add(self.config.interval()),
            skip_told: false,
        };
        self.counters.runs += 1;
        self.outputs.push_back(Output::Start { timeout });
    }

    /// Counts one outcome.
    fn count(&mut self, now: Duration, started: Duration, outcome: Outcome) {
        let success = outcome.is_success();
        let counters = &mut self.counters;
        match outcome.failure() {
            None => counters.successes += 1,
            Some(failure) => {
                counters.failures += 1;
                counters.timeouts += u64::from(matches!(failure, Failure::TimedOut { .. }));
            }
        }

        let previous = self.last.as_ref().map(|last| &last.outcome);
        if let Some(Failure::CannotExecute(reason)) = outcome.failure() {
            if previous.and_then(Outcome::failure) != outcome.failure() {
                self.outputs.push_back(Output::CannotExecute { reason });
            }
        }
        let same = previous.is_some_and(|previous| previous.is_success() == success);
        self.consecutive = if same { self.consecutive + 1 } else { 1 };

        let first = self.hysteresis.up().is_none();
        if self.hysteresis.handle_result(success) {
            self.counters.transitions += u64::from(!first);
            self.outputs.push_back(Output::Changed {
                up: success,
                first,
                outcome: outcome.clone(),
            });
        }
        self.last = Some(Last {
            outcome,
            ended: now,
            took: now.saturating_sub(started),
        });
    }
}
