//! What a process costs, as the kernel tells.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

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

/// `/proc/PID/task/*/schedstat` counts in nanoseconds; the ticks of `/proc/PID/stat` are too coarse for a few seconds.
fn cpu(pid: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        match fs::read_to_string(path)
            .ok()
            .and_then(|text| text.split(' ').next()?.parse().ok())
        {
            Some(nanos) => total += Duration::from_nanos(nanos),
            // Without CONFIG_SCHED_INFO.
            None => return ticks(pid),
        }
    }
    Ok(total)
}

fn ticks(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100);
    // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th fields.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 1000 / u64::try_from(per_second)?))
}

fn resident_kib(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
