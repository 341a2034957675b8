//! What a LAN of virtual routers does when something fails, with the outage that the protocol allows.

use std::time::Duration;

use vrrp_core::sim::{Action, Clock, Event, NodeId, Path, Sim};
use vrrp_core::{Fault, Priority, Reason, State, Version, VirtualRouter};

use crate::support::*;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

fn pair() -> Sim {
    settled(vec![config(Version::V3, 100, 100), config(Version::V3, 100, 90)])
}

#[test]
fn the_highest_becomes_master_and_the_others_follow() {
    let priorities = [50, 200, 100, 150];
    let sim = settled(
        priorities
            .map(|priority| config(Version::V2, 100, priority))
            .into(),
    );
    assert_eq!(masters(&sim), [NodeId(1)]);
    assert_eq!(sim.holders(vip()), [NodeId(1)]);
}

#[test]
fn of_equal_priorities_one_stays_master() {
    let sim = settled((0..5).map(|_| config(Version::V3, 10, 100)).collect());
    assert_eq!(masters(&sim).len(), 1);
}

/// Planned: priority 0, then the skew time of the highest backup.
#[test]
fn a_shutdown_costs_the_skew_time() {
    let mut sim = pair();
    sim.apply(Action::Shutdown(A)).unwrap();
    sim.run_for(secs(5)).unwrap();
    assert_eq!(masters(&sim), [B]);
    assert_eq!(
        sim.longest_outage(vip()),
        us(648_437 + 100) + Duration::from_nanos(500)
    );
}

/// Unplanned: at most three intervals and the skew time.
#[test]
fn a_crash_costs_at_most_the_master_down_interval() {
    let mut sim = pair();
    sim.apply(Action::Crash(A)).unwrap();
    assert_eq!(sim.holders(vip()), []);
    sim.run_for(secs(5)).unwrap();
    assert_eq!(masters(&sim), [B]);
    let outage = sim.longest_outage(vip());
    assert!(outage <= us(3_648_538) && outage > us(2_648_438), "{outage:?}");
}

#[test]
fn addresses_of_a_killed_process_stay_for_the_lease_and_no_longer() {
    let mut sim = pair();
    sim.set_lease(secs(2));
    let killed = sim.now();
    sim.apply(Action::Kill(A)).unwrap();
    assert_eq!(sim.holders(vip()), [A]);
    assert!(sim.node(A).is_none());
    sim.run_until(killed + ms(1999)).unwrap();
    assert_eq!(sim.holders(vip()), [A]);
    sim.run_until(killed + secs(2)).unwrap();
    assert_eq!(sim.holders(vip()), []);
    sim.run_until(killed + secs(4)).unwrap();
    assert_eq!(sim.holders(vip()), [B]);
}

#[test]
fn a_restart_removes_what_was_left_and_preempts_after_the_master_down_interval() {
    let mut sim = pair();
    sim.apply(Action::Kill(A)).unwrap();
    sim.apply(Action::Restart(A)).unwrap();
    assert_eq!(sim.holders(vip()), []);
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [A]);
}

#[test]
fn a_node_without_preempt_stays_backup_when_it_returns() {
    let mut sim = settled(vec![
        config(Version::V3, 100, 100).preempt(false),
        config(Version::V3, 100, 90).preempt(false),
    ]);
    sim.apply(Action::Crash(A)).unwrap();
    sim.run_for(secs(5)).unwrap();
    sim.apply(Action::Restart(A)).unwrap();
    sim.run_until_settled().unwrap();
    sim.run_for(secs(60)).unwrap();
    assert_eq!(masters(&sim), [B]);
}

#[test]
fn a_fault_hands_over_at_once_and_recovery_takes_back() {
    let mut sim = pair();
    sim.apply(Action::Fault(A, Fault::Check)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [B]);
    assert!(sim.longest_outage(vip()) < ms(649));
    sim.reset_outages();
    sim.apply(Action::Recovery(A, Fault::Check)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [A]);
    assert_eq!(
        sim.longest_outage(vip()),
        Duration::ZERO,
        "preempting back costs nothing"
    );
}

/// Both are master while the link is cut, and one soon after it heals: within an interval and there and back.
#[test]
fn a_partition_makes_two_masters_and_healing_makes_one_within_an_interval() {
    let mut sim = pair();
    for (from, to) in [(A, B), (B, A)] {
        sim.apply(Action::SetPath(from, to, Path::cut())).unwrap();
    }
    sim.run_for(secs(10)).unwrap();
    assert_eq!(masters(&sim), [A, B]);
    for (from, to) in [(A, B), (B, A)] {
        sim.apply(Action::SetPath(from, to, Path::default())).unwrap();
    }
    sim.run_for(ms(1001)).unwrap();
    assert_eq!(masters(&sim), [A]);
    assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
}

