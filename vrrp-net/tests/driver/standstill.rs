//! A process that stood still may have missed that another took over.

use vrrp_core::{Reason, State};

use crate::fake::{Act, Fact, advert, ms, run, vip};
use crate::{MASTER_DOWN, states};

#[test]
fn an_advert_in_the_queue_keeps_an_expired_timer_from_firing() {
    // Asleep from 3.5 s to 4 s; the timer ran out at 3.609 s, and the advert came at 3.55 s.
    let script = [(ms(3500), Fact::Pause(ms(500))), (ms(3550), advert(1, 150))];
    let outcome = run(&[100], ms(7000), script);
    assert_eq!(states(&outcome), [State::Backup, State::Initialize]);
    // Without it, it fires.
    let outcome = run(&[100], ms(7000), [(ms(3500), Fact::Pause(ms(500)))]);
    assert_eq!(outcome.transitions()[1].0, ms(4000));
    assert_eq!(states(&outcome)[1], State::Master);
}

#[test]
fn a_master_that_stood_still_steps_down_before_it_sends_or_reads_anything() {
    // Stopped just before its advert of 2 s was due, for longer than Master_Down_Interval (3.004 s for the owner).
    // What came meanwhile would have made it advertise.
    let script = [
        (ms(1999), Fact::Pause(ms(3010))),
        (ms(2500), advert(1, 100)),
        (ms(2600), Fact::Removed(vip(1))),
    ];
    let outcome = run(&[255], ms(5500), script);
    let woken: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, _)| *at == ms(5009))
        .map(|(_, act)| act)
        .collect();
    let [Act::Release(released), Act::Transition(0, transition)] = woken[..] else {
        panic!("{woken:?}");
    };
    assert_eq!(released[..], [vip(1)]);
    assert_eq!(
        (transition.to, transition.reason),
        (State::Backup, Reason::Paused)
    );
    assert_eq!(outcome.counters.pauses, 1);
}

#[test]
fn a_master_stopped_right_after_an_advert_steps_down_after_the_master_down_interval_as_well() {
    // 3.03 s from the advert at 1 s: a backup of the same priority has taken over, though the timer is but 2.03 s late.
    let outcome = run(&[255], ms(4500), [(ms(1001), Fact::Pause(ms(3030)))]);
    assert_eq!(outcome.counters.pauses, 1);
    assert_eq!(states(&outcome)[1], State::Backup);
}

#[test]
fn a_process_stopped_between_the_clock_and_the_advert_steps_down_as_well() {
    // The timer of 1 s has run out, and the process is stopped while it looks whether anything has come.
    let outcome = run(&[255], ms(4500), [(ms(1000), Fact::Stall(ms(3100)))]);
    assert_eq!(outcome.times(|act| *act == Act::Advert(1, 255)), [ms(0)]);
    assert_eq!(states(&outcome)[1], State::Backup);
    assert_eq!(outcome.transitions()[1].1.reason, Reason::Paused);
    assert_eq!(outcome.counters.pauses, 1);
    assert!(outcome.times(|act| matches!(act, Act::Renew(_))).is_empty());
}

#[test]
fn a_backup_stopped_on_the_way_to_mastership_does_not_take_the_addresses() {
    let end = MASTER_DOWN * 2 + ms(9999);
    let outcome = run(&[100], end, [(MASTER_DOWN, Fact::Stall(ms(10_000)))]);
    assert!(
        outcome
            .times(|act| matches!(act, Act::Acquire(_) | Act::Announce(..) | Act::Advert(..)))
            .is_empty()
    );
    assert_eq!(
        states(&outcome),
        [State::Backup, State::Master, State::Backup, State::Initialize]
    );
}

#[test]
fn a_short_delay_is_no_pause() {
    let outcome = run(&[255], ms(3500), [(ms(1001), Fact::Pause(ms(1500)))]);
    assert_eq!(outcome.counters.pauses, 0);
    assert_eq!(
        outcome.times(|act| *act == Act::Advert(1, 255)),
        [0, 1000, 2501, 3000].map(ms)
    );
    assert_eq!(outcome.counters.max_lateness, ms(501));
}

#[test]
fn a_backup_that_stood_still_listens_for_a_whole_interval_again() {
    let outcome = run(&[100], ms(20_000), [(ms(100), Fact::Pause(ms(10_000)))]);
    assert_eq!(outcome.counters.pauses, 1);
    assert_eq!(outcome.transitions()[1].0, ms(10_100) + MASTER_DOWN);
}
