//! Codec and virtual-router machine.

use std::hint::black_box;
use std::time::Duration;

use vrrp_core::{ChecksumForm, Packet, Priority, State, VirtualRouter};

use crate::Case;
use crate::adverts::{CASES, Case as AdvertCase};

/// Sets up for an advert, then does it so many times.
type Operation = fn(&AdvertCase, u64);

pub(crate) fn cases() -> Vec<Case> {
    let operations: [(&str, Operation); 5] = [
        ("codec/parse", parse),
        ("codec/emit", emit),
        ("machine/advert-as-backup", advert_as_backup),
        ("machine/advert-as-master", advert_as_master),
        ("machine/timer-as-master", timer_as_master),
    ];
    let mut cases = Vec::new();
    for (operation, run) in operations {
        for advert in CASES {
            // The machine looks at the addresses alone: one and twenty, shortest and longest.
            if operation.starts_with("machine") && !["v2-1", "v3-ipv6-20"].contains(&advert.name) {
                continue;
            }
            cases.push(Case {
                name: format!("{operation}/{}", advert.name),
                run: Box::new(move |times| run(&advert, times)),
            });
        }
    }
    cases
}

fn parse(case: &AdvertCase, times: u64) {
    let (octets, envelope) = (case.octets(), case.envelope());
    for _ in 0..times {
        let accepted = Packet::parse(black_box(&octets), black_box(&envelope)).is_ok();
        assert!(black_box(accepted));
    }
}

fn emit(case: &AdvertCase, times: u64) {
    let router = case.router();
    let advert = router.advert(router.priority());
    let envelope = case.envelope();
    let mut buffer = vec![0; advert.wire_len()];
    for _ in 0..times {
        let mut rest = black_box(&mut buffer[..]);
        let emitted = black_box(&advert).emit(
            envelope.source,
            envelope.destination,
            black_box(ChecksumForm::PseudoHeader),
            &mut rest,
        );
        assert!(black_box(emitted).is_ok());
    }
}

fn advert_as_backup(case: &AdvertCase, times: u64) {
    let mut router = case.router();
    router.handle_startup(Duration::ZERO);
    handle(&mut router, case, Priority::new(150), times);
    assert_eq!(router.state(), State::Backup);
}

fn advert_as_master(case: &AdvertCase, times: u64) {
    let mut router = master(case);
    handle(&mut router, case, Priority::new(50), times);
    assert_eq!(router.state(), State::Master);
}

fn handle(router: &mut VirtualRouter, case: &AdvertCase, priority: Priority, times: u64) {
    let octets = case.octets_from(20, priority);
    let envelope = case.envelope_from(20);
    let packet = Packet::parse(&octets, &envelope).expect("a valid advert");
    let now = Duration::from_secs(5);
    for _ in 0..times {
        assert!(router.handle_advert(black_box(now), black_box(&packet)).is_ok());
        drain(router);
    }
}

fn timer_as_master(case: &AdvertCase, times: u64) {
    let mut router = master(case);
    for _ in 0..times {
        let now = router.poll_timeout().expect("a master has a deadline");
        router.handle_timeout(black_box(now));
        drain(&mut router);
    }
}

fn master(case: &AdvertCase) -> VirtualRouter {
    let mut router = case.router();
    router.handle_startup(Duration::ZERO);
    let now = router.poll_timeout().expect("a backup has a deadline");
    router.handle_timeout(now);
    drain(&mut router);
    assert_eq!(router.state(), State::Master);
    router
}

fn drain(router: &mut VirtualRouter) {
    while let Some(output) = router.poll_output() {
        let _ = black_box(output);
    }
}
