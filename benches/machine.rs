//! The virtual-router machine: an advert handled as backup and as master, and a timer fired, outputs drained.

#[path = "support/adverts.rs"]
mod adverts;

use std::hint::black_box;
use std::time::Duration;

use adverts::{CASES, Case};
use criterion::{Criterion, criterion_group, criterion_main};
use vrrp_core::{Packet, Priority, State, VirtualRouter};

/// Advert in, effects out, as a driver does it for every packet.
fn handle(router: &mut VirtualRouter, now: Duration, packet: &Packet<'_>) -> u32 {
    let accepted = router.handle_advert(now, packet).is_ok();
    u32::from(accepted) + drain(router)
}

fn drain(router: &mut VirtualRouter) -> u32 {
    let mut outputs = 0;
    while let Some(output) = router.poll_output() {
        let _ = black_box(output);
        outputs += 1;
    }
    outputs
}

fn backup(case: &Case) -> VirtualRouter {
    let mut router = case.router();
    router.handle_startup(Duration::ZERO);
    drain(&mut router);
    router
}

fn master(case: &Case) -> VirtualRouter {
    let mut router = backup(case);
    let now = router.poll_timeout().expect("a backup has a deadline");
    router.handle_timeout(now);
    drain(&mut router);
    assert_eq!(router.state(), State::Master);
    router
}

/// The advert re-arms Master_Down_Timer: what a backup does all day.
fn advert_as_backup(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine/advert-as-backup");
    for case in CASES {
        let octets = case.octets_from(20, Priority::new(150));
        let envelope = case.envelope_from(20);
        let packet = Packet::parse(&octets, &envelope).expect("a valid advert");
        let mut router = backup(&case);
        group.bench_function(case.name, |b| {
            b.iter(|| handle(&mut router, Duration::from_secs(1), black_box(&packet)));
        });
        assert_eq!(router.state(), State::Backup);
    }
    group.finish();
}

/// A lower advert: the master answers with its own.
fn advert_as_master(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine/advert-as-master");
    for case in CASES {
        let octets = case.octets_from(20, Priority::new(50));
        let envelope = case.envelope_from(20);
        let packet = Packet::parse(&octets, &envelope).expect("a valid advert");
        let mut router = master(&case);
        group.bench_function(case.name, |b| {
            b.iter(|| handle(&mut router, Duration::from_secs(5), black_box(&packet)));
        });
        assert_eq!(router.state(), State::Master);
    }
    group.finish();
}

/// Octets to a decision: what one received advert costs, checks and all.
fn parse_and_handle(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine/parse-and-handle");
    for case in CASES {
        let octets = case.octets_from(20, Priority::new(150));
        let envelope = case.envelope_from(20);
        let mut router = backup(&case);
        group.bench_function(case.name, |b| {
            b.iter(|| {
                let packet = Packet::parse(black_box(&octets), black_box(&envelope)).expect("a valid advert");
                handle(&mut router, Duration::from_secs(1), &packet)
            });
        });
    }
    group.finish();
}

/// Adver_Timer: the master's next advert falls due, and the deadline moves on.
fn timer_as_master(c: &mut Criterion) {
    let case = CASES[0];
    let mut router = master(&case);
    c.bench_function("machine/timer-as-master", |b| {
        b.iter(|| {
            let now = router.poll_timeout().expect("a master has a deadline");
            router.handle_timeout(black_box(now));
            drain(&mut router)
        });
    });
}

criterion_group!(
    benches,
    advert_as_backup,
    advert_as_master,
    parse_and_handle,
    timer_as_master
);
criterion_main!(benches);
