//! The only file of this crate with `unsafe` code: what the crates below us leave to their callers.
#![expect(
    unsafe_code,
    reason = "sockaddr_ll has no safe constructor, AsyncFd no safe registration, nix no call for \
              scheduling and locking memory; std marks `pre_exec` unsafe"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::libc;
use nix::sys::timerfd::TimerFd;
use socket2::{SockAddr, SockAddrStorage};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::network::MacAddr;

#[cfg(feature = "lab")]
pub(crate) use child::{IdMaps, die_with_spawner, exec_in_new_namespaces};

/// A type that owns one descriptor: the same from when it is made to when it is dropped.
pub(crate) trait OwnsDescriptor: AsRawFd {}

impl OwnsDescriptor for socket2::Socket {}
impl OwnsDescriptor for rtnetlink::sys::Socket {}
impl OwnsDescriptor for Timer {}

/// A timerfd with the trait that [`AsyncFd`] asks for.
#[derive(Debug)]
pub(crate) struct Timer(pub(crate) TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets tokio watch a descriptor for something to read.
pub(crate) fn watch<T: OwnsDescriptor>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `OwnsDescriptor` says that the descriptor stays the same and open as long as the value lives, and
    // `AsyncFd` gives out no `&mut` of it unless asked; nobody here asks.
    let watched = unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// `sockaddr_ll` of a frame's destination, or, with `mac` all zeros, of a socket's binding.
///
/// `interface` 0 means all of them; `ethertype` is in the machine's byte order.
pub(crate) fn link_address(interface: u32, ethertype: u16, mac: MacAddr) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is one of the kernel's sockaddr types, and all zeros is a valid one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    // Family numbers are far below 2^16, interface indices below 2^31; the address has room for eight octets.
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = interface as i32;
    address.sll_halen = mac.0.len() as u8;
    address.sll_addr[..mac.0.len()].copy_from_slice(&mac.0);
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds a sockaddr_ll of AF_PACKET, which is `len` octets long.
    unsafe { SockAddr::new(storage, len) }
}

/// How the calling thread is scheduled.
pub(crate) fn scheduling() -> io::Result<libc::sched_attr> {
    // All fields are numbers, which the kernel replaces.
    let mut attributes = libc::sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let size = size_of_val(&attributes);
    // SAFETY: the kernel writes as much as `size` says, which is all of a value that lives for the length of the call;
    // the first 0 is the calling thread, the second stands for no flags.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    succeeded(result).map(|()| attributes)
}

/// Schedules the calling thread anew.
pub(crate) fn set_scheduling(attributes: &libc::sched_attr) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of_val(attributes) as u32,
        ..*attributes
    };
    // SAFETY: the kernel reads as much as `size` says, which lives for the length of the call; the first 0 is the
    // calling thread, the second stands for no flags.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    succeeded(result)
}

/// Keeps all pages of the process in memory once they have been touched.
pub(crate) fn lock_memory() -> io::Result<()> {
    let all = libc::MCL_CURRENT | libc::MCL_FUTURE;
    // SAFETY: it takes no pointers, and changes nothing but where pages may be.
    let result = succeeded(unsafe { libc::mlockall(all | libc::MCL_ONFAULT) });
    match result {
        // A kernel before 4.4 has no MCL_ONFAULT.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // SAFETY: as above.
            succeeded(unsafe { libc::mlockall(all) })
        }
        other => other,
    }
}

/// Lifts the limit of locked memory as far as the hard limit goes; whether there is none then.
pub(crate) fn unlimit_locked_memory() -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes an rlimit there, which lives for the length of the call.
    if succeeded(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }).is_err() {
        return false;
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads an rlimit there, which lives for the length of the call.
    let raised = succeeded(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) });
    raised.is_ok() && limit.rlim_max == libc::RLIM_INFINITY
}

/// Lifts the limit of open descriptors as far as the hard limit goes. Distributions keep the soft one at 1024 for programs
/// that use select(2).
#[cfg(feature = "lab")]
pub(crate) fn unlimit_descriptors() -> nix::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

fn succeeded(result: impl Into<libc::c_long>) -> io::Result<()> {
    if result.into() == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What a child process does between `fork` and `exec`.
#[cfg(feature = "lab")]
mod child {
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
}
