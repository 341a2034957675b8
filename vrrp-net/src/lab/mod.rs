//! A virtual LAN on the real kernel, without root: hosts, a switch, and faults.
//!
//! A [`Lab`] is a bridge and a few hosts in network namespaces of their own. Raw sockets, multicast, virtual IPs,
//! gratuitous ARP, macvlan and `SO_BINDTODEVICE` all work as on real machines, because it is the real network stack.
//! Use it to test how your own program fails over. Everything is made through netlink, no program (`ip`, `nft`) is
//! needed; nothing is left in `/run/netns` or anywhere else, and everything vanishes with the process.
//!
//! It is a world in real time. For many schedules of faults in virtual time, from a seed, take `vrrp_core::sim`.
//!
//! # In a test
//! libtest has threads, and a user namespace can only be made by a process that has one. So [`test`](fn@test) runs the test's
//! body in a child process of its own. Where namespaces are denied, the test says so, and passes; set
//! `VRRP_LAB_REQUIRED=1` to make it fail.
//!
//! ```no_run
//! use std::time::Duration;
//! use vrrp_net::lab::{self, Lab};
//!
//! # stringify!(
//! #[test]
//! # );
//! fn the_virtual_ip_moves_when_a_link_is_cut() {
//!     lab::test(|| {
//!         let lab = Lab::builder()
//!             .host("lb1", ["192.168.192.10/24"])
//!             .host("lb2", ["192.168.192.11/24"])
//!             .host("client", ["192.168.192.20/24"])
//!             .build()
//!             .unwrap();
//!         // A program, started on a host:
//!         let mut daemon = std::process::Command::new("ha-stack");
//!         daemon.args(["run", "lb1.conf"]);
//!         let mut daemon = lab.host("lb1").spawn(daemon).unwrap();
//!         // Code, run on a host:
//!         let socket = lab.host("client").run(|| std::net::UdpSocket::bind("0.0.0.0:0")).unwrap();
//!         // A fault, and who answers for the address now:
//!         lab.cut("lb1").unwrap();
//!         let vip = "192.168.192.130".parse().unwrap();
//!         let answers = lab.host("client").arp_who_has(vip, Duration::from_millis(200)).unwrap();
//!         assert_eq!(answers, [lab.host("lb2").mac()]);
//!         # let _ = (socket, daemon.kill());
//!     });
//! }
//! ```
//!
//! # In a program
//! ```no_run
//! use vrrp_net::lab::{self, Lab};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     lab::enter()?; // first of all, before there are threads
//!     let lab = Lab::builder().host("a", ["10.0.0.1/24", "fd00::1/64"]).host("b", ["10.0.0.2/24"]).build()?;
//!     let listener = lab.host("b").run(|| std::net::TcpListener::bind("10.0.0.2:8080"))?;
//!     let client = lab.host("a").run(|| std::net::TcpStream::connect("10.0.0.2:8080"))?;
//!     # let _ = (listener, client);
//!     Ok(())
//! }
//! ```
//!
//! # What can break
//! | | what is lost | who can tell |
//! |---|---|---|
//! | [`Lab::cut`] | all frames of a host, both ways | the host: it has no carrier |
//! | [`Lab::cut_silently`] | all frames of a host, both ways | nobody |
//! | [`Lab::cut_from`] | what a host sends: it hears and is not heard | nobody |
//! | [`Lab::cut_to`] | what a host should hear: it is heard and does not hear | nobody |
//! | [`Lab::cut_path`] | what one host sends to one other | nobody |
//!
//! A program is broken by [killing](std::process::Child::kill) what [`Host::spawn`] started. [`Capture`] records frames
//! with the kernel's timestamps; [`Host::arp_who_has`] and [`Host::ndp_who_has`] tell who answers for an address, and
//! whether two do.
//!
//! # Who may
//! Root always may. Anyone else may where user namespaces are allowed, as on most distributions; [`EnterError`] says
//! what to do where they are not. In a user namespace there is one user: the caller, who appears as root.
//! Programs that change to another user, take real-time priority or lock memory need the real root.
//!
//! # What it is not
//! Hosts share the file system (except `/run` and `/sys`), process ids, the clock and the CPUs. Frames are not delayed,
//! reordered or lost at random. IPv6 addresses are usable at once, without duplicate address detection. The kernel needs
//! veth and bridge devices, and for silent cuts nf_tables for bridges; every distribution's kernel has them.

