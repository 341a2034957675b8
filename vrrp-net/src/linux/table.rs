//! The interfaces that we use and the addresses on them, as netlink reports them.
//!
//! Read by hand from the octets: links carry dozens of nested attributes, of which three matter here, and one that a
//! parser doesn't know must not cost us a link that went down.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use rtnetlink::packet_core::NlasIterator;

use super::mark::{MARK, PROTO_SUPPORTED_SINCE};
use crate::network::{LinkId, LinkState, MacAddr};

// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/if.h
pub(super) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
pub(super) const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 1 << 6;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const FOREVER: u32 = u32::MAX;

/// What [`Table::read`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// State or source address of an interface.
    Link(LinkId),
    /// An address of ours is gone, and we did not remove it.
    Removed(LinkId, IpAddr),
}

#[derive(Debug, Default)]
pub(super) struct Table {
    interfaces: Vec<Interface>,
    /// Whether the kernel tells who put an address there.
    marks: bool,
    /// What we have added and not removed.
    acquired: HashSet<(LinkId, IpAddr)>,
    /// Removals of our own whose reports are still to come.
    removing: HashMap<(LinkId, IpAddr), u32>,
    /// Links that have changed; each stands once.
    changed: VecDeque<LinkId>,
    /// Addresses of ours that somebody has removed.
    removed: VecDeque<(LinkId, IpAddr)>,
}

#[derive(Clone, Debug, Default)]
struct Interface {
    name: String,
    index: Option<u32>,
    running: bool,
    mac: Option<MacAddr>,
    addresses: Vec<Entry>,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    /// IFA_PROTO.
    pub(super) mark: Option<u8>,
    /// Without lifetime.
    pub(super) permanent: bool,
    secondary: bool,
    /// Duplicate address detection runs, or has failed.
    tentative: bool,
}

/// The parts of a message that matter.
struct AddressReport {
    index: u32,
    entry: Entry,
}

struct LinkReport<'a> {
    index: u32,
    running: bool,
    name: &'a [u8],
    mac: Option<MacAddr>,
}

impl Table {
    /// `release` is the kernel's, as uname gives it.
    pub(super) fn new(names: impl Iterator<Item = String>, release: &str) -> Self {
        let interface = |name| Interface {
            name,
            ..Interface::default()
        };
        Self {
            interfaces: names.map(interface).collect(),
            marks: version(release) >= PROTO_SUPPORTED_SINCE,
            ..Self::default()
        }
    }

