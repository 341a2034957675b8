//! A server in a process of its own, which ends with this one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ha_benches::testbed::process::Usage;
use ha_benches::testbed::{Result, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cores::{Cores, Place};

/// How long its start and its end may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than anything here needs.
const MOST_FILES: u64 = 100_000;

/// A running server. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    address: SocketAddr,
    /// Those that serve: the process itself, or its children.
    workers: Vec<u32>,
}

impl Daemon {
    /// Starts it in a place, and waits until it accepts connections and has so many child processes.
    ///
    /// # Errors
    /// If it can't be started, or does not accept; why is on standard error.
    pub(crate) fn start(
        cores: &Cores,
        place: Place,
        mut command: Command,
        address: SocketAddr,
        children: usize,
    ) -> Result<Self> {
        command.stdout(Stdio::null());
        let process = cores.at(place, || command.spawn())?;
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = process.map_err(|error| format!("{program} can't be run: {error}"))?;
        let mut workers = Vec::new();
        let is_ready = || {
            if let Some(status) = process.try_wait()? {
                return Err(format!("{program} has ended: {status}").into());
            }
            workers = self::children(process.id())?;
            Ok(workers.len() >= children && TcpStream::connect(address).is_ok())
        };
        let ready = wait_until(PATIENCE, is_ready);
        if children == 0 {
            workers = vec![process.id()];
        }
        let daemon = Self {
            process,
            address,
            workers,
        };
        if ready? {
            Ok(daemon)
        } else {
            Err(format!("{program} does not accept connections at {address}").into())
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Memory of those that serve, in KiB: what they share is divided among them.
    pub(crate) fn memory_kib(&self) -> Result<u64> {
        self.workers.iter().map(|pid| proportional_kib(*pid)).sum()
    }

    /// The processes that serve.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.workers
    }

    /// CPU time of those that serve, so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.workers.iter().map(|pid| Ok(Usage::of(*pid)?.cpu)).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // nginx's workers outlive their master if it is killed outright.
        if let Ok(pid) = self.process.id().try_into() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let ended = wait_until(PATIENCE, || Ok(self.process.try_wait()?.is_some()));
        if !matches!(ended, Ok(true)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A command that gets SIGTERM if this process ends first, however it ends.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", program]);
    command
}

/// An address of this machine that nothing listens at.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// How many files a process may have here, within reason.
pub(crate) fn file_limit() -> u64 {
    getrlimit(Resource::Nofile)
        .current
        .map_or(MOST_FILES, |files| files.min(MOST_FILES))
}

/// As many as this process may have, for it and its children.
pub(crate) fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn proportional_kib(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for process in fs::read_dir("/proc")? {
        let Some(child) = process?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile. After the name, in parentheses, stand the state and the parent.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}

/// A directory for configs and files, removed when dropped.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ha-bench-proxy-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
