//! Processes by name, for `track_process`.

mod matcher;
mod quorum;
mod running;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Tell, Watch, WatchFuture};
use crate::Failure;
use matcher::Matcher;
use quorum::{Quorum, Thresholds};
use running::Running;

/// Watches how many processes of a name run, keepalived's `vrrp_track_process`.
///
/// A process that dies is seen at once, by a pidfd. New ones are found by looking through `/proc`, each `interval`, and
/// in quick succession after a death, so that a restart is seen soon. No privilege is needed, other than that `/proc`
/// must show the processes (mount option `hidepid`). Processes are counted, not threads; zombies don't count.
///
/// | setting | default | |
/// |---|---|---|
/// | `params`, `param_match`, `full_command` | none | see [`ParamMatch`] |
/// | `quorum` | 1 | fewer are a failure |
/// | `quorum_max` | none | more are a failure |
/// | `fork_delay` | 0 | how long a change by new processes must last |
/// | `terminate_delay` | 0 | how long a change by processes that ended must last |
/// | `interval` | 1 s | how often new processes are looked for |
///
/// With a `terminate_delay` a service may restart without being taken for dead; but its death is told only after that
/// time.
///
/// ```
/// use std::time::Duration;
/// use ha_health::probe::{ParamMatch, Process};
///
/// let nginx = Process::builder("nginx").quorum(2).terminate_delay(Duration::from_millis(200)).build()?;
/// assert_eq!(nginx.to_string(), "process nginx");
///
/// let worker = Process::builder("/usr/bin/worker")
///     .params(["--queue", "mail"])
///     .param_match(ParamMatch::Partial)
///     .build()?;
/// assert_eq!(worker.to_string(), "process /usr/bin/worker --queue mail");
/// # Ok::<(), ha_health::probe::ProcessError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    matcher: Matcher,
    thresholds: Thresholds,
    interval: Duration,
}

/// Which parameters a process must have, keepalived's `param_match`.
///
/// As soon as parameters matter, or with `full_command`, a process is known by the first word of its command line as it
/// was started, such as `/usr/sbin/haproxy`; otherwise by its name (`/proc/PID/comm`), such as `haproxy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamMatch {
    /// Any. The default without `params`.
    Any,
    /// The same parameters and no more; without `params` none. The default with `params`.
    Exact,
    /// The same parameters, and there may be more. Without `params` as [`Exact`](Self::Exact).
    Partial,
    /// As many parameters as given; they are the same, but the last may go on. Without `params` as
    /// [`Exact`](Self::Exact).
    Initial,
}

/// Collects what makes a [`Process`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ProcessBuilder {
    name: String,
    params: Vec<String>,
    param_match: Option<ParamMatch>,
    full_command: bool,
    quorum: Option<u32>,
    quorum_max: Option<u32>,
    fork_delay: Duration,
    terminate_delay: Duration,
    interval: Duration,
}

/// Why settings make no watch of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The name is empty.
    #[error("the name of a process is empty")]
    NameEmpty,
    /// A name or a parameter has a NUL, which no command line can hold.
    #[error("a NUL in the name or in a parameter of a process")]
    Nul,
    /// No process is needed, and any number may run: that never fails.
    #[error("quorum 0 never fails: set at least 1, or quorum_max 0 if none may run")]
    QuorumZero,
    /// More processes are needed than may run.
    #[error("quorum {quorum} is above quorum_max {most}: nothing can meet both")]
    QuorumAboveMax {
        /// How many are needed.
        quorum: u32,
        /// How many may run.
        most: u32,
    },
    /// A delay is longer than [`Process::MAX_DELAY`].
    #[error("delay {got:?} is out of range: 0 s to 3600 s")]
    DelayOutOfRange {
        /// The delay given.
        got: Duration,
    },
    /// The interval is outside of [`Process::MIN_INTERVAL`] to [`Process::MAX_INTERVAL`].
    #[error("interval {got:?} is out of range: 10 ms to 3600 s")]
    IntervalOutOfRange {
        /// The interval given.
        got: Duration,
    },
}

impl Process {
    /// The longest delay, one hour.
    pub const MAX_DELAY: Duration = Duration::from_secs(3600);
    /// The shortest interval, 10 ms: a look takes some 5 µs for each process of the machine.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(10);
    /// The longest interval, one hour.
    pub const MAX_INTERVAL: Duration = Duration::from_secs(3600);
    /// The default interval, 1 s.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
    /// The first look after a death that matters; the time to the next doubles each time, up to the interval.
    const FIRST_LOOK: Duration = Duration::from_millis(5);
    /// A look may take one part in so many of the time, however many processes there are.
    const SHARE: u32 = 10;

    /// Begins with the name of the processes: that in `/proc/PID/comm`, whose 15 bytes are all that the kernel keeps of
    /// longer ones, or the first word of the command line; [`ParamMatch`] says when.
    pub fn builder(name: impl Into<String>) -> ProcessBuilder {
        ProcessBuilder {
            name: name.into(),
            params: Vec::new(),
            param_match: None,
            full_command: false,
            quorum: None,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            interval: Self::DEFAULT_INTERVAL,
        }
    }