    /// Links first: an address that went with its link is not to be put back.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        let link = self.changed.pop_front().map(Change::Link);
        link.or_else(|| {
            self.removed
                .pop_front()
                .map(|(link, address)| Change::Removed(link, address))
        })
    }

    /// Takes in one message, of a dump or of the monitor.
    pub(super) fn read(&mut self, kind: u16, payload: &[u8]) {
        match kind {
            RTM_NEWLINK => self.new_link(payload),
            RTM_DELLINK => self.del_link(payload),
            RTM_NEWADDR => self.new_address(payload),
            RTM_DELADDR => self.del_address(payload),
            _ => {}
        }
    }

    /// Begins anew with a dump, when reports have been lost. Gives what there was, for [`Table::compare`].
    pub(super) fn forget(&mut self) -> Forgotten {
        let links = (0..self.interfaces.len())
            .map(|link| self.state(LinkId(link)))
            .collect();
        self.removing.clear();
        self.changed.clear();
        self.removed.clear();
        for interface in &mut self.interfaces {
            *interface = Interface {
                name: std::mem::take(&mut interface.name),
                ..Interface::default()
            };
        }
        Forgotten { links }
    }

    /// Reports what a dump shows to be different.
    pub(super) fn compare(&mut self, before: &Forgotten) {
        self.changed.clear();
        self.removed.clear();
        for (link, before) in before.links.iter().enumerate() {
            let link = LinkId(link);
            if self.state(link) != *before {
                self.link_changed(link);
            }
        }
        for (link, address) in &self.acquired {
            if self.index(*link).is_some() && self.find(*link, *address).is_none() {
                self.removed.push_back((*link, *address));
            }
        }
    }

    pub(super) fn index(&self, link: LinkId) -> Option<u32> {
        self.interfaces[link.0].index
    }

    pub(super) fn name(&self, link: LinkId) -> &str {
        &self.interfaces[link.0].name
    }

    pub(super) fn mac(&self, link: LinkId) -> Option<MacAddr> {
        self.interfaces[link.0].mac
    }

    /// The interface of this index, if it is one of ours.
    pub(super) fn link(&self, index: u32) -> Option<LinkId> {
        let place = self
            .interfaces
            .iter()
            .position(|interface| interface.index == Some(index));
        place.map(LinkId)
    }

    pub(super) fn state(&self, link: LinkId) -> LinkState {
        let interface = &self.interfaces[link.0];
        let mut sources = interface
            .addresses
            .iter()
            .filter(|entry| !self.is_ours(link, entry));
        LinkState {
            up: interface.index.is_some() && interface.running,
            ipv4: sources.clone().find_map(|entry| match entry.address {
                IpAddr::V4(address) if !entry.secondary => Some(address),
                _ => None,
            }),
            ipv6: sources.find_map(|entry| match entry.address {
                IpAddr::V6(address) if address.is_unicast_link_local() && !entry.tentative => Some(address),
                _ => None,
            }),
        }
    }

    /// The entry of an address; one that isn't ours goes before one that is.
    pub(super) fn find(&self, link: LinkId, address: IpAddr) -> Option<&Entry> {
        let equal = |entry: &&Entry| entry.address == address;
        let entries = self.interfaces[link.0].addresses.iter().filter(equal);
        entries.min_by_key(|entry| self.is_ours(link, entry))
    }

    pub(super) fn entries(&self, link: LinkId) -> &[Entry] {
        &self.interfaces[link.0].addresses
    }

    /// Whether we put the address there: it bears our mark, or, where the kernel has no marks, we remember it and it
    /// has a lifetime.
    pub(super) fn is_ours(&self, link: LinkId, entry: &Entry) -> bool {
        match entry.mark {
            Some(mark) => mark == MARK,
            None => !self.marks && !entry.permanent && self.acquired.contains(&(link, entry.address)),
        }
    }

    /// Whether an earlier run of ours left a virtual address behind.
    pub(super) fn is_leftover(&self, entry: &Entry) -> bool {
        match entry.mark {
            Some(mark) => mark == MARK,
            None => !self.marks && !entry.permanent,
        }
    }

    /// Notes an addition of ours before its report comes.
    pub(super) fn note_acquired(&mut self, link: LinkId, address: IpAddr, prefix: u8, permanent: bool) {
        self.acquired.insert((link, address));
        let entry = Entry {
            address,
            prefix,
            mark: self.marks.then_some(MARK),
            permanent,
            // Its own report says more.
            secondary: true,
            tentative: false,
        };
        self.interfaces[link.0].put(entry);
    }

    /// Notes that we want an address no longer; `removed` when the kernel has removed it and will report so.
    pub(super) fn note_released(&mut self, link: LinkId, address: IpAddr, removed: Option<u8>) {
        self.acquired.remove(&(link, address));
        if let Some(prefix) = removed {
            *self.removing.entry((link, address)).or_default() += 1;
            self.interfaces[link.0].take(address, prefix);
        }
    }

    fn link_changed(&mut self, link: LinkId) {
        if !self.changed.contains(&link) {
            self.changed.push_back(link);
        }
    }

    fn new_link(&mut self, payload: &[u8]) {
        let Some(report) = LinkReport::parse(payload) else {
            return;
        };
        for place in 0..self.interfaces.len() {
            let before = self.state(LinkId(place));
            let interface = &mut self.interfaces[place];
            let index_before = interface.index;
            if interface.name.as_bytes() == report.name {
                if interface.index != Some(report.index) {
                    // Made anew: nothing of the old one is left.
                    interface.addresses.clear();
                }
                interface.index = Some(report.index);
                interface.running = report.running;
                interface.mac = report.mac;
            } else if interface.index == Some(report.index) {
                // Renamed: it is no longer the one that was configured.
                interface.vanish();
            }
            if self.interfaces[place].index != index_before || self.state(LinkId(place)) != before {
                self.link_changed(LinkId(place));
            }
        }
    }

    fn del_link(&mut self, payload: &[u8]) {
        let Some(report) = LinkReport::parse(payload) else {
            return;
        };
        if let Some(link) = self.link(report.index) {
            self.interfaces[link.0].vanish();
            self.link_changed(link);
        }
    }

    fn new_address(&mut self, payload: &[u8]) {
        let Some(report) = AddressReport::parse(payload) else {
            return;
        };
        if let Some(link) = self.link(report.index) {
            let before = self.state(link);
            self.interfaces[link.0].put(report.entry);
            if self.state(link) != before {
                self.link_changed(link);
            }
        }
    }

    fn del_address(&mut self, payload: &[u8]) {
        let Some(AddressReport { index, entry }) = AddressReport::parse(payload) else {
            return;
        };
        let Some(link) = self.link(index) else {
            return;
        };
        let key = (link, entry.address);
        if let Some(count) = self.removing.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.removing.remove(&key);
            }
            // We may have added it again meanwhile, so the entry stays as we noted it.
            if !self.acquired.contains(&key) {
                self.interfaces[link.0].take(entry.address, entry.prefix);
            }
            return;
        }
        let before = self.state(link);
        self.interfaces[link.0].take(entry.address, entry.prefix);
        if self.acquired.contains(&key) && self.find(link, entry.address).is_none() {
            self.removed.push_back((link, entry.address));
        }
        if self.state(link) != before {
            self.link_changed(link);
        }
    }
}

