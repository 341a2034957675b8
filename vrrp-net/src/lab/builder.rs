//! The description of a LAN, and making it.

use std::io;
use std::sync::Mutex;

use ipnet::IpNet;
use thiserror::Error;

use super::link::{Cable, LOOPBACK, Netlink};
use super::namespace::{Namespace, set_sysctl};
use super::{Host, Lab, MacAddr};

/// How many hosts a lab may have.
pub const HOSTS_MAX: usize = 200;

/// The switch's own interface and its index.
pub(super) const BRIDGE: (&str, u32) = ("br0", 99);

/// Port indices start here. They must differ from the index of the other end: for a pair with equal indices in
/// two namespaces the kernel takes up to a second to act on a carrier (linkwatch mistakes it for a lone device).
pub(super) const FIRST_PORT: u32 = 100;

/// Describes a LAN to make. Get one from [`Lab::builder`].
#[derive(Debug, Clone)]
pub struct LabBuilder {
    interface: String,
    private_run: bool,
    hosts: Vec<HostPlan>,
}

#[derive(Debug, Clone)]
struct HostPlan {
    name: String,
    interface: Option<String>,
    addresses: Vec<String>,
}

/// Why a LAN could not be made.
#[derive(Debug, Error)]
pub enum LabError {
    /// Two hosts have the same name.
    #[error("two hosts are called {name:?}")]
    DuplicateHost {
        /// That name.
        name: String,
    },
    /// There are more than [`HOSTS_MAX`] hosts.
    #[error("{hosts} hosts are too many, {HOSTS_MAX} is the most")]
    TooManyHosts {
        /// How many.
        hosts: usize,
    },
    /// The kernel takes interface names of 1 to 15 bytes without slash and white space.
    #[error(
        "{interface:?} can't be the name of an interface: write 1 to 15 characters without '/' and spaces"
    )]
    BadInterface {
        /// That name.
        interface: String,
    },
    /// An address is not one with a prefix length.
    #[error(
        "host {host:?} can't have address {address:?}: write an IPv4 or IPv6 address with prefix length, such as 192.0.2.1/24"
    )]
    BadAddress {
        /// Whose.
        host: String,
        /// That address.
        address: String,
    },
    /// The process may not make namespaces.
    #[error(
        "the lab needs namespaces of its own: call lab::enter first in main, or write the test as lab::test(|| …)"
    )]
    NotEntered,
    /// The kernel refused something.
    #[error("can't {step}: {source}")]
    Io {
        /// What was tried.
        step: String,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl LabBuilder {
    pub(super) fn new() -> Self {
        Self {
            interface: "eth0".to_owned(),
            private_run: true,
            hosts: Vec::new(),
        }
    }

    /// Adds a host with its addresses, each with a prefix length: `["192.168.192.10/24", "fd00::10/64"]`.
    #[must_use]
    pub fn host<A: AsRef<str>>(mut self, name: &str, addresses: impl IntoIterator<Item = A>) -> Self {
        let addresses = addresses
            .into_iter()
            .map(|address| address.as_ref().to_owned())
            .collect();
        self.hosts.push(HostPlan {
            name: name.to_owned(),
            interface: None,
            addresses,
        });
        self
    }

    /// Names the interface of the host added last, where it differs from the others'.
    ///
    /// # Panics
    /// If no host was added yet.
    #[must_use]
    pub fn host_interface(mut self, name: &str) -> Self {
        let host = self
            .hosts
            .last_mut()
            .expect("host_interface follows the host that it is about");
        host.interface = Some(name.to_owned());
        self
    }

    /// Names the hosts' interfaces. Default `eth0`.
    #[must_use]
    pub fn interface(mut self, name: &str) -> Self {
        name.clone_into(&mut self.interface);
        self
    }

    /// Whether each host has a `/run` of its own, empty at first. Default true. Without, daemons on different
    /// hosts need different paths for their sockets and pid files; with, programs and files below `/run` can't be
    /// reached from a host.
    #[must_use]
    pub fn private_run(mut self, private: bool) -> Self {
        self.private_run = private;
        self
    }

    /// Makes the LAN. When it returns, every interface is up and every address usable.
    ///
    /// # Errors
    /// [`LabError`]: something in the description can't be, or the process has not [entered](super::enter) namespaces.
    pub fn build(self) -> Result<Lab, LabError> {
        let plans = self.checked()?;
        let switch =
            Namespace::new("switch", false).map_err(|source| namespace_error("the switch", source))?;
        let mut hosts = Vec::with_capacity(plans.len());
        for plan in &plans {
            let namespace = Namespace::new(&plan.name, self.private_run)
                .map_err(|source| namespace_error(&format!("host {}", plan.name), source))?;
            namespace.run(configure_host);
            hosts.push(namespace);
        }
        switch
            .run(|| wire_up(&plans, &hosts))
            .map_err(|source| LabError::Io {
                step: "make the switch and its cables".to_owned(),
                source,
            })?;
        let mut ready = Vec::with_capacity(plans.len());
        for (plan, namespace) in plans.into_iter().zip(hosts) {
            let index = namespace.run(|| assign(&plan)).map_err(|source| LabError::Io {
                step: format!("set up the interface of host {}", plan.name),
                source,
            })?;
            ready.push(Host::new(plan.name, plan.interface, index, plan.mac, namespace));
        }
        let lab = Lab {
            switch,
            hosts: ready,
            faults: Mutex::default(),
        };
        lab.connect().map_err(|source| LabError::Io {
            step: "see all carriers come up".to_owned(),
            source,
        })?;
        Ok(lab)
    }

    fn checked(&self) -> Result<Vec<Plan>, LabError> {
        if self.hosts.len() > HOSTS_MAX {
            return Err(LabError::TooManyHosts {
                hosts: self.hosts.len(),
            });
        }
        let mut plans: Vec<Plan> = Vec::with_capacity(self.hosts.len());
        for (number, host) in (1_u8..).zip(&self.hosts) {
            if plans.iter().any(|plan| plan.name == host.name) {
                return Err(LabError::DuplicateHost {
                    name: host.name.clone(),
                });
            }
            let interface = host.interface.as_ref().unwrap_or(&self.interface);
            if !is_interface_name(interface) {
                return Err(LabError::BadInterface {
                    interface: interface.clone(),
                });
            }
            let addresses = host.addresses.iter().map(|address| {
                address.parse::<IpNet>().map_err(|_| LabError::BadAddress {
                    host: host.name.clone(),
                    address: address.clone(),
                })
            });
            plans.push(Plan {
                number,
                name: host.name.clone(),
                interface: interface.clone(),
                mac: MacAddr::new(2, 0, 0, 0, 0, number),
                addresses: addresses.collect::<Result<_, _>>()?,
            });
        }
        Ok(plans)
    }
}

/// A host to make, checked.
struct Plan {
    number: u8,
    name: String,
    interface: String,
    mac: MacAddr,
    addresses: Vec<IpNet>,
}

impl Plan {
    fn port_index(&self) -> u32 {
        FIRST_PORT + u32::from(self.number)
    }
}

/// The switch's port to which the host of this number (from 1) is cabled.
pub(super) fn port_name(number: usize) -> String {
    format!("port{number}")
}

/// dev_valid_name of the kernel.
fn is_interface_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && name != "lo" && !name.contains(bad)
}

