//! The LAN: two nodes' hosts and a client's, and the addresses of all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use serde::{Deserialize, Serialize};
use vrrp_net::lab::{Host, Lab, MacAddr};

use super::Result;

/// One of the two nodes' hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The first: ours, where programs are mixed.
    A,
    /// The second.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The host's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The address of its interface. B's is the higher one: it wins an election among equals.
    #[must_use]
    pub fn address(self, ipv6: bool) -> IpAddr {
        let number = match self {
            Self::A => 10,
            Self::B => 11,
        };
        host_address(number, ipv6)
    }
}

/// The name of every interface.
pub const INTERFACE: &str = "eth0";
/// How long answers to a question for an address are waited for.
const ANSWERS_COME: Duration = Duration::from_millis(150);

fn host_address(number: u8, ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, u16::from(number)).into()
    } else {
        Ipv4Addr::new(10, 9, 0, number).into()
    }
}

/// The virtual address of a virtual router that clients use.
#[must_use]
pub fn virtual_address(vrid: u8, ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 1, u16::from(vrid)).into()
    } else {
        Ipv4Addr::new(10, 9, 1, vrid).into()
    }
}

/// All addresses of a virtual router: with IPv6 a link-local one comes first (RFC 9568 §5.2.9).
#[must_use]
pub fn virtual_addresses(vrid: u8, ipv6: bool) -> Vec<IpAddr> {
    let link_local = ipv6.then(|| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(vrid)).into());
    link_local
        .into_iter()
        .chain([virtual_address(vrid, ipv6)])
        .collect()
}

/// The LAN.
#[derive(Debug)]
pub struct Lan {
    lab: Lab,
}

impl Lan {
    /// Makes it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> Result<Self> {
        let addresses = |number| {
            [
                format!("{}/16", host_address(number, false)),
                format!("{}/64", host_address(number, true)),
            ]
        };
        let lab = Lab::builder()
            .interface(INTERFACE)
            .host(Side::A.name(), addresses(10))
            .host(Side::B.name(), addresses(11))
            .host("client", addresses(20))
            .build()?;
        Ok(Self { lab })
    }

    /// The lab, for faults.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A node's host.
    #[must_use]
    pub fn host(&self, side: Side) -> &Host {
        self.lab.host(side.name())
    }

    /// The client's host.
    #[must_use]
    pub fn client(&self) -> &Host {
        self.lab.host("client")
    }

    /// Who answers the client's question for an address. One virtual MAC may stand for two hosts.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn who_has(&self, address: IpAddr) -> Result<Vec<MacAddr>> {
        Ok(match address {
            IpAddr::V4(address) => self.client().arp_who_has(address, ANSWERS_COME)?,
            IpAddr::V6(address) => self.client().ndp_who_has(address, ANSWERS_COME)?,
        })
    }

    /// How many virtual addresses a host has on its interface.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn address_count(&self, side: Side) -> Result<usize> {
        let addresses = self.host(side).addresses()?;
        let is_virtual = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[2] == 1,
            IpAddr::V6(v6) => v6.segments()[0] == 0xfd09 && v6.segments()[6] == 1,
        };
        Ok(addresses.iter().filter(|net| is_virtual(net.addr())).count())
    }

    /// Whether a host has an address on an interface that runs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn holds(&self, side: Side, address: IpAddr) -> Result<bool> {
        let entries = self
            .host(side)
            .run(|| getifaddrs().map(Iterator::collect::<Vec<_>>))?;
        Ok(entries.iter().any(|entry| {
            let storage = entry.address.as_ref();
            let has = storage.and_then(|storage| match address {
                IpAddr::V4(_) => storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip())),
                IpAddr::V6(_) => storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())),
            });
            has == Some(address) && entry.flags.contains(InterfaceFlags::IFF_RUNNING)
        }))
    }
}
