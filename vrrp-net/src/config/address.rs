//! An address that moves with a virtual router.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::{AttachmentError, NAME_MAX, Scope, check_interface};

/// An address that a virtual router holds while it is master.
///
/// Options that don't fit the address show when the attachment is built; see [`AttachmentError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    net: IpNet,
    dev: Option<String>,
    label: Option<String>,
    options: AddressOptions,
}

/// What the kernel is told about an address beside where it is. The default is that of keepalived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressOptions {
    /// Scope, IPv4 alone; `None` for global.
    pub scope: Option<Scope>,
    /// Broadcast address, IPv4 alone; `None` for none.
    pub broadcast: Option<Broadcast>,
    /// The other end, on a point-to-point link.
    pub peer: Option<IpNet>,
    /// How long it may be the source of new connections; `None` for not at all if it is an IPv6 /128, else for ever.
    pub preferred_lft: Option<PreferredLft>,
    /// Whether the kernel looks for duplicates before the address serves, IPv6 alone. Default: no.
    pub dad: bool,
    /// Whether it is a home address of Mobile IPv6.
    pub home: bool,
    /// Whether temporary addresses are made from it, IPv6 /64 alone.
    pub manage_temp_addr: bool,
    /// Whether it comes without the route of its prefix. An IPv6 /128 always does.
    pub no_prefix_route: bool,
    /// Whether it is a multicast group that the interface joins.
    pub autojoin: bool,
}

/// The broadcast address of a virtual address (`brd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// The last of its prefix (`brd +`).
    Last,
    /// The first of its prefix (`brd -`).
    First,
    /// This one.
    Address(Ipv4Addr),
}

