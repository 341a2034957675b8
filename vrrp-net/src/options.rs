//! What the VRRP thread asks of the scheduler and of memory.

use std::fs;
use std::io;

use crate::place::Place;
use crate::sys;

/// How the thread of [`spawn_with`](crate::spawn_with) runs. The default takes the best place among ordinary threads
/// where that is allowed, and asks for nothing else.
///
/// All settings are against late adverts on a machine that is short of CPU or of memory. They take rights that a
/// service has to be given; where one is missing the driver doesn't start, unless `best_effort` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverOptions {
    /// Priority of SCHED_FIFO (sched(7)), 1 to 99, for the VRRP thread; `None` for an ordinary thread. Default: none.
    ///
    /// It then runs before all ordinary threads of the machine, and the other threads of the process stay what they are.
    /// Takes CAP_SYS_NICE or a limit RLIMIT_RTPRIO (`LimitRTPRIO=` of systemd) of at least this priority, unless the process
    /// has it already.
    pub realtime: Option<u8>,
    /// Nice value, -20 to 19 (sched(7)), of the VRRP thread alone; without effect under `realtime`. Default: `None`, which
    /// is -20 where that is allowed, and what the process has where it is not.
    ///
    /// Below 0 the thread comes before the proxy's workers when all cores are busy: beside them it may wait for longer
    /// than adverts of a few hundredths of a second allow. A value below that of the process takes CAP_SYS_NICE or a limit
    /// RLIMIT_NICE (`LimitNICE=` of systemd). It counts among the threads of one control group; for the place of the whole
    /// service among others see `CPUWeight=` of systemd.
    ///
    /// Nice values are of SCHED_OTHER. A process that was started under another policy (`CPUSchedulingPolicy=` of systemd,
    /// chrt(1)) keeps it by default; a value given here makes the thread an ordinary one.
    pub nice: Option<i8>,
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
    /// Nice value of the thread that comes first.
    pub const NICE_MIN: i8 = -20;
    /// Nice value of the thread that comes last.
    pub const NICE_MAX: i8 = 19;

    /// Brings the calling thread, and the memory of the process, into the wanted state.
    pub(crate) fn apply(self) -> Result<(), OptionsError> {
        if let Some(got) = self
            .realtime
            .filter(|got| !(1..=Self::REALTIME_MAX).contains(got))
        {
            return Err(OptionsError::Priority { got });
        }
        let range = Self::NICE_MIN..=Self::NICE_MAX;
        if let Some(got) = self.nice.filter(|got| !range.contains(got)) {
            return Err(OptionsError::NiceRange { got });
        }
        let realtime = match self.realtime {
            Some(priority) => self.had(take_realtime(priority))?,
            None => false,
        };
        match self.nice {
            _ if realtime => {}
            Some(nice) => {
                if !self.had(take_nice(nice))? {
                    take_short_turns();
                }
            }
            None => take_first_place(),
        }
        if self.lock_memory {
            self.had(lock_memory())?;
        }
        Ok(())
    }

    /// Whether it was had; no error where the best effort is enough.
    fn had(self, result: Result<(), OptionsError>) -> Result<bool, OptionsError> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if self.best_effort => {
                tracing::warn!(%error, "going on without");
                Ok(false)
            }
            Err(error) => Err(error),
        }
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
    /// There is no such nice value.
    #[error("nice value {got}: use -20 to 19, or none")]
    NiceRange {
        /// The value given.
        got: i8,
    },
    /// The kernel allows no such nice value.
    #[error(
        "missing CAP_SYS_NICE for nice value {nice} ({error}): run as root, or give the service \
         AmbientCapabilities=CAP_SYS_NICE or LimitNICE={nice}; in a container, --cap-add=SYS_NICE"
    )]
    Nice {
        /// The value asked for.
        nice: i8,
        /// What the kernel said.
        #[source]
        error: io::Error,
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

fn take_first_place() {
    let here = match Place::here() {
        Ok(here) if here.is_ordinary() => here,
        // Someone gave it another policy, and knows why.
        Ok(_) => return,
        Err(error) => return tracing::debug!(%error, "can't tell how the VRRP thread is scheduled"),
    };
    if let Err(error) = here.with_nice(DriverOptions::NICE_MIN).take() {
        tracing::debug!(%error, "no CAP_SYS_NICE: the VRRP thread weighs as much as others");
        take_short_turns();
    }
}

/// They are to be had without a right.
fn take_short_turns() {
    let _ = Place::here().and_then(|here| here.with_short_turns().take());
}

fn take_nice(nice: i8) -> Result<(), OptionsError> {
    let taken = Place::here().and_then(|here| here.with_nice(nice).take());
    taken.map_err(|error| OptionsError::Nice { nice, error })
}

fn take_realtime(priority: u8) -> Result<(), OptionsError> {
    let taken = Place::here().and_then(|here| here.with_realtime(priority).take());
    taken.map_err(|error| OptionsError::Realtime { priority, error })
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
    fn a_nice_value_that_does_not_exist_is_refused_whatever_the_effort() {
        for got in [-21, 20] {
            let options = DriverOptions {
                nice: Some(got),
                best_effort: true,
                ..DriverOptions::default()
            };
            let error = options.apply().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("nice value {got}: use -20 to 19, or none")
            );
        }
    }

    #[test]
    fn the_default_takes_no_right_that_it_can_not_do_without() {
        std::thread::spawn(|| assert!(DriverOptions::default().apply().is_ok()))
            .join()
            .unwrap();
    }

    #[test]
    fn effective_capabilities_are_read_from_the_status() {
        let status = "Name:\tvrrp\nCapPrm:\t0000000000000000\nCapEff:\t0000000000005000\n";
        assert_eq!(effective_capabilities(status), 1 << 14 | 1 << 12);
        assert_eq!(effective_capabilities(""), 0);
    }
}