    async fn run(&self, tell: Tell<'_>) -> Failure {
        let epoch = Instant::now();
        let mut running = Running::default();
        let mut look_in = self.interval;
        let mut look_at = match self.look(&mut running, look_in).await {
            Ok(next) => next,
            Err(error) => return super::cannot_watch(&error),
        };
        let mut quorum = Quorum::new(self.thresholds, running.count());
        loop {
            tell(quorum.outcome());
            // 1. Wait for a death, the next look, or the end of a delay.
            let delay = quorum.poll_timeout().map(|at| epoch + at);
            let wake = delay.map_or(look_at, |at| at.min(look_at));
            let died = tokio::select! {
                biased;
                () = running.died() => true,
                () = sleep_until(wake) => false,
            };
            // 2. Find out how many there are.
            if !died && Instant::now() >= look_at {
                look_in = (look_in * 2).min(self.interval);
                look_at = match self.look(&mut running, look_in).await {
                    Ok(next) => next,
                    Err(error) => return super::cannot_watch(&error),
                };
            }
            // 3. Let the quorum decide; the loop tells and arms the timer anew.
            quorum.handle_count(epoch.elapsed(), running.count());
            quorum.handle_timeout(epoch.elapsed());
            // Where processes come and go and enough are left, there is nothing to look for so soon.
            if died && !(quorum.is_met() && running.all_held()) {
                look_in = Self::FIRST_LOOK.min(self.interval);
                look_at = look_at.min(Instant::now() + look_in);
            }
        }
    }

    /// Looks for processes, and says when to look again: after `pause`, or later if it took long.
    async fn look(&self, running: &mut Running, pause: Duration) -> std::io::Result<Instant> {
        let began = Instant::now();
        running.look(&self.matcher).await?;
        let ended = Instant::now();
        Ok(ended + pause.max((ended - began) * Self::SHARE))
    }
}

impl ProcessBuilder {
    /// Sets the parameters, without the name. Default none.
    pub fn params<P: Into<String>>(mut self, params: impl IntoIterator<Item = P>) -> Self {
        self.params = params.into_iter().map(Into::into).collect();
        self
    }

    /// Sets which parameters a process must have. Default [`ParamMatch::Any`] without `params`, and
    /// [`ParamMatch::Exact`] with them.
    pub fn param_match(mut self, param_match: ParamMatch) -> Self {
        self.param_match = Some(param_match);
        self
    }

    /// Knows processes by the first word of their command line and not by their name. Default no.
    pub fn full_command(mut self, full_command: bool) -> Self {
        self.full_command = full_command;
        self
    }

    /// Sets how many processes are needed. Default 1; 0 if `quorum_max` is 0.
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorum = Some(quorum);
        self
    }

    /// Sets how many processes may run; 0 makes it a failure that one runs. Default: any number.
    pub fn quorum_max(mut self, most: u32) -> Self {
        self.quorum_max = Some(most);
        self
    }

    /// Sets both delays.
    pub fn delay(self, delay: Duration) -> Self {
        self.fork_delay(delay).terminate_delay(delay)
    }

    /// Sets how long a change that new processes made must last before it is told. Default 0.
    pub fn fork_delay(mut self, delay: Duration) -> Self {
        self.fork_delay = delay;
        self
    }

    /// Sets how long a change that the end of processes made must last before it is told. Default 0.
    pub fn terminate_delay(mut self, delay: Duration) -> Self {
        self.terminate_delay = delay;
        self
    }

    /// Sets how often new processes are looked for. Default 1 s. A death needs no look.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// See [`ProcessError`].
    pub fn build(self) -> Result<Process, ProcessError> {
        if self.name.is_empty() {
            return Err(ProcessError::NameEmpty);
        }
        if self.name.contains('\0') || self.params.iter().any(|param| param.contains('\0')) {
            return Err(ProcessError::Nul);
        }
        let quorum = self.quorum.unwrap_or(u32::from(self.quorum_max != Some(0)));
        match self.quorum_max {
            None if quorum == 0 => return Err(ProcessError::QuorumZero),
            Some(most) if quorum > most => return Err(ProcessError::QuorumAboveMax { quorum, most }),
            _ => {}
        }
        for got in [self.fork_delay, self.terminate_delay] {
            if got > Process::MAX_DELAY {
                return Err(ProcessError::DelayOutOfRange { got });
            }
        }
        if !(Process::MIN_INTERVAL..=Process::MAX_INTERVAL).contains(&self.interval) {
            return Err(ProcessError::IntervalOutOfRange { got: self.interval });
        }
        Ok(Process {
            matcher: Matcher::new(self.name, self.params, self.param_match, self.full_command),
            thresholds: Thresholds {
                quorum,
                most: self.quorum_max.unwrap_or(u32::MAX),
                fork_delay: self.fork_delay,
                terminate_delay: self.terminate_delay,
            },
            interval: self.interval,
        })
    }
}

impl Watch for Process {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        Box::pin(self.run(tell))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.matcher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_invalid_setting_has_its_own_error() {
        let builder = || Process::builder("a");
        let hour = Duration::from_secs(3600);
        let above = hour + Duration::from_nanos(1);
        let below = Duration::from_micros(9999);
        let cases = [
            (Process::builder(""), ProcessError::NameEmpty),
            (Process::builder("a\0b"), ProcessError::Nul),
            (builder().params(["a\0"]), ProcessError::Nul),
            (builder().quorum(0), ProcessError::QuorumZero),
            (
                builder().quorum(3).quorum_max(2),
                ProcessError::QuorumAboveMax { quorum: 3, most: 2 },
            ),
            (
                builder().delay(above),
                ProcessError::DelayOutOfRange { got: above },
            ),
            (
                builder().terminate_delay(above),
                ProcessError::DelayOutOfRange { got: above },
            ),
            (
                builder().interval(below),
                ProcessError::IntervalOutOfRange { got: below },
            ),
            (
                builder().interval(above),
                ProcessError::IntervalOutOfRange { got: above },
            ),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build(), Err(error));
        }
        assert!(
            builder()
                .delay(hour)
                .interval(hour)
                .quorum(u32::MAX)
                .build()
                .is_ok()
        );
        assert!(builder().quorum_max(0).build().is_ok());
    }
}