/// One direction: the backup does not hear the master, and the master hears the backup. It keeps asserting itself and
/// says so in its counters.
#[test]
fn a_cut_of_one_direction_leaves_two_masters_that_are_counted() {
    let mut sim = pair();
    sim.apply(Action::SetPath(A, B, Path::cut())).unwrap();
    sim.run_for(secs(30)).unwrap();
    assert_eq!(masters(&sim), [A, B]);
    let counters = sim.node(A).unwrap().counters();
    assert!(counters.lower_received_as_master >= 25);
    assert_eq!(sim.settle_time(VRID, vrrp_core::Family::Ipv4), None);
}

/// The other direction: the lower one yields to what it hears, as ever.
#[test]
fn a_cut_towards_the_master_changes_nothing() {
    let mut sim = pair();
    let cut = sim.now();
    sim.apply(Action::SetPath(B, A, Path::cut())).unwrap();
    sim.run_for(secs(30)).unwrap();
    assert_eq!(takeovers(&sim, cut), []);
}

#[test]
fn losing_two_adverts_in_a_row_moves_nothing_and_three_moves_the_address() {
    for (lost, moves) in [(2, false), (3, true)] {
        let mut sim = pair();
        let since = sim.now();
        for _ in 0..lost {
            sim.apply(Action::Lose(A, B, Priority::new(100))).unwrap();
        }
        sim.run_for(secs(10)).unwrap();
        // Master-down is three intervals and the skew time, so the fourth advert comes too late at a skew below one
        // interval.
        assert_eq!(!takeovers(&sim, since).is_empty(), moves, "{lost} lost");
        assert_eq!(masters(&sim), [A]);
    }
}

/// The pause is longer than master-down: on waking it steps down before it says a word, and preempts in good order.
#[test]
fn a_master_that_stood_still_for_long_steps_down_before_it_speaks() {
    let mut sim = pair();
    sim.apply(Action::Pause(A)).unwrap();
    sim.run_for(secs(20)).unwrap();
    assert_eq!(sim.holders(vip()), [B], "its lease has ended");
    let woke = sim.now();
    sim.apply(Action::Resume(A)).unwrap();
    assert_eq!(masters(&sim), [B]);
    let paused = sim.trace().any(|record| {
        record.node == A
            && matches!(record.event, Event::Changed(_, change) if change.to == State::Backup && change.reason == Reason::Paused)
    });
    assert!(paused);
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [A]);
    assert_eq!(takeovers(&sim, woke).len(), 1);
}

