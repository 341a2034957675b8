//! What is a fault of the router's own interface.

use std::time::Duration;

use crate::file::{Said, compare};
use crate::lan::{VIP, holds, lab_test, pause, wait_until, who_has};

/// Longer than the lease of an address, so that what is still there has been renewed.
const PAST_THE_LEASE: Duration = Duration::from_secs(4);

#[test]
fn a_lost_link_is_a_fault_unless_the_primary_is_not_tracked() {
    let rows = [
        (Said::QUICK, false),
        (
            Said::QUICK.and("track_primary = false", "dont_track_primary"),
            true,
        ),
    ];
    lab_test().run(|| {
        compare("track-primary", &rows, |lab, start| {
            let _daemon = start();
            let own = lab.host("a").mac();
            wait_until(|| who_has(lab) == [own]);
            lab.cut("a").unwrap();
            pause(PAST_THE_LEASE);
            let held = holds(lab);
            lab.heal("a").unwrap();
            wait_until(|| who_has(lab) == [own]);
            held
        });
    });
}

#[test]
fn the_loss_of_the_source_is_a_fault_where_it_is_tracked() {
    let rows = [
        (
            Said::QUICK.and("source = \"192.0.2.10\"", "mcast_src_ip 192.0.2.10"),
            true,
        ),
        (
            Said::QUICK.and(
                "source = \"192.0.2.10\"\ntrack_source = true",
                "mcast_src_ip 192.0.2.10\ntrack_src_ip",
            ),
            false,
        ),
    ];
    lab_test().run(|| {
        compare("track-source", &rows, |lab, start| {
            let host = lab.host("a");
            let source = "192.0.2.10/24".parse().unwrap();
            // Without any address of IPv4 it would be a fault in any case.
            host.add_address("198.51.100.10/24".parse().unwrap()).unwrap();
            let _daemon = start();
            wait_until(|| who_has(lab) == [host.mac()]);
            host.remove_address(source).unwrap();
            pause(PAST_THE_LEASE);
            let held = holds(lab);
            host.add_address(source).unwrap();
            wait_until(|| holds(lab));
            assert_eq!(who_has(lab), [host.mac()], "{VIP}");
            held
        });
    });
}
