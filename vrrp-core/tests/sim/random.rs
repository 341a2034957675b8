//! Random LANs under random faults, and under random changes of priority.

use std::time::Duration;

use proptest::prelude::*;
use vrrp_core::sim::{Action, Clock, NodeId, Path, Sim, Violation};
use vrrp_core::{Config, Demotion, Family, Fault, Priority, State, Version, VirtualRouter};

use crate::cases::{draw, try_cases};
use crate::support::*;

/// A LAN and what befalls it.
#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    version: Version,
    nodes: Vec<NodeSpec>,
    /// Way and jitter between all nodes, in thousandths of the shortest interval.
    delay_permille: u32,
    jitter_permille: u32,
    /// What happens, and how long after that to wait, in thousandths of the longest interval.
    faults: Vec<(Blow, u32)>,
}

#[derive(Clone, Debug)]
struct NodeSpec {
    interval_cs: u16,
    priority: u8,
    preempt: bool,
    /// In intervals.
    preempt_delay: u32,
    demotion: Demotion,
    drift_ppm: i32,
}

/// One fault, or the end of one. Nodes are taken modulo their number, so that shrinking keeps them valid.
#[derive(Clone, Debug)]
enum Blow {
    Crash(usize),
    Kill(usize),
    Restart(usize),
    Pause(usize),
    Resume(usize),
    Shutdown(usize),
    SetPriority(usize, u8),
    Fault(usize),
    Recovery(usize),
    Cut(usize, usize),
    Lossy(usize, usize, u8, u8),
    Slow(usize, usize, u32),
    Heal(usize, usize),
    Lose(usize, usize, u8),
    /// All paths are as at first, and who stands still runs again; then time enough to settle.
    Quiet,
}

fn node_spec(version: Version, interval_cs: u16) -> impl Strategy<Value = NodeSpec> {
    let interval_cs = match version {
        Version::V2 => Just(interval_cs).boxed(),
        // Mostly one for all; the others learn where it differs.
        Version::V3 => prop_oneof![6 => Just(interval_cs), 1 => Just(3), 1 => Just(20)].boxed(),
    };
    let priority = prop_oneof![4 => 1..=254_u8, 4 => Just(100), 4 => 98..=102_u8, 1 => Just(255)];
    let demotion =
        prop_oneof![3 => Just(Demotion::Elect), 2 => Just(Demotion::Yield), 1 => Just(Demotion::Plain)];
    let delay = prop_oneof![3 => Just(0), 1 => 1..20_u32];
    let drift = prop_oneof![Just(0), -10_000..=10_000_i32];
    (
        interval_cs,
        priority,
        prop::bool::weighted(0.7),
        delay,
        demotion,
        drift,
    )
        .prop_map(
            |(interval_cs, priority, preempt, preempt_delay, demotion, drift_ppm)| NodeSpec {
                interval_cs,
                priority,
                preempt: preempt || priority == 255,
                preempt_delay,
                demotion,
                drift_ppm,
            },
        )
}

