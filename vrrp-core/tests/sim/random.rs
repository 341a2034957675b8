//! Random LANs under random faults. Each case comes from one number, which a failure prints:
//!
//! ```text
//! VRRP_SIM_SEED=42 cargo test -p vrrp-core --test sim random
//! ```
//!
//! runs that case alone, shrinks it the same way, and ends with the same trace. `VRRP_SIM_CASES` sets how many cases
//! are tried (300 unless set), `VRRP_SIM_FIRST` the number of the first.

use std::env;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{
    Config as RunnerConfig, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use vrrp_core::sim::{Action, Clock, NodeId, Path, Sim, Violation};
use vrrp_core::{Config, Demotion, Family, Fault, Priority, State, Version, VirtualRouter};

use crate::support::*;

/// Cases that a run tries unless told otherwise: some seconds.
const CASES: u64 = 300;

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
        prop_assert_eq!(
            masters.len(),
            usize::from(able),
            "of the nodes that can be master, one is"
        );
        prop_assert_eq!(sim.holders(vip()), masters, "and it alone holds the address");
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

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: use a number"))
    })
}

/// The case of this number. All that proptest draws comes from it, its shrinking included.
fn try_case(number: u64) -> Result<(), TestError<Scenario>> {
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&number.to_le_bytes());
    let config = RunnerConfig {
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..RunnerConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &entropy);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = scenario()
        .new_tree(&mut runner)
        .expect("the strategy rejects nothing");
    runner.run_one(tree, |scenario| scenario.run()).map(|_| ())
}

#[test]
fn random_lans_obey_the_rules_under_random_faults() {
    let (first, cases) = match setting("VRRP_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            setting("VRRP_SIM_FIRST").unwrap_or(0),
            setting("VRRP_SIM_CASES").unwrap_or(CASES),
        ),
    };
    for number in first..first + cases {
        if let Err(error) = try_case(number) {
            panic!(
                "{error}\nTo see it again: VRRP_SIM_SEED={number} cargo test -p vrrp-core --test sim random\n"
            );
        }
    }
}

#[test]
fn a_case_is_the_same_whenever_its_number_is_tried() {
    let draw = |number: u64| {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&number.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &entropy);
        let mut runner = TestRunner::new_with_rng(RunnerConfig::default(), rng);
        let scenario = scenario().new_tree(&mut runner).unwrap().current();
        let mut sim = scenario.lan();
        let _ = scenario.play(&mut sim);
        (
            format!("{scenario:?}"),
            sim.now(),
            sim.masters(VRID, Family::Ipv4),
        )
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3).0, draw(4).0);
}
