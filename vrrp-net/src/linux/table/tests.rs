use rtnetlink::packet_core::Emitable;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::super::mark::MARK;
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
fn what_is_on_a_renamed_link_is_known_until_the_name_is_back() {
    let mut table = up();
    table.read(RTM_NEWADDR, &address("192.0.2.10", 24).report(3));
    table.read(RTM_NEWADDR, &address("192.0.2.100", 32).marked(MARK).report(3));
    let [own, vip] = ["192.0.2.10", "192.0.2.100"].map(|address| address.parse().unwrap());
    assert_eq!(table.left_behind(ETH0, vip), None, "it is where it should be");
    table.read(RTM_NEWLINK, &link("other0", 3, UP));
    table.read(RTM_NEWLINK, &link("other0", 3, UP));
    assert_eq!(table.left_behind(ETH0, vip), Some((3, 32)));
    assert_eq!(table.left_behind(ETH0, own), None, "not ours to remove");
    table.read(RTM_NEWLINK, &link("eth0", 3, UP));
    assert_eq!(table.left_behind(ETH0, vip), None);
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
fn an_address_that_others_remove_anywhere_may_have_been_a_routes_source() {
    let mut table = up();
    let vip = ip("192.0.2.100");
    table.note_acquired(ETH0, vip, 32, false);
    table.note_released(ETH0, vip, Some(32));
    table.read(RTM_DELADDR, &address("192.0.2.100", 32).marked(MARK).report(3));
    assert!(!table.take_address_gone(), "our own doing");
    for interface in [3, 77] {
        table.read(RTM_DELADDR, &address("203.0.113.1", 32).report(interface));
        assert!(table.take_address_gone());
        assert!(!table.take_address_gone());
    }
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
    let (eth0, own) = (link("eth0", 3, UP), address("192.0.2.11", 24).report(3));
    table.replace([(RTM_NEWLINK, &*eth0), (RTM_NEWADDR, &*own)]);
    assert_eq!(table.state(ETH0).ipv4, Some([192, 0, 2, 11].into()));
    assert!(!table.state(ETH1).present);
    assert_eq!(table.next_change(), Some(Change::Link(ETH0)));
    assert_eq!(table.next_change(), Some(Change::Link(ETH1)));
    assert_eq!(table.next_change(), Some(Change::Removed(ETH0, vip)));
    assert_eq!(table.next_change(), None);
}

#[test]
fn an_address_that_went_with_its_interface_while_reports_were_lost_is_not_to_be_put_back() {
    let mut table = up();
    table.note_acquired(ETH0, ip("192.0.2.100"), 32, false);
    table.replace([]);
    while let Some(change) = table.next_change() {
        assert!(matches!(change, Change::Link(_)), "{change:?}");
    }
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
