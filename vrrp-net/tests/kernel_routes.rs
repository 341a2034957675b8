//! Routes that move with a virtual router, on the real kernel.

mod node;

use std::time::{Duration, Instant};

use node::lan::dual_stack_pair;
use node::routing::{
    MARK, add_interface, add_route, del_interface, del_route, gateway, interface_index, marked_routes, net,
    routes, set_link,
};
use node::{PATIENCE, Setup, has, ip, pause, within};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteScope, RouteType, RouteVia,
};
use vrrp_core::{Family, Fault, Reason, State};
use vrrp_net::lab;
use vrrp_net::{DriverEvent, NextHop, RouteKind, RouteSetting, Scope, VirtualRoute, VirtualRouteBuilder};

const VIP: &str = "192.0.2.100";

#[test]
fn routes_come_with_mastership_and_go_with_it() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        // The gateway of these hosts' clients: what arrives goes on by a way that only the master has.
        let setup = |host, priority| {
            Setup::new(host, priority, &[VIP]).attachment(|attachment| {
                attachment
                    .route(built(to("198.51.100.0/24").via(ip("192.0.2.1")).src(ip(VIP))))
                    .route(built(to("2001:db8:1::/48").dev("eth0").table(100).metric(7)))
            })
        };
        let low = setup(b, 100).start(b);
        low.wait_for(State::Master);
        assert_eq!(marked_routes(b).len(), 2);
        let high = setup(a, 150).start(a);
        high.wait_for(State::Master);
        low.wait_for(State::Backup);
        let four = only(routes(a, "198.51.100.0/24"));
        assert_eq!(u8::from(four.header.protocol), MARK);
        assert_eq!(gateway(&four), Some(ip("192.0.2.1")));
        assert!(
            four.attributes
                .contains(&RouteAttribute::PrefSource(ip(VIP).into()))
        );
        assert!(
            four.attributes
                .contains(&RouteAttribute::Table(VirtualRoute::MAIN_TABLE))
        );
        let six = only(routes(a, "2001:db8:1::/48"));
        assert!(six.attributes.contains(&RouteAttribute::Table(100)));
        assert!(six.attributes.contains(&RouteAttribute::Priority(7)));
        within(PATIENCE, || marked_routes(b).is_empty());
        high.stop();
        assert!(marked_routes(a).is_empty());
        low.wait_for(State::Master);
        assert_eq!(marked_routes(b).len(), 2);
    });
}

