//! When a backup takes over, and whose adverts it obeys.

use std::time::{Duration, Instant};

use vrrp_core::Version;

use crate::daemon::Daemon;
use crate::file::{Said, compare};
use crate::lan::{lab, lab_test, pause, wait_until, who_has};
use crate::rival::Rival;
use crate::support::Folder;
use crate::wire::Wire;

/// What the options put off takes longer, and without them a slow machine needs less; time to preempt many times over.
const LONG: Duration = Duration::from_secs(3);

#[test]
fn preempt_delay_puts_preemption_off() {
    const HIGH: Said<'_> = Said {
        priority: 150,
        ..Said::QUICK
    };
    let rows = [
        (HIGH, false),
        (HIGH.and("preempt_delay = \"3s\"", "preempt_delay 3"), true),
    ];
    lab_test().run(|| {
        compare("preempt-delay", &rows, |lab, start| {
            let mut wire = Wire::listen(lab);
            // It says that it is slower than it is, so that it may be.
            let lower = Rival::new(100, 30);
            let started = lower.advertise(lab);
            let _daemon = start();
            wait_until(|| {
                lower.advertise(lab);
                wire.adverts_since(started) > 0
            });
            wire.advert_after(started).at - started > LONG
        });
    });
}

#[test]
fn startup_delay_puts_the_start_off() {
    let rows = [
        (Said::QUICK, false),
        (
            Said::QUICK.and_global("startup_delay = \"3s\"", "vrrp_startup_delay 3"),
            true,
        ),
    ];
    lab_test().run(|| {
        compare("startup-delay", &rows, |lab, start| {
            let mut wire = Wire::listen(lab);
            let started = Instant::now();
            let _daemon = start();
            wire.advert_after(started).at - started > LONG
        });
    });
}

#[test]
fn down_timer_adverts_is_how_many_adverts_may_be_missed() {
    let rows = [
        (Said::QUICK, false),
        (
            Said::QUICK.and("down_timer_adverts = 30", "down_timer_adverts 30"),
            true,
        ),
        (
            Said::QUICK.and_global("down_timer_adverts = 30", "vrrp_down_timer_adverts 30"),
            true,
        ),
    ];
    lab_test().run(|| {
        compare("down-timer", &rows, |lab, start| {
            let mut wire = Wire::listen(lab);
            let started = Instant::now();
            let _daemon = start();
            wire.announcement_after(started);
            // Its announcements come one behind the other.
            pause(Duration::from_millis(200));
            let heard = Rival::new(200, 10).advertise(lab);
            let again = wire.announcement_after(heard);
            again.at - heard > LONG
        });
    });
}

/// Version 2 discards such an advert unless it is told to accept it, version 3 the other way round.
#[test]
fn the_advert_of_other_addresses_is_obeyed_or_not_as_address_mismatch_says() {
    const V3: Said<'_> = Said {
        priority: 254,
        interval: "1",
        ..Said::QUICK
    };
    const V2: Said<'_> = Said { version: 2, ..V3 };
    let accept = "address_mismatch = \"accept\"";
    let discard = Said {
        toml: ("address_mismatch = \"discard\"", ""),
        conf: None,
        ..V3
    };
    let rows = [
        (V2, false),
        (V2.and(accept, "skip_check_adv_addr"), true),
        (V2.and_global(accept, "vrrp_skip_check_adv_addr"), true),
        (V3, true),
        (discard, false),
    ];
    lab_test().run(|| {
        compare("mismatch", &rows, |lab, start| {
            let _daemon = start();
            let own = lab.host("a").mac();
            wait_until(|| who_has(lab) == [own]);
            let rival = Rival {
                address: [192, 0, 2, 99].into(),
                ..Rival::new(254, 100)
            };
            let answers = (0..5).map(|_| {
                // It takes no notice of the version that it does not speak.
                for version in [Version::V2, Version::V3] {
                    Rival { version, ..rival }.advertise(lab);
                }
                who_has(lab)
            });
            answers.last().unwrap().is_empty()
        });
    });
}

/// keepalived has no word for it.
#[test]
fn damping_holds_preemption_back_after_too_many_transitions() {
    const DAMPING: &str = "damping = { transitions = 2, window = \"60s\", delay = \"60s\" }";
    lab_test().run(|| {
        for (option, returns) in [("", true), (DAMPING, false)] {
            let lab = lab();
            let folder = Folder::new("kernel-damping");
            let fit = folder.join("fit");
            std::fs::write(&fit, "0\n").unwrap();
            let tracked = Said {
                priority: 150,
                toml: (
                    &format!("{option}\ntrack = [\"fit\"]"),
                    &format!("[[check]]\nname = \"fit\"\nfile = \"{}\"\n", fit.display()),
                ),
                ..Said::QUICK
            };
            let high = Daemon::start(&folder, lab.host("a"), "a.toml", &tracked.to_toml());
            let (a, b) = (lab.host("a").mac(), lab.host("b").mac());
            wait_until(|| who_has(&lab) == [a]);
            let _low = Daemon::start(&folder, lab.host("b"), "b.toml", &Said::QUICK.to_toml());
            std::fs::write(&fit, "1\n").unwrap();
            wait_until(|| who_has(&lab) == [b]);
            std::fs::write(&fit, "0\n").unwrap();
            if returns {
                wait_until(|| who_has(&lab) == [a]);
            } else {
                let until = Instant::now() + LONG;
                while Instant::now() < until {
                    assert_eq!(who_has(&lab), [b]);
                }
            }
            high.stop();
        }
    });
}
