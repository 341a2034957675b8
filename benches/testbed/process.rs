//! What a process costs, as the kernel tells.

use std::fs;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use super::Result;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, user and system, of all its threads.
    pub cpu: Duration,
    /// Resident memory in KiB.
    pub resident_kib: u64,
}

impl Usage {
    /// Asks the kernel.
    ///
    /// # Errors
    /// If the process has gone.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self {
            cpu: cpu(pid)?,
            resident_kib: resident_kib(pid)?,
        })
    }
}

/// The clock of a process counts in nanoseconds, threads that have ended included, and what runs at this moment up to
/// this moment; the ticks of `/proc/PID/stat` are too coarse for a few seconds. What the kernel does in the process's
/// time for others (softirq) is in it.
fn cpu(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    Ok(clock.now()?.into())
}

fn resident_kib(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
