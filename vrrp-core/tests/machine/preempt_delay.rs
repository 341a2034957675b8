//! keepalived's preempt_delay. Rows B12 to B15, trap 17.

use vrrp_core::{Reason, State};

use crate::support::*;

fn delayed() -> Bench {
    Bench::started(v3(100).preempt_delay(secs(10)))
}

/// Rows B12 and B13: the delay starts once, with the first lower advert, and meanwhile the lower master is followed.
#[test]
fn a_lower_master_is_followed_for_the_delay_which_runs_once() {
    let mut bench = delayed();
    bench.wait(ms(500));
    for _ in 0..10 {
        assert_eq!(bench.hear_every(centis(50), LOWER, 90), []);
        assert_eq!(
            bench.deadline(),
            us(1_804_687) + std::time::Duration::from_nanos(500)
        );
        bench.wait(secs(1));
    }
    // Row B15: the delay is over, and the timer runs out.
    bench.hear(90);
    assert_eq!(
        bench.deadline(),
        us(804_687) + std::time::Duration::from_nanos(500)
    );
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::Preempted(peer(HIGHER, 90)))
    );
}

/// Row B14.
#[test]
fn an_advert_of_at_least_our_priority_cancels_the_delay() {
    let mut bench = delayed();
    bench.hear(90);
    bench.wait(secs(9));
    bench.hear(100);
    bench.wait(secs(1));
    bench.hear(90);
    assert_eq!(bench.deadline(), us(3_609_375));
    bench.wait(ms(9999));
    bench.hear(90);
    assert_eq!(bench.deadline(), us(3_609_375));
    bench.wait(ms(1));
    bench.hear(90);
    assert_eq!(bench.deadline(), us(3_608_375));
}

/// Trap 17: the delay is against taking from a master, not against there being none.
#[test]
fn priority_zero_and_silence_do_not_wait_for_the_delay() {
    let mut bench = delayed();
    bench.hear(90);
    bench.hear(0);
    assert_eq!(bench.deadline(), us(609_375));
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::MasterStopped)
    );

    let mut bench = delayed();
    bench.hear(90);
    assert_eq!(bench.deadline(), us(3_609_375));
    bench.expire();
    assert_eq!(bench.router.state(), State::Master);
}

#[test]
fn without_preempt_the_delay_means_nothing() {
    let mut bench = Bench::started(v3(100).preempt(false).preempt_delay(secs(1)));
    for _ in 0..10 {
        bench.hear(90);
        assert_eq!(bench.deadline(), us(3_609_375));
        bench.wait(secs(1));
    }
}

/// An election that a sick master calls (priority 0, then a lower advert) asks for a successor now.
#[test]
fn an_election_does_not_wait_for_the_delay() {
    for version in BOTH {
        let mut bench = Bench::started(builder(version, 100).preempt_delay(secs(10)));
        bench.hear(120);
        bench.wait(ms(500));
        bench.hear(0);
        bench.hear(80);
        bench.hear(80);
        assert_eq!(bench.deadline(), us(609_375));
        assert_eq!(
            bench.expire(),
            takes_over(State::Backup, 100, Reason::Preempted(peer(HIGHER, 80)))
        );
    }
}

#[test]
fn after_an_election_that_another_won_the_delay_counts_again() {
    let mut bench = delayed();
    bench.hear(0);
    bench.hear_from(LOWER, 120);
    bench.hear(90);
    assert_eq!(bench.deadline(), us(3_609_375));
}

/// RFC 9568 §6.1: the owner preempts whatever the settings.
#[test]
fn an_owner_does_not_wait_for_the_delay() {
    let mut bench = Bench::started(v3(255).preempt_delay(secs(10)));
    bench.fault(vrrp_core::Fault::Link);
    bench.recovery(vrrp_core::Fault::Link);
    bench.wait(secs(1));
    bench.hear(254);
    assert_eq!(bench.deadline(), us(3_906) + std::time::Duration::from_nanos(250));
}

/// The master died while it was followed: nobody preempted it.
#[test]
fn a_master_that_dies_during_the_delay_was_not_preempted() {
    let mut bench = delayed();
    bench.hear(90);
    assert_eq!(bench.expire(), takes_over(State::Backup, 100, Reason::MasterDown));
}
