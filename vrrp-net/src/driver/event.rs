//! What the driver tells the program around it.

use std::net::IpAddr;

use vrrp_core::{Rival, SwitchoverEnd, Transition};

use crate::network::MacAddr;

/// Something that happened, in the order in which it did. Told on the driver's thread: return soon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverEvent<E> {
    /// What the [`Routers`](crate::Routers) have to say.
    Node(E),
    /// A virtual router changed its state. On becoming master the addresses are held and announced by then.
    Transition {
        /// Index of the router.
        router: usize,
        /// From where to where, and why.
        transition: Transition,
    },
    /// After taking an address over, it was claimed by a host that is neither we nor the last master. Both now answer
    /// for it.
    Conflict {
        /// Index of the router.
        router: usize,
        /// The address.
        address: IpAddr,
        /// Hardware address of the host that claims it.
        mac: MacAddr,
    },
    /// Another is master of the same virtual router beside us.
    Rival {
        /// Index of the router.
        router: usize,
        /// Who, and why probably.
        rival: Rival,
    },
    /// A switchover has ended.
    Switchover {
        /// Index of the router.
        router: usize,
        /// How.
        end: SwitchoverEnd,
    },
    /// Somebody removed an address that we hold; it was put back.
    AddressRestored {
        /// Index of the router.
        router: usize,
        /// The address.
        address: IpAddr,
    },
    /// Routes or rules that we hold were gone, removed by somebody or with an interface; they were put back.
    RoutingRestored {
        /// Index of the router.
        router: usize,
        /// How many.
        count: usize,
    },
    /// The addresses of a router, or its routes and rules, could not be added or kept: it is in Fault, and tries again by itself.
    AddressesRefused {
        /// Index of the router.
        router: usize,
        /// What is wrong and what to do, in one line.
        reason: String,
    },
}
