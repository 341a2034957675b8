//! When the addresses are announced, how often, and what a master says to another.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vrrp_net::lab::Lab;

use crate::file::{Said, Start, compare};
use crate::lan::{VIP, lab_test, pause, wait_until, who_has};
use crate::rival::Rival;
use crate::wire::{Burst, Wire, burst};

const STILL: Said<'_> = Said::STILL;
/// Room for two of what comes each second.
const WINDOW: Duration = Duration::from_millis(2600);

#[test]
fn a_takeover_is_announced_so_often_and_once_more_after_so_long() {
    let rows = [
        (STILL, vec![burst(0, 5)]),
        (
            STILL.and("announce_repeat = 3", "garp_master_repeat 3"),
            vec![burst(0, 3)],
        ),
        (
            STILL.and("announce_delay = \"1s\"", "garp_master_delay 1"),
            vec![burst(0, 5), burst(1, 5)],
        ),
        (
            STILL.and_global(
                "announce_repeat = 2\nannounce_delay = \"1s\"",
                "vrrp_garp_master_repeat 2\nvrrp_garp_master_delay 1",
            ),
            vec![burst(0, 2), burst(1, 2)],
        ),
    ];
    lab_test().run(|| compare("takeover", &rows, bursts_of_a_takeover));
}

#[test]
fn a_master_announces_again_and_again_with_a_refresh() {
    let rows = [
        (
            STILL.and("announce_refresh = \"1s\"", "garp_master_refresh 1"),
            vec![burst(0, 5), burst(1, 1), burst(2, 1)],
        ),
        (
            STILL.and(
                "announce_refresh = \"2s\"\nannounce_refresh_repeat = 3",
                "garp_master_refresh 2\ngarp_master_refresh_repeat 3",
            ),
            vec![burst(0, 5), burst(2, 3)],
        ),
        (
            STILL.and_global(
                "announce_refresh = \"1s\"\nannounce_refresh_repeat = 2",
                "vrrp_garp_master_refresh 1\nvrrp_garp_master_refresh_repeat 2",
            ),
            vec![burst(0, 5), burst(1, 2), burst(2, 2)],
        ),
        (STILL, vec![burst(0, 5)]),
    ];
    lab_test().run(|| compare("refresh", &rows, bursts_of_a_takeover));
}

#[test]
fn neighbour_advertisements_are_repeated_as_gratuitous_arp_is() {
    const IPV6: Said<'_> = Said {
        addresses: ("\"fe80::100\"", "fe80::100"),
        ..STILL
    };
    let rows = [
        (IPV6, vec![burst(0, 5)]),
        (
            IPV6.and(
                "announce_repeat = 2\nannounce_delay = \"1s\"",
                "garp_master_repeat 2\ngarp_master_delay 1",
            ),
            vec![burst(0, 2), burst(1, 2)],
        ),
        (
            IPV6.and(
                "announce_refresh = \"1s\"\nannounce_refresh_repeat = 3",
                "garp_master_refresh 1\ngarp_master_refresh_repeat 3",
            ),
            vec![burst(0, 5), burst(1, 3), burst(2, 3)],
        ),
    ];
    let vip = "fe80::100".parse().unwrap();
    lab_test().run(|| {
        compare("ipv6", &rows, |lab, start| {
            bursts(Wire::listen_for(lab, vip), start)
        });
    });
}

#[test]
fn a_losing_advert_is_answered_with_an_advert_and_announcements() {
    let repeat = ("lower_prio_announce_repeat = 2", "garp_lower_prio_repeat 2");
    let delay = ("lower_prio_announce_delay = \"1s\"", "garp_lower_prio_delay 1");
    let both = (
        format!("{}\n{}", repeat.0, delay.0),
        format!("vrrp_{}\nvrrp_{}", repeat.1, delay.1),
    );
    let rows = [
        // The second time is after `announce_delay`, five seconds.
        (STILL, (1, vec![burst(0, 5)])),
        (STILL.and("reassert = false", "lower_prio_no_advert"), (0, vec![])),
        (
            STILL.and_global("reassert = false", "vrrp_lower_prio_no_advert"),
            (0, vec![]),
        ),
        (STILL.and(repeat.0, repeat.1), (1, vec![burst(0, 2)])),
        (STILL.and(delay.0, delay.1), (1, vec![burst(0, 5), burst(1, 5)])),
        (
            STILL.and_global(&both.0, &both.1),
            (1, vec![burst(0, 2), burst(1, 2)]),
        ),
    ];
    lab_test().run(|| {
        compare("losing", &rows, |lab, start| {
            let mut wire = Wire::listen(lab);
            let _daemon = start();
            wait_until(|| wire.announcements_of(IpAddr::V4(VIP)) == 5);
            let heard = Rival::new(50, 4000).advertise(lab);
            pause_until(heard + WINDOW);
            (wire.adverts_since(heard), wire.bursts_since(heard))
        });
    });
}

#[test]
fn a_superseded_master_has_the_last_word_unless_it_is_told_not_to() {
    let option = "higher_prio_send_advert = false";
    let rows = [
        (STILL, 1),
        (STILL.and(option, "higher_prio_send_advert off"), 0),
        (STILL.and_global(option, "vrrp_higher_prio_send_advert off"), 0),
    ];
    lab_test().run(|| {
        compare("last-word", &rows, |lab, start| {
            let mut wire = Wire::listen(lab);
            let _daemon = start();
            wait_until(|| wire.announcements_of(IpAddr::V4(VIP)) == 5);
            let heard = Rival::new(255, 4000).advertise(lab);
            wait_until(|| who_has(lab).is_empty());
            pause(Duration::from_millis(500));
            wire.adverts_since(heard)
        });
    });
}

fn bursts_of_a_takeover(lab: &Lab, start: Start<'_>) -> Vec<Burst> {
    bursts(Wire::listen(lab), start)
}

fn bursts(mut wire: Wire, start: Start<'_>) -> Vec<Burst> {
    let started = Instant::now();
    let _daemon = start();
    let first = wire.announcement_after(started).at;
    pause_until(first + WINDOW);
    wire.bursts_since(first)
}

fn pause_until(moment: Instant) {
    pause(moment.saturating_duration_since(Instant::now()));
}