/// How long an address may be the source of new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreferredLft {
    /// As long as it is there.
    Forever,
    /// For whole seconds from when it was added; with zero a program must choose it to use it.
    For(Duration),
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
            options: AddressOptions::default(),
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

    /// Sets its scope (`scope`), IPv4 alone. Default: global.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.options.scope = Some(scope);
        self
    }

    /// Sets its broadcast address (`brd`), IPv4 alone. Default: none.
    #[must_use]
    pub fn broadcast(mut self, broadcast: Broadcast) -> Self {
        self.options.broadcast = Some(broadcast);
        self
    }

    /// Names the other end (`peer`); the kernel makes a route to it. The address itself should be /32 or /128.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<IpNet>) -> Self {
        self.options.peer = Some(peer.into());
        self
    }

    /// How long it may be the source of new connections (`preferred_lft`). Default: not at all for an IPv6 /128, as
    /// long as it is there for all others.
    #[must_use]
    pub fn preferred_lft(mut self, preferred: PreferredLft) -> Self {
        self.options.preferred_lft = Some(preferred);
        self
    }

    /// Whether the kernel looks for duplicates before the address serves (`-nodad`), IPv6 alone. Default: no.
    ///
    /// With it a takeover lasts a second longer.
    #[must_use]
    pub fn dad(mut self, dad: bool) -> Self {
        self.options.dad = dad;
        self
    }

    /// Marks it as a home address of Mobile IPv6 (`home`).
    #[must_use]
    pub fn home(mut self) -> Self {
        self.options.home = true;
        self
    }

    /// Lets the kernel make temporary addresses from it (`mngtmpaddr`), IPv6 /64 alone.
    #[must_use]
    pub fn manage_temp_addr(mut self) -> Self {
        self.options.manage_temp_addr = true;
        self
    }

    /// Adds it without the route of its prefix (`noprefixroute`). An IPv6 /128 never has one.
    #[must_use]
    pub fn no_prefix_route(mut self) -> Self {
        self.options.no_prefix_route = true;
        self
    }

    /// Makes it a multicast group that the interface joins (`autojoin`). It is not announced: groups have no owner.
    #[must_use]
    pub fn autojoin(mut self) -> Self {
        self.options.autojoin = true;
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

    /// Its further options.
    pub fn options(&self) -> &AddressOptions {
        &self.options
    }

    pub(super) fn check(&self) -> Result<(), AttachmentError> {
        if let Some(dev) = &self.dev {
            check_interface(dev)?;
        }
        let address = self.address();
        if address.is_unspecified() || address.is_multicast() != self.options.autojoin {
            return Err(match self.options.autojoin {
                true => AttachmentError::NotMulticast { address },
                false => AttachmentError::NotUnicast { address },
            });
        }
        match &self.label {
            Some(label) if address.is_ipv6() || !(1..=NAME_MAX).contains(&label.len()) => {
                Err(AttachmentError::Label {
                    address,
                    label: label.clone(),
                })
            }
            _ => self.check_options(),
        }
    }

    fn check_options(&self) -> Result<(), AttachmentError> {
        let (address, options) = (self.address(), &self.options);
        let of_the_other_family = match address {
            IpAddr::V4(_) => [
                ("-nodad", options.dad),
                ("home", options.home),
                ("mngtmpaddr", options.manage_temp_addr),
            ],
            IpAddr::V6(_) => [
                ("scope", options.scope.is_some()),
                ("brd", options.broadcast.is_some()),
                ("", false),
            ],
        };
        if let Some((option, _)) = of_the_other_family.iter().find(|(_, set)| *set) {
            return Err(AttachmentError::OptionFamily { address, option });
        }
        if options.manage_temp_addr && self.net.prefix_len() != 64 {
            return Err(AttachmentError::TempAddrPrefix { address: self.net });
        }
        if let Some(peer) = options.peer {
            let host_prefix = self.net.prefix_len() == self.net.max_prefix_len();
            if peer.addr().is_ipv4() != address.is_ipv4() || !host_prefix {
                return Err(AttachmentError::Peer {
                    address: self.net,
                    peer,
                });
            }
        }
        match options.preferred_lft {
            Some(PreferredLft::For(got))
                if got.subsec_nanos() != 0 || got.as_secs() >= u64::from(u32::MAX) =>
            {
                Err(AttachmentError::PreferredLft { address, got })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Attachment;

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

    #[test]
    fn options_that_the_address_cannot_have_are_refused() {
        let refused = |address: VirtualAddress| match Attachment::builder("eth0").address(address).build() {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        };
        let four = || VirtualAddress::from(ip("192.0.2.1"));
        let six = || VirtualAddress::from(ip("2001:db8::1"));
        let of_the_other_family = [
            (
                six().scope(Scope::LINK),
                "scope of 2001:db8::1: IPv6 has no such option; leave it out",
            ),
            (
                six().broadcast(Broadcast::Last),
                "brd of 2001:db8::1: IPv6 has no such option; leave it out",
            ),
            (
                four().dad(true),
                "-nodad of 192.0.2.1: IPv4 has no such option; leave it out",
            ),
            (
                four().home(),
                "home of 192.0.2.1: IPv4 has no such option; leave it out",
            ),
            (
                four().manage_temp_addr(),
                "mngtmpaddr of 192.0.2.1: IPv4 has no such option; leave it out",
            ),
        ];
        for (address, message) in of_the_other_family {
            assert_eq!(refused(address), message);
        }
        assert_eq!(
            refused(six().manage_temp_addr()),
            "mngtmpaddr of 2001:db8::1/128: temporary addresses are made from a prefix of 64"
        );
        assert_eq!(
            refused(four().autojoin()),
            "virtual address 192.0.2.1 can't be joined: autojoin is for multicast groups"
        );
        assert_eq!(
            refused(four().peer(ip("2001:db8::2"))),
            "peer 2001:db8::2/128 of 192.0.2.1/32: use a peer of the same family, and the address without a prefix"
        );
        assert!(
            refused(VirtualAddress::new("192.0.2.1/24".parse().unwrap()).peer(ip("192.0.2.2")))
                .contains("peer")
        );
        let odd = PreferredLft::For(Duration::from_millis(1500));
        assert_eq!(
            refused(four().preferred_lft(odd)),
            "preferred_lft 1.5s of 192.0.2.1: use whole seconds, or forever"
        );
    }

    #[test]
    fn options_that_the_address_can_have_are_kept() {
        let four = VirtualAddress::from(ip("192.0.2.1"))
            .scope(Scope::LINK)
            .broadcast(Broadcast::First)
            .peer(ip("192.0.2.2"))
            .preferred_lft(PreferredLft::Forever);
        let six = VirtualAddress::new("2001:db8::1/64".parse().unwrap())
            .dad(true)
            .home()
            .manage_temp_addr()
            .no_prefix_route();
        let group = VirtualAddress::from(ip("239.1.1.1")).autojoin();
        let built = Attachment::builder("eth0")
            .address(four.clone())
            .address(six.clone())
            .address(group.clone());
        assert_eq!(built.build().unwrap().addresses(), [four, six, group]);
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }
}
