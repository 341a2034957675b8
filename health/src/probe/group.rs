//! A process and its process group.

use core::time::Duration;
use std::io;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// A child that leads a process group of its own. Unless it has been waited for, dropping it kills the group.
///
/// A group may be signalled only while its leader has not been reaped. Until then the leader, at least as
/// a zombie, holds the number of the group; afterwards it may belong to somebody else.
#[derive(Debug)]
pub(super) struct Group {
    leader: Child,
    /// `None` once the leader has been reaped.
    id: Option<Pid>,
}

impl Group {
    /// Between two looks at a group that has been told to end.
    const POLL: Duration = Duration::from_millis(5);

    /// Starts `command`, which has been given a process group of its own.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        // tokio then kills the leader when it is dropped, and reaps it in the background.
        let leader = command.kill_on_drop(true).spawn()?;
        let id = leader
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Self { leader, id })
    }

    /// Waits for the leader to end. What else is in the group then goes on.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.leader.wait().await;
        self.id = None;
        status
    }

    /// Ends the group: SIGTERM to all, and SIGKILL to what is left once the leader has ended, or after `grace`.
    pub(super) async fn terminate(&mut self, grace: Duration) {
        self.signal(Signal::SIGTERM);
        // A stopped process takes no SIGTERM.
        self.signal(Signal::SIGCONT);
        let deadline = Instant::now() + grace;
        while !self.leader_has_ended() && Instant::now() < deadline {
            tokio::time::sleep(Self::POLL).await;
        }
        self.signal(Signal::SIGKILL);
        // An error means that there is no such child any more, which is as well.
        let _ = self.wait().await;
    }

    /// Looks without reaping.
    fn leader_has_ended(&self) -> bool {
        let Some(id) = self.id else { return true };
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive))
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // ESRCH: all have ended. EPERM: all have another user by now, and we are not root.
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
