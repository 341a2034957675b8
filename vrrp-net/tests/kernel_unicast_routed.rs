//! Unicast between two subnets, through a router that forwards: each of its hops costs a TTL.

mod node;

use std::fs;
use std::time::Duration;

use node::{Node, PATIENCE, Setup, has, ip, pause, within};
use rtnetlink::RouteMessageBuilder;
use vrrp_core::{RivalCause, State, UnicastPeer};
use vrrp_net::DriverEvent;
use vrrp_net::lab::{self, Frame, Host, Lab};

const VIP: &str = "203.0.113.100";
const A: &str = "192.0.2.10";
const B: &str = "198.51.100.10";
/// Longer than any Master_Down_Interval at 100 ms.
const A_WHILE: Duration = Duration::from_millis(800);

/// With the defaults a peer may be behind routers, as with keepalived; a limit says how far at most or at least.
#[test]
fn a_peer_behind_a_router_is_heard_within_its_limits() {
    lab::test(|| {
        let far = UnicastPeer::new(ip(A));
        for (peer, heard) in [
            (far, true),
            (far.min_ttl(254), true),
            (far.min_ttl(254).max_ttl(254), true),
            (far.min_ttl(255), false),
            (far.max_ttl(253), false),
        ] {
            let lab = routed();
            let (a, b) = (lab.host("a"), lab.host("b"));
            let mut capture = b.capture().unwrap();
            let high = start(a, 200, UnicastPeer::new(ip(B)));
            high.wait_for(State::Master);
            let low = start(b, 100, peer);
            if heard {
                low.wait_for(State::Backup);
                pause(A_WHILE);
                assert!(!has(b, VIP), "{peer:?}");
            } else {
                low.wait_for(State::Master);
                let rival = |event: &DriverEvent<_>| match event {
                    DriverEvent::Rival { rival, .. } => Some(*rival),
                    _ => None,
                };
                let (_, rival) = low.wait_for_event(rival);
                assert_eq!((rival.peer.address, rival.cause), (ip(A), RivalCause::NotAPeer));
            }
            let of_a = |frame: &Frame| {
                frame.vrrp().is_some_and(|advert| advert.source == ip(A))
                    && frame.source() == lab.host("router").mac()
            };
            let advert = capture.wait_for(PATIENCE, of_a).unwrap();
            assert_eq!(advert.vrrp().unwrap().hop_limit, 254);
            low.stop();
            high.stop();
        }
    });
}

#[test]
fn a_backup_behind_a_router_takes_over_from_one_that_stops_and_from_one_that_is_cut_off() {
    lab::test(|| {
        let lab = routed();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let low = start(b, 100, UnicastPeer::new(ip(A)).min_ttl(254));
        low.wait_for(State::Master);
        let high = start(a, 200, UnicastPeer::new(ip(B)).min_ttl(254));
        low.wait_for(State::Backup);
        within(PATIENCE, || has(a, VIP) && !has(b, VIP));
        // The router forgets its work: nobody hears the other.
        forward(lab.host("router"), false);
        low.wait_for(State::Master);
        forward(lab.host("router"), true);
        low.wait_for(State::Backup);
        within(PATIENCE, || has(a, VIP) && !has(b, VIP));
        high.stop();
        low.wait_for(State::Master);
        within(PATIENCE, || has(b, VIP));
    });
}

fn start(host: &Host, priority: u8, peer: UnicastPeer) -> Node {
    Setup::new(host, priority, &[VIP])
        .config(|config| config.peers(&[peer]))
        .start(host)
}

/// Two subnets that reach each other through the router alone.
fn routed() -> Lab {
    let lab = Lab::builder()
        .host("a", ["192.0.2.10/24"])
        .host("b", ["198.51.100.10/24"])
        .host("router", ["192.0.2.1/24", "198.51.100.1/24"])
        .build()
        .unwrap();
    for (from, to) in [("a", "b"), ("b", "a")] {
        lab.cut_path(from, to).unwrap();
    }
    let router = lab.host("router");
    forward(router, true);
    // Both subnets are on one link, and it shall not say so.
    for interface in ["all", router.interface()] {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/send_redirects");
        router.run(|| fs::write(path, "0")).unwrap();
    }
    route(lab.host("a"), "192.0.2.1");
    route(lab.host("b"), "198.51.100.1");
    lab
}

fn forward(router: &Host, on: bool) {
    let value = if on { "1" } else { "0" };
    router
        .run(|| fs::write("/proc/sys/net/ipv4/ip_forward", value))
        .unwrap();
}

/// The default route.
fn route(host: &Host, via: &str) {
    let message = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .gateway(via.parse().unwrap())
        .build();
    node::routing::netlink(host, async |handle| {
        handle.route().add(message).execute().await.unwrap();
    });
}
