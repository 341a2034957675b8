//! Counters: what a status page and metrics show.

use vrrp_core::{ChecksumForm, Counters, Packet, Priority, VirtualRouter};

use crate::support::*;

#[test]
fn adverts_are_counted_both_ways() {
    let mut bench = Bench::started(v3(100));
    bench.hear(200);
    bench.hear(200);
    bench.hear(0);
    bench.expire();
    bench.expire();
    bench.hear(99);
    bench.shutdown();
    let counters = bench.router.take_counters();
    assert_eq!((counters.adverts_received, counters.stops_received), (4, 1));
    // On takeover, on time, against the losing one, and the stop.
    assert_eq!((counters.adverts_sent, counters.stops_sent), (4, 1));
    assert_eq!(
        (counters.became_master, counters.lower_received_as_master),
        (1, 1)
    );
    assert_eq!(counters.discards.total(), 0);
    assert_eq!(*bench.router.counters(), Counters::default(), "taken");
}

/// RFC 9568 §5.2.8 against what most send: both are taken, and told apart.
#[test]
fn checksums_without_pseudo_header_are_counted() {
    let mut bench = Bench::started(v3(100));
    let peer = VirtualRouter::new(v3(200).build().unwrap(), ip(HIGHER));
    for (form, counted) in [(ChecksumForm::PseudoHeader, 0), (ChecksumForm::MessageOnly, 1)] {
        let (_, envelope) = Heard::new(v3(200), 200).wire();
        let mut octets = Vec::new();
        let advert = peer.advert(Priority::new(200));
        advert
            .emit(envelope.source, envelope.destination, form, &mut octets)
            .unwrap();
        bench
            .router
            .handle_advert(bench.now, &Packet::parse(&octets, &envelope).unwrap())
            .unwrap();
        assert_eq!(bench.router.counters().checksum_message_only, counted);
    }
    // VRRPv2 has no other form, so there is nothing to tell.
    let mut bench = Bench::started(v2(100));
    bench.hear(200);
    assert_eq!(bench.router.counters().checksum_message_only, 0);
}

#[test]
fn an_election_counts_its_zero_as_a_stop() {
    let mut bench = Bench::master(v3(100));
    bench.router.take_counters();
    bench.set_priority(80);
    let counters = bench.router.counters();
    assert_eq!((counters.adverts_sent, counters.stops_sent), (2, 1));
}
