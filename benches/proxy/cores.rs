//! Which core does what: the proxy has one, load and backend share the other.

use std::fs;

use ha_benches::testbed::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of this bench.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    all: CpuSet,
    proxy: usize,
    load: usize,
}

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the proxy's core, alone.
    Proxy,
    /// On the core of the load and the backend.
    Load,
    /// Wherever the kernel likes.
    Anywhere,
}

impl Cores {
    /// The first and the last that this process may use; one and the same if there is no other.
    pub(crate) fn new() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let proxy = usable.next().ok_or("no core")?;
        let load = usable.next_back().unwrap_or(proxy);
        Ok(Self { all, proxy, load })
    }

    pub(crate) fn are_two(&self) -> bool {
        self.proxy != self.load
    }

    /// Does something in a place, and comes back.
    pub(crate) fn at<T>(&self, place: Place, act: impl FnOnce() -> T) -> Result<T> {
        let home = sched_getaffinity(None)?;
        self.go(place)?;
        let done = act();
        sched_setaffinity(None, &home)?;
        Ok(done)
    }

    /// Moves the calling thread, and the processes that it starts from here on.
    pub(crate) fn go(&self, place: Place) -> Result<()> {
        let mut set = CpuSet::new();
        match place {
            Place::Proxy => set.set(self.proxy),
            Place::Load => set.set(self.load),
            Place::Anywhere => set = self.all,
        }
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// Puts this process and those that it starts before all else that the machine does: a session of their own, to which
/// the scheduler gives the highest weight (sched(7), autogroup).
///
/// # Errors
/// If that is not allowed (CAP_SYS_NICE), or the kernel does not group by session.
pub(crate) fn go_first() -> Result<()> {
    nix::unistd::setsid()?;
    fs::write("/proc/self/autogroup", "-20")
        .map_err(|error| format!("can't raise this session's weight: {error}"))?;
    Ok(())
}
