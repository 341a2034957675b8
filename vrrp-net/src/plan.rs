//! Which interface serves which virtual routers: attachments and routers, brought together once before the start.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use vrrp_core::{AuthenticationConfig, Family, GROUP_V4, GROUP_V6, HOP_LIMIT, UnicastPeer, Vrid};

use crate::config::{Attachment, VirtualAddress, VirtualRoute};
use crate::network::{LinkId, MacAddr, Placement, Routing};
use crate::routers::Routers;
use crate::vmac::Vmac;

/// The interfaces that the virtual routers need, and who is where. A plan that exists is consistent.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) links: Vec<LinkPlan>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) by_vrid: HashMap<(LinkId, Family, Vrid), usize>,
}

/// An interface that virtual routers use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkPlan {
    /// Its name.
    pub name: String,
    /// Whether a virtual router of IPv4 sends adverts on it.
    pub ipv4: bool,
    /// Whether a virtual router of IPv6 sends adverts on it.
    pub ipv6: bool,
    /// Whether a virtual router on it sends adverts behind an IP authentication header.
    pub ah: bool,
    /// Whether a virtual router of IPv4 on it listens to the group.
    pub group_v4: bool,
    /// Whether a virtual router of IPv6 on it listens to the group.
    pub group_v6: bool,
    /// The virtual routers that send adverts on it.
    pub routers: Vec<(Family, Vrid)>,
    /// The longest advert of those virtual routers.
    pub longest_advert: Option<LongestAdvert>,
    /// Set where it is the virtual MAC of a virtual router, made by the driver.
    pub vmac: Option<VmacPlan>,
}

/// The longest advert that goes out on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LongestAdvert {
    /// Family of its virtual router.
    pub family: Family,
    /// VRID of its virtual router.
    pub vrid: Vrid,
    /// Octets of its packet; see [`packet_len`](vrrp_core::Config::packet_len).
    pub packet_len: usize,
    /// How many addresses it carries.
    pub addresses: usize,
}

impl LongestAdvert {
    fn of(config: &vrrp_core::Config) -> Self {
        Self {
            family: config.family(),
            vrid: config.vrid(),
            packet_len: config.packet_len(),
            addresses: config.addresses().as_addresses().len(),
        }
    }

    /// How many addresses would fit an MTU, if these do not.
    pub(crate) fn exceeds(&self, mtu: usize) -> Option<usize> {
        let excess = self.packet_len.checked_sub(mtu).filter(|excess| *excess > 0)?;
        Some(
            self.addresses
                .saturating_sub(excess.div_ceil(self.family.address_len())),
        )
    }
}

/// An interface to be made for a virtual MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmacPlan {
    /// The interface that carries it, which adverts are heard on.
    pub base: LinkId,
    /// The address.
    pub mac: MacAddr,
    /// Family of its virtual router.
    pub family: Family,
    /// VRID of its virtual router.
    pub vrid: Vrid,
}

/// Where one router sits.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) link: LinkId,
    /// Its virtual MAC.
    pub(crate) vmac: Option<LinkId>,
    /// Where adverts go out: its interface or its virtual MAC.
    pub(crate) out: LinkId,
    pub(crate) family: Family,
    pub(crate) source: Option<IpAddr>,
    /// Where its adverts go: to its peers, or to the group.
    pub(crate) destinations: Vec<IpAddr>,
    pub(crate) placements: Vec<Placement>,
    pub(crate) lease: Option<Duration>,
    pub(crate) announce_repeat: u8,
    pub(crate) announce_refresh_repeat: u8,
    pub(crate) lower_prio_announce_repeat: u8,
    /// TTL or hop limit of its adverts.
    pub(crate) hop_limit: u8,
    pub(crate) routing: Routing,
    pub(crate) track_primary: bool,
    pub(crate) track_source: bool,
}

impl Seat {
    /// Where its addresses are, but for those that name an interface of their own.
    pub(crate) fn home(&self) -> LinkId {
        self.vmac.unwrap_or(self.link)
    }
}

impl Plan {
    /// Gives each router the attachment of its index.
    ///
    /// # Errors
    /// When their numbers differ, families are mixed, two routers share interface, family and VRID, or two hold the
    /// same address on one interface.
    pub fn new<R: Routers>(routers: &R, attachments: &[Attachment]) -> Result<Self, PlanError> {
        if routers.len() != attachments.len() {
            return Err(PlanError::Count {
                routers: routers.len(),
                attachments: attachments.len(),
            });
        }
        let mut plan = Self {
            links: Vec::new(),
            seats: Vec::with_capacity(attachments.len()),
            by_vrid: HashMap::with_capacity(attachments.len()),
        };
        for (index, attachment) in attachments.iter().enumerate() {
            plan.seat(index, routers.router(index).config(), attachment)?;
        }
        Ok(plan)
    }

