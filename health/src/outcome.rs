//! What one run of a probe found, and why it failed.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

/// The result of one run: success, or the reason why not; and what the target said, in its own words.
///
/// ```
/// use ha_health::{Failure, Outcome};
///
/// let outcome = Outcome::from(Failure::Exit { code: 2 }).with_message("CRITICAL: 3 workers of 4");
/// assert_eq!(outcome.to_string(), "exit status 2: CRITICAL: 3 workers of 4");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outcome {
    failure: Option<Failure>,
    value: Option<i32>,
    message: Option<Box<str>>,
}

impl Outcome {
    /// Makes a success.
    pub const fn success() -> Self {
        Self {
            failure: None,
            value: None,
            message: None,
        }
    }

    /// Makes a failure; the same as `Outcome::from(failure)`.
    pub const fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            value: None,
            message: None,
        }
    }

    /// Adds what the target said, for a person to read: the last line of a script's output, a status line. An
    /// empty message is none.
    pub fn with_message(mut self, message: impl Into<Box<str>>) -> Self {
        self.message = Some(message.into()).filter(|message| !message.is_empty());
        self
    }

    /// Adds the number that was found. Whatever else the outcome says, the number decides what a check does: a
    /// failure with a number is one that leaves the last number standing.
    pub fn with_value(mut self, value: i32) -> Self {
        self.value = Some(value);
        self
    }

    /// Says whether the run succeeded.
    pub fn is_success(&self) -> bool {
        self.failure.is_none()
    }

    /// Gives the reason of a failure.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Gives the number that was found, or that stands after a failure to find one.
    pub fn value(&self) -> Option<i32> {
        self.value
    }

    /// Gives what the target said.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::failed(failure)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.failure, self.value) {
            (None, None) => f.write_str("ok")?,
            (None, Some(value)) => write!(f, "value {value}")?,
            (Some(failure), None) => failure.fmt(f)?,
            (Some(failure), Some(value)) => write!(f, "{failure}, value {value} stands")?,
        }
        match &self.message {
            None => Ok(()),
            Some(message) => write!(f, ": {message}"),
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The script could not be executed at all. An error of the set-up rather than of what it checks, so it has
    /// an output of its own too, [`Output::CannotExecute`](crate::Output::CannotExecute).
    #[error("cannot be executed: {0}")]
    CannotExecute(CannotExecute),
    /// The script ended with a status other than 0.
    #[error("exit status {code}")]
    Exit {
        /// Its exit status, 1 to 255 without 126 and 127.
        code: i32,
    },
    /// The script was killed by a signal.
    #[error("killed by signal {signal}")]
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The run took longer than the timeout.
    #[error("timed out after {after:?}")]
    TimedOut {
        /// The timeout.
        after: Duration,
    },
    /// The connection was refused: nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No connection could be made, for another reason than refusal.
    #[error("cannot connect: OS error {errno}")]
    Connect {
        /// The error number of the operating system; 0 if it gave none.
        errno: i32,
    },
    /// The peer closed or reset the connection before its answer was whole.
    #[error("connection closed before the answer was complete")]
    Closed,
    /// What came was not HTTP.
    #[error("answer is not HTTP")]
    NotHttp,
    /// The answer had another status than expected.
    #[error("unexpected status {status}")]
    Status {
        /// The status that came.
        status: u16,
    },
    /// The body, as far as it was read, did not hold the text that was expected.
    #[error("expected text not in the first {read} bytes of the body")]
    BodyMismatch {
        /// How much of the body was searched, in bytes.
        read: usize,
    },
    /// Fewer processes run than are needed.
    #[error("{found} of at least {quorum} processes")]
    TooFew {
        /// How many run.
        found: u32,
        /// How many are needed.
        quorum: u32,
    },
    /// More processes run than may.
    #[error("{found} processes, and at most {most} may run")]
    TooMany {
        /// How many run.
        found: u32,
        /// How many may run.
        most: u32,
    },
    /// A file that should hold a number holds something else.
    #[error("no number from -2147483648 to 2147483647")]
    NotANumber,
    /// A file can't be read or watched.
    #[error("cannot read: OS error {errno}")]
    Unreadable {
        /// The error number of the operating system; 0 if it gave none.
        errno: i32,
    },
    /// There is no interface of that name.
    #[error("no such interface")]
    NoInterface,
    /// The interface is set down.
    #[error("interface is down")]
    InterfaceDown,
    /// The interface has no carrier.
    #[error("no carrier")]
    NoCarrier,
    /// What tells of changes can't be had from the operating system.
    #[error("cannot watch: OS error {errno}")]
    CannotWatch {
        /// The error number of the operating system; 0 if it gave none.
        errno: i32,
    },
    /// The probe itself broke off without an outcome (it panicked, or its task was aborted).
    #[error("probe broke off")]
    Aborted,
    /// A probe of your own found a reason of its own; details go to the outcome's message.
    #[error("{0}")]
    Other(&'static str),
}

/// Why a script could not be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CannotExecute {
    /// The file, or the interpreter that it names, does not exist (ENOENT).
    #[error("no such file, or no such interpreter")]
    NotFound,
    /// The file is not executable, or a folder of its path is closed to us (EACCES, EPERM).
    #[error("permission denied")]
    PermissionDenied,
    /// The file is neither a program for this machine nor a script with a `#!` line (ENOEXEC).
    #[error("not a program, and no #! line")]
    Format,
    /// A shell answered 126 (found, but cannot execute) or 127 (not found).
    #[error("shell answered {code} ({})", if *.code == 127 { "command not found" } else { "command cannot execute" })]
    Shell {
        /// 126 or 127.
        code: i32,
    },
    /// Root would run what others than root can change; the outcome's message says what.
    #[error("others than root can change what root would run")]
    Exposed,
    /// The operating system refused for another reason: no memory, too many processes.
    #[error("OS error {errno}")]
    Os {
        /// The error number of the operating system; 0 if it gave none.
        errno: i32,
    },
}
