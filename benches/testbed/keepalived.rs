//! keepalived on a host. Its files are in the host's own `/run`, and go with it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_net::lab::Host;

use super::lan::INTERFACE;
use super::setup::{CHECK, REALTIME, WEIGHT};
use super::{Authentication, Result, Role, Setup, wait_until};

const CONFIG: &str = "/run/keepalived.conf";
const LOG: &str = "/run/keepalived.log";
const PARENT_PID: &str = "/run/keepalived.pid";
const VRRP_PID: &str = "/run/keepalived-vrrp.pid";
/// How long its start and its end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running keepalived: a parent that respawns, and the child that speaks VRRP. Killed when dropped.
#[derive(Debug)]
pub struct Keepalived {
    host: Host,
    parent: Child,
    ended: bool,
}

impl Keepalived {
    /// Starts it as `state BACKUP`, and waits until it is that.
    ///
    /// # Errors
    /// If it can't be started, with what it logged.
    pub fn start(host: &Host, setup: &Setup) -> Result<Self> {
        let program = program().ok_or("keepalived is not installed")?;
        let text = config(setup);
        let log = host.run(|| {
            fs::write(CONFIG, text)?;
            File::create(LOG)
        })?;
        let mut command = Command::new(program);
        command
            .args(["--dont-fork", "--log-console", "--vrrp"])
            .args(["--use-file", CONFIG, "--pid", PARENT_PID, "--vrrp_pid", VRRP_PID])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let keepalived = Self {
            host: host.clone(),
            parent: host.spawn(command)?,
            ended: false,
        };
        let wanted = usize::from(setup.routers);
        let started = wait_until(PATIENCE, || {
            Ok(keepalived.log().matches("Entering BACKUP STATE").count() >= wanted)
        })?;
        if !started {
            return Err(format!("keepalived does not start:\n{}", keepalived.log()).into());
        }
        Ok(keepalived)
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.host
            .run(|| String::from_utf8_lossy(&fs::read(LOG).unwrap_or_default()).into_owned())
    }

    /// The state of its first virtual router.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.ended {
            return Role::Other;
        }
        let log = self.log();
        let last = log
            .lines()
            .rfind(|line| line.contains("(VI_1) Entering ") && line.contains(" STATE"));
        match last {
            Some(line) if line.contains("MASTER") => Role::Master,
            Some(line) if line.contains("BACKUP") => Role::Backup,
            _ => Role::Other,
        }
    }

    /// Its changes of state so far, all virtual routers together.
    #[must_use]
    pub fn transitions(&self) -> usize {
        let log = self.log();
        log.lines()
            .filter(|line| line.contains(") Entering ") && line.contains(" STATE"))
            .count()
    }

    /// The process that speaks VRRP.
    ///
    /// # Errors
    /// If it hasn't started.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.host.run(|| fs::read_to_string(VRRP_PID))?.trim().parse()?)
    }

    /// Stops it as an administrator does (SIGTERM), and waits until it has ended.
    ///
    /// # Errors
    /// If it doesn't end.
    pub fn stop(&mut self) -> Result<()> {
        signal(self.parent.id(), Signal::SIGTERM);
        if !wait_until(PATIENCE, || Ok(self.parent.try_wait()?.is_some()))? {
            return Err(format!("keepalived does not end:\n{}", self.log()).into());
        }
        self.ended = true;
        Ok(())
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Stopped first: else it respawns its child, or the child, on its parent's death, says goodbye.
        signal(self.parent.id(), Signal::SIGSTOP);
        if let Ok(pid) = self.pid() {
            signal(pid, Signal::SIGKILL);
        }
        signal(self.parent.id(), Signal::SIGKILL);
        let _ = self.parent.wait();
    }
}

/// Why a bench beside keepalived can't be run here.
pub fn missing() -> Option<&'static str> {
    program().is_none().then_some("keepalived is not installed")
}

/// Where keepalived is; it is often not on the path of an ordinary user.
#[must_use]
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let directories = std::env::split_paths(&path).chain(elsewhere);
    let mut programs = directories.map(|directory| directory.join("keepalived"));
    programs.find(|program| program.is_file())
}

fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // The process may have ended.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn config(setup: &Setup) -> String {
    let Setup {
        variant,
        priority,
        check,
        process,
        ..
    } = setup;
    let realtime = if setup.realtime {
        format!(" vrrp_rt_priority {REALTIME}\n")
    } else {
        String::new()
    };
    let mut text = format!("global_defs {{\n script_user root\n{realtime}}}\n");
    let mut tracks = String::new();
    if let Some(interval) = check {
        let interval = interval.as_secs_f64();
        let _ = write!(
            text,
            "vrrp_script alive {{\n script \"{CHECK}\"\n interval {interval}\n weight {WEIGHT}\n}}\n"
        );
        tracks += " track_script {\n alive\n }\n";
    }
    if let Some(name) = process {
        let _ = write!(
            text,
            "vrrp_track_process watched {{\n process {name}\n weight {WEIGHT}\n}}\n"
        );
        tracks += " track_process {\n watched\n }\n";
    }
    let authentication = match variant.authentication {
        Authentication::None => String::new(),
        Authentication::Pass => pass("PASS"),
        Authentication::Ah => pass("AH"),
    };
    let peers = if variant.unicast {
        format!(
            " unicast_src_ip {}\n unicast_peer {{\n {}\n }}\n",
            setup.source(),
            setup.peer()
        )
    } else {
        String::new()
    };
    let vmac = if variant.vmac { " use_vmac\n" } else { "" };
    let interval = variant.interval().as_secs_f64();
    for vrid in setup.vrids() {
        let addresses: Vec<String> = setup.addresses(vrid).iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "vrrp_instance VI_{vrid} {{\n version {version}\n state BACKUP\n interface {INTERFACE}\n \
             virtual_router_id {vrid}\n priority {priority}\n advert_int {interval}\n{authentication}{peers}{vmac}\
             {tracks} virtual_ipaddress {{\n {addresses}\n }}\n}}\n",
            version = variant.version,
            addresses = addresses.join("\n "),
        );
    }
    text
}

fn pass(kind: &str) -> String {
    let password = Authentication::PASSWORD;
    format!(" authentication {{\n auth_type {kind}\n auth_pass {password}\n }}\n")
}