    /// The interfaces; a [`LinkId`] is a place in here.
    pub fn links(&self) -> &[LinkPlan] {
        &self.links
    }

    /// The interface of this name, if a router or an address of one is on it.
    pub fn link_id(&self, name: &str) -> Option<LinkId> {
        self.links.iter().position(|link| link.name == name).map(LinkId)
    }

    fn seat(
        &mut self,
        index: usize,
        config: &vrrp_core::Config,
        attachment: &Attachment,
    ) -> Result<(), PlanError> {
        let (family, vrid) = (config.family(), config.vrid());
        if let Some(source) = attachment.source().filter(|source| Family::of(source) != family) {
            return Err(PlanError::SourceFamily {
                vrid,
                family,
                source_address: source,
            });
        }
        let link = self.link(attachment.interface());
        if self.links[link.0].vmac.is_some() {
            return Err(PlanError::VmacName {
                name: attachment.interface().into(),
            });
        }
        let unicast = !config.peers().is_empty();
        let needs = &mut self.links[link.0];
        match family {
            Family::Ipv4 => (needs.ipv4, needs.group_v4) = (true, needs.group_v4 || !unicast),
            Family::Ipv6 => (needs.ipv6, needs.group_v6) = (true, needs.group_v6 || !unicast),
        }
        needs.routers.push((family, vrid));
        let advert = LongestAdvert::of(config);
        needs.longest_advert = match needs.longest_advert {
            Some(longest) if longest.packet_len >= advert.packet_len => Some(longest),
            _ => Some(advert),
        };
        if self.by_vrid.insert((link, family, vrid), index).is_some() {
            return Err(PlanError::DuplicateVrid {
                vrid,
                family,
                interface: attachment.interface().into(),
            });
        }
        let vmac = attachment
            .vmac()
            .map(|vmac| self.vmac(link, family, vrid, vmac))
            .transpose()?;
        let out = attachment
            .vmac()
            .zip(vmac)
            .filter(|(vmac, _)| !vmac.transmits_on_base() && config.peers().is_empty())
            .map_or(link, |(_, vmac)| vmac);
        if matches!(config.authentication(), AuthenticationConfig::Ah(_)) {
            self.links[link.0].ah = true;
        }
        let home = vmac.unwrap_or(link);
        let place = |link, address: &VirtualAddress| {
            let placement = Placement {
                link,
                net: address.net(),
                label: address.label().map(Into::into),
                lease: attachment.lease(),
                owner: config.is_owner(),
                accept: attachment.accept() || config.is_owner(),
                promote_secondaries: attachment.promote_secondaries(),
                options: address.options().clone(),
            };
            if Some(link) == vmac {
                on_vmac(placement)
            } else {
                placement
            }
        };
        let placements: Vec<Placement> = if attachment.addresses().is_empty() {
            let advertised = config.addresses().as_addresses();
            advertised
                .iter()
                .map(|address| place(home, &VirtualAddress::from(address)))
                .collect()
        } else {
            let held = attachment.addresses().iter();
            held.map(|address| {
                let link = address.dev().map_or(home, |dev| self.link(dev));
                place(link, address)
            })
            .collect()
        };
        for placement in &placements {
            let base = self.base(placement.link);
            let taken =
                |other: &Placement| self.base(other.link) == base && other.address() == placement.address();
            if self.seats.iter().flat_map(|seat| &seat.placements).any(taken) {
                return Err(PlanError::DuplicateAddress {
                    address: placement.address(),
                    interface: self.links[base.0].name.clone(),
                });
            }
        }
        let routing = self.routing(attachment)?;
        self.seats.push(Seat {
            link,
            vmac,
            out,
            family,
            source: attachment.source(),
            destinations: match (config.peers(), family) {
                ([], Family::Ipv4) => vec![GROUP_V4.into()],
                ([], Family::Ipv6) => vec![GROUP_V6.into()],
                (peers, _) => peers.iter().map(UnicastPeer::address).collect(),
            },
            placements,
            lease: attachment.lease(),
            announce_repeat: attachment.announce_repeat(),
            announce_refresh_repeat: attachment.announce_refresh_repeat(),
            lower_prio_announce_repeat: attachment.lower_prio_announce_repeat(),
            hop_limit: if unicast {
                attachment.unicast_ttl()
            } else {
                HOP_LIMIT
            },
            routing,
            track_primary: attachment.track_primary(),
            track_source: attachment.track_source(),
        });
        Ok(())
    }