use std::io;
use std::sync::{Mutex, PoisonError};

mod builder;
mod capture;
mod enter;
mod faults;
mod frame;
mod host;
mod ipv6;
mod link;
mod namespace;
mod nft;
mod probe;
mod stillness;
mod testing;
mod wait;

pub use builder::{HOSTS_MAX, LabBuilder, LabError};
pub use capture::{Capture, FRAMES_MAX};
pub use enter::{EnterError, UserNamespace, enter, enter_with, entered};
pub use faults::FaultError;
pub use frame::{Arp, Frame, Ip, NeighborAdvert};
pub use host::Host;
/// An Ethernet address.
pub use pnet::util::MacAddr;
pub use stillness::{Stillness, Stops};
pub use testing::{LabTest, skip, test};

use faults::{Cut, Faults};
use link::{LinkState, Netlink};
use namespace::Namespace;
use wait::{SETTLE_TIMEOUT, wait_until};

/// A virtual LAN: a switch, hosts, and a cable from each host to the switch.
///
/// Dropping it removes everything that it made; hosts that were cloned stay until their last clone goes, uncabled.
///
/// Faults add up: a host may have its cable cut and a path cut as well. [`heal`](Lab::heal) ends all that concern a host.
/// All methods that take a host's name panic if there is none of that name.
#[derive(Debug)]
pub struct Lab {
    switch: Namespace,
    hosts: Vec<Host>,
    faults: Mutex<Faults>,
}

impl Lab {
    /// Starts the description of a LAN, with no hosts yet.
    #[must_use]
    pub fn builder() -> LabBuilder {
        LabBuilder::new()
    }