fn namespace_error(whose: &str, source: io::Error) -> LabError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return LabError::NotEntered;
    }
    LabError::Io {
        step: format!("make a network namespace for {whose}"),
        source,
    }
}

/// Makes interfaces silent and quick, before there are any. Runs on the host.
fn configure_host() {
    // Where /proc/sys is read-only (some containers) hosts work all the same: link-local addresses are tentative
    // for a second, and routers are asked for.
    let _ = set_sysctl("ipv6/conf/default/accept_dad", "0");
    let _ = set_sysctl("ipv6/conf/default/accept_ra", "0");
    let _ = set_sysctl("ipv6/conf/default/router_solicitations", "0");
}

/// Makes the bridge and the cables to all hosts. Runs on the switch.
fn wire_up(plans: &[Plan], hosts: &[Namespace]) -> io::Result<()> {
    // The switch itself is to send nothing.
    let _ = set_sysctl("ipv6/conf/default/disable_ipv6", "1");
    // Where br_netfilter is loaded, each frame would pass the packet filters of a router too.
    for hook in ["arptables", "ip6tables", "iptables"] {
        let _ = set_sysctl(&format!("bridge/bridge-nf-call-{hook}"), "0");
    }
    let netlink = Netlink::open()?;
    let (name, bridge) = BRIDGE;
    netlink.add_bridge(name, bridge, MacAddr::new(2, 0, 0, 0, 1, 0))?;
    for (plan, host) in plans.iter().zip(hosts) {
        netlink.add_cable(&Cable {
            bridge,
            port: &port_name(usize::from(plan.number)),
            port_index: plan.port_index(),
            port_mac: MacAddr::new(2, 0, 0, 0, 1, plan.number),
            host: host.net(),
            interface: &plan.interface,
            interface_mac: plan.mac,
        })?;
    }
    Ok(())
}

/// Brings up loopback and the interface, with its addresses. Runs on the host.
fn assign(plan: &Plan) -> io::Result<u32> {
    let netlink = Netlink::open()?;
    netlink.set_up(LOOPBACK, true)?;
    let index = netlink.index(&plan.interface)?;
    for address in &plan.addresses {
        netlink.add_address(index, *address)?;
    }
    netlink.set_up(index, true)?;
    Ok(index)
}
