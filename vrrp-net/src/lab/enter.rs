//! Getting into namespaces in which an ordinary user may make networks.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::sys::{self, IdMaps};

/// Whether the lab runs in a user namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserNamespace {
    /// Root (effective uid 0) stays in its user namespace and keeps all its rights, so that programs can change
    /// to other users, take real-time priority and lock memory; anyone else gets a new one. The default.
    #[default]
    UnlessRoot,
    /// A new one even for root: what an ordinary user would see.
    Always,
}

/// Why the lab's namespaces can't be had here.
#[derive(Debug, Error)]
pub enum EnterError {
    /// The kernel, a security policy or a container denies the namespaces. The remedy is part of the message.
    #[error("namespaces are denied here ({errno}): {remedy}")]
    Denied {
        /// What the kernel answered.
        errno: Errno,
        /// What to do about it.
        remedy: &'static str,
    },
    /// [`enter`] was called when the process had more than one thread already.
    #[error(
        "lab::enter must be called before any thread is started, first thing in main ({threads} threads run)"
    )]
    Threads {
        /// The number of threads.
        threads: usize,
    },
    /// The namespaces were made, but a raw socket can't be opened in them.
    #[error(
        "raw sockets are denied in the new network namespace ({source}): run as root, or let the container keep CAP_NET_RAW"
    )]
    RawSocket {
        /// What the kernel answered.
        source: io::Error,
    },
    /// Anything else went wrong.
    #[error("can't {step}: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// True once this process is in namespaces of the lab.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Moves this process into a new network namespace, and unless it is root's into a new user namespace, in which it
/// may do everything that a [`Lab`](super::Lab) needs.
///
/// Call it first thing in `main`, before any thread exists. In the new user namespace there is one user: uid and
/// gid 0 stand for the caller, so files are written as the caller, and nobody can become anyone else (no `su`, no
/// script users, no SCHED_FIFO, no mlock beyond the limit). The process's own network namespace is empty, so
/// that nothing that runs outside a lab host reaches a real network by accident. The soft limit of open descriptors is
/// raised to the hard one. A second call does nothing.
///
/// Tests don't call it: [`test`](fn@super::test) does what is needed below libtest, which has threads.
///
/// # Errors
/// [`EnterError::Denied`] where a user may not make namespaces; the message says what to do.
pub fn enter() -> Result<(), EnterError> {
    enter_with(UserNamespace::default())
}

/// Like [`enter`], and says whether root gets a user namespace too.
///
/// # Errors
/// As for [`enter`].
pub fn enter_with(user_namespace: UserNamespace) -> Result<(), EnterError> {
    if entered() {
        return Ok(());
    }
    let threads = fs::read_dir("/proc/self/task")
        .map_err(|source| EnterError::Io {
            step: "count threads in /proc/self/task",
            source,
        })?
        .count();
    if threads > 1 {
        // A network namespace would move this thread alone, and a user namespace would be refused.
        return Err(EnterError::Threads { threads });
    }
    let plan = Plan::new(user_namespace);
    unshare(plan.flags).map_err(denied)?;
    if let Some(maps) = &plan.maps {
        maps.write().map_err(denied)?;
    }
    mark_entered()
}

/// Checks that raw sockets work in here, and remembers that this process is in the lab's namespaces. It is all hosts at
/// once, so it may open as many descriptors as the hard limit allows.
pub(super) fn mark_entered() -> Result<(), EnterError> {
    const VRRP: i32 = 112;
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))
        .map_err(|source| EnterError::RawSocket { source })?;
    // A lab that is small enough does without.
    let _ = sys::unlimit_descriptors();
    ENTERED.store(true, Ordering::Relaxed);
    Ok(())
}

/// True if this process has entered the lab's namespaces, by [`enter`] or as a [`test`](fn@super::test).
#[must_use]
pub fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// What has to be unshared and mapped, decided by who asks.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) flags: CloneFlags,
    pub(super) maps: Option<IdMaps>,
}

impl Plan {
    pub(super) fn new(user_namespace: UserNamespace) -> Self {
        let (uid, gid) = (geteuid(), getegid());
        if uid.is_root() && user_namespace == UserNamespace::UnlessRoot && may_make_networks() {
            return Self {
                flags: CloneFlags::CLONE_NEWNET,
                maps: None,
            };
        }
        Self {
            flags: CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET,
            maps: Some(IdMaps {
                uid: format!("0 {uid} 1").into_bytes(),
                gid: format!("0 {gid} 1").into_bytes(),
            }),
        }
    }
}

/// True if the effective capabilities hold CAP_SYS_ADMIN and CAP_NET_ADMIN, which root in a container often lacks.
fn may_make_networks() -> bool {
    const CAP_NET_ADMIN: u64 = 1 << 12;
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    const NEEDED: u64 = CAP_NET_ADMIN | CAP_SYS_ADMIN;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|caps| caps & NEEDED == NEEDED)
}

/// The error for a refused `unshare` or id map, with the remedy that fits this machine's settings.
pub(super) fn denied(errno: Errno) -> EnterError {
    EnterError::Denied {
        errno,
        remedy: remedy(errno, |path| fs::read_to_string(path).ok()),
    }
}

/// Finds the setting that is in the way. `read` gives the content of a file below /proc/sys.
fn remedy(errno: Errno, read: impl Fn(&str) -> Option<String>) -> &'static str {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "run as root, or allow them: sysctl -w user.max_user_namespaces=15000";
    }
    if is("/proc/sys/user/max_net_namespaces", "0") {
        return "allow network namespaces: sysctl -w user.max_net_namespaces=15000";
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "run as root, or allow them: sysctl -w kernel.unprivileged_userns_clone=1";
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "run as root, or allow them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    }
    match errno {
        Errno::ENOSPC | Errno::EUSERS => {
            "too many are in use: raise user.max_user_namespaces and user.max_net_namespaces"
        }
        Errno::EINVAL | Errno::ENOSYS => {
            "this kernel lacks CONFIG_USER_NS or CONFIG_NET_NS: run as root or use another kernel"
        }
        _ => {
            "run as root; in a container, start it with --privileged or a seccomp profile that allows unshare"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_the_setting_that_is_in_the_way() {
        let only = |key: &'static str, value: &'static str| {
            move |path: &str| path.ends_with(key).then(|| format!("{value}\n"))
        };
        assert!(
            remedy(Errno::ENOSPC, only("max_user_namespaces", "0"))
                .contains("user.max_user_namespaces=15000")
        );
        assert!(
            remedy(Errno::EPERM, only("unprivileged_userns_clone", "0"))
                .contains("unprivileged_userns_clone=1")
        );
        assert!(
            remedy(Errno::EACCES, only("apparmor_restrict_unprivileged_userns", "1"))
                .contains("apparmor_restrict_unprivileged_userns=0")
        );
        assert!(remedy(Errno::ENOSPC, only("max_user_namespaces", "96364")).contains("too many"));
        assert!(remedy(Errno::EPERM, |_| None).contains("--privileged"));
    }

    #[test]
    fn a_denial_is_one_line() {
        assert_eq!(denied(Errno::EPERM).to_string().lines().count(), 1);
    }

    #[test]
    fn entering_late_is_refused_and_changes_nothing() {
        // libtest runs this on a second thread.
        let before = fs::read_link("/proc/self/ns/net").unwrap();
        let refused = enter().unwrap_err();
        assert!(
            matches!(refused, EnterError::Threads { threads: 2.. }),
            "{refused}"
        );
        assert_eq!(fs::read_link("/proc/self/ns/net").unwrap(), before);
        assert!(!entered());
    }
}
