//! One network and mount namespace, and how code gets to run in it.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// Something done by the keeper's thread.
type Job = Box<dyn FnOnce() + Send>;

/// A network namespace together with a mount namespace, both alive as long as this value.
///
/// Its keeper is a thread that made them and lives in them. It spawns processes (a child inherits the namespaces of the
/// thread that forks it, and is killed when that thread ends); closures run on threads of their own, so that one
/// that blocks holds up nobody.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    net: OwnedFd,
    mnt: OwnedFd,
    keeper: mpsc::Sender<Job>,
}

impl Namespace {
    /// Makes both namespaces. With `private_run`, `/run` in there is empty and nobody else's.
    pub(super) fn new(name: &str, private_run: bool) -> io::Result<Self> {
        let (keeper, jobs) = mpsc::channel::<Job>();
        let (made, namespaces) = mpsc::sync_channel(1);
        thread::Builder::new().name(thread_name(name)).spawn(move || {
            let outcome = make_namespaces(private_run);
            let usable = outcome.is_ok();
            // The receiver waits in `new`; it is gone only if that thread died.
            let _ = made.send(outcome);
            if usable {
                jobs.into_iter().for_each(|job| job());
            }
        })?;
        let (net, mnt) = namespaces.recv().map_err(io::Error::other)??;
        Ok(Self {
            name: name.to_owned(),
            net,
            mnt,
            keeper,
        })
    }

    /// The network namespace.
    pub(super) fn net(&self) -> &OwnedFd {
        &self.net
    }

    /// Runs `f` in here, on a thread of its own, and waits. A panic in `f` goes on in the caller.
    pub(super) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = thread::Builder::new()
                .name(thread_name(&self.name))
                .spawn_scoped(scope, || {
                    self.join()
                        .expect("a thread with the lab's rights can join the lab's namespaces");
                    f()
                })
                .expect("the system has room for one more thread");
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts a thread in here that lives on by itself.
    pub(super) fn spawn_thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<thread::JoinHandle<T>> {
        let name = thread_name(&self.name);
        self.on_keeper(move || thread::Builder::new().name(name).spawn(f))
    }

    /// Runs `f` on the keeper's thread and waits. `f` must not block or panic.
    pub(super) fn on_keeper<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::sync_channel(1);
        let job = Box::new(move || {
            // Nobody waits for the result only if the caller's thread died.
            let _ = done.send(f());
        });
        self.keeper
            .send(job)
            .expect("the keeper lives as long as its namespace");
        result.recv().expect("jobs of the keeper do not panic")
    }

    /// Moves the calling thread in here.
    fn join(&self) -> io::Result<()> {
        // setns(2): a mount namespace can be joined only by a thread that shares its working directory with nobody,
        // and joining resets that directory.
        let directory = std::env::current_dir();
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.mnt, CloneFlags::CLONE_NEWNS)?;
        setns(&self.net, CloneFlags::CLONE_NEWNET)?;
        if let Ok(directory) = directory {
            // A directory that is hidden in here (below /run) can't be kept.
            let _ = std::env::set_current_dir(directory);
        }
        Ok(())
    }
}

/// Kernel names of threads are cut at 15 bytes; Rust's, which panic messages show, are not.
fn thread_name(namespace: &str) -> String {
    format!("lab:{namespace}")
}

/// Puts the calling thread into new namespaces and returns handles to them.
fn make_namespaces(private_run: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    if private_run && Path::new("/run").is_dir() {
        mount(
            Some("lab"),
            "/run",
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some("mode=0755"),
        )?;
    }
    // /sys shows the network of whoever mounted it. Containers that mask parts of /sys refuse this; then
    // /sys/class/net shows the wrong interfaces, which only programs that look there notice.
    let _ = mount(
        Some("lab"),
        "/sys",
        Some("sysfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_RDONLY,
        NONE,
    );
    let net = File::open("/proc/thread-self/ns/net")?;
    let mnt = File::open("/proc/thread-self/ns/mnt")?;
    Ok((net.into(), mnt.into()))
}

/// Sets a variable below /proc/sys/net of the calling thread's network namespace.
pub(super) fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/{name}"), value)
}

/// Reads a variable below /proc/sys/net of the calling thread's network namespace.
pub(super) fn get_sysctl(name: &str) -> Option<String> {
    let value = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
    Some(value.trim_end().to_owned())
}