/// States of the interfaces before [`Table::forget`].
#[derive(Debug)]
pub(super) struct Forgotten {
    links: Vec<LinkState>,
}

impl Interface {
    fn put(&mut self, entry: Entry) {
        let same = |other: &&mut Entry| other.address == entry.address && other.prefix == entry.prefix;
        match self.addresses.iter_mut().find(same) {
            Some(known) => *known = entry,
            None => self.addresses.push(entry),
        }
    }

    fn take(&mut self, address: IpAddr, prefix: u8) {
        self.addresses
            .retain(|entry| entry.address != address || entry.prefix != prefix);
    }

    fn vanish(&mut self) {
        *self = Self {
            name: std::mem::take(&mut self.name),
            ..Self::default()
        };
    }
}

impl<'a> LinkReport<'a> {
    /// An ifinfomsg: family, padding, type (u16), index (i32), flags (u32), change; then attributes.
    fn parse(payload: &'a [u8]) -> Option<Self> {
        let header: &[u8; 16] = payload.first_chunk()?;
        // Bridges report their ports with a family of their own: that a port left is not that the link is gone.
        if header[0] != 0 {
            return None;
        }
        let flags = u32_at(header, 8)?;
        let mut report = Self {
            index: u32_at(header, 4)?,
            running: flags & IFF_UP != 0 && flags & IFF_RUNNING != 0,
            name: &[],
            mac: None,
        };
        for (kind, value) in attributes(&payload[16..]) {
            match kind {
                IFLA_IFNAME => report.name = value.strip_suffix(&[0]).unwrap_or(value),
                IFLA_ADDRESS => report.mac = value.try_into().ok().map(MacAddr),
                _ => {}
            }
        }
        Some(report)
    }
}

