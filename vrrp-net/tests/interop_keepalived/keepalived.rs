//! keepalived as a process on a lab host. Its files are in the host's own `/run`, and go with it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_core::Version;
use vrrp_net::lab::{self, Host};

use crate::protocol::Protocol;
use crate::world::{PATIENCE, VIP, wait_until};

const CONFIG: &str = "/run/keepalived.conf";
const LOG: &str = "/run/keepalived.log";
const PARENT_PID: &str = "/run/keepalived.pid";
const ENTERS_BACKUP: &str = "Entering BACKUP STATE";
const VRRP_PID: &str = "/run/keepalived-vrrp.pid";

/// A running keepalived with one VRRP instance: a parent that respawns, and the child that speaks VRRP.
pub(crate) struct Keepalived {
    host: Host,
    parent: Child,
    ended: bool,
}

impl Keepalived {
    /// Starts it as `state BACKUP` and waits until it is that.
    #[track_caller]
    pub(crate) fn start(host: &Host, protocol: Protocol, priority: u8) -> Self {
        Self::start_with(host, protocol, priority, "")
    }

    /// Like [`start`](Self::start), with more lines in its `vrrp_instance`.
    #[track_caller]
    pub(crate) fn start_with(host: &Host, protocol: Protocol, priority: u8, lines: &str) -> Self {
        Self::start_config(host, config(host.interface(), protocol, priority, lines))
    }

    /// Starts it with a whole configuration of one instance, `state BACKUP`, and waits until it is that.
    #[track_caller]
    pub(crate) fn start_config(host: &Host, config: String) -> Self {
        let log = host.run(|| {
            fs::write(CONFIG, config).unwrap();
            File::create(LOG).unwrap()
        });
        let mut command = Command::new(program());
        command
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"])
            .args(["--use-file", CONFIG, "--pid", PARENT_PID, "--vrrp_pid", VRRP_PID])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let keepalived = Self {
            host: host.clone(),
            parent: host.spawn(command).unwrap(),
            ended: false,
        };
        keepalived.expect_log(ENTERS_BACKUP, PATIENCE);
        keepalived
    }

    /// Waits until its log has a line with this text.
    #[track_caller]
    pub(crate) fn expect_log(&self, text: &str, timeout: Duration) {
        wait_until(&format!("keepalived logs {text:?}"), timeout, || {
            self.log().contains(text)
        });
    }

    /// Waits until it is Backup once more, after its start.
    #[track_caller]
    pub(crate) fn expect_backup_again(&self, timeout: Duration) {
        wait_until("keepalived is Backup again", timeout, || {
            self.log().matches(ENTERS_BACKUP).count() >= 2
        });
    }

    pub(crate) fn log(&self) -> String {
        self.host
            .run(|| String::from_utf8_lossy(&fs::read(LOG).unwrap_or_default()).into_owned())
    }

    /// Stops it as an administrator does (SIGTERM), and waits until it has ended.
    #[track_caller]
    pub(crate) fn terminate(mut self) {
        signal(self.parent.id(), Signal::SIGTERM);
        wait_until("keepalived has ended", PATIENCE, || {
            self.parent.try_wait().unwrap().is_some()
        });
        self.ended = true;
    }

    /// Kills both processes (SIGKILL), so that neither can do a thing about the other's end.
    pub(crate) fn kill(mut self) {
        self.kill_both();
    }

    fn kill_both(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Stopped first: else it respawns its child, or the child, on its parent's death, says goodbye.
        signal(self.parent.id(), Signal::SIGSTOP);
        let child = self.host.run(|| fs::read_to_string(VRRP_PID).ok());
        if let Some(pid) = child.and_then(|pid| pid.trim().parse().ok()) {
            signal(pid, Signal::SIGKILL);
        }
        signal(self.parent.id(), Signal::SIGKILL);
        let _ = self.parent.wait();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("keepalived's log:\n{}", self.log());
        }
        self.kill_both();
    }
}

/// Ends the test where keepalived is not installed.
pub(crate) fn require() {
    program();
}

/// Where keepalived is; it is often not on the path of an ordinary user.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let candidates = std::env::split_paths(&path).chain(elsewhere);
    let mut programs = candidates.map(|directory| directory.join("keepalived"));
    programs
        .find(|program| program.is_file())
        .unwrap_or_else(|| lab::skip("keepalived is not installed"))
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("process ids are int"));
    // The process may have ended.
    let _ = kill(pid, signal);
}

fn config(interface: &str, protocol: Protocol, priority: u8, lines: &str) -> String {
    let authentication = match protocol.version {
        Version::V2 => "authentication { auth_type PASS\n auth_pass 1111\n }",
        Version::V3 => "",
    };
    let version = protocol.version.get();
    let interval = protocol.interval().as_secs_f64();
    format!(
        "vrrp_instance VI_1 {{
            version {version}
            state BACKUP
            interface {interface}
            virtual_router_id 33
            priority {priority}
            advert_int {interval}
            {authentication}
            {lines}
            virtual_ipaddress {{
                {VIP}
            }}
        }}
        "
    )
}
