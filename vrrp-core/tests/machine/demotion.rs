//! A master whose priority drops while it serves. Row M13.

use std::time::Duration;

use vrrp_core::{AdverInterval, Demotion, Reason, State, Version};

use crate::support::*;

fn master(demotion: Demotion) -> Bench {
    Bench::master(v3(100).demotion(demotion).announce_delay(ms(0)))
}

/// The 0 arms the skew timers, the advert behind it re-arms those that may not take over, and one more follows a
/// quarter interval later. The addresses stay.
#[test]
fn elect_sends_zero_and_the_new_priority_at_once_and_again_after_a_quarter() {
    for version in BOTH {
        let mut bench = Bench::master(builder(version, 100).announce_delay(ms(0)));
        bench.wait(ms(900));
        assert_eq!(bench.set_priority(80), [sends(0), sends(80)]);
        assert_eq!(bench.router.state(), State::Master);
        assert_eq!(bench.deadline(), ms(250));
        assert_eq!(bench.expire(), [sends(80)]);
        assert_eq!(bench.deadline(), secs(1));
        assert_eq!(bench.expire(), [sends(80)]);
    }
}

/// In VRRPv2 skew times are shares of a second, however long the interval.
#[test]
fn elect_repeats_its_advert_before_skew_times_end_also_at_long_intervals() {
    let ten = AdverInterval::from_secs(10).unwrap();
    let mut bench = Bench::master(
        builder(Version::V2, 100)
            .adver_interval(ten)
            .announce_delay(ms(0)),
    );
    assert_eq!(bench.set_priority(80), [sends(0), sends(80)]);
    assert_eq!(bench.deadline(), ms(250));
    assert_eq!(bench.expire(), [sends(80)]);
    assert_eq!(bench.deadline(), secs(10));
}

#[test]
fn elect_yields_by_the_ordinary_rule_alone() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    assert_eq!(bench.hear_from(HIGHER, 79), [sends(80), reasserts()]);
    assert_eq!(bench.hear_from(LOWER, 80), [sends(80)]);
    assert_eq!(bench.hear_from(LOWER, 81), superseded(80, peer(LOWER, 81)));
}

/// What the 0 and the advert behind it do to backups: a preempting one above keeps the skew timer, all others wait
/// for Master_Down_Interval again.
#[test]
fn backups_keep_the_skew_timer_only_when_they_preempt_the_new_priority() {
    for version in BOTH {
        let down = us(3_648_437) + Duration::from_nanos(500);
        let skew = us(648_437) + Duration::from_nanos(500);
        for (preempt, announced, expected) in [
            (true, 80, skew),
            (true, 90, down),
            (true, 95, down),
            (false, 80, down),
            (false, 95, down),
        ] {
            let mut backup = Bench::started(builder(version, 90).preempt(preempt));
            backup.hear(100);
            backup.wait(ms(900));
            backup.hear(0);
            backup.hear(announced);
            assert_eq!(
                backup.deadline(),
                expected,
                "{version:?} preempt {preempt}, {announced}"
            );
        }
    }
}

#[test]
fn a_backup_that_wins_the_election_names_whom_it_preempts() {
    let mut backup = Bench::started(v3(90));
    backup.hear(100);
    backup.hear(0);
    backup.hear(80);
    assert_eq!(
        backup.expire(),
        takes_over(State::Backup, 90, Reason::Preempted(peer(HIGHER, 80)))
    );
}

/// "At most once an interval": a further drop waits, and is not forgotten.
#[test]
fn a_second_drop_within_an_interval_calls_its_election_when_the_interval_is_over() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    let first = bench.now;
    bench.wait(ms(100));
    assert_eq!(bench.set_priority(70), []);
    assert_eq!(bench.expire(), [sends(70)], "the extra advert");
    assert_eq!(bench.now - first, ms(250));
    assert_eq!(bench.expire(), [sends(0), sends(70)]);
    assert_eq!(bench.now - first, secs(1));
}

#[test]
fn a_second_drop_that_is_taken_back_calls_no_election() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    bench.wait(ms(100));
    bench.set_priority(70);
    assert_eq!(bench.set_priority(80), []);
    for _ in 0..5 {
        assert_eq!(bench.expire(), [sends(80)]);
    }
}

#[test]
fn after_an_interval_a_drop_calls_an_election_at_once() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    bench.wait(secs(1));
    assert_eq!(bench.set_priority(70), [sends(0), sends(70)]);
}

#[test]
fn a_rise_calls_no_election() {
    for demotion in [Demotion::Elect, Demotion::Yield, Demotion::Plain] {
        let mut bench = master(demotion);
        assert_eq!(bench.set_priority(150), []);
        assert_eq!(bench.set_priority(150), []);
        assert_eq!(bench.expire(), [sends(150)]);
    }
}

#[test]
fn an_owner_is_never_demoted() {
    for demotion in [Demotion::Elect, Demotion::Yield, Demotion::Plain] {
        let mut bench = Bench::master(v3(255).demotion(demotion));
        let before = bench.router.clone();
        assert_eq!(bench.set_priority(1), []);
        assert_eq!(bench.router, before);
    }
}

/// keepalived's way: the next scheduled advert tells.
#[test]
fn plain_says_nothing_until_the_next_advert() {
    let mut bench = master(Demotion::Plain);
    bench.wait(ms(300));
    assert_eq!(bench.set_priority(80), []);
    assert_eq!(bench.deadline(), ms(700));
    assert_eq!(bench.expire(), [sends(80)]);
    assert_eq!(bench.set_priority(70), []);
    assert_eq!(bench.set_priority(60), []);
    assert_eq!(bench.expire(), [sends(60)]);
}