fn blow() -> impl Strategy<Value = Blow> {
    let node = || 0..5_usize;
    prop_oneof![
        2 => node().prop_map(Blow::Crash),
        2 => node().prop_map(Blow::Kill),
        3 => node().prop_map(Blow::Restart),
        2 => node().prop_map(Blow::Pause),
        3 => node().prop_map(Blow::Resume),
        1 => node().prop_map(Blow::Shutdown),
        6 => (node(), any::<u8>()).prop_map(|(node, priority)| Blow::SetPriority(node, priority)),
        1 => node().prop_map(Blow::Fault),
        2 => node().prop_map(Blow::Recovery),
        2 => (node(), node()).prop_map(|(from, to)| Blow::Cut(from, to)),
        2 => (node(), node(), 1..100_u8, 0..50_u8).prop_map(|(from, to, loss, twice)| Blow::Lossy(from, to, loss, twice)),
        2 => (node(), node(), 0..900_u32).prop_map(|(from, to, jitter)| Blow::Slow(from, to, jitter)),
        4 => (node(), node()).prop_map(|(from, to)| Blow::Heal(from, to)),
        3 => (node(), node(), prop_oneof![Just(0), any::<u8>()]).prop_map(|(from, to, priority)| Blow::Lose(from, to, priority)),
        2 => Just(Blow::Quiet),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let lan = prop_oneof![
        (
            Just(Version::V2),
            prop_oneof![Just(100_u16), Just(200), Just(1000)]
        ),
        (Just(Version::V3), prop_oneof![Just(1_u16), Just(10), Just(100)]),
        (Just(Version::V3), 1..=100_u16),
    ];
    lan.prop_flat_map(|(version, interval_cs)| {
        let nodes = prop::collection::vec(node_spec(version, interval_cs), 2..=5);
        let wait = prop_oneof![Just(0), 0..1500_u32, 0..6000_u32];
        let faults = prop::collection::vec((blow(), wait), 0..40);
        (
            any::<u64>(),
            nodes,
            0..100_u32,
            prop_oneof![Just(0), 0..300_u32],
            faults,
        )
            .prop_map(
                move |(seed, nodes, delay_permille, jitter_permille, faults)| Scenario {
                    seed,
                    version,
                    nodes,
                    delay_permille,
                    jitter_permille,
                    faults,
                },
            )
    })
}

impl Scenario {
    fn run(&self) -> Result<(), TestCaseError> {
        let mut sim = self.lan();
        self.play(&mut sim)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        let able = self.able(&sim);
        let masters = masters(&sim);
        prop_assert_eq!(masters.is_empty(), !able, "while one can be master, one is");
        if sim.settle_time(VRID, Family::Ipv4).is_some() {
            prop_assert!(masters.len() <= 1, "and no other");
        }
        prop_assert_eq!(sim.holders(vip()), masters, "and masters alone hold the address");
        Ok(())
    }

    fn interval(&self, pick: impl Fn(&[u16]) -> u16) -> Duration {
        let intervals: Vec<_> = self.nodes.iter().map(|node| node.interval_cs).collect();
        ms(u64::from(pick(&intervals)) * 10)
    }

    fn path(&self) -> Path {
        let interval = self.interval(|all| *all.iter().min().unwrap());
        let jitter = interval * self.jitter_permille / 1000;
        Path {
            jitter,
            ..Path::after(interval * self.delay_permille / 1000)
        }
    }

    fn lan(&self) -> Sim {
        let mut sim = Sim::new(self.seed);
        sim.set_default_path(self.path());
        // Over before the last look.
        sim.set_lease(self.interval(|all| *all.iter().max().unwrap()) * 5);
        for (index, node) in self.nodes.iter().enumerate() {
            let config: Config = config(self.version, node.interval_cs, node.priority)
                .preempt(node.preempt)
                .preempt_delay(ms(u64::from(node.interval_cs) * 10) * node.preempt_delay)
                .demotion(node.demotion)
                .build()
                .expect("a scenario's settings are valid");
            sim.add(
                VirtualRouter::new(config, source(index)),
                Clock::new(secs(index as u64), node.drift_ppm),
            );
        }
        sim
    }

    fn play(&self, sim: &mut Sim) -> Result<(), Violation> {
        let longest = self.interval(|all| *all.iter().max().unwrap());
        for (blow, wait) in &self.faults {
            match self.action(blow) {
                Some(action) => sim.apply(action)?,
                None => self.quieten(sim)?,
            }
            sim.run_for(longest * *wait / 1000)?;
        }
        self.quieten(sim)?;
        // By then nodes of different intervals have a master too.
        sim.run_for(longest * 20)
    }

    fn quieten(&self, sim: &mut Sim) -> Result<(), Violation> {
        for from in (0..self.nodes.len()).map(NodeId) {
            sim.apply(Action::Resume(from))?;
            for to in (0..self.nodes.len()).map(NodeId) {
                sim.apply(Action::SetPath(from, to, self.path()))?;
            }
        }
        sim.run_until_settled()
    }

    fn action(&self, blow: &Blow) -> Option<Action> {
        let id = |index: usize| NodeId(index % self.nodes.len());
        let interval = self.interval(|all| *all.iter().min().unwrap());
        Some(match *blow {
            Blow::Crash(node) => Action::Crash(id(node)),
            Blow::Kill(node) => Action::Kill(id(node)),
            Blow::Restart(node) => Action::Restart(id(node)),
            Blow::Pause(node) => Action::Pause(id(node)),
            Blow::Resume(node) => Action::Resume(id(node)),
            Blow::Shutdown(node) => Action::Shutdown(id(node)),
            Blow::SetPriority(node, priority) => Action::SetPriority(id(node), Priority::new(priority)),
            Blow::Fault(node) => Action::Fault(id(node), Fault::Check),
            Blow::Recovery(node) => Action::Recovery(id(node), Fault::Check),
            Blow::Cut(from, to) => Action::SetPath(id(from), id(to), Path::cut()),
            Blow::Lossy(from, to, loss_percent, duplication_percent) => {
                let path = Path {
                    loss_percent,
                    duplication_percent,
                    ..self.path()
                };
                Action::SetPath(id(from), id(to), path)
            }
            Blow::Slow(from, to, permille) => {
                let path = Path {
                    jitter: interval * permille / 1000,
                    ..self.path()
                };
                Action::SetPath(id(from), id(to), path)
            }
            Blow::Heal(from, to) => Action::SetPath(id(from), id(to), self.path()),
            Blow::Lose(from, to, priority) => Action::Lose(id(from), id(to), Priority::new(priority)),
            Blow::Quiet => return None,
        })
    }

    fn able(&self, sim: &Sim) -> bool {
        let router = |index| sim.node(NodeId(index)).map(VirtualRouter::state);
        (0..self.nodes.len()).any(|index| matches!(router(index), Some(State::Backup | State::Master)))
    }
}

/// Nodes, and priorities that change: node, priority, and how long after that to wait in thousandths of the longest
/// interval.
#[derive(Clone, Debug)]
struct Changes {
    lan: Scenario,
    changes: Vec<(usize, u8, u32)>,
}

fn changes() -> impl Strategy<Value = Changes> {
    let wait = prop_oneof![Just(0), 0..400_u32, 0..1500_u32, 0..6000_u32];
    let changes = prop::collection::vec((0..5_usize, any::<u8>(), wait), 1..60);
    (scenario(), changes).prop_map(|(lan, changes)| Changes { lan, changes })
}

impl Changes {
    fn run(&self) -> Result<(), TestCaseError> {
        let mut sim = self.lan.lan();
        // Nothing on the way crosses what comes the other way: two masters of which each hears from the other what it
        // was a moment ago could both step down.
        sim.set_default_path(Path::after(Duration::ZERO));
        self.play(&mut sim)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        prop_assert_eq!(sim.longest_outage(vip()), Duration::ZERO);
        Ok(())
    }

    fn play(&self, sim: &mut Sim) -> Result<(), Violation> {
        let longest = self.lan.interval(|all| *all.iter().max().unwrap());
        sim.run_for(longest * 5)?;
        sim.reset_outages();
        for (node, priority, wait) in &self.changes {
            let node = NodeId(node % self.lan.nodes.len());
            sim.apply(Action::SetPriority(node, Priority::new(*priority)))?;
            sim.run_for(longest * *wait / 1000)?;
        }
        sim.run_for(longest * 10)
    }
}

#[test]
fn random_lans_obey_the_rules_under_random_faults() {
    try_cases(&scenario(), |scenario| scenario.run());
}

/// Whatever checks fail and recover on whatever node, with every kind of demotion: somebody always serves.
#[test]
fn random_changes_of_priority_never_interrupt_the_service() {
    try_cases(&changes(), |changes| changes.run());
}

#[test]
fn a_case_is_the_same_whenever_its_number_is_tried() {
    let story = |number: u64| {
        let scenario = draw(&scenario(), number);
        let mut sim = scenario.lan();
        let _ = scenario.play(&mut sim);
        let trace: Vec<_> = sim.trace().map(ToString::to_string).collect();
        (format!("{scenario:?}"), trace)
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3).0, story(4).0);
}
