//! What the VRRP thread asks of the scheduler and of memory.

use std::fs;
use std::io;

use crate::sys;

/// How the thread of [`spawn_with`](crate::spawn_with) runs. The default asks for nothing.
///
/// Both settings are against late adverts on a machine that is short of CPU or of memory. They take rights that a
/// service has to be given; where one is missing the driver doesn't start, unless `best_effort` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverOptions {
    /// Priority of SCHED_FIFO (sched(7)), 1 to 99, for the VRRP thread; `None` for an ordinary thread. Default: none.
    ///
    /// It then runs before all ordinary threads of the machine. Its own children are ordinary again. Takes CAP_SYS_NICE
    /// or a limit RLIMIT_RTPRIO (`LimitRTPRIO=` of systemd) of at least this priority.
    pub realtime: Option<u8>,
    /// Keeps all memory of the process in RAM, once it has been used (mlockall(2)). Default: no.
    ///
    /// Takes CAP_IPC_LOCK, or RLIMIT_MEMLOCK without a limit (`LimitMEMLOCK=infinity` of systemd): under a limit the
    /// process would die for want of memory as soon as it has grown to it.
    pub lock_memory: bool,
    /// Goes on with a warning where a right for the above is missing. Default: no.
    pub best_effort: bool,
}

impl DriverOptions {
    /// Most that SCHED_FIFO knows.
    pub const REALTIME_MAX: u8 = 99;

    /// Brings the calling thread, and the memory of the process, into the wanted state.
    pub(crate) fn apply(self) -> Result<(), OptionsError> {
        if let Some(got) = self
            .realtime
            .filter(|got| !(1..=Self::REALTIME_MAX).contains(got))
        {
            return Err(OptionsError::Priority { got });
        }
        let realtime = self.realtime.map_or(Ok(()), take_realtime);
        let memory = if self.lock_memory { lock_memory() } else { Ok(()) };
        for result in [realtime, memory] {
            match result {
                Err(error) if self.best_effort => tracing::warn!(%error, "going on without"),
                other => other?,
            }
        }
        Ok(())
    }
}

/// Why the VRRP thread can't run as its [`DriverOptions`] say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// SCHED_FIFO has no such priority.
    #[error("real-time priority {got}: use 1 to 99, or none")]
    Priority {
        /// The priority given.
        got: u8,
    },
    /// The kernel allows no such priority.
    #[error(
        "missing CAP_SYS_NICE for real-time priority {priority} ({error}): run as root, or give the service \
         AmbientCapabilities=CAP_SYS_NICE or LimitRTPRIO={priority}; in a container, --cap-add=SYS_NICE"
    )]
    Realtime {
        /// The priority asked for.
        priority: u8,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// Memory can't be locked without a limit.
    #[error(
        "missing CAP_IPC_LOCK for locking memory ({error}): run as root, or give the service \
         AmbientCapabilities=CAP_IPC_LOCK or LimitMEMLOCK=infinity; in a container, --cap-add=IPC_LOCK or \
         --ulimit memlock=-1"
    )]
    LockMemory {
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

fn take_realtime(priority: u8) -> Result<(), OptionsError> {
    sys::set_realtime(priority).map_err(|error| OptionsError::Realtime { priority, error })
}

fn lock_memory() -> Result<(), OptionsError> {
    let locked = if sys::unlimit_locked_memory() || may_lock_without_limit() {
        sys::lock_memory()
    } else {
        Err(io::Error::other("RLIMIT_MEMLOCK is finite"))
    };
    locked.map_err(|error| OptionsError::LockMemory { error })
}

/// Whether CAP_IPC_LOCK is ours where it counts: in the initial user namespace, where all ids are what they are.
fn may_lock_without_limit() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let initial = read("/proc/self/uid_map")
        .split_ascii_whitespace()
        .eq(["0", "0", "4294967295"]);
    initial && effective_capabilities(&read("/proc/thread-self/status")) & (1 << CAP_IPC_LOCK) != 0
}

fn effective_capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_that_does_not_exist_is_refused_whatever_the_effort() {
        for got in [0, 100] {
            let options = DriverOptions {
                realtime: Some(got),
                best_effort: true,
                ..DriverOptions::default()
            };
            let error = options.apply().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("real-time priority {got}: use 1 to 99, or none")
            );
        }
    }

    #[test]
    fn the_default_asks_for_nothing() {
        assert!(DriverOptions::default().apply().is_ok());
    }

    #[test]
    fn effective_capabilities_are_read_from_the_status() {
        let status = "Name:\tvrrp\nCapPrm:\t0000000000000000\nCapEff:\t0000000000005000\n";
        assert_eq!(effective_capabilities(status), 1 << 14 | 1 << 12);
        assert_eq!(effective_capabilities(""), 0);
    }
}