/// 0 alone, then silence for the longest skew time and one interval; then it goes on.
#[test]
fn yield_is_silent_for_the_longest_skew_and_one_interval_and_goes_on() {
    for (version, cs, silence) in [
        (Version::V3, 100, us(1_996_093) + Duration::from_nanos(750)),
        (Version::V3, 10, us(199_609) + Duration::from_nanos(375)),
        (Version::V2, 1000, us(10_996_093) + Duration::from_nanos(750)),
    ] {
        let config = builder(version, 100)
            .adver_interval(centis(cs))
            .announce_delay(ms(0));
        let mut bench = Bench::master(config.demotion(Demotion::Yield));
        bench.wait(ms(50));
        assert_eq!(bench.set_priority(80), [sends(0)]);
        assert_eq!(bench.deadline(), silence);
        assert_eq!(bench.router.state(), State::Master);
        assert_eq!(bench.expire(), [sends(80)]);
        assert_eq!(bench.deadline(), centis(cs).duration());
        // The offer is over.
        assert_eq!(bench.hear_from(HIGHER, 79), [sends(80), reasserts()]);
    }
}

#[test]
fn while_it_yields_any_advert_is_yielded_to() {
    for priority in [1, 79, 80, 81, 254, 255] {
        let mut bench = master(Demotion::Yield);
        bench.set_priority(80);
        bench.wait(ms(500));
        let expected = yielded(peer(LOWER, priority));
        assert_eq!(bench.hear_from(LOWER, priority), expected);
    }
}

/// A 0 says that somebody else has given up: there is no one to yield to, and an answer would end the silence.
#[test]
fn while_it_yields_a_zero_changes_nothing() {
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    let mut before = bench.router.clone();
    bench.wait(ms(500));
    assert_eq!(bench.hear_from(LOWER, 0), []);
    before.take_counters();
    bench.router.take_counters();
    assert_eq!(bench.router, before);
}

/// The reason to yield is gone, and the backups count on the silence.
#[test]
fn a_rise_ends_the_silence_at_once() {
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    bench.wait(ms(300));
    assert_eq!(bench.set_priority(100), [sends(100)]);
    assert_eq!(bench.deadline(), secs(1));
    assert_eq!(bench.hear_from(HIGHER, 99), [sends(100), reasserts()]);
}

#[test]
fn shutdown_and_faults_end_a_demotion_like_any_mastership() {
    for demotion in [Demotion::Elect, Demotion::Yield] {
        let mut bench = master(demotion);
        bench.set_priority(80);
        assert_eq!(bench.shutdown()[0], sends(0));
        assert_eq!(bench.router.poll_timeout(), None);
        let mut bench = master(demotion);
        bench.set_priority(80);
        assert_eq!(bench.fault(vrrp_core::Fault::Link)[0], sends(0));
    }
}

/// Its offer stands already; another 0 would only lengthen the silence.
#[test]
fn a_further_drop_while_it_yields_changes_the_priority_alone() {
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    let deadline = bench.router.poll_timeout();
    bench.wait(ms(300));
    assert_eq!(bench.set_priority(70), []);
    assert_eq!(bench.router.poll_timeout(), deadline);
    assert_eq!(bench.expire(), [sends(70)]);
    assert_eq!(bench.deadline(), secs(1));
}

/// Else it would take back at once what it gave to a lower one, being as sick as before.
#[test]
fn one_that_yielded_does_not_preempt_until_its_priority_rises() {
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    bench.hear(60);
    bench.wait(secs(3));
    bench.hear_every(centis(200), HIGHER, 60);
    assert_eq!(bench.deadline(), secs(6) + us(1_375_000));
    // Further down it stays so.
    bench.set_priority(70);
    bench.hear(60);
    assert_eq!(bench.deadline(), us(3_726_562) + Duration::from_nanos(500));
    // Well again.
    bench.set_priority(100);
    bench.wait(secs(3));
    bench.hear(60);
    assert_eq!(bench.deadline(), us(609_375));
    assert_eq!(
        bench.expire(),
        takes_over(State::Backup, 100, Reason::Preempted(peer(HIGHER, 60)))
    );
}

#[test]
fn one_that_yielded_takes_over_when_its_successor_dies_or_stops() {
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    bench.wait(ms(700));
    bench.hear(60);
    assert_eq!(bench.expire(), takes_over(State::Backup, 80, Reason::MasterDown));
    let mut bench = master(Demotion::Yield);
    bench.set_priority(80);
    bench.wait(ms(700));
    bench.hear(60);
    bench.hear(0);
    assert_eq!(bench.deadline(), us(687_500));
}

/// A flapping check: backups whose skew timer the 0 armed must hear that the priority is back before it fires.
#[test]
fn a_rise_right_after_an_election_was_called_takes_it_back_once() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    bench.wait(ms(100));
    assert_eq!(bench.set_priority(100), [sends(100)]);
    assert_eq!(bench.deadline(), secs(1));
    // Not more than once an election: whoever turns the priority can't make us flood the link.
    bench.set_priority(90);
    assert_eq!(bench.set_priority(110), []);
    assert_eq!(bench.expire(), [sends(110)]);
}

#[test]
fn a_rise_that_stays_below_what_was_announced_takes_nothing_back() {
    let mut bench = master(Demotion::Elect);
    bench.set_priority(80);
    bench.set_priority(70);
    assert_eq!(bench.set_priority(75), []);
    assert_eq!(bench.expire(), [sends(75)]);
    assert_eq!(bench.expire(), [sends(0), sends(75)]);
}