    fn routing(&mut self, attachment: &Attachment) -> Result<Routing, PlanError> {
        let (routes, rules) = (attachment.routes(), attachment.rules());
        for dev in routes.iter().flat_map(VirtualRoute::devs) {
            self.link(dev);
        }
        let before = || self.seats.iter().map(|seat| &seat.routing);
        for (index, route) in routes.iter().enumerate() {
            let mut others = before()
                .flat_map(|routing| &routing.routes)
                .chain(&routes[..index]);
            if others.any(|other| other.is_same(route)) {
                return Err(PlanError::DuplicateRoute {
                    route: route.to_string(),
                });
            }
        }
        for (index, rule) in rules.iter().enumerate() {
            let mut others = before().flat_map(|routing| &routing.rules).chain(&rules[..index]);
            if let Some(other) = others.find(|other| other.is_like(rule)) {
                return Err(PlanError::LikeRules {
                    rule: rule.to_string(),
                    other: other.to_string(),
                });
            }
        }
        Ok(Routing {
            routes: routes.to_vec(),
            rules: rules.to_vec(),
        })
    }

    fn link(&mut self, name: &str) -> LinkId {
        self.link_id(name).unwrap_or_else(|| {
            self.links.push(LinkPlan {
                name: name.into(),
                ipv4: false,
                ipv6: false,
                ah: false,
                group_v4: false,
                group_v6: false,
                routers: Vec::new(),
                longest_advert: None,
                vmac: None,
            });
            LinkId(self.links.len() - 1)
        })
    }

    /// Adds the interface of a virtual MAC.
    fn vmac(&mut self, base: LinkId, family: Family, vrid: Vrid, vmac: &Vmac) -> Result<LinkId, PlanError> {
        let name = match vmac.given_name() {
            Some(name) if self.link_id(name).is_some() => {
                return Err(PlanError::VmacName { name: name.into() });
            }
            Some(name) => name.to_owned(),
            None => self.free_name(&Vmac::default_name(family, vrid)),
        };
        let link = self.link(&name);
        self.links[link.0].vmac = Some(VmacPlan {
            base,
            mac: vmac
                .given_mac()
                .unwrap_or_else(|| Vmac::default_mac(family, vrid)),
            family,
            vrid,
        });
        Ok(link)
    }

    /// The same VRID on another interface is another virtual router, whose interface needs another name.
    fn free_name(&self, name: &str) -> String {
        let mut numbered = name.to_owned();
        let mut number = 1;
        while self.link_id(&numbered).is_some() {
            number += 1;
            numbered = format!("{name}.{number}");
        }
        numbered
    }

    /// The interface that carries a virtual MAC; any other itself.
    fn base(&self, link: LinkId) -> LinkId {
        self.links[link.0].vmac.map_or(link, |vmac| vmac.base)
    }
}

/// Fits an address to an interface of its own.
fn on_vmac(mut placement: Placement) -> Placement {
    match placement.net {
        // Without the link's prefix there is no way back to a neighbour that speaks to it.
        IpNet::V6(net) if net.addr().is_unicast_link_local() => {
            placement.net = Ipv6Net::new(net.addr(), 64).map_or(placement.net, IpNet::V6);
        }
        // The way to the subnet is the carrying interface's, which has an address there and asks for neighbours with it.
        _ => placement.options.no_prefix_route = true,
    }
    placement
}

/// Why routers and attachments don't fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Each router has one attachment, of the same index.
    #[error("{routers} virtual routers with {attachments} attachments: give each router one")]
    Count {
        /// Number of routers.
        routers: usize,
        /// Number of attachments.
        attachments: usize,
    },
    /// Adverts come from an address of the router's family.
    #[error("source {source_address} of VRID {vrid}, which is of {family}: use an address of that family")]
    SourceFamily {
        /// The router.
        vrid: Vrid,
        /// Its family.
        family: Family,
        /// The source configured.
        source_address: IpAddr,
    },
    /// A VRID is unique per interface and family (RFC 9568 §5.2.3).
    #[error("VRID {vrid} of {family} stands twice on {interface}: give each virtual router its own")]
    DuplicateVrid {
        /// The VRID.
        vrid: Vrid,
        /// Its family.
        family: Family,
        /// Interface of both.
        interface: String,
    },
    /// An interface has one name, and a name one interface.
    #[error(
        "{name} is to be the interface of a virtual MAC, but another virtual router uses an interface of that name: choose another name"
    )]
    VmacName {
        /// The name.
        name: String,
    },
    /// To the kernel, two routes are one if they agree in destination, table, TOS and metric.
    #[error("route {route} stands twice: give one of them another metric, or leave it out")]
    DuplicateRoute {
        /// The route.
        route: String,
    },
    /// The kernel removes the first rule of a priority that has what it is told, whatever else that rule has.
    #[error("the kernel can't tell rule {rule} from {other} to remove it: give one of them another priority")]
    LikeRules {
        /// The rule.
        rule: String,
        /// The one before.
        other: String,
    },
    /// An address moves with one router.
    #[error("{address} belongs to two virtual routers on {interface}: give it to one")]
    DuplicateAddress {
        /// The address.
        address: IpAddr,
        /// Interface of both.
        interface: String,
    },
}

#[cfg(test)]
mod tests;
