//! VRRP on Linux: sockets, virtual IP addresses and gratuitous ARP for the machines of [`vrrp_core`].
//!
//! [`spawn`] runs virtual routers on a thread of their own. It holds raw sockets of IP protocol 112, adds and removes
//! the virtual addresses through netlink, announces them, and watches the links; what to do and when is decided in
//! `vrrp_core`. It holds no health checks and no config files: those are in `ha-health` and `ha-stack`.
//!
//! ```no_run
//! use std::net::IpAddr;
//! use vrrp_core::{AddressList, Config, Priority, VirtualRouter, Vrid};
//! use vrrp_net::{Attachment, DriverEvent, RouterSet};
//!
//! let vip: IpAddr = "192.0.2.100".parse()?;
//! let config = Config::builder(Vrid::new(33).unwrap(), AddressList::new(&[vip])?).priority(Priority::new(150)).build()?;
//! let attachment = Attachment::builder("eth0").build()?;
//!
//! // The source address is the interface's; the driver sets it.
//! let router = VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0]));
//! let handle = vrrp_net::spawn(RouterSet::from(router), vec![attachment], |event| {
//!     if let DriverEvent::Transition { transition, .. } = event {
//!         println!("{} -> {}: {}", transition.from, transition.to, transition.reason);
//!     }
//! })?;
//! // … serve, until it is time to stop: priority 0 goes out, the address goes away.
//! handle.shutdown();
//! handle.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It needs CAP_NET_RAW and CAP_NET_ADMIN in the network namespace of the calling thread. With CAP_SYS_NICE its thread takes
//! the first place among ordinary threads (nice value -20); [`spawn_with`] takes [`DriverOptions`] for another, for
//! real-time priority, and for memory that stays in RAM.
//!
//! Masters of one interval whose adverts are due within an eighth of it speak together, once some of them too early, and
//! stay so; between adverts that come close together the thread rests for half a millisecond. Many virtual routers cost few
//! wakes so.
//!
//! An address is held by a lease: the kernel drops it three seconds after the driver last renewed it, so that a
//! process that was killed or hangs doesn't leave its host answering for an address that another has taken over
//! ([`AttachmentBuilder::lease`]).
//!
//! What it does to the machine, and nothing else: it adds addresses, which bear the mark `proto 112` where the kernel
//! keeps marks (5.18 and later), and removes those that an earlier run left behind. It never changes an address that
//! somebody else has added: the owner of the addresses (priority 255) keeps it, anyone else refuses to start. For a
//! virtual address with a prefix below 32 that would be the first of its subnet, it sets the interface's
//! `promote_secondaries`. Where it is asked to, it adds routes and rules ([`VirtualRoute`], [`VirtualRule`]), which bear
//! the same mark and have no lifetimes: what a killed process left of them stays until the next start, except that a
//! route goes with the address that is its source. Addresses that are not to be accepted
//! ([`AttachmentBuilder::accept`]) stand in a table of nf_tables, `inet vrrp-…`, which goes with the process (with Linux
//! before 5.12 at the next start). A removed address is put back, an interface that is deleted and made anew is used again.
//!
//! With a [`Vmac`] it makes a macvlan interface for the virtual MAC, whose alias begins with `vrrp-net`, and removes it at
//! the end, or at the next start if the process was killed; an interface of that name that it did not make is left alone.
//! On the interface that carries it, it raises `arp_ignore` to 1 and `arp_announce` to 2, and puts them back. What can
//! only be set below /proc/sys (that the new interface gets no IPv6 address of its own) is left out, with a warning, where
//! that is read-only.
//!
//! Time is CLOCK_BOOTTIME, which goes on while the machine is suspended. A process that stood still for longer than
//! its master-down interval steps down before it sends anything. A virtual machine that its hypervisor stops sees no
//! jump of any clock: there, all that can be done is done, adverts that came meanwhile are read before an expired
//! timer is acted upon.
//!
//! [`Driver`] runs on any [`Network`], so that a program's own [`Routers`] can be tested in virtual time. With feature
//! `lab` the real thing can be tested on a virtual LAN of network namespaces, without root.

mod config;
mod counters;
mod deadlines;
mod driver;
mod garp;
mod handle;
#[cfg(test)]
mod hex;
#[cfg(feature = "lab")]
pub mod lab;
mod linux;
mod ndp;
mod network;
mod nft;
mod options;
mod place;
mod plan;
mod routers;
mod sys;
mod vmac;

pub use config::{
    AddressOptions, Attachment, AttachmentBuilder, AttachmentError, Broadcast, NextHop, PreferredLft,
    RouteError, RouteKind, RouteSetting, RuleAction, RuleError, Scope, VirtualAddress, VirtualRoute,
    VirtualRouteBuilder, VirtualRule, VirtualRuleBuilder,
};
pub use counters::{DriverCounters, Malformed};
pub use driver::{Driver, DriverError, DriverEvent};
pub use handle::{Commands, DriverHandle, StartError, Stopped, spawn, spawn_with};
pub use linux::{LinuxNetwork, OpenError};
pub use network::{
    AddressError, Input, LinkId, LinkState, MacAddr, Network, Placement, Renewal, Routing, RoutingError,
};
pub use options::{DriverOptions, OptionsError};
pub use plan::{LinkPlan, LongestAdvert, Plan, PlanError, VmacPlan};
pub use routers::{Effect, RouterCommand, RouterSet, Routers};
pub use vmac::Vmac;
