//! The processes that run, each held by a pidfd that tells its end.

use alloc::collections::BTreeMap;
use core::task::Poll;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use super::super::descriptor;
use super::matcher::Matcher;

/// Most processes that are held by a pidfd: descriptors are few. The end of more is seen at the next look.
const MAX_HELD: usize = 128;
/// After so many processes a look lets others run: some 300 µs.
const STEP: usize = 64;

/// Processes that run. While a pidfd is not readable its process id belongs to that process.
#[derive(Debug, Default)]
pub(super) struct Running {
    processes: BTreeMap<i32, Option<AsyncFd<OwnedFd>>>,
}

impl Running {
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.processes.len()).unwrap_or(u32::MAX)
    }

    /// Whether the end of each would be seen.
    pub(super) fn all_held(&self) -> bool {
        self.processes.values().all(Option::is_some)
    }

    /// Waits until one that is held has ended, and forgets all that have.
    pub(super) async fn died(&mut self) {
        core::future::poll_fn(|context| {
            let before = self.processes.len();
            self.processes.retain(|_, pidfd| {
                pidfd
                    .as_ref()
                    .is_none_or(|pidfd| pidfd.poll_read_ready(context).is_pending())
            });
            if self.processes.len() < before {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Looks through all processes for those that are meant.
    pub(super) async fn look(&mut self, matcher: &Matcher) -> io::Result<()> {
        let mut found = BTreeMap::new();
        let mut held = 0;
        for (index, entry) in std::fs::read_dir("/proc")?.enumerate() {
            if index % STEP == STEP - 1 {
                tokio::task::yield_now().await;
            }
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            // What is no process, and threads, which are not listed, don't count.
            let Some(pid) = pid else { continue };
            if !matcher.matches(pid) {
                continue;
            }
            let known = self.processes.remove(&pid).flatten();
            let process = match known.filter(is_running) {
                Some(pidfd) => Some(pidfd),
                None => match hold(pid, matcher) {
                    Ok(Some(pidfd)) if held < MAX_HELD => descriptor::readable(pidfd).ok(),
                    Ok(None) => continue,
                    // Out of descriptors: it was there a moment ago, and is looked for again.
                    Ok(Some(_)) | Err(_) => None,
                },
            };
            held += usize::from(process.is_some());
            found.insert(pid, process);
        }
        self.processes = found;
        Ok(())
    }
}

/// Opens a pidfd; `None` if the process has ended, is a zombie, or was another by the time it was opened.
fn hold(pid: i32, matcher: &Matcher) -> io::Result<Option<OwnedFd>> {
    let Some(raw) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok((matcher.matches(pid) && is_running(&pidfd)).then_some(pidfd))
}

/// A pidfd is readable as soon as its process has ended, all threads of it; also while it is a zombie.
fn is_running(pidfd: &impl std::os::fd::AsFd) -> bool {
    let mut ended = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    matches!(poll(&mut ended, Some(&Timespec::default())), Ok(0))
}
