//! Which interface serves which virtual routers: attachments and routers, brought together once before the start.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use vrrp_core::{AuthenticationConfig, Family, GROUP_V4, GROUP_V6, HOP_LIMIT, UnicastPeer, Vrid};

use crate::config::Attachment;
use crate::network::{LinkId, Placement};
use crate::routers::Routers;

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
}

/// Where one router sits.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) link: LinkId,
    pub(crate) family: Family,
    pub(crate) source: Option<IpAddr>,
    /// Where its adverts go: to its peers, or to the group.
    pub(crate) destinations: Vec<IpAddr>,
    pub(crate) placements: Vec<Placement>,
    pub(crate) lease: Option<Duration>,
    pub(crate) announce_repeat: u8,
    /// TTL or hop limit of its adverts.
    pub(crate) hop_limit: u8,
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
        let unicast = !config.peers().is_empty();
        let needs = &mut self.links[link.0];
        match family {
            Family::Ipv4 => (needs.ipv4, needs.group_v4) = (true, needs.group_v4 || !unicast),
            Family::Ipv6 => (needs.ipv6, needs.group_v6) = (true, needs.group_v6 || !unicast),
        }
        needs.ah |= matches!(config.authentication(), AuthenticationConfig::Ah(_));
        if self.by_vrid.insert((link, family, vrid), index).is_some() {
            return Err(PlanError::DuplicateVrid {
                vrid,
                family,
                interface: attachment.interface().into(),
            });
        }
        let place = |link, net, label: Option<&str>| Placement {
            link,
            net,
            label: label.map(Into::into),
            lease: attachment.lease(),
            owner: config.is_owner(),
        };
        let placements: Vec<Placement> = if attachment.addresses().is_empty() {
            let advertised = config.addresses().as_addresses();
            advertised
                .iter()
                .map(|address| place(link, IpNet::from(address), None))
                .collect()
        } else {
            let held = attachment.addresses().iter();
            held.map(|address| {
                let link = address.dev().map_or(link, |dev| self.link(dev));
                place(link, address.net(), address.label())
            })
            .collect()
        };
        for placement in &placements {
            let taken =
                |other: &Placement| other.link == placement.link && other.address() == placement.address();
            if self.seats.iter().flat_map(|seat| &seat.placements).any(taken) {
                return Err(PlanError::DuplicateAddress {
                    address: placement.address(),
                    interface: self.links[placement.link.0].name.clone(),
                });
            }
        }
        self.seats.push(Seat {
            link,
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
            hop_limit: if unicast {
                attachment.unicast_ttl()
            } else {
                HOP_LIMIT
            },
        });
        Ok(())
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
            });
            LinkId(self.links.len() - 1)
        })
    }
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
    /// An address moves with one router.
    #[error("{address} belongs to two virtual routers on {interface}: give it to one")]
    DuplicateAddress {
        /// The address.
        address: IpAddr,
        /// Interface of both.
        interface: String,
    },
}
