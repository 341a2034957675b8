//! A routing rule that moves with a virtual router.

mod error;

use std::fmt;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use vrrp_core::Family;

use super::check_interface;
pub use error::RuleError;

/// Ports that the kernel takes in rules.
const PORTS: RangeInclusive<u16> = 1..=65534;

/// A routing rule that a virtual router has while it is master (`virtual_rules`). One that exists is valid by itself.
///
/// It bears the mark `proto 112`, by which a start recognises what a killed process left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRule {
    pub(crate) family: Family,
    pub(crate) action: RuleAction,
    pub(crate) priority: u32,
    pub(crate) invert: bool,
    pub(crate) from: Option<IpNet>,
    pub(crate) to: Option<IpNet>,
    pub(crate) iif: Option<String>,
    pub(crate) oif: Option<String>,
    pub(crate) fwmark: Option<(u32, u32)>,
    pub(crate) tos: u8,
    pub(crate) ip_proto: Option<u8>,
    pub(crate) sport: Option<RangeInclusive<u16>>,
    pub(crate) dport: Option<RangeInclusive<u16>>,
    pub(crate) uids: Option<RangeInclusive<u32>>,
    pub(crate) suppress_prefixlen: Option<u8>,
    pub(crate) suppress_ifgroup: Option<u32>,
    pub(crate) track: bool,
}

/// What becomes of packets that a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// They are routed by this table (`lookup`, `table`).
    Lookup(u32),
    /// The search goes on at the rule of this priority (`goto`).
    Goto(u32),
    /// The search goes on at the next rule.
    Nop,
    /// They vanish.
    Blackhole,
    /// They are answered with "host unreachable".
    Unreachable,
    /// They are answered with "administratively prohibited".
    Prohibit,
}

/// Collects what a rule is; [`build`](Self::build) checks it. Without selectors it fits every packet.
#[derive(Clone, Debug)]
#[must_use]
pub struct VirtualRuleBuilder {
    rule: VirtualRule,
}

impl VirtualRule {
    /// Priority unless configured: behind `local` (0), ahead of `main` (32766). Rules of the same priority stand in
    /// the order in which they were added.
    pub const DEFAULT_PRIORITY: u32 = 16_384;

    /// Starts a rule for packets of a family.
    pub fn builder(family: Family, action: RuleAction) -> VirtualRuleBuilder {
        VirtualRuleBuilder {
            rule: Self {
                family,
                action,
                priority: Self::DEFAULT_PRIORITY,
                invert: false,
                from: None,
                to: None,
                iif: None,
                oif: None,
                fwmark: None,
                tos: 0,
                ip_proto: None,
                sport: None,
                dport: None,
                uids: None,
                suppress_prefixlen: None,
                suppress_ifgroup: None,
                track: true,
            },
        }
    }

    /// Family of the packets that it concerns.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its place among the rules: the lowest comes first.
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// Whether the virtual router goes to Fault when it can't have the rule. Default: yes.
    pub fn is_tracked(&self) -> bool {
        self.track
    }

    /// Whether the kernel may take one for the other when it removes one.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.has_all_of(other) || other.has_all_of(self)
    }

    fn has_all_of(&self, other: &Self) -> bool {
        fn has<T: PartialEq>(ours: &Option<T>, theirs: &Option<T>) -> bool {
            theirs.is_none() || ours == theirs
        }
        (self.family, self.priority, self.action) == (other.family, other.priority, other.action)
            && has(&self.from, &other.from)
            && has(&self.to, &other.to)
            && has(&self.iif, &other.iif)
            && has(&self.oif, &other.oif)
            && has(&self.fwmark, &other.fwmark)
            && (other.tos == 0 || self.tos == other.tos)
            && has(&self.ip_proto, &other.ip_proto)
            && has(&self.sport, &other.sport)
            && has(&self.dport, &other.dport)
            && has(&self.uids, &other.uids)
    }
}

impl VirtualRuleBuilder {
    /// Its place among the rules (`priority`, `preference`), from 1: the lowest comes first. Default: 16384.
    pub fn priority(mut self, priority: u32) -> Self {
        self.rule.priority = priority;
        self
    }

    /// Fits packets that the selectors don't fit (`not`).
    pub fn invert(mut self) -> Self {
        self.rule.invert = true;
        self
    }

    /// Fits packets from these addresses.
    pub fn from(mut self, from: impl Into<IpNet>) -> Self {
        self.rule.from = Some(from.into());
        self
    }

    /// Fits packets to these addresses.
    pub fn to(mut self, to: impl Into<IpNet>) -> Self {
        self.rule.to = Some(to.into());
        self
    }

    /// Fits packets that came in at this interface (`iif`, `dev`); `lo` for those of this host. It need not exist.
    pub fn iif(mut self, interface: impl Into<String>) -> Self {
        self.rule.iif = Some(interface.into());
        self
    }

    /// Fits packets of sockets that are bound to this interface (`oif`). It need not exist.
    pub fn oif(mut self, interface: impl Into<String>) -> Self {
        self.rule.oif = Some(interface.into());
        self
    }