/// The pause is too short for anybody to have noticed.
#[test]
fn a_short_pause_of_the_master_moves_nothing() {
    let mut sim = pair();
    let since = sim.now();
    sim.apply(Action::Pause(A)).unwrap();
    sim.run_for(ms(1500)).unwrap();
    sim.apply(Action::Resume(A)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!(takeovers(&sim, since), []);
    assert_eq!(masters(&sim), [A]);
}

/// What kept others from taking over is in the socket's queue; who reads it first does not take over by mistake.
#[test]
fn a_backup_that_stood_still_reads_its_queue_before_it_acts() {
    for pause in [ms(3700), secs(5), secs(60)] {
        let mut sim = pair();
        let since = sim.now();
        sim.apply(Action::Pause(B)).unwrap();
        sim.run_for(pause).unwrap();
        sim.apply(Action::Resume(B)).unwrap();
        sim.run_until_settled().unwrap();
        assert_eq!(takeovers(&sim, since), []);
    }
}

#[test]
fn clocks_that_drift_by_a_hundredth_and_differ_by_years_agree() {
    let mut sim = Sim::new(1);
    for (index, (priority, drift)) in [(100, -10_000), (90, 10_000), (80, 0)].into_iter().enumerate() {
        let config = config(Version::V3, 1, priority).build().unwrap();
        let epoch = Duration::from_secs(100_000_000 * (index as u64 + 1));
        sim.add(
            VirtualRouter::new(config, source(index)),
            Clock::new(epoch, drift),
        );
    }
    sim.run_until_settled().unwrap();
    let settled = sim.now();
    sim.run_for(secs(100)).unwrap();
    assert_eq!(masters(&sim), [A]);
    assert_eq!(takeovers(&sim, settled), []);
}

/// Each teaches its own interval to the others while it is master.
#[test]
fn nodes_of_different_intervals_agree_in_version_3() {
    let mut sim = settled(vec![
        config(Version::V3, 1, 100),
        config(Version::V3, 100, 200),
        config(Version::V3, 10, 150),
    ]);
    sim.run_for(secs(5)).unwrap();
    assert_eq!(masters(&sim), [B]);
    let crashed = sim.now();
    sim.apply(Action::Crash(B)).unwrap();
    sim.run_for(secs(5)).unwrap();
    assert_eq!(masters(&sim), [NodeId(2)]);
    // By the dead master's interval, not by its own: 3 s and its skew time, less what had passed.
    let (node, after) = takeovers(&sim, crashed)[0];
    assert_eq!(node, NodeId(2));
    assert!(after > ms(2414) && after <= ms(3415), "{after:?}");
}

/// The advert is under way when its sender dies; what it teaches still counts.
#[test]
fn the_interval_of_a_dead_node_counts_in_the_settle_time() {
    let mut sim = Sim::new(1);
    sim.add_node(config(Version::V3, 3, 1).build().unwrap(), source(0));
    sim.add_node(config(Version::V3, 100, 255).build().unwrap(), source(1));
    sim.apply(Action::Kill(B)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [A]);
    let (_, after) = takeovers(&sim, Duration::ZERO)[1];
    assert!(after > secs(3), "{after:?}");
}

/// Why nothing but one master at a time is promised where intervals differ: the last advert of the old master crosses
/// the first of the new one, and a backup that may not preempt takes the old interval for the new master's.
#[test]
fn different_intervals_can_make_a_third_node_take_over_for_a_moment() {
    let mut sim = Sim::new(1);
    let configs = [
        config(Version::V3, 1, 98),
        config(Version::V3, 100, 101),
        config(Version::V3, 10, 100).preempt(false),
    ];
    for (index, config) in configs.into_iter().enumerate() {
        sim.add_node(config.build().unwrap(), source(index));
    }
    assert_eq!(sim.settle_time(VRID, vrrp_core::Family::Ipv4), None);
    // What the old master says goes a longer way than what the new one says.
    sim.apply(Action::SetPath(A, NodeId(2), Path::after(ms(9))))
        .unwrap();
    sim.apply(Action::SetPath(B, A, Path::after(ms(9)))).unwrap();
    sim.run_for(secs(10)).unwrap();
    let nodes: Vec<_> = takeovers(&sim, Duration::ZERO)
        .into_iter()
        .map(|(node, _)| node)
        .collect();
    assert_eq!(nodes, [A, B, NodeId(2)]);
    assert_eq!(masters(&sim), [B]);
}

/// Every node is master of one, and takes over the other.
#[test]
fn a_node_with_two_virtual_routers_crosses_over() {
    let mut sim = Sim::with_nodes(1);
    let other_vip = "192.0.2.101".parse().unwrap();
    let other = |priority| {
        let addresses = vrrp_core::AddressList::new(&[other_vip]).unwrap();
        vrrp_core::Config::builder(vrrp_core::Vrid::new(52).unwrap(), addresses)
            .version(Version::V3)
            .priority(Priority::new(priority))
    };
    for (index, (one, two)) in [(100, 90), (90, 100)].into_iter().enumerate() {
        let configs = [config(Version::V3, 100, one), other(two)];
        let routers = configs.map(|config| VirtualRouter::new(config.build().unwrap(), source(index)));
        sim.add(Vec::from(routers), Clock::default());
    }
    sim.run_until_settled().unwrap();
    assert_eq!((sim.holders(vip()), sim.holders(other_vip)), (vec![A], vec![B]));
    sim.apply(Action::Crash(A)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!((sim.holders(vip()), sim.holders(other_vip)), (vec![B], vec![B]));
}

#[test]
fn unicast_peers_agree_as_a_group_does() {
    let mut sim = Sim::new(1);
    for (index, priority) in [100, 90, 80].into_iter().enumerate() {
        let peers: Vec<_> = (0..3).filter(|peer| *peer != index).map(source).collect();
        let config = config(Version::V3, 100, priority).peers(&peers);
        sim.add_node(config.build().unwrap(), source(index));
    }
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [A]);
    sim.apply(Action::Crash(A)).unwrap();
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [B]);
}

#[test]
fn a_virtual_router_of_ipv6_works_as_one_of_ipv4() {
    let mut sim = Sim::new(1);
    let vip = "fe80::100".parse().unwrap();
    for (index, priority) in [100, 90].into_iter().enumerate() {
        let config = vrrp_core::Config::builder(VRID, vrrp_core::AddressList::new(&[vip]).unwrap())
            .priority(Priority::new(priority));
        let source = format!("fe80::{}", index + 1).parse().unwrap();
        sim.add_node(config.build().unwrap(), source);
    }
    sim.run_until_settled().unwrap();
    assert_eq!(sim.holders(vip), [A]);
}

/// The RFC has them discard each other: two masters, which the rules of agreement leave out and the counters show.
#[test]
fn version_2_with_different_intervals_makes_two_masters() {
    let mut sim = Sim::new(1);
    sim.add_node(config(Version::V2, 100, 100).build().unwrap(), source(0));
    sim.add_node(config(Version::V2, 200, 90).build().unwrap(), source(1));
    sim.run_for(secs(20)).unwrap();
    assert_eq!(masters(&sim), [A, B]);
    assert!(sim.node(A).unwrap().counters().discards.adver_interval > 0);
}
