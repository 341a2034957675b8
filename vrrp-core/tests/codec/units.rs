//! Units at their edges.

use std::time::Duration;

use vrrp_core::{AdverInterval, Priority, Version, Vrid};

#[test]
fn vrid_0_does_not_exist() {
    assert_eq!(Vrid::new(0), None);
    for vrid in [1, 51, 255] {
        assert_eq!(Vrid::new(vrid).map(Vrid::get), Some(vrid));
    }
}

#[test]
fn priorities_are_ordered_from_stop_to_owner() {
    let ordered = [
        Priority::STOP,
        Priority::new(1),
        Priority::DEFAULT,
        Priority::MAX_BACKUP,
        Priority::OWNER,
    ];
    assert!(ordered.is_sorted());
    assert_eq!(ordered.map(Priority::get), [0, 1, 100, 254, 255]);
    assert_eq!(Priority::default(), Priority::DEFAULT);
}

/// Seconds are never taken for centiseconds: an interval says what it is in both.
#[test]
fn intervals_keep_their_unit() {
    let second = AdverInterval::from_secs(1).expect("not 0");
    assert_eq!(AdverInterval::from_centis(100), Some(second));
    assert_eq!(second, AdverInterval::DEFAULT);
    assert_eq!(second.duration(), Duration::from_secs(1));
    let shortest = AdverInterval::from_centis(1).expect("not 0");
    assert_eq!(shortest.duration(), Duration::from_millis(10));
    assert_eq!(shortest.to_string(), "0.01 s");
    assert_eq!(
        AdverInterval::from_centis(4095).expect("in range").to_string(),
        "40.95 s"
    );
}

#[test]
fn intervals_end_where_neither_version_can_send_them() {
    assert_eq!(AdverInterval::from_centis(0), None);
    assert_eq!(AdverInterval::from_secs(0), None);
    assert_eq!(AdverInterval::from_centis(25_501), None);
    assert_eq!(AdverInterval::from_centis(25_500), AdverInterval::from_secs(255));
}

#[test]
fn each_version_has_intervals_of_its_own() {
    let fits = |cs| {
        let interval = AdverInterval::from_centis(cs).expect("in range");
        (interval.fits(Version::V2), interval.fits(Version::V3))
    };
    assert_eq!(fits(1), (false, true));
    assert_eq!(fits(99), (false, true));
    assert_eq!(fits(100), (true, true));
    assert_eq!(fits(101), (false, true));
    assert_eq!(fits(4000), (true, true));
    assert_eq!(fits(4095), (false, true));
    assert_eq!(fits(4096), (false, false));
    assert_eq!(fits(4100), (true, false));
    assert_eq!(fits(25_500), (true, false));
}
