//! The program as a process on a host of the lab.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ha_stack::admin::{FetchError, Report, RouterReport, fetch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_net::lab::Lab;

use crate::support::Folder;

/// A daemon on a host. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    _folder: Folder,
}

impl Daemon {
    pub(crate) fn start(lab: &Lab, host: &str, files: &[PathBuf]) -> Self {
        let folder = Folder::new(host);
        let socket = folder.join("s");
        let mut command = ha_stack();
        command
            .arg("run")
            .args(files)
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null());
        let child = lab.host(host).spawn(command).unwrap();
        Self {
            child,
            socket,
            _folder: folder,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn report(&self) -> Report {
        self.try_report().unwrap()
    }

    /// Runs a command against it, and gives its exit code and what it says.
    pub(crate) fn order(&self, command: &str, name: &str) -> (Option<i32>, String) {
        let mut order = ha_stack();
        order.args([command, name, "--socket"]).arg(&self.socket);
        let output = order.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// The status as people see it.
    pub(crate) fn status(&self) -> String {
        let mut command = ha_stack();
        command.args(["status", "--socket"]).arg(&self.socket);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    pub(crate) fn try_report(&self) -> Result<Report, FetchError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(fetch(&self.socket))
    }

    pub(crate) fn wait_for(&self, timeout: Duration, wanted: impl Fn(&RouterReport) -> bool) -> RouterReport {
        let deadline = Instant::now() + timeout;
        loop {
            let report = self.try_report();
            if let Ok(report) = &report
                && wanted(&report.vrrp[0])
            {
                return report.vrrp[0].clone();
            }
            assert!(Instant::now() < deadline, "{report:?}");
            pause();
        }
    }

    /// Stops it as an init system does, and sees that it ends well.
    pub(crate) fn stop(mut self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0));
                assert!(!self.socket.exists());
                return;
            }
            assert!(Instant::now() < deadline, "still running");
            pause();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that is killed when it is not needed any more.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    /// Stops it as an init system does, and waits for its end.
    pub(crate) fn terminate(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Ended already after `terminate`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn ha_stack() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
    command.env_remove("RUST_LOG");
    command
}

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Tries again for up to ten seconds.
pub(crate) fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline);
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
