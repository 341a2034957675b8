//! What is wrong with a route.

use std::net::IpAddr;

use ipnet::IpNet;

use super::RouteSetting;

/// Why settings don't make a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A route leads to a network, not to a host in it.
    #[error("route to {to}: {to} is a host in {network}; use {network}, or the address without a prefix")]
    HostBits {
        /// The destination given.
        to: IpNet,
        /// The network that it is in.
        network: IpNet,
    },
    /// Packets need somewhere to go.
    #[error("route to {to}: add a gateway (via) or an interface (dev), or make it a blackhole")]
    NoNextHop {
        /// Its destination.
        to: IpNet,
    },
    /// One way or several, not both.
    #[error("route to {to}: use either via, dev and onlink, or nexthops that have them")]
    TwoWays {
        /// Its destination.
        to: IpNet,
    },
    /// Packets that are thrown away go nowhere.
    #[error("route to {to}: a blackhole, unreachable, prohibit or throw route has no via, dev or nexthop")]
    NeedsNoNextHop {
        /// Its destination.
        to: IpNet,
    },
    /// More next hops than fit one message.
    #[error("route to {to} has {got} next hops: use at most 64")]
    TooManyHops {
        /// Its destination.
        to: IpNet,
        /// How many.
        got: usize,
    },
    /// No gateway can have that address.
    #[error("gateway {gateway} of the route to {to}: use a unicast address of the same family (or IPv6)")]
    Gateway {
        /// Its destination.
        to: IpNet,
        /// The gateway given.
        gateway: IpAddr,
    },
    /// No source can be that address.
    #[error("src {source_address} of the route to {to}: use a unicast address of the same family")]
    Source {
        /// Its destination.
        to: IpNet,
        /// The source given.
        source_address: IpAddr,
    },
    /// No interface can have that name.
    #[error("interface {name:?} of the route to {to}: use a name of 1 to 15 printable characters without /")]
    Interface {
        /// Its destination.
        to: IpNet,
        /// The name given.
        name: String,
    },
    /// `onlink` says where the gateway is.
    #[error("route to {to}: onlink needs a gateway (via) and an interface (dev)")]
    Onlink {
        /// Its destination.
        to: IpNet,
    },
    /// The kernel keeps weights in eight bits.
    #[error("weight {got} of a next hop of the route to {to}: use 1 to 256")]
    Weight {
        /// Its destination.
        to: IpNet,
        /// The weight given.
        got: u16,
    },
    /// Table 0 is none.
    #[error("route to {to}: use a table from 1 (main is 254)")]
    Table {
        /// Its destination.
        to: IpNet,
    },
    /// The two low bits belong to ECN, and IPv6 routes have no TOS.
    #[error("tos {got:#04x} of the route to {to}: use a multiple of 4, on an IPv4 route")]
    Tos {
        /// Its destination.
        to: IpNet,
        /// The value given.
        got: u8,
    },
    /// IPv6 routes have no scope.
    #[error("scope of the route to {to}: IPv6 routes have none; leave it out")]
    Scope {
        /// Its destination.
        to: IpNet,
    },
    /// The kernel's own routes bear that protocol.
    #[error("protocol {got} of the route to {to}: use 3 to 255; 0 to 2 are the kernel's own")]
    Protocol {
        /// Its destination.
        to: IpNet,
        /// The protocol given.
        got: u8,
    },
    /// No connection can be like that.
    #[error(
        "{setting:?} of the route to {to}: use a name of 1 to 15 characters for congctl, a hop limit from 1"
    )]
    Setting {
        /// Its destination.
        to: IpNet,
        /// The setting given.
        setting: RouteSetting,
    },
}