    /// Pulls the cable of a host: it loses its carrier, and so does the switch's port.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn cut(&self, host: &str) -> Result<(), FaultError> {
        self.set_cable(host, false)
    }

    /// Ends all faults that concern a host, and plugs its cable in again if it was cut. Its carrier is back on return.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn heal(&self, host: &str) -> Result<(), FaultError> {
        let port = self.port(host);
        self.change_faults(&format!("heal {host}"), |faults| faults.remove_all_of(port))?;
        self.set_cable(host, true)
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn heal_all(&self) -> Result<(), FaultError> {
        self.change_faults("heal all hosts", |faults| faults.remove(|_| true))?;
        self.hosts
            .iter()
            .try_for_each(|host| self.set_cable(host.name(), true))
    }

    /// Loses every frame that a host sends. It hears the others, they do not hear it; no carrier changes.
    ///
    /// # Errors
    /// What the kernel says. The kernel needs nf_tables with the bridge family for this.
    pub fn cut_from(&self, host: &str) -> Result<(), FaultError> {
        let cut = Cut::From(self.port(host));
        self.change_faults(&format!("cut the way from {host}"), |faults| faults.add([cut]))
    }

    /// Loses every frame on its way to a host. The others hear it, it does not hear them; no carrier changes.
    ///
    /// # Errors
    /// As for [`cut_from`](Lab::cut_from).
    pub fn cut_to(&self, host: &str) -> Result<(), FaultError> {
        let cut = Cut::To(self.port(host));
        self.change_faults(&format!("cut the way to {host}"), |faults| faults.add([cut]))
    }

    /// Loses every frame to and from a host; no carrier changes. A switch that hangs looks like this.
    ///
    /// # Errors
    /// As for [`cut_from`](Lab::cut_from).
    pub fn cut_silently(&self, host: &str) -> Result<(), FaultError> {
        let port = self.port(host);
        self.change_faults(&format!("cut {host} silently"), |faults| {
            faults.add([Cut::From(port), Cut::To(port)])
        })
    }

    /// Loses the frames that one host sends to another, multicast included. The reverse way and all others work.
    ///
    /// # Errors
    /// As for [`cut_from`](Lab::cut_from).
    pub fn cut_path(&self, from: &str, to: &str) -> Result<(), FaultError> {
        let cut = Cut::Path(self.port(from), self.port(to));
        self.change_faults(&format!("cut the path from {from} to {to}"), |faults| {
            faults.add([cut])
        })
    }

    /// Ends [`cut_path`](Lab::cut_path) between these hosts, in this direction.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn heal_path(&self, from: &str, to: &str) -> Result<(), FaultError> {
        let healed = Cut::Path(self.port(from), self.port(to));
        self.change_faults(&format!("heal the path from {from} to {to}"), |faults| {
            faults.remove(|cut| cut == healed)
        })
    }

    /// Records what all hosts send, each frame once, as it arrives at the switch (and so before any silent cut).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn capture(&self) -> io::Result<Capture> {
        let is_port = |frame: &Frame| frame.interface_index >= builder::FIRST_PORT;
        Capture::start(&self.switch, Box::new(move |frame| is_port(frame) && !frame.sent))
    }

    /// The host of that name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        &self.hosts[self.position(name)]
    }

    /// All hosts, in the order in which they were added.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn position(&self, name: &str) -> usize {
        self.hosts
            .iter()
            .position(|host| host.name() == name)
            .unwrap_or_else(|| {
                let names: Vec<_> = self.hosts.iter().map(Host::name).collect();
                panic!("no host is called {name:?}; there are {names:?}")
            })
    }

    /// The index of the switch's port to which a host is cabled.
    fn port(&self, host: &str) -> u32 {
        let number = u32::try_from(self.position(host) + 1).expect("there are at most HOSTS_MAX hosts");
        builder::FIRST_PORT + number
    }

    fn set_cable(&self, host: &str, plugged: bool) -> Result<(), FaultError> {
        let port = self.port(host);
        let host = self.host(host);
        let settled = self
            .switch
            .run(|| Netlink::open()?.set_up(port, plugged))
            .and_then(|()| {
                if plugged {
                    self.settle(std::slice::from_ref(host))
                } else {
                    host.settle(false).map(drop)
                }
            });
        settled.map_err(|source| FaultError {
            what: format!(
                "{} the cable of {}",
                if plugged { "plug in" } else { "pull" },
                host.name()
            ),
            source,
        })
    }

    /// Waits until plugged cables carry frames both ways.
    fn settle(&self, hosts: &[Host]) -> io::Result<()> {
        let mut ports = Vec::with_capacity(hosts.len());
        for host in hosts {
            // A host that has set its interface down leaves its port without carrier.
            if host.settle(true)? == LinkState::Operational {
                ports.push(builder::port_name(self.position(host.name()) + 1));
            }
        }
        self.switch.run(|| {
            let netlink = Netlink::open()?;
            ports
                .iter()
                .try_for_each(|port| wait_until(SETTLE_TIMEOUT, || netlink.is_forwarding(port)))
        })
    }

    fn change_faults(
        &self,
        what: &str,
        change: impl FnOnce(&mut Faults) -> io::Result<()> + Send,
    ) -> Result<(), FaultError> {
        let mut guard = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let faults: &mut Faults = &mut guard;
        let outcome = self.switch.run(|| change(faults));
        outcome.map_err(|source| FaultError {
            what: what.to_owned(),
            source,
        })
    }

    /// Turns the switch on and waits until every host is connected.
    fn connect(&self) -> io::Result<()> {
        self.switch
            .run(|| Netlink::open()?.set_up(builder::BRIDGE.1, true))?;
        self.settle(&self.hosts)
    }
}