#[test]
fn each_kind_of_route_is_what_it_says() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        add_interface(a, "vrrp0", "198.51.100.1/24");
        let settings = to("10.1.0.0/16")
            .dev("eth0")
            .scope(Scope::HOST)
            .tos(0x10)
            .setting(RouteSetting::Advmss(1400))
            .setting(RouteSetting::InitCwnd(20))
            .setting(RouteSetting::Rtt(50))
            .setting(RouteSetting::QuickAck(true))
            .setting(RouteSetting::Congctl("reno".into()))
            .locked_setting(RouteSetting::Mtu(1300));
        let shared = to("10.2.0.0/16")
            .nexthop(NextHop::via(ip("192.0.2.1")).weight(3))
            .nexthop(NextHop::via(ip("203.0.113.1")).dev("vrrp0").onlink());
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            [
                settings,
                shared,
                to("10.3.0.0/16").kind(RouteKind::Blackhole),
                to("10.4.0.0/16").kind(RouteKind::Unreachable),
                to("10.5.0.0/16").kind(RouteKind::Prohibit),
                to("10.6.0.0/16").kind(RouteKind::Throw),
                to("10.7.0.0/16").via(ip("203.0.113.9")).dev("eth0").onlink(),
                to("10.8.0.0/16").via(ip("fe80::1")).dev("eth0"),
                to("10.9.0.0/16").via(ip("192.0.2.1")).protocol(99).metric(5),
                VirtualRoute::default_route(Family::Ipv4)
                    .via(ip("192.0.2.1"))
                    .table(1000),
                VirtualRoute::default_route(Family::Ipv6)
                    .via(ip("fe80::1"))
                    .dev("eth0"),
                to("2001:db8:2::/48")
                    .nexthop(NextHop::via(ip("fe80::1")).dev("eth0"))
                    .nexthop(NextHop::via(ip("fe80::2")).dev("vrrp0").weight(256)),
                to("2001:db8:3::/48").kind(RouteKind::Blackhole),
            ]
            .into_iter()
            .fold(attachment, |attachment, route| attachment.route(built(route)))
        });
        let node = setup.start(a);
        node.wait_for(State::Master);
        let route = |to| only(routes(a, to));

        let settings = route("10.1.0.0/16");
        assert_eq!(
            (settings.header.tos, settings.header.scope),
            (0x10, RouteScope::Host)
        );
        let metrics = settings.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Metrics(metrics) => Some(metrics.clone()),
            _ => None,
        });
        let metrics = metrics.unwrap();
        for metric in [
            RouteMetric::Mtu(1300),
            RouteMetric::Lock(1 << 2),
            RouteMetric::Advmss(1400),
            RouteMetric::InitCwnd(20),
            RouteMetric::Rtt(400),
            RouteMetric::QuickAck(1),
            RouteMetric::CcAlgo("reno".into()),
        ] {
            assert!(metrics.contains(&metric), "{metric:?} in {metrics:?}");
        }
        let hops = |route: &RouteMessage| {
            let hops = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::MultiPath(hops) => Some(hops.clone()),
                _ => None,
            });
            let hops = hops.unwrap().into_iter();
            hops.map(|hop| (hop.interface_index, hop.hops))
                .collect::<Vec<_>>()
        };
        let (eth0, vrrp0) = (a.interface_index(), interface_index(a, "vrrp0"));
        assert_eq!(hops(&route("10.2.0.0/16")), [(eth0, 2), (vrrp0, 0)]);
        assert_eq!(hops(&route("2001:db8:2::/48")), [(eth0, 0), (vrrp0, 255)]);
        for (to, kind) in [
            ("10.3.0.0/16", RouteType::BlackHole),
            ("10.4.0.0/16", RouteType::Unreachable),
            ("10.5.0.0/16", RouteType::Prohibit),
            ("10.6.0.0/16", RouteType::Throw),
            ("2001:db8:3::/48", RouteType::BlackHole),
        ] {
            assert_eq!(route(to).header.kind, kind);
        }
        assert!(route("10.7.0.0/16").header.flags.contains(RouteFlags::Onlink));
        let via = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        assert!(route("10.8.0.0/16").attributes.contains(&via));
        assert_eq!(u8::from(route("10.9.0.0/16").header.protocol), 99);
        assert!(
            only(routes(a, "0.0.0.0/0"))
                .attributes
                .contains(&RouteAttribute::Table(1000))
        );
        assert_eq!(gateway(&route("::/0")), Some(ip("fe80::1")));
        node.stop();
        assert!(marked_routes(a).is_empty());
        assert!(routes(a, "10.9.0.0/16").is_empty());
        assert!(routes(a, "2001:db8:2::/48").is_empty());
    });
}

#[test]
fn a_route_that_somebody_removes_is_put_back() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            attachment
                .route(built(to("198.51.100.0/24").via(ip("192.0.2.1")).src(ip(VIP))))
                .route(built(to("2001:db8:1::/48").dev("eth0")))
        });
        let node = setup.start(a);
        node.wait_for(State::Master);
        for (round, to) in (1..).zip(["198.51.100.0/24", "2001:db8:1::/48", "198.51.100.0/24"]) {
            let removed = Instant::now();
            del_route(a, only(routes(a, to)));
            let (at, count) = node.wait_for_event(|event| match event {
                DriverEvent::RoutingRestored { router: 0, count } => Some(*count),
                _ => None,
            });
            let took = at.duration_since(removed);
            assert!(took < Duration::from_millis(100), "took {took:?}");
            assert_eq!((count, routes(a, to).len()), (1, 1));
            assert_eq!(node.handle.counters().restored, round);
        }
        // With the address goes what has it as its source.
        a.remove_address(net("192.0.2.100/32")).unwrap();
        node.wait_for_event(|event| matches!(event, DriverEvent::RoutingRestored { .. }).then_some(()));
        assert!(has(a, VIP) && routes(a, "198.51.100.0/24").len() == 1);
    });
}

