//! Routers and attachments that fit together, and those that don't.

use std::net::IpAddr;

use vrrp_core::{AddressList, Config, Priority, VirtualRouter};

use super::*;
use crate::{RouterSet, RuleAction, VirtualAddress, VirtualRule};

#[test]
fn a_virtual_mac_holds_the_addresses_and_sends_the_adverts() {
    let plan = plan([(51, "192.0.2.100", attach("eth0", Vmac::new()))]).unwrap();
    let (base, vmac) = (plan.link_id("eth0").unwrap(), plan.link_id("vrrp.51").unwrap());
    let expected = VmacPlan {
        base,
        mac: MacAddr([0, 0, 0x5e, 0, 1, 51]),
        family: Family::Ipv4,
        vrid: Vrid::new(51).unwrap(),
    };
    assert_eq!(plan.links()[vmac.index()].vmac, Some(expected));
    let seat = &plan.seats[0];
    assert_eq!((seat.link, seat.vmac, seat.out), (base, Some(vmac), vmac));
    assert_eq!(seat.placements[0].link, vmac);
    assert!(plan.links()[base.index()].ipv4 && !plan.links()[vmac.index()].ipv4);
}

#[test]
fn with_xmit_base_or_unicast_peers_adverts_come_from_the_interface() {
    let xmit_base = attach("eth0", Vmac::new().xmit_base(true));
    let one = plan([(51, "192.0.2.100", xmit_base)]).unwrap();
    assert_eq!(one.seats[0].out, one.seats[0].link);
    assert_ne!(one.seats[0].placements[0].link, one.seats[0].link);
    let peer = ip("192.0.2.11");
    let router = router(51, "192.0.2.100", |config| config.peers(&[peer]));
    let attachment = attach("eth0", Vmac::new());
    let two = Plan::new(&RouterSet::new(vec![router]), &[attachment]).unwrap();
    assert_eq!(two.seats[0].out, two.seats[0].link);
}

#[test]
fn each_router_gets_an_interface_of_its_own() {
    let vmac = || Vmac::new();
    let plan = plan([
        (51, "192.0.2.100", attach("eth0", vmac())),
        (51, "fe80::200", attach("eth0", vmac())),
        (51, "192.0.2.100", attach("eth1", vmac())),
    ])
    .unwrap();
    let names: Vec<_> = plan
        .seats
        .iter()
        .map(|seat| plan.links[seat.vmac.unwrap().0].name.as_str())
        .collect();
    assert_eq!(names, ["vrrp.51", "vrrp6.51", "vrrp.51.2"]);
    assert_eq!(plan.seats[1].placements[0].net.to_string(), "fe80::200/64");
    assert!(!plan.seats[1].placements[0].options.no_prefix_route);
    assert!(plan.seats[0].placements[0].options.no_prefix_route);
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let named = |name: &str| attach("eth0", Vmac::new().name(name));
    let taken = PlanError::VmacName { name: "v0".into() };
    let twice = plan([(1, "192.0.2.1", named("v0")), (2, "192.0.2.2", named("v0"))]);
    assert_eq!(twice.err(), Some(taken.clone()));
    let as_base = plan([
        (1, "192.0.2.1", named("v0")),
        (2, "192.0.2.2", attach("v0", Vmac::new())),
    ]);
    assert_eq!(as_base.err(), Some(taken));
}

#[test]
fn one_address_on_two_virtual_macs_of_an_interface_is_refused() {
    let routers = [
        (1, "192.0.2.1", attach("eth0", Vmac::new())),
        (2, "192.0.2.1", attach("eth0", Vmac::new())),
    ];
    let expected = PlanError::DuplicateAddress {
        address: ip("192.0.2.1"),
        interface: "eth0".into(),
    };
    assert_eq!(plan(routers).err(), Some(expected));
}

#[test]
fn an_address_with_an_interface_of_its_own_is_not_on_the_virtual_mac() {
    let attachment = Attachment::builder("eth0")
        .vmac(Vmac::new())
        .address(ip("192.0.2.1"))
        .address(VirtualAddress::from(ip("198.51.100.1")).on("eth1"));
    let plan = plan([(1, "192.0.2.1", attachment.build().unwrap())]).unwrap();
    let links: Vec<_> = plan.seats[0]
        .placements
        .iter()
        .map(|placement| plan.links[placement.link.0].name.as_str())
        .collect();
    assert_eq!(links, ["vrrp.1", "eth1"]);
}

