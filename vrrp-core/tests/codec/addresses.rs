//! Lists of addresses, owned and borrowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_core::{AddressList, AddressListError, Addresses, Family, Packet};

use crate::fuzz::reference;
use crate::samples::{hex, ip, ipv4};

#[test]
fn a_list_has_1_to_255_addresses() {
    let many = |count: u16| -> Vec<IpAddr> {
        (0..count)
            .map(|n| Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into())
            .collect()
    };
    assert_eq!(AddressList::new(&[]), Err(AddressListError::Empty));
    assert_eq!(
        AddressList::new(&many(256)),
        Err(AddressListError::TooMany { got: 256 })
    );
    for count in [1, 2, 255] {
        let list = AddressList::new(&many(count)).expect("in range");
        assert_eq!(list.as_addresses().len(), usize::from(count));
        assert!(!list.as_addresses().is_empty());
        assert_eq!(list.as_addresses().iter().collect::<Vec<_>>(), many(count));
    }
}

#[test]
fn a_list_is_of_one_family() {
    let (four, six) = (ip("192.0.2.1"), ip("fe80::1"));
    let mixed = |first, other| Err(AddressListError::MixedFamilies { first, other });
    assert_eq!(AddressList::new(&[four, six]), mixed(four, six));
    assert_eq!(AddressList::new(&[six, four]), mixed(six, four));
    // An IPv4-mapped address is an IPv6 one.
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into();
    assert_eq!(AddressList::new(&[four, mapped]), mixed(four, mapped));
    assert_eq!(
        AddressList::new(&[four]).map(|list| list.family()),
        Ok(Family::Ipv4)
    );
    assert_eq!(
        AddressList::new(&[six]).map(|list| list.family()),
        Ok(Family::Ipv6)
    );
}

#[test]
fn a_list_has_each_address_once() {
    let [one, two] = [ip("192.0.2.1"), ip("192.0.2.2")];
    let expected = Err(AddressListError::Duplicate { address: one });
    assert_eq!(AddressList::new(&[one, two, one]), expected);
    assert!(AddressList::new(&[one, two]).is_ok());
}

#[test]
fn octets_stand_as_on_the_wire() {
    let list = AddressList::new(&[ip("192.0.2.1"), ip("10.1.2.3")]).expect("valid");
    assert_eq!(list.as_addresses().octets(), [192, 0, 2, 1, 10, 1, 2, 3]);
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x102);
    let list = AddressList::new(&[address.into()]).expect("valid");
    assert_eq!(list.as_addresses().octets(), address.octets());
}

/// RFC 9568 §7.1 compares what is configured with what is heard; the order is the sender's affair.
#[test]
fn sets_are_equal_in_any_order() {
    let list = |addresses: &[&str]| {
        let addresses: Vec<IpAddr> = addresses.iter().map(|one| ip(one)).collect();
        AddressList::new(&addresses).expect("valid")
    };
    let ours = list(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let same = |other: &AddressList| ours.as_addresses().same_set(other.as_addresses());
    assert!(same(&ours));
    assert!(same(&list(&["192.0.2.3", "192.0.2.1", "192.0.2.2"])));
    assert!(!same(&list(&["192.0.2.1", "192.0.2.2"])));
    assert!(!same(&list(&[
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.4"
    ])));
    assert!(!same(&list(&["192.0.2.1", "192.0.2.2", "192.0.2.4"])));
    // The same octets, but four addresses and one.
    let four = list(&["32.1.13.184", "0.0.0.0", "0.0.0.1", "0.0.0.2"]);
    let one = list(&["2001:db8::1:0:2"]);
    assert_eq!(
        four.as_addresses().octets().len(),
        one.as_addresses().octets().len()
    );
    assert!(!four.as_addresses().same_set(one.as_addresses()));
}

/// A peer may repeat an address, which no list of ours does: equal in length, not the same set.
#[test]
fn a_repeated_address_does_not_stand_for_another() {
    let mut octets = hex("31369602000a0000 c0000264c0000264");
    reference::seal(&mut octets, &ipv4(), true);
    let packet = Packet::parse(&octets, &ipv4()).expect("valid");
    let ours = AddressList::new(&[ip("192.0.2.100"), ip("192.0.2.101")]).expect("valid");
    let both_ways = |a: Addresses<'_>, b: Addresses<'_>| (a.same_set(b), b.same_set(a));
    assert_eq!(both_ways(packet.addresses(), ours.as_addresses()), (false, false));
}

#[test]
fn the_first_address_tells_whether_hosts_can_take_it_as_their_gateway() {
    let list = |addresses: &[&str]| {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
        AddressList::new(&addresses).expect("valid")
    };
    assert!(list(&["fe80::200", "2001:db8::100"]).first_is_link_local());
    assert!(!list(&["2001:db8::100", "fe80::200"]).first_is_link_local());
    assert!(!list(&["169.254.0.1"]).first_is_link_local());
}