#[test]
fn a_route_whose_source_goes_is_a_fault_until_it_is_back() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        // On an interface that no virtual router is on.
        add_interface(a, "vrrp0", "203.0.113.1/24");
        let route = built(to("10.1.0.0/16").dev("eth0").src(ip("203.0.113.1")));
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.route(route))
            .start(a);
        node.wait_for(State::Master);
        del_interface(a, "vrrp0");
        node.wait_for(State::Fault);
        add_interface(a, "vrrp0", "203.0.113.1/24");
        node.wait_for(State::Master);
        assert_eq!(marked_routes(a).len(), 1);
    });
}

#[test]
fn a_route_over_an_interface_that_flaps_comes_back_by_itself() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        add_interface(a, "vrrp0", "198.51.100.1/24");
        // One that the router can't do without, one that it can, one over its own interface.
        let start = |track| {
            let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
                attachment
                    .route(built(
                        to("10.1.0.0/16")
                            .via(ip("198.51.100.2"))
                            .dev("vrrp0")
                            .track(track),
                    ))
                    .route(built(to("10.2.0.0/16").dev("eth0")))
            });
            let node = setup.start(a);
            node.wait_for(State::Master);
            node
        };
        let node = start(true);
        set_link(a, "vrrp0", false);
        let reason = node.wait_for_refusal();
        assert_eq!(
            reason,
            "route 10.1.0.0/16 via 198.51.100.2 dev vrrp0: its gateway is on no network of this host that is up; correct it, or add onlink"
        );
        let (_, fault) = node.wait_for(State::Fault);
        assert_eq!(fault.reason, Reason::Fault(Fault::Addresses));
        assert!(!has(a, VIP) && marked_routes(a).is_empty());
        let up = Instant::now();
        set_link(a, "vrrp0", true);
        let took = node.wait_for(State::Master).0 - up;
        assert!(
            took < Duration::from_millis(700),
            "the first retry by itself comes after a second, not {took:?}"
        );
        assert_eq!(marked_routes(a).len(), 2);
        node.stop();

        let node = start(false);
        set_link(a, "vrrp0", false);
        within(PATIENCE, || routes(a, "10.1.0.0/16").is_empty());
        pause(Duration::from_millis(300));
        assert!(has(a, VIP), "it serves without");
        set_link(a, "vrrp0", true);
        within(PATIENCE, || routes(a, "10.1.0.0/16").len() == 1);
        // Its own interface takes it down altogether, and up again.
        set_link(a, "eth0", false);
        node.wait_for(State::Fault);
        set_link(a, "eth0", true);
        node.wait_for(State::Master);
        assert_eq!(marked_routes(a).len(), 2);
    });
}

#[test]
fn what_cannot_all_be_had_is_had_not_at_all() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let five = |attachment| {
            (1..=5).fold(attachment, |attachment: vrrp_net::AttachmentBuilder, n| {
                let gateway = if n == 3 { "203.0.113.1" } else { "192.0.2.1" };
                attachment.route(built(to(&format!("10.{n}.0.0/16")).via(ip(gateway))))
            })
        };
        let node = Setup::new(a, 255, &[VIP]).attachment(five).start(a);
        let reason = node.wait_for_refusal();
        assert_eq!(
            reason,
            "route 10.3.0.0/16 via 203.0.113.1: its gateway is on no network of this host that is up; correct it, or add \
             onlink"
        );
        node.wait_for(State::Fault);
        assert!(!has(a, VIP) && marked_routes(a).is_empty());
        // When the gateway can be had, the router takes over by itself.
        add_interface(a, "vrrp0", "203.0.113.2/24");
        node.wait_for(State::Master);
        assert!(has(a, VIP) && marked_routes(a).len() == 5);
    });
}

#[test]
fn a_source_that_is_no_address_here_is_named() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            attachment.route(built(to("10.1.0.0/16").dev("eth0").src(ip("203.0.113.1"))))
        });
        let node = setup.start(a);
        let reason = node.wait_for_refusal();
        assert_eq!(
            reason,
            "route 10.1.0.0/16 dev eth0: the kernel refuses it, likely since its src is no address of this host; make it \
             a virtual address, or correct it"
        );
    });
}

