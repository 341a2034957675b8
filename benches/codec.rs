//! Parse and emit of adverts, beside the registry's `vrrp_packet` (a view made by pnet's macro) in the same run.
//!
//! A view alone checks nothing, so the peer's parse is what a careful user of that crate writes by hand: version, type,
//! length, VRID, interval and checksum, the last with pnet's own function. Ours also checks the IP header's part.

#[path = "support/adverts.rs"]
mod adverts;

use std::hint::black_box;

use adverts::{CASES, Case};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use vrrp_core::{ChecksumForm, Packet};

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec/parse");
    for case in CASES {
        let (octets, envelope) = (case.octets(), case.envelope());
        group.bench_function(case.name, |b| {
            b.iter(|| Packet::parse(black_box(&octets), black_box(&envelope)).is_ok());
        });
    }
    for addresses in [1, 20] {
        let octets = Case::v2(addresses).octets();
        group.bench_function(format!("v2-{addresses}/vrrp_packet"), |b| {
            b.iter(|| peer::parse(black_box(&octets)));
        });
    }
    group.finish();
}

/// Parse, and everything that a router reads from an advert.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec/parse-and-read");
    for case in CASES {
        let (octets, envelope) = (case.octets(), case.envelope());
        group.bench_function(case.name, |b| {
            b.iter(|| {
                let packet = Packet::parse(black_box(&octets), black_box(&envelope)).expect("a valid advert");
                black_box(packet.vrid());
                black_box(packet.priority());
                black_box(packet.adver_interval());
                black_box(packet.authentication());
                packet.addresses().iter().for_each(|address| {
                    black_box(address);
                });
            });
        });
    }
    group.finish();
}

fn emit(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec/emit");
    for case in CASES {
        emit_ours(&mut group, &case);
    }
    for addresses in [1, 20] {
        let case = Case::v2(addresses);
        let octets = case.octets();
        let len = octets.len();
        let vips = octets[8..len - 8].to_vec();
        let mut buffer = vec![0; len];
        group.bench_function(format!("v2-{addresses}/vrrp_packet"), |b| {
            b.iter(|| peer::emit(black_box(&vips), black_box(&mut buffer)));
        });
    }
    group.finish();
}

fn emit_ours(group: &mut BenchmarkGroup<'_, WallTime>, case: &Case) {
    let router = case.router();
    let advert = router.advert(router.priority());
    let envelope = case.envelope();
    let mut buffer = vec![0; advert.wire_len()];
    group.bench_function(case.name, |b| {
        b.iter(|| {
            let mut rest = black_box(&mut buffer[..]);
            black_box(&advert).emit(
                envelope.source,
                envelope.destination,
                black_box(ChecksumForm::PseudoHeader),
                &mut rest,
            )
        });
    });
}

/// The same work with `vrrp_packet`.
mod peer {
    use pnet::packet::util::checksum;
    use vrrp_packet::{MutableVrrpPacket, VrrpPacket};

    /// Where the checksum stands, in words.
    const CHECKSUM_WORD: usize = 3;

    pub(crate) fn parse(octets: &[u8]) -> bool {
        let Some(packet) = VrrpPacket::new(octets) else {
            return false;
        };
        packet.get_version() == 2
            && packet.get_header_type() == 1
            && octets.len() == 16 + 4 * usize::from(packet.get_count_ip())
            && packet.get_vrid() != 0
            && packet.get_count_ip() != 0
            && packet.get_advert_int() != 0
            && packet.get_checksum() == checksum(octets, CHECKSUM_WORD)
    }

    pub(crate) fn emit(vips: &[u8], buffer: &mut [u8]) -> bool {
        let Some(mut packet) = MutableVrrpPacket::new(buffer) else {
            return false;
        };
        packet.set_version(2);
        packet.set_header_type(1);
        packet.set_vrid(33);
        packet.set_priority(100);
        packet.set_count_ip((vips.len() / 4) as u8);
        packet.set_auth_type(0);
        packet.set_advert_int(1);
        packet.set_checksum(0);
        packet.set_ip_addresses(vips);
        packet.set_auth_data(0);
        packet.set_auth_data2(0);
        let sum = checksum(buffer, CHECKSUM_WORD);
        let Some(mut packet) = MutableVrrpPacket::new(buffer) else {
            return false;
        };
        packet.set_checksum(sum);
        true
    }
}

criterion_group!(benches, parse, read, emit);
criterion_main!(benches);
