//! The only file of this crate with `unsafe` code: what a child process does between `fork` and `exec`.
#![expect(
    unsafe_code,
    reason = "std marks `pre_exec` unsafe: only async-signal-safe calls are allowed there"
)]

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::write;

/// The lines for `/proc/self/{uid_map,gid_map}` of a new user namespace, formatted before the fork.
#[derive(Debug, Clone)]
pub(crate) struct IdMaps {
    pub(crate) uid: Vec<u8>,
    pub(crate) gid: Vec<u8>,
}

impl IdMaps {
    /// Writes the maps for the calling process. Allocates nothing.
    pub(crate) fn write(&self) -> Result<(), Errno> {
        // user_namespaces(7): without CAP_SETGID outside, gid_map is writable only after setgroups is denied.
        write_file(c"/proc/self/setgroups", b"deny")?;
        write_file(c"/proc/self/uid_map", &self.uid)?;
        write_file(c"/proc/self/gid_map", &self.gid)
    }
}

fn write_file(path: &CStr, content: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, content)?;
    Ok(())
}

/// Makes `command` start in new namespaces (`flags`, with `maps` if a user namespace is among them), and die
/// with the thread that spawns it.
///
/// The child is single-threaded after `fork` however many threads the parent has, which is what
/// `unshare(CLONE_NEWUSER)` asks for.
pub(crate) fn exec_in_new_namespaces(command: &mut Command, flags: CloneFlags, maps: Option<IdMaps>) {
    let enter = move || -> io::Result<()> {
        unshare(flags)?;
        if let Some(maps) = &maps {
            maps.write()?;
        }
        // After the credentials have changed, since that change clears the setting (prctl(2)).
        set_pdeathsig(Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: the closure makes system calls only (unshare, open, write, close, prctl), on C strings and buffers
    // that exist before the fork; it takes no lock and allocates nothing (an `Errno` becomes an `io::Error` in place).
    unsafe { command.pre_exec(enter) };
}

/// Makes the process that `command` starts die (SIGKILL) with the thread that spawns it.
pub(crate) fn die_with_spawner(command: &mut Command) {
    // SAFETY: one system call, no lock, no allocation.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
}