#[test]
fn somebody_elses_route_is_not_touched() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        add_route(a, "10.1.0.0/16", 4, a.interface_index());
        add_route(a, "2001:db8:1::/48", 4, a.interface_index());
        for theirs in ["10.1.0.0/16", "2001:db8:1::/48"] {
            let setup = |metric: Option<u32>| {
                Setup::new(a, 255, &[VIP]).attachment(|attachment| {
                    let route = to(theirs).dev("eth0");
                    attachment.route(built(match metric {
                        Some(metric) => route.metric(metric),
                        None => route,
                    }))
                })
            };
            let node = setup(None).start(a);
            let reason = node.wait_for_refusal();
            assert_eq!(
                reason,
                format!(
                    "route {theirs} dev eth0 is already there, and vrrp did not add it: remove it (ip route del), or \
                     give ours another metric"
                )
            );
            node.stop();
            assert_eq!(u8::from(only(routes(a, theirs)).header.protocol), 4);
            // Beside it, with another metric, ours comes and goes.
            let node = setup(Some(5)).start(a);
            node.wait_for(State::Master);
            assert_eq!(routes(a, theirs).len(), 2);
            node.stop();
            assert_eq!(u8::from(only(routes(a, theirs)).header.protocol), 4);
        }
    });
}

#[test]
fn routes_that_a_killed_process_left_are_swept_at_the_start() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let eth0 = a.interface_index();
        let left = ["10.1.0.0/16", "10.2.0.0/16", "2001:db8:1::/48"];
        let leave = || left.iter().for_each(|to| add_route(a, to, MARK, eth0));
        leave();
        add_route(a, "10.3.0.0/16", 4, eth0);
        // One that bears another protocol, as configured, and one like it that isn't.
        add_route(a, "10.4.0.0/16", 99, eth0);
        add_route(a, "10.5.0.0/16", 99, eth0);
        let configured = |attachment: vrrp_net::AttachmentBuilder| {
            attachment
                .route(built(to("10.1.0.0/16").dev("eth0")))
                .route(built(to("10.4.0.0/16").dev("eth0").protocol(99)))
        };
        let node = Setup::new(a, 100, &[VIP]).attachment(configured).start(a);
        assert!(marked_routes(a).is_empty(), "{:?}", marked_routes(a));
        assert!(routes(a, "10.4.0.0/16").is_empty());
        assert_eq!(
            (routes(a, "10.3.0.0/16").len(), routes(a, "10.5.0.0/16").len()),
            (1, 1)
        );
        node.wait_for(State::Master);
        assert_eq!((marked_routes(a).len(), routes(a, "10.4.0.0/16").len()), (1, 1));
        node.stop();
    });
}

#[test]
fn a_start_leaves_the_routes_of_a_living_sibling_alone() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let first = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.route(built(to("10.1.0.0/16").dev("eth0"))));
        let first = first.start(a);
        first.wait_for(State::Master);
        // Of one that was killed, and is configured here.
        add_route(a, "10.2.0.0/16", MARK, a.interface_index());
        let second = Setup::on(
            "eth0",
            vrrp_core::Vrid::new(52).unwrap(),
            vrrp_core::Priority::OWNER,
            &["192.0.2.101"],
        )
        .attachment(|attachment| attachment.route(built(to("10.2.0.0/16").via(ip("192.0.2.1")))));
        let second = second.start(a);
        second.wait_for(State::Master);
        assert_eq!(gateway(&only(routes(a, "10.2.0.0/16"))), Some(ip("192.0.2.1")));
        second.stop();
        assert!(routes(a, "10.2.0.0/16").is_empty());
        assert_eq!(routes(a, "10.1.0.0/16").len(), 1);
        let disturbed = |event: &_| matches!(event, DriverEvent::RoutingRestored { .. });
        assert!(!first.take_events().iter().any(disturbed));
    });
}

fn to(to: &str) -> VirtualRouteBuilder {
    VirtualRoute::builder(net(to))
}

fn built(route: VirtualRouteBuilder) -> VirtualRoute {
    route.build().unwrap()
}

fn only(mut routes: Vec<RouteMessage>) -> RouteMessage {
    assert_eq!(routes.len(), 1, "{routes:?}");
    routes.remove(0)
}
