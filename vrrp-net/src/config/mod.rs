//! Where a virtual router lives: its interface, the source of its adverts, and how it holds its addresses.
//!
//! What it says and when is [`vrrp_core::Config`]. An [`Attachment`] that exists is valid by itself; what only the
//! machine knows (does the interface exist, is an address already there) shows when the driver starts.

mod address;
mod route;
mod rule;
mod scope;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use vrrp_core::HOP_LIMIT;

pub use address::{AddressOptions, Broadcast, PreferredLft, VirtualAddress};
pub use route::{NextHop, RouteError, RouteKind, RouteSetting, VirtualRoute, VirtualRouteBuilder};
pub use rule::{RuleAction, RuleError, VirtualRule, VirtualRuleBuilder};
pub use scope::Scope;

use crate::network::MacAddr;
use crate::vmac::Vmac;

/// Longest name of an interface or label: IFNAMSIZ without its final zero.
const NAME_MAX: usize = 15;
/// Longest lease. A longer one would outlive every purpose; 0xffff_ffff means forever to the kernel.
const LEASE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Where one virtual router lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    interface: String,
    source: Option<IpAddr>,
    addresses: Vec<VirtualAddress>,
    lease: Option<Duration>,
    announce_repeat: u8,
    announce_refresh_repeat: u8,
    lower_prio_announce_repeat: Option<u8>,
    unicast_ttl: u8,
    vmac: Option<Vmac>,
    routes: Vec<VirtualRoute>,
    rules: Vec<VirtualRule>,
    accept: bool,
    promote_secondaries: bool,
    track_primary: bool,
    track_source: bool,
}

impl Attachment {
    /// Lease unless configured: three seconds.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(3);
    /// Announcements back to back unless configured, as keepalived's `garp_master_repeat`: five.
    pub const DEFAULT_ANNOUNCE_REPEAT: u8 = 5;

    /// Starts from the defaults: the interface's own source address, the advertised addresses as /32 or /128 on the
    /// same interface, a lease of three seconds, five announcements.
    pub fn builder(interface: impl Into<String>) -> AttachmentBuilder {
        AttachmentBuilder {
            attachment: Self {
                interface: interface.into(),
                source: None,
                addresses: Vec::new(),
                lease: Some(Self::DEFAULT_LEASE),
                announce_repeat: Self::DEFAULT_ANNOUNCE_REPEAT,
                announce_refresh_repeat: 1,
                lower_prio_announce_repeat: None,
                unicast_ttl: HOP_LIMIT,
                vmac: None,
                routes: Vec::new(),
                rules: Vec::new(),
                accept: true,
                promote_secondaries: false,
                track_primary: true,
                track_source: false,
            },
        }
    }

    /// Interface that adverts are sent and received on.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Source of its adverts (`mcast_src_ip`, `unicast_src_ip`); `None` for the interface's primary address (IPv4) or its link-local
    /// one (IPv6).
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Addresses to add while master; none means those that the router advertises, as /32 or /128.
    pub fn addresses(&self) -> &[VirtualAddress] {
        &self.addresses
    }

    /// Kernel lifetime of an added address; `None` for forever.
    pub fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// How often each announcement is sent, back to back.
    pub fn announce_repeat(&self) -> u8 {
        self.announce_repeat
    }

    /// How often each announcement is sent that refreshes one, back to back.
    pub fn announce_refresh_repeat(&self) -> u8 {
        self.announce_refresh_repeat
    }

    /// How often each announcement is sent that a lower master calls for, back to back.
    pub fn lower_prio_announce_repeat(&self) -> u8 {
        self.lower_prio_announce_repeat.unwrap_or(self.announce_repeat)
    }

    /// TTL or hop limit of adverts to unicast peers.
    pub fn unicast_ttl(&self) -> u8 {
        self.unicast_ttl
    }

    /// The virtual MAC address that holds the addresses; `None` for the interface's own.
    pub fn vmac(&self) -> Option<&Vmac> {
        self.vmac.as_ref()
    }

    /// Routes to add while master.
    pub fn routes(&self) -> &[VirtualRoute] {
        &self.routes
    }

    /// Routing rules to add while master.
    pub fn rules(&self) -> &[VirtualRule] {
        &self.rules
    }

