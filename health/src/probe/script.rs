//! A script, or any program: exit status 0 is success.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use nix::errno::Errno;
use nix::unistd::Uid;
use tokio::process::Command;
use tokio::time::Instant;

use super::capture::Capture;
use super::group::Group;
use super::{Probe, ProbeFuture, User, security, words};
use crate::{CannotExecute, Failure, Outcome};

/// Runs a program and succeeds if it ends with exit status 0 in time.
///
/// * It runs in a process group of its own, with stdin at `/dev/null`, and without a shell unless it is made by
///   [`shell`](Self::shell). A program without a slash is looked up in `PATH`.
/// * stdout and stderr are read as one stream, and its last line becomes the outcome's message, cut to
///   [`MAX_MESSAGE`](Self::MAX_MESSAGE) bytes.
/// * At the timeout the whole group gets SIGTERM. Once the program has ended, or 2 s later at the latest
///   ([`TERM_GRACE`](Self::TERM_GRACE)), what is left of the group gets SIGKILL, and then the run ends. So at
///   the end of a run that timed out nothing of the group is left, and a run may take that long beyond its
///   timeout. keepalived waits for the program and not for its children, and sends SIGKILL after 2 s as well.
/// * Dropping the future kills the group with SIGKILL.
/// * What a program leaves in the background when it ends by itself is left alone, as keepalived does: a check may
///   start a daemon.
/// * What can't be executed has failed with [`Failure::CannotExecute`], and so has an exit status of 126 or 127,
///   by which a shell says the same.
///
/// ```
/// use ha_health::probe::Script;
///
/// let probe = Script::from_words("/usr/bin/killall -0 'nginx'")?;
/// assert_eq!(probe.program(), "/usr/bin/killall");
/// assert!(Script::from_words("killall -0 'nginx").is_err());
/// # Ok::<(), ha_health::probe::ScriptError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Script {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    user: Option<User>,
    secure: bool,
    shell: bool,
}

/// Why there is no program to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// There is no word at all, or the first one is empty.
    #[error("a script needs the name of a program")]
    Empty,
    /// A quote is not closed.
    #[error("quote at byte {at} is not closed")]
    OpenQuote {
        /// Byte offset of the quote.
        at: usize,
    },
    /// A backslash has nothing after it.
    #[error("backslash at byte {at} protects nothing")]
    OpenEscape {
        /// Byte offset of the backslash.
        at: usize,
    },
}

impl Script {
    /// How long a group has between SIGTERM and SIGKILL: 2 s, as with keepalived.
    pub const TERM_GRACE: Duration = Duration::from_secs(2);
    /// The longest message taken from the output, in bytes.
    pub const MAX_MESSAGE: usize = 200;

    /// Makes a probe of a program and its arguments, without its name.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Empty`] if `program` is empty.
    pub fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, ScriptError> {
        let program = program.into();
        if program.is_empty() {
            return Err(ScriptError::Empty);
        }
        let args = args.into_iter().map(Into::into).collect();
        Ok(Self {
            program,
            args,
            env: Vec::new(),
            user: None,
            secure: false,
            shell: false,
        })
    }

    /// Makes a probe of a command line, split into words as a shell splits it: blanks, `'…'`, `"…"` and backslash.
    /// Nothing is expanded, and no shell is started.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] if there is no word, or a quote or a backslash is left open.
    pub fn from_words(line: &str) -> Result<Self, ScriptError> {
        let mut words = words::split(line)?.into_iter();
        let program = words.next().ok_or(ScriptError::Empty)?;
        Self::new(program, words)
    }

    /// Makes a probe of a command line that `/bin/sh -c` runs, with all that a shell can do.
    pub fn shell(line: impl Into<OsString>) -> Self {
        let args = Vec::from([OsString::from("-c"), line.into()]);
        Self {
            program: OsString::from("/bin/sh"),
            args,
            env: Vec::new(),
            user: None,
            secure: false,
            shell: true,
        }
    }

    /// Sets a variable of its environment, which is ours otherwise.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds an argument behind those that it has.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs it as another user and group, without supplementary groups (keepalived's `user`). If they are not ours we
    /// must be root; otherwise each run fails with [`CannotExecute::PermissionDenied`].
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// Refuses to run it as root if others than root can change it, or a folder or a link on the way to it
    /// (keepalived's `enable_script_security`). It then fails with [`CannotExecute::Exposed`], and its message says what
    /// can be changed by whom. Of a line for a shell the program that it begins with is looked at too, if it says where
    /// it is. Default no.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Gives the program.
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// Gives the arguments, without the program.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).process_group(0);
        if let Some(user) = self.user.filter(|user| !user.is_ours()) {
            command.uid(user.uid()).gid(user.gid());
        }
        command
    }

    /// Says what is wrong with running it as the user that it would run as.
    fn exposed(&self) -> Option<security::Exposed> {
        let uid = self.user.map_or_else(|| Uid::effective().as_raw(), User::uid);
        if !self.secure || uid != 0 {
            return None;
        }
        let line = self.args.get(1).filter(|_| self.shell);
        let begins_with = line.and_then(|line| security::program_of_line(line));
        security::check(&self.program)
            .and_then(|()| begins_with.map_or(Ok(()), |program| security::check(program.as_ref())))
            .err()
    }

    async fn run(&self, timeout: Duration) -> Outcome {
        if let Some(exposed) = self.exposed() {
            return Outcome::failed(Failure::CannotExecute(CannotExecute::Exposed))
                .with_message(alloc::format!("{exposed}"));
        }
        let deadline = Instant::now() + timeout;
        let mut command = self.command();
        let started = Capture::attach(&mut command)
            .and_then(|capture| Ok((Group::spawn(&mut command)?, capture)))
            // The command holds the writing end of the pipe as well; without it, the end of the output shows.
            .inspect(|_| drop(command));
        let (mut group, mut capture) = match started {
            Ok(started) => started,
            Err(error) => return Failure::CannotExecute(cannot_execute(&error)).into(),
        };

        let failure = tokio::select! {
            ended = capture.read_during(group.wait()) => match ended {
                Ok(status) => failure_of(status),
                Err(error) => Some(Failure::CannotExecute(cannot_execute(&error))),
            },
            () = tokio::time::sleep_until(deadline) => {
                capture.read_during(group.terminate(Self::TERM_GRACE)).await;
                Some(Failure::TimedOut { after: timeout })
            }
        };
        failure
            .map_or_else(Outcome::success, Outcome::failed)
            .with_message(capture.into_last_line())
    }
}

impl Probe for Script {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(self.run(timeout))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script {}", self.program.to_string_lossy())?;
        self.args
            .iter()
            .try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// Reads an exit status. keepalived takes 126 and 127 for success.
fn failure_of(status: ExitStatus) -> Option<Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code @ (126 | 127)), _) => Some(Failure::CannotExecute(CannotExecute::Shell { code })),
        (Some(code), _) => Some(Failure::Exit { code }),
        (None, signal) => Some(Failure::Signal {
            signal: signal.unwrap_or(0),
        }),
    }
}

fn cannot_execute(error: &io::Error) -> CannotExecute {
    let errno = error.raw_os_error().unwrap_or(0);
    match Errno::from_raw(errno) {
        Errno::ENOENT | Errno::ENOTDIR => CannotExecute::NotFound,
        Errno::EACCES | Errno::EPERM => CannotExecute::PermissionDenied,
        Errno::ENOEXEC => CannotExecute::Format,
        _ => CannotExecute::Os { errno },
    }
}
