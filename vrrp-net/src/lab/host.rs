//! A host on the lab's LAN.

use std::fmt;
use std::future::Future;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use ipnet::IpNet;

use super::MacAddr;
use super::capture::Capture;
use super::frame::Frame;
use super::ipv6;
use super::link::{LinkState, Netlink};
use super::namespace::Namespace;
use super::wait::{SETTLE_TIMEOUT, wait_until};
use crate::sys;

/// A host: a network namespace with `lo` and one Ethernet interface that is cabled to the lab's switch.
///
/// Cheap to clone; clones are the same host. It exists as long as the [`Lab`](super::Lab) or a clone does.
///
/// What "on the host" means: sockets opened there use the host's interfaces for ever, even if they are handed elsewhere;
/// `/sys/class/net` shows its interfaces; and `/run` is the host's own (empty at first), so that two daemons on two
/// hosts may both use `/run/daemon.sock`. All else, first of all the file system and process ids, is shared.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    interface: String,
    index: u32,
    mac: MacAddr,
    namespace: Namespace,
}

impl Host {
    pub(super) fn new(
        name: String,
        interface: String,
        index: u32,
        mac: MacAddr,
        namespace: Namespace,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                interface,
                index,
                mac,
                namespace,
            }),
        }
    }

    /// Its name in the lab.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The name of its Ethernet interface.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.inner.interface
    }

    /// The kernel's index of that interface, valid on the host.
    #[must_use]
    pub fn interface_index(&self) -> u32 {
        self.inner.index
    }

    /// The MAC address of that interface: 02:00:00:00:00:01 for the first host, and so on.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.inner.mac
    }

    /// Runs `f` on the host, in a thread of its own, and waits for it.
    ///
    /// # Panics
    /// If `f` does, with the same payload.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.inner.namespace.run(f)
    }

    /// Runs a future on the host, on a current-thread tokio runtime in a thread of its own, and waits for it.
    ///
    /// # Panics
    /// If the future does, with the same payload.
    pub fn block_on<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("the system has room for one more event queue")
                .block_on(future)
        })
    }

    /// Starts a thread on the host that goes on by itself.
    ///
    /// # Errors
    /// If the system has no room for one more thread.
    pub fn spawn_thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        self.inner.namespace.spawn_thread(f)
    }

    /// Starts a program on the host.
    ///
    /// It is killed (SIGKILL) when the host goes, at the latest when this process ends, however it ends. (A program that
    /// puts itself into the background or changes its user gets out of that.) Dropping the [`Child`] does not stop it.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        sys::die_with_spawner(&mut command);
        self.inner.namespace.on_keeper(move || command.spawn())
    }

    /// Runs a program on the host to its end and collects what it writes.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn output(&self, mut command: Command) -> io::Result<Output> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.spawn(command)?.wait_with_output()
    }

    /// Records the frames on the host's Ethernet interface, received and sent ones.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn capture(&self) -> io::Result<Capture> {
        self.capture_if(|_| true)
    }

    /// Records the frames on the host's Ethernet interface for which `keep` holds.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn capture_if(&self, keep: impl Fn(&Frame) -> bool + Send + 'static) -> io::Result<Capture> {
        let index = self.inner.index;
        let keep = move |frame: &Frame| frame.interface_index == index && keep(frame);
        Capture::start(&self.inner.namespace, Box::new(keep))
    }

    /// Adds an address to the interface. It is usable at once (no duplicate address detection) and announced to nobody.
    ///
    /// # Errors
    /// What the kernel says: `AlreadyExists` if the host has it.
    pub fn add_address(&self, address: IpNet) -> io::Result<()> {
        let Inner { interface, index, .. } = &*self.inner;
        self.run(|| {
            let netlink = Netlink::open()?;
            netlink.add_address(*index, address)?;
            if address.addr().is_ipv4() || netlink.state(interface)? != LinkState::Operational {
                return Ok(());
            }
            wait_until(SETTLE_TIMEOUT, || ipv6::are_usable(&netlink, interface, *index))
        })
    }

    /// Removes an address with its prefix length from the interface.
    ///
    /// # Errors
    /// `AddrNotAvailable` if the host does not have it.
    pub fn remove_address(&self, address: IpNet) -> io::Result<()> {
        self.run(|| Netlink::open()?.remove_address(self.inner.index, address))
    }

    /// The addresses on the interface, link-local ones too, with their prefix lengths.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn addresses(&self) -> io::Result<Vec<IpNet>> {
        self.run(|| Netlink::open()?.addresses(self.inner.index))
    }

    /// Waits until the kernel has finished acting on a plugged or a pulled cable, and returns what has come of it.
    pub(super) fn settle(&self, plugged: bool) -> io::Result<LinkState> {
        let Inner { interface, index, .. } = &*self.inner;
        self.run(|| {
            let netlink = Netlink::open()?;
            let mut state = LinkState::Down;
            wait_until(SETTLE_TIMEOUT, || {
                state = netlink.state(interface)?;
                Ok(match state {
                    // Set down by the host itself: no cable changes that.
                    LinkState::Down => true,
                    LinkState::NoCarrier => !plugged,
                    LinkState::Operational => plugged && ipv6::is_ready(&netlink, interface, *index)?,
                })
            })?;
            Ok(state)
        })
    }

    /// True if the interface is up and sees a carrier.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn has_carrier(&self) -> io::Result<bool> {
        self.run(|| Ok(Netlink::open()?.state(&self.inner.interface)? == LinkState::Operational))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.inner.name)
            .field("interface", &self.inner.interface)
            .field("mac", &self.inner.mac)
            .finish_non_exhaustive()
    }
}