    /// Whether this host accepts packets to the addresses while it is master.
    pub fn accept(&self) -> bool {
        self.accept
    }

    /// Whether the interfaces that hold the addresses get the setting `promote_secondaries` in any case.
    pub fn promote_secondaries(&self) -> bool {
        self.promote_secondaries
    }

    /// Whether the router is in Fault while its interface is down.
    pub fn track_primary(&self) -> bool {
        self.track_primary
    }

    /// Whether the router is in Fault while its configured source is not on its interface.
    pub fn track_source(&self) -> bool {
        self.track_source
    }
}

/// Collects settings; [`build`](Self::build) checks them together.
#[derive(Clone, Debug)]
#[must_use]
pub struct AttachmentBuilder {
    attachment: Attachment,
}

impl AttachmentBuilder {
    /// Source of the adverts (`mcast_src_ip`, `unicast_src_ip`). Default: the interface's primary address, for IPv6 its link-local one.
    pub fn source(mut self, source: IpAddr) -> Self {
        self.attachment.source = Some(source);
        self
    }

    /// Adds an address to hold while master. Default: those that the router advertises, as /32 or /128.
    ///
    /// Once one is given, all must be: an address that is held but not advertised (`virtual_ipaddress_excluded`)
    /// stands here alone.
    pub fn address(mut self, address: impl Into<VirtualAddress>) -> Self {
        self.attachment.addresses.push(address.into());
        self
    }

    /// Kernel lifetime of an added address, in whole seconds from one; `None` for forever. Default: three seconds.
    ///
    /// While the driver is alive and the router is master, it renews the lifetime at half of it. So a process that is
    /// killed or hangs loses its addresses by itself after at most this time (up to 0.3 s more).
    pub fn lease(mut self, lease: Option<Duration>) -> Self {
        self.attachment.lease = lease;
        self
    }

    /// How often each announcement is sent, back to back (`garp_master_repeat`); 0 for never. Default: five.
    pub fn announce_repeat(mut self, repeat: u8) -> Self {
        self.attachment.announce_repeat = repeat;
        self
    }

    /// How often each announcement is sent that refreshes one (`garp_master_refresh_repeat`); see
    /// [`announce_refresh`](vrrp_core::ConfigBuilder::announce_refresh). Default: once.
    pub fn announce_refresh_repeat(mut self, repeat: u8) -> Self {
        self.attachment.announce_refresh_repeat = repeat;
        self
    }

    /// How often each announcement is sent that a lower master calls for (`garp_lower_prio_repeat`); see
    /// [`reassert`](vrrp_core::ConfigBuilder::reassert). Default: as [`announce_repeat`](Self::announce_repeat).
    pub fn lower_prio_announce_repeat(mut self, repeat: Option<u8>) -> Self {
        self.attachment.lower_prio_announce_repeat = repeat;
        self
    }

    /// TTL or hop limit of adverts to unicast peers (`unicast_ttl`), 1 to 255; to the group it is always 255. Default:
    /// 255.
    pub fn unicast_ttl(mut self, ttl: u8) -> Self {
        self.attachment.unicast_ttl = ttl;
        self
    }

    /// Puts the addresses on a virtual MAC address (`use_vmac`), but for those that name an interface of their own.
    /// Default: on the interface, with its MAC.
    pub fn vmac(mut self, vmac: Vmac) -> Self {
        self.attachment.vmac = Some(vmac);
        self
    }

    /// Adds a route to have while master (`virtual_routes`). Default: none.
    ///
    /// Routes are added after the addresses, in this order, and removed before them. Whoever removes one meanwhile sees it
    /// put back.
    pub fn route(mut self, route: VirtualRoute) -> Self {
        self.attachment.routes.push(route);
        self
    }

    /// Adds a routing rule to have while master (`virtual_rules`). Default: none.
    ///
    /// Rules are added after the routes, in this order, and removed before them.
    pub fn rule(mut self, rule: VirtualRule) -> Self {
        self.attachment.rules.push(rule);
        self
    }

    /// Whether this host accepts packets to the addresses while it is master (Accept_Mode of RFC 9568 §6.1, keepalived's
    /// `accept`). Default: yes, as keepalived.
    ///
    /// With `false` (`no_accept`) the kernel drops them, but for neighbour discovery and what the host sends to itself;
    /// ARP and what it forwards are not concerned. The owner of the addresses (priority 255) accepts in any case. It needs
    /// nf_tables in the kernel.
    pub fn accept(mut self, accept: bool) -> Self {
        self.attachment.accept = accept;
        self
    }

