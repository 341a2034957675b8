//! The daemon on a host of the lab.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_net::lab::Host;

use crate::support::Folder;

/// The daemon with one file. Dropping it kills it.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn start(folder: &Folder, host: &Host, file: &str, text: &str) -> Self {
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
        command.env_remove("RUST_LOG").arg("run").arg(path);
        command.arg("--socket").arg(folder.join(host.name()));
        command.stdin(Stdio::null());
        Self(host.spawn(command).unwrap())
    }

    /// Stops it as an init system does, and sees that it ends well.
    pub(crate) fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