#[test]
fn what_the_kernel_could_not_tell_apart_is_refused() {
    let route = |dev: &str, metric| {
        let route = VirtualRoute::builder(ip("198.51.100.1")).dev(dev).metric(metric);
        route.build().unwrap()
    };
    let with = |route| Attachment::builder("eth0").route(route).build().unwrap();
    let both = |one, other| plan([(1, "192.0.2.1", with(one)), (2, "192.0.2.2", with(other))]);
    let fine = both(route("eth0", 1), route("eth1", 2)).unwrap();
    assert!(
        fine.link_id("eth1").is_some(),
        "the interfaces of routes are watched"
    );
    assert_eq!(fine.seats[1].routing.routes, [route("eth1", 2)]);
    let twice = both(route("eth0", 1), route("eth1", 1)).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "route 198.51.100.1/32 dev eth1 metric 1 stands twice: give one of them another metric, or leave it out"
    );
    let rule = |from: &str| {
        let rule = VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(100)).from(ip(from));
        rule.build().unwrap()
    };
    let with = |rule| Attachment::builder("eth0").rule(rule).build().unwrap();
    let both = |one, other| plan([(1, "192.0.2.1", with(one)), (2, "192.0.2.2", with(other))]);
    assert!(both(rule("10.0.0.1"), rule("10.0.0.2")).is_ok());
    assert!(matches!(
        both(rule("10.0.0.1"), rule("10.0.0.1")),
        Err(PlanError::LikeRules { .. })
    ));
}

#[test]
fn only_the_owner_accepts_where_that_is_not_wanted() {
    let attachment = || Attachment::builder("eth0").accept(false).build().unwrap();
    let accepts = |priority| {
        let router = router(1, "192.0.2.1", |config| config.priority(priority));
        let plan = Plan::new(&RouterSet::new(vec![router]), &[attachment()]).unwrap();
        plan.seats[0].placements[0].accept
    };
    assert!(!accepts(Priority::new(254)));
    assert!(accepts(Priority::OWNER));
}

#[test]
fn the_longest_advert_of_an_interface_is_known_and_what_would_fit() {
    let own = || Attachment::builder("eth0").build().unwrap();
    let plan = plan([
        (51, "192.0.2.100", own()),
        (52, "fe80::200", own()),
        (53, "192.0.2.101", own()),
        (54, "192.0.2.102", attach("eth1", Vmac::new())),
    ])
    .unwrap();
    let longest = |name| plan.links()[plan.link_id(name).unwrap().index()].longest_advert;
    let advert = longest("eth0").unwrap();
    assert_eq!(
        (
            advert.family,
            advert.vrid.get(),
            advert.packet_len,
            advert.addresses
        ),
        (Family::Ipv6, 52, 64, 1)
    );
    assert_eq!((advert.exceeds(64), advert.exceeds(63)), (None, Some(0)));
    let long = LongestAdvert {
        packet_len: 1528,
        addresses: 90,
        ..advert
    };
    assert_eq!(
        (long.exceeds(1513), long.exceeds(1512), long.exceeds(1511)),
        (Some(89), Some(89), Some(88))
    );
    // A virtual MAC has the MTU of the interface that carries it.
    assert_eq!(longest("eth1").map(|advert| advert.vrid.get()), Some(54));
    assert_eq!(longest("vrrp.54"), None);
}

fn plan<const N: usize>(routers: [(u8, &str, Attachment); N]) -> Result<Plan, PlanError> {
    let (routers, attachments): (Vec<_>, Vec<_>) = routers
        .into_iter()
        .map(|(vrid, vip, attachment)| (router(vrid, vip, |config| config), attachment))
        .unzip();
    Plan::new(&RouterSet::new(routers), &attachments)
}

fn router(
    vrid: u8,
    vip: &str,
    change: impl FnOnce(vrrp_core::ConfigBuilder) -> vrrp_core::ConfigBuilder,
) -> VirtualRouter {
    let list = AddressList::new(&[ip(vip)]).unwrap();
    let config = change(Config::builder(Vrid::new(vrid).unwrap(), list));
    VirtualRouter::new(config.build().unwrap(), ip("192.0.2.10"))
}

fn attach(interface: &str, vmac: Vmac) -> Attachment {
    Attachment::builder(interface).vmac(vmac).build().unwrap()
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}