    /// Whether the interfaces that hold the addresses get the setting `promote_secondaries` in any case. Default: only
    /// where an address would otherwise take others with it when it goes.
    ///
    /// The setting stays when the driver stops.
    pub fn promote_secondaries(mut self, promote: bool) -> Self {
        self.attachment.promote_secondaries = promote;
        self
    }

    /// Whether the router is in Fault while its interface is down; `false` is keepalived's `dont_track_primary`.
    /// Default: true.
    ///
    /// Without, it goes on as master over a link that carries nothing, and takes over when it hears nobody: for hosts
    /// that hold the addresses elsewhere and are joined by a cable of their own. An interface that does not exist is a
    /// fault in any case.
    pub fn track_primary(mut self, track: bool) -> Self {
        self.attachment.track_primary = track;
        self
    }

    /// Whether the router is in Fault while the configured [`source`](Self::source) is not an address of its interface
    /// (`track_src_ip`). Default: false: adverts go out with it all the same. Without a configured source it means
    /// nothing.
    pub fn track_source(mut self, track: bool) -> Self {
        self.attachment.track_source = track;
        self
    }

    /// Checks the settings together.
    ///
    /// # Errors
    /// See [`AttachmentError`].
    pub fn build(self) -> Result<Attachment, AttachmentError> {
        let attachment = self.attachment;
        check_interface(&attachment.interface)?;
        if let Some(got) = attachment.lease {
            if got.as_secs() == 0 || got.subsec_nanos() != 0 || got > LEASE_MAX {
                return Err(AttachmentError::Lease { got });
            }
        }
        if attachment.unicast_ttl == 0 {
            return Err(AttachmentError::UnicastTtl);
        }
        if let Some(vmac) = &attachment.vmac {
            vmac.given_name().map_or(Ok(()), check_interface)?;
            match vmac.given_mac() {
                Some(mac) if !mac.is_unicast() => return Err(AttachmentError::VmacAddress { mac }),
                _ => {}
            }
        }
        for (index, address) in attachment.addresses.iter().enumerate() {
            address.check()?;
            let equal = |other: &VirtualAddress| other.address() == address.address();
            if attachment.addresses[..index].iter().any(equal) {
                return Err(AttachmentError::Duplicate {
                    address: address.address(),
                });
            }
        }
        match attachment.source {
            Some(source) if source.is_unspecified() || source.is_multicast() => {
                Err(AttachmentError::Source {
                    source_address: source,
                })
            }
            _ => Ok(attachment),
        }
    }
}

fn check_interface(name: &str) -> Result<(), AttachmentError> {
    let fine = |octet: u8| octet.is_ascii_graphic() && octet != b'/';
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(fine) && name != "." && name != ".." {
        Ok(())
    } else {
        Err(AttachmentError::Interface { name: name.into() })
    }
}

