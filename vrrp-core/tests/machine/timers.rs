//! Exact arithmetic: RFC 3768 §6.1, RFC 5798 §6.1, RFC 9568 §6.1.

use std::time::Duration;

use vrrp_core::Version::{V2, V3};
use vrrp_core::{AdverInterval, State, Version};

use crate::support::*;

/// Version, priority, interval in cs, skew time and master-down interval in whole microseconds, rounded down.
///
/// VRRPv2: skew = (256 − P) / 256 s; VRRPv3: skew = (256 − P) × M / 256. Master-down = 3 × M + skew.
const NUMBERS: [(Version, u8, u16, u64, u64); 12] = [
    (V2, 100, 100, 609_375, 3_609_375),
    (V2, 90, 100, 648_437, 3_648_437),
    (V2, 254, 100, 7_812, 3_007_812),
    (V2, 1, 100, 996_093, 3_996_093),
    (V2, 100, 1000, 609_375, 30_609_375),
    (V3, 100, 100, 609_375, 3_609_375),
    (V3, 100, 10, 60_937, 360_937),
    (V3, 100, 1, 6_093, 36_093),
    (V3, 254, 1, 78, 30_078),
    (V3, 100, 300, 1_828_125, 10_828_125),
    (V3, 1, 4095, 40_790_039, 163_640_039),
    (V3, 255, 100, 3_906, 3_003_906),
];

fn floor_us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

#[test]
fn skew_time_and_master_down_interval_are_those_of_the_formulas() {
    for (version, priority, cs, skew, down) in NUMBERS {
        let bench = Bench::started(builder(version, priority).adver_interval(centis(cs)));
        assert_eq!(
            floor_us(bench.router.skew_time()),
            skew,
            "{version:?} {priority} {cs}"
        );
        assert_eq!(
            floor_us(bench.router.master_down_interval()),
            down,
            "{version:?} {priority} {cs}"
        );
        if bench.router.state() == State::Backup {
            assert_eq!(floor_us(bench.deadline()), down);
        }
    }
}

/// Nothing is rounded beyond the nanosecond: trap 5. At 10 ms, whole centiseconds would make every skew time zero.
#[test]
fn every_priority_has_a_skew_of_its_own_at_every_interval() {
    for cs in [1, 2, 3, 7, 10, 99, 100, 4095] {
        let skews: Vec<_> = (1..=254)
            .map(|priority| {
                Bench::started(v3(priority).adver_interval(centis(cs)))
                    .router
                    .skew_time()
            })
            .collect();
        assert!(skews.windows(2).all(|pair| pair[0] > pair[1]));
        for (priority, skew) in (1_u128..).zip(&skews) {
            // (256 − P) × M / 256 in nanoseconds, 10^7 to a centisecond.
            assert_eq!(
                skew.as_nanos(),
                (256 - priority) * u128::from(cs) * 10_000_000 / 256
            );
        }
    }
}

/// Learned, not configured: own interval 1 s, the master's 3 s. Keepalived took over after 10.828 s as well.
#[test]
fn a_learned_interval_counts_in_both_timers() {
    let mut bench = Bench::started(v3(100));
    bench.hear_every(centis(300), HIGHER, 100);
    assert_eq!(floor_us(bench.router.skew_time()), 1_828_125);
    assert_eq!(floor_us(bench.deadline()), 10_828_125);
}

/// Trap 5: an interval of 1 on the wire is 10 ms.
#[test]
fn an_interval_of_one_centisecond_runs_ten_milliseconds() {
    let mut bench = Bench::master(v3(100).adver_interval(centis(1)).announce_delay(ms(0)));
    assert_eq!(bench.deadline(), ms(10));
    assert_eq!(bench.expire(), [sends(100)]);
    assert_eq!(bench.deadline(), ms(10));
    let (octets, _) = Heard::new(v3(100).adver_interval(centis(1)), 100).wire();
    assert_eq!(octets[4..6], [0, 1]);
}

/// A master's beat does not drift with the lateness of its wake-ups.
#[test]
fn a_thousand_late_adverts_end_on_the_beat() {
    let interval: AdverInterval = centis(10);
    let mut bench = Bench::master(v3(100).adver_interval(interval));
    let start = bench.now;
    for beat in 0..1000 {
        bench.now = bench.router.poll_timeout().unwrap() + us(beat % 997);
        bench.timeout();
    }
    let next = bench.router.poll_timeout().unwrap() - start;
    assert_eq!(next.as_nanos() % interval.duration().as_nanos(), 0);
}
