//! Netlink's words for the interface of a virtual MAC: what it is made of, and how ours is told from others.

use nix::libc;
use rtnetlink::packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoMacVlan, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage};

use crate::linux::report::{attributes, u32_at};
use crate::network::MacAddr;

// linux/if_link.h
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_INET_CONF: u16 = 1;

/// Begins the alias of each interface that we make.
const MARK: &str = "vrrp-net";

/// A request and its flags beside those that all have.
pub(super) type Request = (RouteNetlinkMessage, u16);

/// A setting of an interface for IPv4 (linux/ip.h, IPV4_DEVCONF_…), as netlink reads and writes it: also where
/// /proc/sys is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Ipv4Setting {
    Forwarding = 1,
    RpFilter = 8,
    ArpAnnounce = 18,
    ArpIgnore = 19,
    PromoteSecondaries = 20,
    AcceptLocal = 23,
}

/// An interface, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) alias: String,
    pub(super) group: u32,
    /// Index of the interface that carries it.
    pub(super) base: Option<u32>,
    /// Values of all settings for IPv4, the first at 0.
    ipv4: Vec<u32>,
}

impl Found {
    /// Reads an RTM_NEWLINK.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let mut found = Self {
            index: u32_at(payload, 4)?,
            ..Self::default()
        };
        let text =
            |value: &[u8]| String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned();
        for (kind, value) in attributes(payload.get(16..)?) {
            match kind {
                IFLA_IFNAME => found.name = text(value),
                IFLA_IFALIAS => found.alias = text(value),
                IFLA_GROUP => found.group = u32_at(value, 0).unwrap_or_default(),
                IFLA_LINK => found.base = u32_at(value, 0),
                IFLA_AF_SPEC => {
                    let ipv4 = attributes(value).find(|(family, _)| i32::from(*family) == libc::AF_INET);
                    let conf = ipv4
                        .and_then(|(_, value)| attributes(value).find(|(kind, _)| *kind == IFLA_INET_CONF));
                    let octets = conf.map_or(&[][..], |(_, value)| value);
                    found.ipv4 = octets
                        .chunks_exact(4)
                        .filter_map(|four| u32_at(four, 0))
                        .collect();
                }
                _ => {}
            }
        }
        Some(found)
    }

    /// Who made it: the token of the process, if it was one of ours.
    pub(super) fn maker(&self) -> Option<&str> {
        let mut words = self.alias.split(' ');
        (words.next() == Some(MARK)).then(|| words.next()).flatten()
    }

    pub(super) fn setting(&self, setting: Ipv4Setting) -> Option<u32> {
        self.ipv4.get(usize::from(setting as u16) - 1).copied()
    }
}

/// The alias of an interface that a process with this token makes.
pub(super) fn alias(token: &str, what: &str) -> String {
    format!("{MARK} {token} {what}")
}

/// A macvlan, which is down.
///
/// Mode VEPA is what the others' frames need: all other modes but "bridge" take a frame whose source is the virtual MAC,
/// such as another master's advert, for one of their own, and the carrying interface never sees it
/// (macvlan_handle_frame); and "bridge" would copy each announcement to all other virtual MACs of the interface.
pub(super) fn creation(name: &str, base: u32, mac: MacAddr, group: u32) -> Request {
    let mut message = named(name);
    message.attributes.extend([
        LinkAttribute::Link(base),
        LinkAttribute::Address(mac.0.to_vec()),
        LinkAttribute::Group(group),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Vepa)])),
        ]),
    ]);
    (RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Marks an interface by its alias. It follows its creation in the same batch, so that no kill comes between.
pub(super) fn marking(name: &str, alias: String) -> Request {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::IfAlias(alias));
    (RouteNetlinkMessage::SetLink(message), 0)
}

/// Keeps the kernel from giving an interface an IPv6 address by itself. It fails where there is no IPv6.
pub(super) fn no_own_ipv6_address(name: &str) -> Request {
    let mut message = named(name);
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]));
    (RouteNetlinkMessage::SetLink(message), 0)
}

/// Writes settings for IPv4.
pub(super) fn settings(name: &str, settings: &[(Ipv4Setting, u32)]) -> Request {
    let nested: Vec<DefaultNla> = settings
        .iter()
        .map(|(setting, value)| DefaultNla::new(*setting as u16, value.to_ne_bytes().to_vec()))
        .collect();
    let mut octets = vec![0; nested.as_slice().buffer_len()];
    nested.as_slice().emit(&mut octets);
    let conf = AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, octets));
    let mut message = named(name);
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![conf])]));
    (RouteNetlinkMessage::SetLink(message), 0)
}

/// Sets an interface up.
pub(super) fn raising(index: u32) -> Request {
    flags(index, LinkFlags::Up)
}

/// Sets an interface down.
pub(super) fn lowering(index: u32) -> Request {
    flags(index, LinkFlags::empty())
}

/// Drops whatever leaves an interface (qdisc "blackhole", part of every kernel that has queue disciplines).
///
/// When its addresses go, the kernel tells multicast routers that it leaves their groups, at once and again a second
/// later; and a frame from the virtual MAC draws the switch's traffic to who has just stepped down.
pub(super) fn silencing(index: u32) -> Request {
    let mut message = root_queue(index);
    message.attributes.push(TcAttribute::Kind("blackhole".into()));
    (
        RouteNetlinkMessage::NewQueueDiscipline(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Ends [`silencing`].
pub(super) fn voicing(index: u32) -> Request {
    (RouteNetlinkMessage::DelQueueDiscipline(root_queue(index)), 0)
}

pub(super) fn grouping(index: u32, group: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Group(group));
    (RouteNetlinkMessage::SetLink(message), 0)
}

pub(super) fn deletion(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    (RouteNetlinkMessage::DelLink(message), 0)
}

/// Deletes all interfaces of a group at once: each alone would wait for an RCU grace period.
pub(super) fn deletion_of_group(group: u32) -> Request {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(group));
    (RouteNetlinkMessage::DelLink(message), 0)
}

fn flags(index: u32, flags: LinkFlags) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.header.change_mask = LinkFlags::Up;
    (RouteNetlinkMessage::SetLink(message), 0)
}

fn root_queue(index: u32) -> TcMessage {
    // Indices are below 2^31.
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = TcHandle::ROOT;
    message
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.into()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_alias_tells_a_maker() {
        let maker = |alias: &str| {
            let found = Found {
                alias: alias.into(),
                ..Found::default()
            };
            found.maker().map(str::to_owned)
        };
        let ours = alias("7-12345", "VRID 51 on eth0");
        assert_eq!(maker(&ours).as_deref(), Some("7-12345"));
        for theirs in ["", "uplink", "vrrp-network 7", "vrrp-net"] {
            assert_eq!(maker(theirs), None, "{theirs:?}");
        }
    }

    #[test]
    fn a_cut_report_is_no_interface_and_no_panic() {
        for len in 0..16 {
            assert_eq!(Found::parse(&vec![0; len]), None);
        }
        assert_eq!(Found::parse(&[0; 16]), Some(Found::default()));
    }
}
