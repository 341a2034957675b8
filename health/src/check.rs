//! One check: when to run its probe, and what the results make of it.

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use crate::polling::{Due, Ended, Polling};
use crate::{CannotExecute, CheckConfig, Failure, Hysteresis, Outcome, Tracked, WatchConfig};

/// One check as a sans-IO machine: one that runs a probe at intervals, or one that is watched
/// ([`watched`](Self::watched)).
///
/// Feed it facts ([`handle_timeout`](Self::handle_timeout), [`handle_result`](Self::handle_result)), then drain
/// [`poll_output`](Self::poll_output), then come back at [`poll_timeout`](Self::poll_timeout). `now` is the time
/// since an epoch that the driver chose, and never runs backwards.
///
/// * The first run starts at once, each further one `interval` after the start of the one before; `fast_interval` while
///   a count is under way that may change the check, and `down_interval` while it is down otherwise.
/// * There is never a second run beside the first. A run that falls due meanwhile is skipped; if the run that is
///   still on has timed out, it is made up for as soon as that one has ended.
/// * When `timeout` passes, the run counts as failed, and what it may still report does not count. The machine
///   then waits for that report, since it must know that nothing is left running: the probe has to end by itself,
///   and every [`Output::Start`] has to be answered by one `handle_result`.
/// * A check that is watched starts nothing and has no timer. It counts each result that it is told, at any time.
/// * A result with a [value](Outcome::value) counts at once, whatever `rise` and `fall` are. The check is up unless
///   that value with the check's own weight is a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    config: WatchConfig,
    /// `None` if it is watched.
    polling: Option<Polling>,
    hysteresis: Hysteresis,
    /// The number that the last result had.
    value: Option<i32>,
    outputs: VecDeque<Output>,
    last: Option<Last>,
    /// When `up` last changed, or was first known.
    changed: Option<Duration>,
    counters: Counters,
    consecutive: u64,
}

/// The last run that was counted.
#[derive(Debug, Clone, PartialEq)]
struct Last {
    outcome: Outcome,
    ended: Duration,
    /// `None` if nothing ran: the result came by itself.
    took: Option<Duration>,
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
    /// The check went up or down, has another value, or reported for the first time.
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
    /// Runs started; of a check that is watched, results told.
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
    /// Makes a check whose first run is due at `first`: the time that it is for one that shall run at once, or later to
    /// spread the first runs of many checks.
    pub fn new(first: Duration, config: CheckConfig) -> Self {
        let polling = Polling::new(first, &config, seed_of(config.name()));
        Self::with(config.into_counting(), Some(polling))
    }

