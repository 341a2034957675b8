//! Routes that can be built, and those that can't.

use super::*;

#[test]
fn a_route_reads_as_ip_writes_it() {
    let route = to("198.51.100.0/24")
        .via(ip("192.0.2.1"))
        .dev("eth0")
        .table(100)
        .metric(5);
    assert_eq!(
        route.build().unwrap().to_string(),
        "198.51.100.0/24 via 192.0.2.1 dev eth0 table 100 metric 5"
    );
    let hops = to("::/0")
        .nexthop(NextHop::via(ip("fe80::1")).dev("eth0").weight(2))
        .nexthop(NextHop::on("eth1"));
    assert_eq!(
        hops.build().unwrap().to_string(),
        "::/0 nexthop via fe80::1 dev eth0 nexthop dev eth1"
    );
    let nowhere = to("10.0.0.0/8")
        .kind(RouteKind::Blackhole)
        .tos(0x10)
        .build()
        .unwrap();
    assert_eq!(nowhere.to_string(), "blackhole 10.0.0.0/8 tos 0x10");
}

#[test]
fn the_default_routes_have_no_prefix() {
    for (family, text) in [(Family::Ipv4, "0.0.0.0/0"), (Family::Ipv6, "::/0")] {
        let route = VirtualRoute::default_route(family).dev("eth0").build().unwrap();
        assert_eq!(route.to().to_string(), text);
        assert_eq!((route.table(), route.is_tracked()), (254, true));
    }
}

#[test]
fn routes_that_lead_nowhere_are_refused() {
    let network = || to("198.51.100.0/24");
    let gateway = || network().via(ip("192.0.2.1"));
    for (route, message) in [
        (
            to("198.51.100.7/24").dev("eth0"),
            "route to 198.51.100.7/24: 198.51.100.7/24 is a host in 198.51.100.0/24; use 198.51.100.0/24, or the \
             address without a prefix",
        ),
        (
            network(),
            "route to 198.51.100.0/24: add a gateway (via) or an interface (dev), or make it a blackhole",
        ),
        (
            gateway().nexthop(NextHop::on("eth1")),
            "route to 198.51.100.0/24: use either via, dev and onlink, or nexthops that have them",
        ),
        (
            gateway().kind(RouteKind::Prohibit),
            "route to 198.51.100.0/24: a blackhole, unreachable, prohibit or throw route has no via, dev or \
             nexthop",
        ),
        (
            network().via(ip("224.0.0.1")),
            "gateway 224.0.0.1 of the route to 198.51.100.0/24: use a unicast address of the same family (or IPv6)",
        ),
        (
            to("::/0").via(ip("192.0.2.1")),
            "gateway 192.0.2.1 of the route to ::/0: use a unicast address of the same family (or IPv6)",
        ),
        (
            gateway().src(ip("::1")),
            "src ::1 of the route to 198.51.100.0/24: use a unicast address of the same family",
        ),
        (
            network().dev("a b"),
            "interface \"a b\" of the route to 198.51.100.0/24: use a name of 1 to 15 printable characters \
             without /",
        ),
        (
            gateway().onlink(),
            "route to 198.51.100.0/24: onlink needs a gateway (via) and an interface (dev)",
        ),
        (
            network().nexthop(NextHop::on("eth0").weight(257)),
            "weight 257 of a next hop of the route to 198.51.100.0/24: use 1 to 256",
        ),
        (
            gateway().table(0),
            "route to 198.51.100.0/24: use a table from 1 (main is 254)",
        ),
        (
            gateway().tos(1),
            "tos 0x01 of the route to 198.51.100.0/24: use a multiple of 4, on an IPv4 route",
        ),
        (
            to("::/0").dev("eth0").scope(Scope::LINK),
            "scope of the route to ::/0: IPv6 routes have none; leave it out",
        ),
        (
            gateway().protocol(2),
            "protocol 2 of the route to 198.51.100.0/24: use 3 to 255; 0 to 2 are the kernel's own",
        ),
        (
            gateway().setting(RouteSetting::HopLimit(0)),
            "HopLimit(0) of the route to 198.51.100.0/24: use a name of 1 to 15 characters for congctl, a hop \
             limit from 1",
        ),
    ] {
        assert_eq!(route.build().unwrap_err().to_string(), message);
    }
    let crowd = (0..65).fold(network(), |route, _| route.nexthop(NextHop::on("eth0")));
    assert!(matches!(
        crowd.build(),
        Err(RouteError::TooManyHops { got: 65, .. })
    ));
}

#[test]
fn the_edges_are_accepted() {
    assert!(
        to("198.51.100.7/32")
            .via(ip("fe80::1"))
            .dev("eth0")
            .onlink()
            .build()
            .is_ok()
    );
    assert!(
        to("10.0.0.0/8")
            .nexthop(NextHop::on("eth0").weight(256))
            .build()
            .is_ok()
    );
    assert!(
        to("10.0.0.0/8")
            .dev("eth0")
            .protocol(3)
            .tos(0xfc)
            .table(1)
            .build()
            .is_ok()
    );
}

#[test]
fn the_kernel_cannot_tell_routes_apart_by_their_next_hop() {
    let one = to("10.0.0.0/8").dev("eth0").build().unwrap();
    assert!(one.is_same(&to("10.0.0.0/8").dev("eth1").metric(0).build().unwrap()));
    assert!(!one.is_same(&to("10.0.0.0/8").dev("eth0").metric(1).build().unwrap()));
    let six = |metric| to("::/0").dev("eth0").metric(metric).build().unwrap();
    assert!(six(0).is_same(&six(1024)), "0 means 1024");
}

fn to(net: &str) -> VirtualRouteBuilder {
    VirtualRoute::builder(net.parse::<IpNet>().unwrap())
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}
