//! What is wrong with a rule.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use vrrp_core::Family;

/// Why settings don't make a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Priority 0 is the kernel's own.
    #[error("priority 0 of a rule: use one from 1 (local is 0, main is 32766)")]
    Priority,
    /// Table 0 is none.
    #[error("table 0 of a rule: use one from 1 (main is 254)")]
    Table,
    /// Rules are read once, from the lowest priority to the highest.
    #[error("goto {target} in a rule of priority {priority}: a rule can only jump ahead, to a higher number")]
    Goto {
        /// Where to.
        target: u32,
        /// Where from.
        priority: u32,
    },
    /// A rule concerns one family.
    #[error("{net} in a rule of {family}: use addresses of that family")]
    Family {
        /// The addresses given.
        net: IpNet,
        /// The rule's family.
        family: Family,
    },
    /// A selector is a network, not a host in it.
    #[error("{net} in a rule is a host in {network}: use {network}, or the address without a prefix")]
    HostBits {
        /// The addresses given.
        net: IpNet,
        /// The network that they are in.
        network: IpNet,
    },
    /// No interface can have that name.
    #[error("interface {name:?} of a rule: use a name of 1 to 15 printable characters without /")]
    Interface {
        /// The name given.
        name: String,
    },
    /// The two low bits belong to ECN.
    #[error("tos {got:#04x} of a rule: use a multiple of 4")]
    Tos {
        /// The value given.
        got: u8,
    },
    /// Not a range that the kernel takes.
    #[error("ports {}-{} of a rule: use a range within 1-65534, the lower first", got.start(), got.end())]
    Ports {
        /// The range given.
        got: RangeInclusive<u16>,
    },
    /// An empty range.
    #[error("uidrange {}-{} of a rule: put the lower first", got.start(), got.end())]
    Uids {
        /// The range given.
        got: RangeInclusive<u32>,
    },
    /// Only a table's answer can be suppressed.
    #[error("suppress_prefixlength and suppress_ifgroup of a rule: they need a table to look up")]
    SuppressesNothing,
    /// No prefix is that long.
    #[error("suppress_prefixlength {got} of a rule: use 0 to 32, or to 128 for IPv6")]
    SuppressPrefixlen {
        /// The length given.
        got: u8,
    },
}