    /// Sets where the sequence of its jitter begins. By default the name decides: two hosts with the same config then ask
    /// in the same rhythm, and in step if they were started together.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        if let Some(polling) = &mut self.polling {
            polling.set_seed(seed);
        }
        self
    }

    /// Makes a check that is told its results.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ha_health::{Check, Failure, Output, WatchConfig};
    ///
    /// let mut check = Check::watched(WatchConfig::builder("proxy").build()?);
    /// assert_eq!(check.poll_timeout(), None);
    /// check.handle_result(Duration::ZERO, Failure::TooFew { found: 0, quorum: 1 }.into());
    /// assert!(matches!(check.poll_output(), Some(Output::Changed { up: false, first: true, .. })));
    /// # Ok::<(), ha_health::ConfigError>(())
    /// ```
    pub fn watched(config: WatchConfig) -> Self {
        Self::with(config, None)
    }

    fn with(config: WatchConfig, polling: Option<Polling>) -> Self {
        Self {
            hysteresis: Hysteresis::new(config.rise(), config.fall(), config.init_fail()),
            config,
            polling,
            value: None,
            // No input leaves more than three outputs.
            outputs: VecDeque::with_capacity(3),
            last: None,
            changed: None,
            counters: Counters::default(),
            consecutive: 0,
        }
    }

    /// Says that time has come: starts the run that is due, and ends one that has run out of time. Early, late
    /// and spurious calls are harmless; however late, it starts one run and never a burst.
    pub fn handle_timeout(&mut self, now: Duration) {
        // The deadline first: a run that times out in the very moment in which the next falls due, which is so
        // by default, makes that one wait and not be skipped.
        let Some(polling) = &mut self.polling else { return };
        if let Some((started, after)) = polling.handle_deadline(now) {
            self.count(now, Some(started), Failure::TimedOut { after }.into());
        }
        let Some(polling) = &mut self.polling else { return };
        match polling.handle_due(now) {
            Due::Nothing => {}
            Due::Start => self.start(now),
            Due::Skip {
                running,
                missed,
                told,
            } => {
                self.counters.skipped += missed;
                if !told {
                    self.outputs.push_back(Output::Skipped { running });
                }
            }
        }
    }

    /// Takes the outcome of the run that was started last; its probe has ended. After the timeout it does not
    /// count any more, whatever it is. Ignored if no run is on. A check that is watched takes any.
    pub fn handle_result(&mut self, now: Duration, outcome: Outcome) {
        let Some(polling) = &mut self.polling else {
            self.counters.runs += 1;
            self.count(now, None, outcome);
            return;
        };
        match polling.handle_end(now) {
            Ended::NotOn | Ended::Counted { due: false } => {}
            Ended::InTime { started } => self.count(now, Some(started), outcome),
            Ended::Late { started, after } => {
                self.count(now, Some(started), Failure::TimedOut { after }.into());
            }
            Ended::Counted { due: true } => self.start(now),
        }
    }

    /// Takes note that something else has found reason for doubt, such as requests that failed: the next run is due at
    /// once, but no sooner after the start of the last than the shortest of the intervals, however often this is said.
    /// Nothing happens while a run is on, or if the check is watched.
    pub fn handle_suspicion(&mut self, now: Duration) {
        if let Some(polling) = &mut self.polling {
            polling.hasten(now);
        }
    }

    /// Gives the next effect, in order; `None` once all have been given.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes new settings and keeps the state, the count and the run that is on, whose deadline stays as it was.
    /// The next run is due one new interval after the start of the last, or at once if that has passed or nothing
    /// has run yet: a check that was watched becomes one that runs a probe.
    pub fn set_config(&mut self, now: Duration, config: CheckConfig) {
        match &mut self.polling {
            Some(polling) => polling.set_times(now, &config),
            None => self.polling = Some(Polling::new(now, &config, seed_of(config.name()))),
        }
        self.set_counting(config.into_counting());
    }

    /// Takes new settings and keeps the state and the count. A check that ran a probe becomes one that is watched;
    /// what a run that is on reports counts as told.
    pub fn set_watch_config(&mut self, config: WatchConfig) {
        self.polling = None;
        self.set_counting(config);
    }

    fn set_counting(&mut self, config: WatchConfig) {
        self.hysteresis.set_thresholds(config.rise(), config.fall());
        self.config = config;
    }

    /// Says when to call [`handle_timeout`](Self::handle_timeout) next; `None` while all that can come is the end
    /// of a run, or a result that comes by itself.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.polling?.poll_timeout()
    }

    /// Names the check.
    pub fn name(&self) -> &str {
        self.config.name()
    }

    /// Says whether it is up; `None` before the first result. With `init_fail` it is down from the start.
    pub fn up(&self) -> Option<bool> {
        match self.value {
            Some(value) => Some(self.config.weight().of_value(value, false).is_some()),
            None => self.hysteresis.up(),
        }
    }

    /// Gives the number that the last result had, if it had one.
    pub fn value(&self) -> Option<i32> {
        self.value
    }

    /// Gives what [`effect`](crate::effect::effect) needs, with the config's weight and not reversed.
    pub fn tracked(&self) -> Tracked {
        Tracked {
            value: self.value,
            ..Tracked::new(self.config.weight(), self.up())
        }
    }

    /// Says whether it is watched, and so neither runs a probe nor has a timer.
    pub fn is_watched(&self) -> bool {
        self.polling.is_none()
    }

    /// Says whether a run is on.
    pub fn is_running(&self) -> bool {
        self.polling.is_some_and(|polling| polling.is_running())
    }

    /// Gives the outcome of the last run that was counted.
    pub fn last_outcome(&self) -> Option<&Outcome> {
        self.last.as_ref().map(|last| &last.outcome)
    }

    /// Says how long the last run took until it was counted, at its end or when its time had passed. A result that
    /// was told took no time.
    pub fn last_duration(&self) -> Option<Duration> {
        self.last.as_ref()?.took
    }

    /// Says when the last run was counted, since the driver's epoch.
    pub fn last_ended(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.ended)
    }

    /// Says when the check last came up or went down, since the driver's epoch; `None` before its first result.
    pub fn last_changed(&self) -> Option<Duration> {
        self.changed
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

    fn start(&mut self, now: Duration) {
        let Some(polling) = &mut self.polling else { return };
        let timeout = polling.start(now);
        self.counters.runs += 1;
        self.outputs.push_back(Output::Start { timeout });
    }

    /// Counts one outcome.
    fn count(&mut self, now: Duration, started: Option<Duration>, outcome: Outcome) {
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

        let before = (self.up(), self.value);
        if outcome.value().is_none() {
            self.hysteresis.handle_result(success);
        }
        self.value = outcome.value();
        let after = (self.up(), self.value);
        if let Some(up) = after.0.filter(|_| after != before) {
            let first = before.0.is_none();
            if before.0 != after.0 || self.changed.is_none() {
                self.changed = Some(now);
            }
            self.counters.transitions += u64::from(!first && before.0 != after.0);
            self.outputs.push_back(Output::Changed {
                up,
                first,
                outcome: outcome.clone(),
            });
        }
        self.last = Some(Last {
            outcome,
            ended: now,
            took: started.map(|started| now.saturating_sub(started)),
        });
        if let Some(polling) = &mut self.polling {
            polling.set_pace(now, &self.hysteresis);
        }
    }
}

impl From<CheckConfig> for Check {
    /// Makes a check whose first run is due at once, at the start of the driver's epoch.
    fn from(config: CheckConfig) -> Self {
        Self::new(Duration::ZERO, config)
    }
}

impl From<WatchConfig> for Check {
    fn from(config: WatchConfig) -> Self {
        Self::watched(config)
    }
}

/// FNV-1a: names that differ in one letter give sequences that have nothing in common.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
