//! High availability and load balancing as one library and one daemon: a virtual IP that moves when a host, a link or a
//! check fails (VRRP), and a load balancer behind it.
//!
//! It composes four crates and decides nothing below them: [`vrrp_core`] and [`vrrp_net`] elect and move the addresses,
//! [`ha_health`] checks, [`lb_proxy`] balances. What it adds is how they act on each other: failing checks lower the
//! priority of virtual routers and take backends out.
//!
//! A program that owns a virtual IP, lowers its priority while its own load balancer doesn't answer, and stops without
//! an outage:
//!
//! ```no_run
//! use std::time::Duration;
//! use ha_health::{CheckConfig, Weight, probe::Tcp};
//! use ha_stack::{Instance, Stack};
//! use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
//! use lb_proxy::proxy::ProxyConfig;
//! use vrrp_core::{AddressList, Config, Priority, Vrid};
//! use vrrp_net::Attachment;
//!
//! let addresses = AddressList::new(&["192.168.192.130".parse()?])?;
//! let vrrp = Config::builder(Vrid::new(33).unwrap(), addresses).priority(Priority::new(100)).build()?;
//! let app = UpstreamConfig::builder("app")
//!     .backend(BackendConfig::new("tomcat-1", "192.168.192.20:8080".parse()?))
//!     .backend(BackendConfig::new("tomcat-2", "192.168.192.20:8081".parse()?))
//!     .build()?;
//! let proxy = ProxyConfig::builder(Upstream::new(app)).listen("0.0.0.0:80".parse()?).build()?;
//! let check = CheckConfig::builder("proxy").interval(Duration::from_secs(1)).weight(Weight::new(-20)?).build()?;
//! let stack = Stack::builder("lb1")
//!     .check(check, Tcp::new("127.0.0.1:80".parse()?))
//!     .instance(Instance::new("VI_1", vrrp, Attachment::builder("eth0").build()?).track("proxy"))
//!     .proxy("web", proxy)
//!     .build()?;
//! let mut handle = stack.spawn()?;
//! let mut events = handle.events();
//! while let Some(event) = events.wait() {
//!     println!("{event}");
//!     # break;
//! }
//! handle.shutdown(Duration::from_secs(10)).wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything that waits for an answer ([`Reply`], [`Events`]) does so in any async runtime, or in a plain thread.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | none | [`compose`]: everything above |
#![cfg_attr(feature = "config", doc = "| `config` | [`config`]: TOML files |")]
#![cfg_attr(not(feature = "config"), doc = "| `config` | TOML files |")]
//! | `import` | keepalived.conf, read by `config` |
#![cfg_attr(
    feature = "admin",
    doc = "| `admin` | [`admin`]: status and orders over a Unix socket |"
)]
#![cfg_attr(
    not(feature = "admin"),
    doc = "| `admin` | status and orders over a Unix socket |"
)]
//! | `daemon` | the binary `ha-stack` |
#![forbid(unsafe_code)]

#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod compose;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "import")]
mod import;

pub use ha_health::probe::Interface;

pub use compose::{
    BackendCheckStatus, BuildError, CheckStatus, Controller, Event, Events, FifoError, Handle, Instance,
    InstanceStatus, Node, Notify, NotifyFifo, ProxyError, ProxyStatus, Reply, SetHmacError, Stack,
    StackBuilder, StartError, Status, Stopped, SwitchoverError, Track, UpstreamCheck,
};
