//! Re-election without a gap: a master whose priority drops hands over, or stays, and no instant passes in which
//! nobody serves.

use std::time::Duration;

use vrrp_core::sim::{Action, NodeId, Sim};
use vrrp_core::{ConfigBuilder, Demotion, Priority, Version};

use crate::support::*;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

/// One way on the LAN, unless set.
const WAY: Duration = Duration::from_micros(100);

/// Versions and intervals on which every case is tried.
const LANS: [(Version, u16); 4] = [
    (Version::V2, 100),
    (Version::V3, 100),
    (Version::V3, 10),
    (Version::V3, 1),
];

fn priority(priority: u8) -> Priority {
    Priority::new(priority)
}

/// Skew time in nanoseconds, worked out here and not by the code under test.
fn skew(version: Version, interval_cs: u16, priority: u64) -> Duration {
    let unit = match version {
        Version::V2 => 1_000_000_000,
        Version::V3 => u64::from(interval_cs) * 10_000_000,
    };
    Duration::from_nanos(unit * (256 - priority) / 256)
}

/// A of priority 100 is master; `others` are backups; then A drops to `to`. Gives the LAN, long after it has
/// settled, and the time of the drop.
fn drop_master(
    lan: (Version, u16),
    demotion: Demotion,
    others: Vec<ConfigBuilder>,
    to: u8,
    lose: &[Action],
) -> (Sim, Duration) {
    let mut configs = vec![config(lan.0, lan.1, 100).demotion(demotion)];
    configs.extend(others);
    let mut sim = settled(configs);
    assert_eq!(masters(&sim), [A]);
    // Somewhere between two adverts.
    sim.run_for(Duration::from_millis(u64::from(lan.1) * 4)).unwrap();
    for action in lose {
        sim.apply(*action).unwrap();
    }
    let dropped = sim.now();
    sim.apply(Action::SetPriority(A, priority(to))).unwrap();
    sim.run_until_settled().unwrap();
    sim.run_for(Duration::from_millis(u64::from(lan.1) * 100))
        .unwrap();
    (sim, dropped)
}

