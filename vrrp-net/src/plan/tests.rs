//! Routers and attachments that fit together, and those that don't.

use std::net::IpAddr;

use vrrp_core::{AddressList, Config, VirtualRouter};

use super::*;
use crate::{RouterSet, VirtualAddress};

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
