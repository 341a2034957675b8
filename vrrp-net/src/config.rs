//! Where a virtual router lives: its interface, the source of its adverts, and how it holds its addresses.
//!
//! What it says and when is [`vrrp_core::Config`]. An [`Attachment`] that exists is valid by itself; what only the
//! machine knows (does the interface exist, is an address already there) shows when the driver starts.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use vrrp_core::HOP_LIMIT;

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
    unicast_ttl: u8,
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
                unicast_ttl: HOP_LIMIT,
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

    /// TTL or hop limit of adverts to unicast peers.
    pub fn unicast_ttl(&self) -> u8 {
        self.unicast_ttl
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

    /// TTL or hop limit of adverts to unicast peers (`unicast_ttl`), 1 to 255; to the group it is always 255. Default:
    /// 255.
    pub fn unicast_ttl(mut self, ttl: u8) -> Self {
        self.attachment.unicast_ttl = ttl;
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

/// An address that a virtual router holds while it is master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    net: IpNet,
    dev: Option<String>,
    label: Option<String>,
}

impl VirtualAddress {
    /// Makes one with a prefix, on the router's own interface.
    ///
    /// With a prefix shorter than /32 the kernel ties the address to the subnet's primary address: it is added only
    /// below one, or with the interface's `promote_secondaries` set, which the driver does if it may.
    pub fn new(net: IpNet) -> Self {
        Self {
            net,
            dev: None,
            label: None,
        }
    }

    /// Puts it on another interface than the adverts' (`dev`).
    #[must_use]
    pub fn on(mut self, interface: impl Into<String>) -> Self {
        self.dev = Some(interface.into());
        self
    }

    /// Labels it (`label`), IPv4 alone, at most 15 octets.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.net.addr()
    }

    /// The address with its prefix.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// Interface that holds it; `None` for the router's own.
    pub fn dev(&self) -> Option<&str> {
        self.dev.as_deref()
    }

    /// Its label.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    fn check(&self) -> Result<(), AttachmentError> {
        if let Some(dev) = &self.dev {
            check_interface(dev)?;
        }
        let address = self.address();
        if address.is_unspecified() || address.is_multicast() {
            return Err(AttachmentError::NotUnicast { address });
        }
        match &self.label {
            Some(label) if address.is_ipv6() || !(1..=NAME_MAX).contains(&label.len()) => {
                Err(AttachmentError::Label {
                    address,
                    label: label.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl From<IpAddr> for VirtualAddress {
    /// As /32 or /128.
    fn from(address: IpAddr) -> Self {
        Self::new(IpNet::from(address))
    }
}

impl From<IpNet> for VirtualAddress {
    fn from(net: IpNet) -> Self {
        Self::new(net)
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
    /// One address stands twice.
    #[error("virtual address {address} stands twice")]
    Duplicate {
        /// The address given.
        address: IpAddr,
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
    }

    #[test]
    fn an_address_alone_is_a_host_prefix() {
        assert_eq!(
            VirtualAddress::from(ip("192.0.2.1")).net().to_string(),
            "192.0.2.1/32"
        );
        assert_eq!(
            VirtualAddress::from(ip("2001:db8::1")).net().to_string(),
            "2001:db8::1/128"
        );
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
    fn addresses_that_cannot_be_held_are_refused() {
        let build = |address: VirtualAddress| Attachment::builder("eth0").address(address).build();
        assert!(build(ip("224.0.0.18").into()).is_err());
        assert!(build(ip("::").into()).is_err());
        assert!(build(VirtualAddress::from(ip("2001:db8::1")).labelled("eth0:1")).is_err());
        assert!(build(VirtualAddress::from(ip("192.0.2.1")).labelled("eth0:1")).is_ok());
        assert!(build(VirtualAddress::from(ip("192.0.2.1")).on("")).is_err());
        let twice = Attachment::builder("eth0")
            .address(ip("192.0.2.1"))
            .address("192.0.2.1/24".parse::<IpNet>().unwrap());
        assert!(twice.build().is_err());
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }
}