impl AddressReport {
    /// An ifaddrmsg: family, prefix length, flags, scope, index (u32); then attributes.
    fn parse(payload: &[u8]) -> Option<Self> {
        let header: &[u8; 8] = payload.first_chunk()?;
        let (mut flags, mut local, mut address, mut mark, mut permanent) =
            (u32::from(header[2]), None, None, None, true);
        for (kind, value) in attributes(&payload[8..]) {
            match kind {
                IFA_LOCAL => local = ip_of(value),
                IFA_ADDRESS => address = ip_of(value),
                IFA_FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
                // ifa_cacheinfo: preferred lifetime, then valid lifetime.
                IFA_CACHEINFO => permanent = u32_at(value, 4) == Some(FOREVER),
                IFA_PROTO => mark = value.first().copied(),
                _ => {}
            }
        }
        Some(Self {
            index: u32_at(header, 4)?,
            entry: Entry {
                // On a point-to-point link IFA_ADDRESS is the peer's.
                address: local.or(address)?,
                prefix: header[1],
                mark,
                permanent,
                secondary: flags & IFA_F_SECONDARY != 0,
                tentative: flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0,
            },
        })
    }
}

fn attributes(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(octets).map_while(Result::ok).map(|attribute| {
        let len = attribute.value_length();
        let kind = attribute.kind();
        let value = attribute.into_inner();
        // The iterator has checked that the value is there, behind its header of four octets.
        (kind, &value[4..4 + len])
    })
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let four = octets.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*four))
}