    /// Fits packets whose firewall mark equals `mark` in the bits of `mask`; u32::MAX for all bits.
    pub fn fwmark(mut self, mark: u32, mask: u32) -> Self {
        self.rule.fwmark = Some((mark, mask));
        self
    }

    /// Fits packets of this type of service (`tos`, `dsfield`); the two low bits are 0.
    pub fn tos(mut self, tos: u8) -> Self {
        self.rule.tos = tos;
        self
    }

    /// Fits packets of this IP protocol (`ipproto`), such as 6 for TCP.
    pub fn ip_proto(mut self, protocol: u8) -> Self {
        self.rule.ip_proto = Some(protocol);
        self
    }

    /// Fits packets from these ports, 1 to 65534.
    pub fn sport(mut self, ports: RangeInclusive<u16>) -> Self {
        self.rule.sport = Some(ports);
        self
    }

    /// Fits packets to these ports, 1 to 65534.
    pub fn dport(mut self, ports: RangeInclusive<u16>) -> Self {
        self.rule.dport = Some(ports);
        self
    }

    /// Fits packets of sockets that these users own (`uidrange`).
    pub fn uids(mut self, uids: RangeInclusive<u32>) -> Self {
        self.rule.uids = Some(uids);
        self
    }

    /// Goes on with the next rule if the table's answer has a prefix of this length or a shorter one
    /// (`suppress_prefixlength`): with 0, if it is a default route.
    pub fn suppress_prefixlen(mut self, len: u8) -> Self {
        self.rule.suppress_prefixlen = Some(len);
        self
    }

    /// Goes on with the next rule if the table's answer leads to an interface of this group (`suppress_ifgroup`).
    pub fn suppress_ifgroup(mut self, group: u32) -> Self {
        self.rule.suppress_ifgroup = Some(group);
        self
    }

    /// Whether the virtual router goes to Fault when it can't have the rule; with `false` (`no_track`) it serves
    /// without. Default: yes.
    pub fn track(mut self, track: bool) -> Self {
        self.rule.track = track;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn build(self) -> Result<VirtualRule, RuleError> {
        let rule = self.rule;
        if rule.priority == 0 {
            return Err(RuleError::Priority);
        }
        match rule.action {
            RuleAction::Lookup(0) => return Err(RuleError::Table),
            RuleAction::Goto(target) if target <= rule.priority => {
                let priority = rule.priority;
                return Err(RuleError::Goto { target, priority });
            }
            _ => {}
        }
        for net in [rule.from, rule.to].into_iter().flatten() {
            if matches!(net, IpNet::V4(_)) != (rule.family == Family::Ipv4) {
                let family = rule.family;
                return Err(RuleError::Family { net, family });
            }
            if net.addr() != net.network() {
                let network = net.trunc();
                return Err(RuleError::HostBits { net, network });
            }
        }
        for name in [&rule.iif, &rule.oif].into_iter().flatten() {
            check_interface(name).map_err(|_| RuleError::Interface { name: name.clone() })?;
        }
        if rule.tos & 3 != 0 {
            return Err(RuleError::Tos { got: rule.tos });
        }
        for ports in [&rule.sport, &rule.dport].into_iter().flatten() {
            if ports.is_empty() || !PORTS.contains(ports.start()) || !PORTS.contains(ports.end()) {
                return Err(RuleError::Ports { got: ports.clone() });
            }
        }
        if let Some(uids) = rule.uids.as_ref().filter(|uids| uids.is_empty()) {
            return Err(RuleError::Uids { got: uids.clone() });
        }
        let suppresses = rule.suppress_prefixlen.is_some() || rule.suppress_ifgroup.is_some();
        if suppresses && !matches!(rule.action, RuleAction::Lookup(_)) {
            return Err(RuleError::SuppressesNothing);
        }
        match (rule.suppress_prefixlen, rule.family) {
            (Some(got @ 33..), Family::Ipv4) | (Some(got @ 129..), Family::Ipv6) => {
                Err(RuleError::SuppressPrefixlen { got })
            }
            _ => Ok(rule),
        }
    }
}

/// In the words of `ip rule`.
impl fmt::Display for VirtualRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invert {
            f.write_str("not ")?;
        }
        match self.from {
            Some(from) => write!(f, "from {from}")?,
            None => f.write_str("from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        for (name, interface) in [("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(interface) = interface {
                write!(f, " {name} {interface}")?;
            }
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        if let Some(protocol) = self.ip_proto {
            write!(f, " ipproto {protocol}")?;
        }
        for (name, ports) in [("sport", &self.sport), ("dport", &self.dport)] {
            if let Some(ports) = ports {
                write!(f, " {name} {}-{}", ports.start(), ports.end())?;
            }
        }
        match self.action {
            RuleAction::Lookup(table) => write!(f, " lookup {table}")?,
            RuleAction::Goto(target) => write!(f, " goto {target}")?,
            RuleAction::Nop => f.write_str(" nop")?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
        }
        write!(f, " priority {}", self.priority)
    }
}

#[cfg(test)]
mod tests;