#[test]
fn a_higher_backup_takes_over_after_its_skew_and_nobody_notices() {
    for lan in LANS {
        let others = vec![config(lan.0, lan.1, 90), config(lan.0, lan.1, 85)];
        let (sim, dropped) = drop_master(lan, Demotion::Elect, others, 80, &[]);
        // The highest alone, at its skew time after the 0 arrived.
        assert_eq!(takeovers(&sim, dropped), [(B, WAY + skew(lan.0, lan.1, 90))]);
        assert_eq!(masters(&sim), [B]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

#[test]
fn with_lower_equal_and_nopreempt_backups_nothing_moves() {
    for lan in LANS {
        let higher_but_nopreempt = config(lan.0, lan.1, 95).preempt(false);
        let others = vec![
            config(lan.0, lan.1, 70),
            config(lan.0, lan.1, 80),
            higher_but_nopreempt,
        ];
        let (sim, dropped) = drop_master(lan, Demotion::Elect, others, 80, &[]);
        assert_eq!(takeovers(&sim, dropped), []);
        assert_eq!(masters(&sim), [A]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// The election is lost, not the address: the backup takes over when its master-down timer runs out, as with keepalived.
#[test]
fn a_lost_zero_costs_time_and_no_outage() {
    for lan in LANS {
        let (sim, dropped) = drop_master(
            lan,
            Demotion::Elect,
            vec![config(lan.0, lan.1, 90)],
            80,
            &[Action::Lose(A, B, Priority::STOP)],
        );
        let takeovers = takeovers(&sim, dropped);
        let interval = Duration::from_millis(u64::from(lan.1) * 10);
        let down = 3 * interval + skew(lan.0, lan.1, 90) + WAY;
        assert_eq!(takeovers.len(), 1);
        assert!(
            takeovers[0].1 <= down && takeovers[0].1 > down - interval,
            "{takeovers:?}"
        );
        assert_eq!(masters(&sim), [B]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// The 0 arms the backup below P′, the advert behind it is lost, and the one a quarter interval later comes in time.
#[test]
fn a_lost_second_advert_does_not_make_a_lower_backup_master() {
    for lan in LANS {
        for (preempt, backup) in [(true, 70), (true, 80), (false, 95)] {
            let others = vec![config(lan.0, lan.1, backup).preempt(preempt)];
            let lose = [Action::Lose(A, B, priority(80))];
            let (sim, dropped) = drop_master(lan, Demotion::Elect, others, 80, &lose);
            assert_eq!(takeovers(&sim, dropped), [], "{lan:?} {backup}");
            assert_eq!(masters(&sim), [A]);
            assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
        }
    }
}

#[test]
fn a_lost_second_advert_does_not_keep_the_higher_backup_back() {
    for lan in LANS {
        let lose = [Action::Lose(A, B, priority(80))];
        let (sim, dropped) = drop_master(lan, Demotion::Elect, vec![config(lan.0, lan.1, 90)], 80, &lose);
        assert_eq!(takeovers(&sim, dropped), [(B, WAY + skew(lan.0, lan.1, 90))]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// Both take over at the same instant; the address decides between them while the old master still serves.
#[test]
fn two_backups_of_equal_priority_settle_by_address_without_an_outage() {
    for lan in LANS {
        let others = vec![config(lan.0, lan.1, 90), config(lan.0, lan.1, 90)];
        let (sim, dropped) = drop_master(lan, Demotion::Elect, others, 80, &[]);
        let at = WAY + skew(lan.0, lan.1, 90);
        assert_eq!(takeovers(&sim, dropped), [(B, at), (C, at)]);
        assert_eq!(masters(&sim), [C]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

#[test]
fn a_drop_that_is_taken_back_within_the_skew_time_moves_nothing() {
    for lan in LANS {
        let mut sim = settled(vec![config(lan.0, lan.1, 100), config(lan.0, lan.1, 90)]);
        let dropped = sim.now();
        sim.apply(Action::SetPriority(A, priority(80))).unwrap();
        sim.run_for(skew(lan.0, lan.1, 90) / 2).unwrap();
        sim.apply(Action::SetPriority(A, priority(100))).unwrap();
        sim.run_until_settled().unwrap();
        assert_eq!(takeovers(&sim, dropped), []);
        assert_eq!(masters(&sim), [A]);
    }
}

#[test]
fn a_flapping_check_never_interrupts_the_service() {
    for lan in LANS {
        let mut sim = settled(vec![config(lan.0, lan.1, 100), config(lan.0, lan.1, 90)]);
        let step = Duration::from_millis(u64::from(lan.1) * 10) / 7;
        for turn in 0..200_u32 {
            let to = if turn % 3 == 0 { 80 } else { 100 };
            sim.apply(Action::SetPriority(A, priority(to))).unwrap();
            sim.run_for(step * (turn % 11)).unwrap();
        }
        sim.apply(Action::SetPriority(A, priority(100))).unwrap();
        sim.run_until_settled().unwrap();
        assert_eq!(masters(&sim), [A]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// Also one that may not preempt, and one below the new priority: whoever takes part takes over, the highest first.
#[test]
fn yield_hands_over_to_anyone_without_an_outage() {
    for lan in LANS {
        for backup in [70, 80, 90] {
            let others = vec![
                config(lan.0, lan.1, backup).preempt(false),
                config(lan.0, lan.1, 60),
            ];
            let (sim, dropped) = drop_master(lan, Demotion::Yield, others, 80, &[]);
            assert_eq!(
                takeovers(&sim, dropped),
                [(B, WAY + skew(lan.0, lan.1, backup.into()))]
            );
            assert_eq!(masters(&sim), [B], "one that yielded does not take back");
            assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
        }
    }
}

#[test]
fn yield_without_a_taker_goes_on() {
    for lan in LANS {
        let (sim, dropped) = drop_master(lan, Demotion::Yield, vec![], 80, &[]);
        assert_eq!(takeovers(&sim, dropped), []);
        assert_eq!(masters(&sim), [A]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// Its silence is shorter than any master-down interval.
#[test]
fn yield_of_which_the_zero_is_lost_goes_on() {
    for lan in LANS {
        let others = vec![config(lan.0, lan.1, 70)];
        let (sim, dropped) = drop_master(
            lan,
            Demotion::Yield,
            others,
            80,
            &[Action::Lose(A, B, Priority::STOP)],
        );
        assert_eq!(takeovers(&sim, dropped), []);
        assert_eq!(masters(&sim), [A]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

#[test]
fn one_that_yielded_takes_back_when_it_is_well() {
    for lan in LANS {
        let (mut sim, _) = drop_master(lan, Demotion::Yield, vec![config(lan.0, lan.1, 70)], 80, &[]);
        assert_eq!(masters(&sim), [B]);
        sim.apply(Action::SetPriority(A, priority(100))).unwrap();
        sim.run_until_settled().unwrap();
        assert_eq!(masters(&sim), [A]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

/// keepalived's way, for comparison: no outage either, but the master-down interval instead of the skew time.
#[test]
fn plain_waits_for_the_master_down_interval() {
    for lan in LANS {
        let (sim, dropped) = drop_master(lan, Demotion::Plain, vec![config(lan.0, lan.1, 90)], 80, &[]);
        let takeovers = takeovers(&sim, dropped);
        assert_eq!(takeovers.len(), 1);
        assert!(takeovers[0].1 > Duration::from_millis(u64::from(lan.1) * 20));
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}

#[test]
fn an_owner_never_hands_over() {
    for demotion in [Demotion::Elect, Demotion::Yield, Demotion::Plain] {
        for lan in LANS {
            let mut sim = settled(vec![
                config(lan.0, lan.1, 255).demotion(demotion),
                config(lan.0, lan.1, 254),
            ]);
            let dropped = sim.now();
            sim.apply(Action::SetPriority(A, priority(1))).unwrap();
            sim.run_until_settled().unwrap();
            assert_eq!(takeovers(&sim, dropped), []);
            assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
        }
    }
}

/// The delay is against preempting after a start, not against an election that the master calls.
#[test]
fn an_election_passes_the_preempt_delay() {
    for lan in LANS {
        let others = vec![config(lan.0, lan.1, 90).preempt_delay(secs(5))];
        let (sim, dropped) = drop_master(lan, Demotion::Elect, others, 80, &[]);
        assert_eq!(takeovers(&sim, dropped), [(B, WAY + skew(lan.0, lan.1, 90))]);
        assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
    }
}