/// Why settings don't make an attachment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// No interface can have that name.
    #[error("interface {name:?}: use a name of 1 to 15 printable characters without /")]
    Interface {
        /// The name given.
        name: String,
    },
    /// The kernel counts lifetimes in whole seconds.
    #[error("lease {got:?}: use whole seconds from 1 s to one day, or none")]
    Lease {
        /// The lease given.
        got: Duration,
    },
    /// A packet with TTL 0 goes nowhere.
    #[error("unicast_ttl 0: use 1 to 255")]
    UnicastTtl,
    /// Adverts come from a unicast address.
    #[error("source {source_address}: use an address of the interface")]
    Source {
        /// The source given.
        source_address: IpAddr,
    },
    /// Only unicast addresses can be held.
    #[error("virtual address {address} is not a unicast address")]
    NotUnicast {
        /// The address given.
        address: IpAddr,
    },
    /// Only a multicast group can be joined.
    #[error("virtual address {address} can't be joined: autojoin is for multicast groups")]
    NotMulticast {
        /// The address given.
        address: IpAddr,
    },
    /// The other family knows this option.
    #[error(
        "{option} of {address}: {} has no such option; leave it out",
        vrrp_core::Family::of(address)
    )]
    OptionFamily {
        /// The address that has it.
        address: IpAddr,
        /// The option, as keepalived calls it.
        option: &'static str,
    },
    /// RFC 8981 makes interface identifiers of 64 bits.
    #[error("mngtmpaddr of {address}: temporary addresses are made from a prefix of 64")]
    TempAddrPrefix {
        /// The address that has it.
        address: IpNet,
    },
    /// The prefix is the peer's.
    #[error("peer {peer} of {address}: use a peer of the same family, and the address without a prefix")]
    Peer {
        /// The address that has it.
        address: IpNet,
        /// The peer given.
        peer: IpNet,
    },
    /// The kernel counts lifetimes in whole seconds.
    #[error("preferred_lft {got:?} of {address}: use whole seconds, or forever")]
    PreferredLft {
        /// The address that has it.
        address: IpAddr,
        /// The lifetime given.
        got: Duration,
    },
    /// One address stands twice.
    #[error("virtual address {address} stands twice")]
    Duplicate {
        /// The address given.
        address: IpAddr,
    },
    /// A virtual MAC is the address of one station.
    #[error(
        "virtual MAC {mac}: use the address of one station, or leave it out for the RFC's 00:00:5e:00:01:VRID"
    )]
    VmacAddress {
        /// The address given.
        mac: MacAddr,
    },
    /// Labels are for IPv4, and short.
    #[error("label {label:?} of {address}: use 1 to 15 characters, on an IPv4 address")]
    Label {
        /// The address that has it.
        address: IpAddr,
        /// The label given.
        label: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_manual() {
        let attachment = Attachment::builder("eth0").build().unwrap();
        assert_eq!(attachment.interface(), "eth0");
        assert_eq!(attachment.lease(), Some(Duration::from_secs(3)));
        assert_eq!(attachment.announce_repeat(), 5);
        assert_eq!(attachment.source(), None);
        assert!(attachment.addresses().is_empty());
        assert!(attachment.routes().is_empty() && attachment.rules().is_empty());
        assert!(attachment.accept() && !attachment.promote_secondaries());
        assert!(attachment.track_primary() && !attachment.track_source());
    }

    #[test]
    fn a_lease_is_whole_seconds() {
        for (lease, valid) in [
            (0, false),
            (999, false),
            (1000, true),
            (1500, false),
            (86_400_000, true),
        ] {
            let lease = Duration::from_millis(lease);
            let built = Attachment::builder("eth0").lease(Some(lease)).build();
            assert_eq!(built.is_ok(), valid, "{lease:?}");
        }
        let beyond = Duration::from_secs(86_401);
        assert!(Attachment::builder("eth0").lease(Some(beyond)).build().is_err());
        assert!(Attachment::builder("eth0").lease(None).build().is_ok());
    }

    #[test]
    fn a_packet_needs_a_ttl() {
        let build = |ttl| Attachment::builder("eth0").unicast_ttl(ttl).build();
        assert_eq!(build(0), Err(AttachmentError::UnicastTtl));
        assert_eq!(build(1).unwrap().unicast_ttl(), 1);
        assert_eq!(Attachment::builder("eth0").build().unwrap().unicast_ttl(), 255);
    }

    #[test]
    fn what_no_interface_can_be_called_is_refused() {
        for name in ["", "sixteen-letters0", "a/b", "a b", ".", ".."] {
            assert!(Attachment::builder(name).build().is_err(), "{name:?}");
        }
        assert!(Attachment::builder("fifteen-letters").build().is_ok());
    }

    #[test]
    fn a_virtual_mac_is_that_of_one_station() {
        let build = |vmac| Attachment::builder("eth0").vmac(vmac).build();
        for (mac, valid) in [
            ([0; 6], false),
            ([0xff; 6], false),
            ([1, 0, 0x5e, 0, 0, 0x12], false),
            ([2, 0, 0, 0, 0, 1], true),
        ] {
            let built = build(Vmac::new().mac(MacAddr(mac)));
            assert_eq!(built.is_ok(), valid, "{mac:?}");
        }
        assert!(build(Vmac::new().name("sixteen-letters0")).is_err());
        assert_eq!(build(Vmac::new()).unwrap().vmac(), Some(&Vmac::new()));
    }
}
