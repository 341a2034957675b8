//! Planned switchover, and the hold that it leaves behind.

use vrrp_core::Output::{HandOverAddresses, ReleaseAddresses, Switchover};
use vrrp_core::{Demotion, Fault, Output, Reason, State, SwitchoverEnd, SwitchoverError};

use crate::support::*;

fn switch_over(bench: &mut Bench) -> Vec<Output> {
    bench
        .router
        .handle_switchover(bench.now)
        .expect("a master that can");
    bench.outputs()
}

/// A router that has handed over to [`HIGHER`] of priority 90.
fn held(config: vrrp_core::ConfigBuilder) -> Bench {
    let mut bench = Bench::master(config);
    switch_over(&mut bench);
    bench.hear(90);
    assert!(bench.router.is_held());
    bench
}

#[test]
fn it_serves_in_silence_until_any_backup_has_taken_over_whatever_the_demotion() {
    for demotion in [Demotion::Elect, Demotion::Yield, Demotion::Plain] {
        for (version, silence) in [(BOTH[0], us(1_996_093)), (BOTH[1], us(1_996_093))] {
            let mut bench = Bench::master(builder(version, 200).demotion(demotion));
            bench.wait(ms(300));
            assert_eq!(switch_over(&mut bench), [sends(0)]);
            assert_eq!(bench.router.state(), State::Master);
            assert_eq!(bench.deadline().as_micros(), silence.as_micros());
            bench.wait(ms(500));
            let to = peer(LOWER, 1);
            let expected = [
                HandOverAddresses,
                changes(State::Master, State::Backup, Reason::Yielded(to)),
                Switchover(SwitchoverEnd::Done(to)),
            ];
            assert_eq!(bench.hear_from(LOWER, 1), expected);
            assert!(bench.router.is_held());
        }
    }
}

#[test]
fn if_nobody_takes_over_it_goes_on_and_is_not_held() {
    let mut bench = Bench::master(v3(100).announce_delay(ms(0)));
    switch_over(&mut bench);
    let outputs = bench.expire();
    assert_eq!(outputs, [sends(100), Switchover(SwitchoverEnd::NobodyTookOver)]);
    assert!(!bench.router.is_held());
    assert_eq!(bench.router.state(), State::Master);
    assert_eq!(bench.deadline(), secs(1));
    assert_eq!(
        bench.hear(90),
        [sends(100), reasserts()],
        "the offer has ended, and it outranks others again"
    );
}

#[test]
fn the_stop_of_another_is_nobody_to_hand_over_to() {
    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    assert_eq!(bench.hear(0), []);
    assert_eq!(bench.router.state(), State::Master);
}

#[test]
fn a_held_router_follows_any_master_whatever_its_own_priority_becomes() {
    let mut bench = held(v3(100));
    for priority in [90, 1, 50] {
        bench.set_priority(254);
        bench.wait(secs(1));
        assert_eq!(bench.hear(priority), []);
        assert_eq!(bench.deadline(), bench.router.master_down_interval());
    }
    // An election of that master concerns others.
    bench.hear(0);
    bench.hear(40);
    assert_eq!(bench.deadline(), bench.router.master_down_interval());
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn a_held_router_takes_over_from_a_master_that_is_silent_or_stops() {
    let mut bench = held(v3(100));
    assert_eq!(bench.deadline(), us(3_609_375));
    assert_eq!(bench.expire(), takes_over(State::Backup, 100, Reason::MasterDown));
    assert!(bench.router.is_held(), "until it is resumed");

    let mut bench = held(v3(100));
    bench.hear(0);
    assert_eq!(bench.deadline(), us(609_375));
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::MasterStopped)
    );
}

#[test]
fn resume_ends_the_hold_and_the_next_lower_advert_lets_the_timer_run() {
    let mut bench = held(v3(100));
    bench.router.handle_resume(bench.now);
    assert!(!bench.router.is_held());
    assert_eq!(bench.outputs(), []);
    let deadline = bench.router.poll_timeout();
    bench.wait(secs(1));
    bench.hear(90);
    assert_eq!(bench.router.poll_timeout(), deadline);
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::Preempted(peer(HIGHER, 90)))
    );
}

#[test]
fn after_resume_the_preempt_delay_counts_from_the_first_advert() {
    let mut bench = held(v3(100).preempt_delay(secs(10)));
    bench.router.handle_resume(bench.now);
    let resumed = bench.now;
    while bench.router.state() == State::Backup {
        bench.wait(secs(1));
        bench.timeout();
        if bench.router.state() == State::Backup {
            bench.hear(90);
        }
    }
    assert!(bench.now - resumed > secs(11), "{:?}", bench.now - resumed);
}

#[test]
fn a_restart_ends_the_hold() {
    let mut bench = held(v3(100));
    bench.shutdown();
    bench.startup();
    assert!(!bench.router.is_held());
}

#[test]
fn what_can_not_be_handed_over_changes_nothing() {
    let cases = [
        (
            Bench::new(v3(100)),
            SwitchoverError::NotMaster {
                state: State::Initialize,
            },
        ),
        (
            Bench::started(v3(100)),
            SwitchoverError::NotMaster { state: State::Backup },
        ),
        (Bench::master(v3(255)), SwitchoverError::Owner),
    ];
    for (mut bench, expected) in cases {
        let before = bench.router.clone();
        assert_eq!(bench.router.handle_switchover(bench.now), Err(expected));
        assert_eq!(bench.router, before);
    }
    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    assert_eq!(
        bench.router.handle_switchover(bench.now),
        Err(SwitchoverError::UnderWay)
    );
    assert_eq!(bench.outputs(), []);
}

/// The operator asked for it, so nothing that checks find takes it back.
#[test]
fn a_change_of_priority_does_not_end_a_switchover() {
    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    let deadline = bench.router.poll_timeout();
    assert_eq!(bench.set_priority(200), []);
    assert_eq!(bench.set_priority(20), []);
    assert_eq!(bench.router.poll_timeout(), deadline);
    assert_eq!(
        bench.expire(),
        [sends(20), Switchover(SwitchoverEnd::NobodyTookOver)]
    );
}

/// An offer because of a check becomes one of the operator's, and a demotion that was put off is part of it.
#[test]
fn a_switchover_during_a_demotion_is_one() {
    for demotion in [Demotion::Elect, Demotion::Yield] {
        let mut bench = Bench::master(v3(100).demotion(demotion).announce_delay(ms(0)));
        bench.set_priority(90);
        bench.set_priority(80);
        bench.wait(ms(100));
        assert_eq!(switch_over(&mut bench), [sends(0)]);
        assert_eq!(
            bench.expire(),
            [sends(80), Switchover(SwitchoverEnd::NobodyTookOver)]
        );
    }
}

#[test]
fn what_ends_mastership_meanwhile_interrupts_it() {
    let interrupted = Switchover(SwitchoverEnd::Interrupted);
    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    let expected = [
        sends(0),
        ReleaseAddresses,
        changes(State::Master, State::Fault, Reason::Fault(Fault::Check)),
        interrupted,
    ];
    assert_eq!(bench.fault(Fault::Check), expected);
    assert!(!bench.router.is_held());

    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    assert!(bench.shutdown().contains(&interrupted));

    let mut bench = Bench::master(v3(100));
    switch_over(&mut bench);
    bench.router.handle_pause(bench.now);
    assert!(bench.outputs().contains(&interrupted));
    assert!(!bench.router.is_held());
}
