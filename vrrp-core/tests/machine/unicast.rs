//! Unicast peers: who may speak, and from how far away.

use vrrp_core::{ConfigError, Discard, Envelope, Family, Packet, UnicastPeer};

use crate::support::*;

fn hears(bench: &mut Bench, heard: &Heard, hop_limit: u8) -> Result<(), Discard> {
    let (octets, envelope) = heard.wire();
    let envelope = Envelope {
        hop_limit,
        ..envelope
    };
    let packet = Packet::parse(&octets, &envelope).unwrap();
    bench.router.handle_advert(bench.now, &packet)
}

/// keepalived's unicast over IPv6 comes with 64.
#[test]
fn a_plain_peer_may_be_at_any_distance() {
    for hop_limit in [1, 64, 254, 255] {
        let mut bench = Bench::started(v3(100).peers(&[ip(HIGHER)]));
        assert_eq!(
            hears(&mut bench, &Heard::new(v3(100), 200).to(OWN), hop_limit),
            Ok(())
        );
    }
}

#[test]
fn a_peer_with_limits_is_refused_outside_them() {
    let peer = UnicastPeer::new(ip(HIGHER)).min_ttl(253).max_ttl(254);
    for (hop_limit, accepted) in [(252, false), (253, true), (254, true), (255, false)] {
        let mut bench = Bench::started(v3(100).peers(&[peer]));
        let before = bench.router.clone();
        let result = hears(&mut bench, &Heard::new(v3(100), 200).to(OWN), hop_limit);
        if accepted {
            assert_eq!(result, Ok(()), "{hop_limit}");
            continue;
        }
        let (got, min, max) = (hop_limit, 253, 254);
        assert_eq!(result, Err(Discard::HopLimit { got, min, max }));
        assert_eq!(bench.router.take_counters().discards.hop_limit, 1);
        assert_eq!(bench.router, before);
    }
}

/// The limits are the peer's own: another is not measured by them.
#[test]
fn each_peer_has_limits_of_its_own() {
    let peers = [
        UnicastPeer::new(ip(HIGHER)).min_ttl(255),
        UnicastPeer::new(ip(LOWER)),
    ];
    let mut bench = Bench::started(v3(100).peers(&peers));
    let heard = Heard::new(v3(100), 200).to(OWN);
    assert_eq!(hears(&mut bench, &heard.clone().from(LOWER), 10), Ok(()));
    assert!(hears(&mut bench, &heard, 10).is_err());
}

#[test]
fn a_stranger_is_heard_where_the_source_is_not_checked_and_multicast_is_not() {
    let open = v3(100).peers(&[ip(HIGHER)]).check_unicast_src(false);
    let stranger = Heard::new(v3(100), 200).from(LOWER);
    let mut bench = Bench::started(open);
    assert_eq!(bench.receive(&stranger.clone().to(OWN)), Ok(()));
    assert_eq!(bench.receive(&stranger), Err(Discard::Peer { got: ip(LOWER) }));
    assert!(!bench.router.config().check_unicast_src());
    // Without peers it means nothing.
    let mut multicast = Bench::started(v3(100).check_unicast_src(false));
    let unicast = Heard::new(v3(100), 200).to(OWN);
    assert_eq!(
        multicast.receive(&unicast),
        Err(Discard::Peer { got: ip(HIGHER) })
    );
}

#[test]
fn peers_that_can_not_be_are_refused() {
    let build = |peers: &[UnicastPeer]| v3(100).peers(peers).build().unwrap_err();
    let peer = |address: &str| UnicastPeer::new(ip(address));
    for address in ["224.0.0.18", "0.0.0.0", "255.255.255.255"] {
        assert_eq!(
            build(&[peer(address)]),
            ConfigError::PeerAddress { peer: ip(address) }
        );
    }
    assert_eq!(
        build(&[peer(HIGHER), peer(LOWER), peer(HIGHER)]),
        ConfigError::PeerTwice { peer: ip(HIGHER) }
    );
    assert_eq!(
        build(&[peer("fe80::1")]),
        ConfigError::PeerFamily {
            family: Family::Ipv4,
            peer: ip("fe80::1")
        }
    );
    assert_eq!(
        build(&[peer(HIGHER).min_ttl(255).max_ttl(254)]),
        ConfigError::PeerTtl {
            peer: ip(HIGHER),
            min: 255,
            max: 254
        }
    );
    let one = v3(100)
        .peers(&[peer(HIGHER).min_ttl(7).max_ttl(7)])
        .build()
        .unwrap();
    assert_eq!(one.peers()[0].ttl_range(), 7..=7);
    assert_eq!(one.peers()[0].address(), ip(HIGHER));
}
