//! The interfaces that we use and the addresses on them, as netlink reports them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::mark::{MARK, PROTO_SUPPORTED_SINCE};
use super::report::{AddressReport, Entry, LinkReport};
use crate::network::{LinkId, LinkState, MacAddr};

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;

/// What [`Table::read`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// State, source address or MTU of an interface.
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
    /// An address is gone that we did not remove: with it go the routes that have it as their source, of which older
    /// kernels say nothing.
    address_gone: bool,
    /// When we added an address of ours.
    added_at: HashMap<(LinkId, IpAddr), Duration>,
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
    mtu: Option<u32>,
    addresses: Vec<Entry>,
    /// Since it was renamed: the index that it goes on with, and what was on it.
    renamed: Option<(u32, Vec<Entry>)>,
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

    /// Begins anew with what a dump says, when reports have been lost.
    pub(super) fn replace<'a>(&mut self, messages: impl IntoIterator<Item = (u16, &'a [u8])>) {
        self.removing.clear();
        self.address_gone = true;
        self.interfaces.iter_mut().for_each(Interface::vanish);
        for (kind, payload) in messages {
            self.read(kind, payload);
        }
        // What was lost may have concerned any of them.
        self.changed = (0..self.interfaces.len()).map(LinkId).collect();
        let is_gone = |(link, address): &&(LinkId, IpAddr)| {
            self.index(*link).is_some() && self.find(*link, *address).is_none()
        };
        self.removed = self.acquired.iter().filter(is_gone).copied().collect();
    }

    /// Whether addresses have gone, or may have, since this was asked last.
    pub(super) fn take_address_gone(&mut self) -> bool {
        std::mem::take(&mut self.address_gone)
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

    /// In octets, as far as the kernel has told.
    pub(super) fn mtu(&self, link: LinkId) -> Option<usize> {
        self.interfaces[link.0].mtu.and_then(|mtu| mtu.try_into().ok())
    }

    /// All interfaces.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> + use<> {
        (0..self.interfaces.len()).map(LinkId)
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
            present: interface.index.is_some(),
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

    /// Where an address of ours is still though the interface is gone, for that was renamed: index and prefix.
    pub(super) fn left_behind(&self, link: LinkId, address: IpAddr) -> Option<(u32, u8)> {
        let (index, entries) = self.interfaces[link.0].renamed.as_ref()?;
        let ours = |entry: &&Entry| entry.address == address && self.is_ours(link, entry);
        entries.iter().find(ours).map(|entry| (*index, entry.prefix))
    }

    /// Whether an address is there, usable, and none of those that we added.
    pub(super) fn has_own(&self, link: LinkId, address: IpAddr) -> bool {
        let entry = self.find(link, address);
        entry.is_some_and(|entry| !entry.tentative && !self.is_ours(link, entry))
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
        let mark = self.marks.then_some(MARK);
        let interface = &mut self.interfaces[link.0];
        let known = interface.get(address, prefix);
        if known.is_some_and(|known| known.mark == mark && known.permanent == permanent) {
            // Renewed: what is known of it stays.
            return;
        }
        interface.put(Entry {
            address,
            // Its own report says more.
            peer: address,
            prefix,
            mark,
            permanent,
            secondary: true,
            tentative: false,
        });
    }

    /// Notes when an address is added.
    pub(super) fn note_addition(&mut self, link: LinkId, address: IpAddr, now: Duration) {
        self.added_at.insert((link, address), now);
    }

    /// How long ago we added an address of ours.
    pub(super) fn age(&self, link: LinkId, address: IpAddr, now: Duration) -> Duration {
        let added_at = self.added_at.get(&(link, address));
        added_at.map_or(Duration::ZERO, |added_at| now.saturating_sub(*added_at))
    }

    /// Notes that we want an address no longer; `removed` when the kernel has removed it and will report so.
    pub(super) fn note_released(&mut self, link: LinkId, address: IpAddr, removed: Option<u8>) {
        self.acquired.remove(&(link, address));
        self.added_at.remove(&(link, address));
        if let Some(prefix) = removed {
            *self.removing.entry((link, address)).or_default() += 1;
            self.interfaces[link.0].take(address, prefix);
        }
    }

    /// Reports what we had added to an interface and what is no longer there: it was made anew.
    pub(super) fn report_missing(&mut self, link: LinkId) {
        let ours = self.acquired.iter().filter(|(of, _)| *of == link);
        let missing = ours.filter(|(_, address)| self.find(link, *address).is_none());
        let missing: Vec<_> = missing
            .filter(|gone| !self.removed.contains(gone))
            .copied()
            .collect();
        self.removed.extend(missing);
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
            let (index_before, mtu_before) = (interface.index, interface.mtu);
            if interface.name.as_bytes() == report.name {
                if interface.index != Some(report.index) {
                    // Made anew: nothing of the old one is left.
                    interface.addresses.clear();
                }
                interface.index = Some(report.index);
                interface.renamed = None;
                interface.running = report.running;
                interface.mac = report.mac;
                interface.mtu = report.mtu;
            } else if interface.index == Some(report.index) {
                // Renamed: it is no longer the one that was configured.
                let left = std::mem::take(&mut interface.addresses);
                interface.vanish();
                interface.renamed = Some((report.index, left));
            }
            let after = &self.interfaces[place];
            let is_other = after.index != index_before || after.mtu != mtu_before;
            if is_other || self.state(LinkId(place)) != before {
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
            let address = report.entry.address;
            let known = self.interfaces[link.0].get(address, report.entry.prefix);
            if known == Some(&report.entry) {
                // A lease was renewed.
                return;
            }
            let before = (self.state(link), self.has_own(link, address));
            self.interfaces[link.0].put(report.entry);
            if (self.state(link), self.has_own(link, address)) != before {
                self.link_changed(link);
            }
        }
    }

    fn del_address(&mut self, payload: &[u8]) {
        let Some(AddressReport { index, entry }) = AddressReport::parse(payload) else {
            return;
        };
        let Some(link) = self.link(index) else {
            self.address_gone = true;
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
        self.address_gone = true;
        let before = (self.state(link), self.has_own(link, entry.address));
        self.interfaces[link.0].take(entry.address, entry.prefix);
        if self.acquired.contains(&key) && self.find(link, entry.address).is_none() {
            self.removed.push_back((link, entry.address));
        }
        if (self.state(link), self.has_own(link, entry.address)) != before {
            self.link_changed(link);
        }
    }
}

impl Interface {
    fn get(&self, address: IpAddr, prefix: u8) -> Option<&Entry> {
        let same = |entry: &&Entry| entry.address == address && entry.prefix == prefix;
        self.addresses.iter().find(same)
    }

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

/// Major and minor of a kernel release such as `6.18.44-custom`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