fn ip_of(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => octets.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => octets.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

/// Major and minor of a kernel release such as `6.18.44-custom`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_core::Emitable;
    use rtnetlink::packet_route::AddressFamily;
    use rtnetlink::packet_route::address::{
        AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
    };
    use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

    use super::*;

    const ETH0: LinkId = LinkId(0);
    const ETH1: LinkId = LinkId(1);
    const UP: LinkFlags = LinkFlags::Up.union(LinkFlags::Running);

    #[test]
    fn a_link_is_up_when_it_has_carrier() {
        let mut table = table();
        assert_eq!(table.state(ETH0), LinkState::default());
        for (flags, up) in [(LinkFlags::Up, false), (UP, true), (LinkFlags::Running, false)] {
            table.read(RTM_NEWLINK, &link("eth0", 3, flags));
            assert_eq!(table.state(ETH0).up, up, "{flags:?}");
            assert_eq!(table.next_change(), Some(Change::Link(ETH0)));
        }
        table.read(RTM_NEWLINK, &link("eth0", 3, LinkFlags::Running));
        assert_eq!(table.next_change(), None, "nothing has changed");
        assert_eq!(table.mac(ETH0), Some(MacAddr([2, 0, 0, 0, 0, 3])));
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_not_gone() {
        let mut table = up();
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Bridge;
        message.header.index = 3;
        table.read(RTM_DELLINK, &octets(&message));
        assert!(table.state(ETH0).up);
        table.read(RTM_DELLINK, &link("eth0", 3, UP));
        assert_eq!(table.index(ETH0), None);
    }

    #[test]
    fn a_rename_ends_one_link_and_begins_another() {
        let mut table = up();
        table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
        while table.next_change().is_some() {}
        table.read(RTM_NEWLINK, &link("eth1", 3, UP));
        assert_eq!((table.index(ETH0), table.index(ETH1)), (None, Some(3)));
        let changes: Vec<_> = std::iter::from_fn(|| table.next_change()).collect();
        assert_eq!(changes, [Change::Link(ETH0), Change::Link(ETH1)]);
    }

    #[test]
    fn a_link_made_anew_has_none_of_the_old_addresses() {
        let mut table = up();
        table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
        table.read(RTM_NEWLINK, &link("eth0", 4, UP));
        assert_eq!(table.state(ETH0).ipv4, None);
        // A late report about the old one.
        table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
        assert_eq!(table.state(ETH0).ipv4, None);
    }

    #[test]
    fn the_source_is_the_first_primary_address_that_is_not_ours() {
        let mut table = up();
        table.read(RTM_NEWADDR, &address("192.0.2.100", 32).marked(MARK).report(3));
        table.read(
            RTM_NEWADDR,
            &address("192.0.2.9", 24).flags(AddressFlags::Secondary).report(3),
        );
        assert_eq!(table.state(ETH0).ipv4, None);
        table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
        table.read(RTM_NEWADDR, &address("198.51.100.1", 24).report(3));
        assert_eq!(table.state(ETH0).ipv4, Some([192, 0, 2, 10].into()));
        table.read(RTM_DELADDR, &address("192.0.2.10", 24).report(3));
        assert_eq!(table.state(ETH0).ipv4, Some([198, 51, 100, 1].into()));
    }

    #[test]
    fn the_source_of_ipv6_is_link_local_and_past_duplicate_address_detection() {
        let mut table = up();
        table.read(RTM_NEWADDR, &address("2001:db8::1", 64).report(3));
        for flags in [AddressFlags::Tentative, AddressFlags::Dadfailed] {
            table.read(RTM_NEWADDR, &address("fe80::1", 64).flags(flags).report(3));
            assert_eq!(table.state(ETH0).ipv6, None);
        }
        table.read(RTM_NEWADDR, &address("fe80::1", 64).report(3));
        assert_eq!(table.state(ETH0).ipv6, Some("fe80::1".parse().unwrap()));
    }

    #[test]
    fn what_others_remove_is_told_and_what_we_remove_is_not() {
        let mut table = up();
        let vip = ip("192.0.2.100");
        let gone = address("192.0.2.100", 32).marked(MARK);
        table.note_acquired(ETH0, vip, 32, false);
        table.read(RTM_NEWADDR, &gone.clone().report(3));
        table.read(RTM_DELADDR, &gone.clone().report(3));
        assert_eq!(table.next_change(), Some(Change::Removed(ETH0, vip)));

        // Ours, and at once acquired again: the reports of all that come late.
        table.note_acquired(ETH0, vip, 32, false);
        table.note_released(ETH0, vip, Some(32));
        table.note_acquired(ETH0, vip, 32, false);
        for kind in [RTM_NEWADDR, RTM_DELADDR, RTM_NEWADDR] {
            table.read(kind, &gone.clone().report(3));
        }
        assert_eq!(table.next_change(), None);
        assert!(table.find(ETH0, vip).is_some());
        // And then somebody else.
        table.read(RTM_DELADDR, &gone.report(3));
        assert_eq!(table.next_change(), Some(Change::Removed(ETH0, vip)));
    }

    #[test]
    fn a_link_that_goes_is_told_before_its_addresses() {
        let mut table = up();
        let vip = ip("192.0.2.100");
        table.note_acquired(ETH0, vip, 32, false);
        table.read(RTM_DELADDR, &address("192.0.2.100", 32).marked(MARK).report(3));
        table.read(RTM_DELLINK, &link("eth0", 3, UP));
        assert_eq!(table.next_change(), Some(Change::Link(ETH0)));
        assert_eq!(table.next_change(), Some(Change::Removed(ETH0, vip)));
    }

    #[test]
    fn an_entry_that_is_not_ours_goes_before_one_that_is() {
        let mut table = up();
        let vip = ip("192.0.2.100");
        table.read(RTM_NEWADDR, &address("192.0.2.100", 32).marked(MARK).report(3));
        table.read(RTM_NEWADDR, &address("192.0.2.100", 24).report(3));
        let entry = table.find(ETH0, vip).unwrap();
        assert_eq!(entry.prefix, 24);
        assert!(!table.is_ours(ETH0, entry));
    }

    #[test]
    fn without_marks_a_lifetime_tells_ours_from_others() {
        let mut table = Table::new(["eth0".to_owned()].into_iter(), "5.17.9-generic");
        table.read(RTM_NEWLINK, &link("eth0", 3, UP));
        let vip = ip("192.0.2.100");
        table.read(RTM_NEWADDR, &address("192.0.2.100", 32).valid_for(3).report(3));
        let entry = *table.find(ETH0, vip).unwrap();
        assert!(table.is_leftover(&entry) && !table.is_ours(ETH0, &entry));
        table.note_acquired(ETH0, vip, 32, false);
        assert!(table.is_ours(ETH0, &entry));
        table.read(RTM_NEWADDR, &address("192.0.2.100", 32).report(3));
        let entry = *table.find(ETH0, vip).unwrap();
        assert!(!table.is_leftover(&entry) && !table.is_ours(ETH0, &entry));
    }

    #[test]
    fn after_lost_reports_the_difference_is_told() {
        let mut table = up();
        let vip = ip("192.0.2.100");
        table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
        table.note_acquired(ETH0, vip, 32, false);
        while table.next_change().is_some() {}
        let before = table.forget();
        table.read(RTM_NEWLINK, &link("eth0", 3, UP));
        table.read(RTM_NEWADDR, &address("192.0.2.11", 24).report(3));
        table.compare(&before);
        assert_eq!(table.next_change(), Some(Change::Link(ETH0)));
        assert_eq!(table.next_change(), Some(Change::Removed(ETH0, vip)));
        assert_eq!(table.next_change(), None);
    }

    #[test]
    fn a_message_cut_short_is_ignored() {
        let mut table = up();
        let message = address("192.0.2.10", 24).report(3);
        for len in 0..message.len() {
            table.read(RTM_NEWADDR, &message[..len]);
            table.read(RTM_DELADDR, &message[..len]);
            table.read(RTM_NEWLINK, &message[..len]);
        }
        assert!(table.state(ETH0).up);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(version("5.18.0") >= PROTO_SUPPORTED_SINCE);
        assert!(version("6.1.0-13-amd64") >= PROTO_SUPPORTED_SINCE);
        assert!(version("5.4.0") < PROTO_SUPPORTED_SINCE);
        assert!(version("") < PROTO_SUPPORTED_SINCE);
    }

    fn table() -> Table {
        Table::new(["eth0", "eth1"].map(str::to_owned).into_iter(), "6.18.0")
    }

    fn up() -> Table {
        let mut table = table();
        table.read(RTM_NEWLINK, &link("eth0", 3, UP));
        table.next_change();
        table
    }

    fn link(name: &str, index: u32, flags: LinkFlags) -> Vec<u8> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        let mac = vec![2, 0, 0, 0, 0, index as u8];
        message.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::Address(mac)];
        octets(&message)
    }

    #[derive(Clone)]
    struct Report(AddressMessage);

    fn address(address: &str, prefix: u8) -> Report {
        let mut message = AddressMessage::default();
        message.header.prefix_len = prefix;
        message.attributes.push(AddressAttribute::Address(ip(address)));
        Report(message)
    }

    impl Report {
        fn with(mut self, attribute: AddressAttribute) -> Self {
            self.0.attributes.push(attribute);
            self
        }

        fn marked(self, mark: u8) -> Self {
            self.with(AddressAttribute::Protocol(AddressProtocol::Other(mark)))
        }

        fn flags(self, flags: AddressFlags) -> Self {
            self.with(AddressAttribute::Flags(flags))
        }

        fn valid_for(self, seconds: u32) -> Self {
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_valid = seconds;
            self.with(AddressAttribute::CacheInfo(lifetime))
        }

        fn report(mut self, index: u32) -> Vec<u8> {
            self.0.header.index = index;
            octets(&self.0)
        }
    }

    fn octets(message: &impl Emitable) -> Vec<u8> {
        let mut octets = vec![0; message.buffer_len()];
        message.emit(&mut octets);
        octets
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }
}
