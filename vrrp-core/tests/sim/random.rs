//! Random LANs under random faults, and under random changes of priority; with sync groups, damping and switchovers.

use std::time::Duration;

use proptest::prelude::*;
use vrrp_core::sim::{Action, Clock, Grouped, Node, NodeId, Path, Sim, Violation};
use vrrp_core::{
    AddressList, AuthenticationConfig, Config, Damping, Demotion, Family, Fault, HmacConfig, HmacKey,
    Priority, State, SyncGroup, Version, VirtualRouter, Vrid,
};

use crate::cases::{draw, try_cases};
use crate::support::*;

/// A LAN and what befalls it.
#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    version: Version,
    nodes: Vec<NodeSpec>,
    /// Virtual routers of each node, which are a sync group when there is more than one.
    members: usize,
    /// Way and jitter between all nodes, in thousandths of the shortest interval.
    delay_permille: u32,
    jitter_permille: u32,
    /// What happens, and how long after that to wait, in thousandths of the longest interval.
    faults: Vec<(Blow, u32)>,
    /// By AH in VRRPv2, by HMAC in VRRPv3.
    signed: bool,
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
    down_timer_adverts: u8,
    /// Whether two changes in ten intervals hold preemption back, for ten intervals and more.
    damping: bool,
    reassert: bool,
    last_advert: bool,
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
    /// Of one member of the node's sync group.
    MemberFault(usize, usize),
    MemberRecovery(usize, usize),
    Switchover(usize),
    EndHold(usize),
    /// Its masters speak before their time, as beside others that do.
    SpeakEarly(usize),
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
    let down_timer_adverts = prop_oneof![8 => Just(3_u8), 1 => Just(2), 1 => Just(5)];
    let rare = || prop::bool::weighted(0.2);
    (
        interval_cs,
        priority,
        (prop::bool::weighted(0.7), delay, rare()),
        demotion,
        drift,
        down_timer_adverts,
        (rare(), rare()),
    )
        .prop_map(
            |(
                interval_cs,
                priority,
                (preempt, preempt_delay, damping),
                demotion,
                drift_ppm,
                down,
                silences,
            )| NodeSpec {
                interval_cs,
                priority,
                preempt: preempt || priority == 255,
                preempt_delay,
                demotion,
                drift_ppm,
                down_timer_adverts: down,
                damping,
                reassert: !silences.0,
                last_advert: !silences.1,
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
        1 => (node(), 0..3_usize).prop_map(|(node, member)| Blow::MemberFault(node, member)),
        2 => (node(), 0..3_usize).prop_map(|(node, member)| Blow::MemberRecovery(node, member)),
        2 => node().prop_map(Blow::Switchover),
        1 => node().prop_map(Blow::EndHold),
        3 => node().prop_map(Blow::SpeakEarly),
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
            prop_oneof![2 => Just(1_usize), 1 => 2..=3_usize],
            0..100_u32,
            prop_oneof![Just(0), 0..300_u32],
            faults,
            prop::bool::weighted(0.25),
        )
            .prop_map(
                move |(seed, nodes, members, delay_permille, jitter_permille, faults, signed)| Scenario {
                    seed,
                    version,
                    nodes,
                    members,
                    delay_permille,
                    jitter_permille,
                    faults,
                    signed,
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
        for member in 0..self.members {
            let masters = sim.masters(vrid(member), Family::Ipv4);
            prop_assert_eq!(masters.is_empty(), !able, "while one can be master, one is");
            // One whose damping ends about now may be preempting the other at this moment; the rules allow for that.
            let damped = self.nodes.iter().any(|node| node.damping);
            if !damped && sim.settle_time(vrid(member), Family::Ipv4).is_some() {
                prop_assert!(masters.len() <= 1, "and no other");
            }
            // What was handed over just now is there for a moment.
            for _ in 0..3 {
                if sim.holders(address(member)) == sim.masters(vrid(member), Family::Ipv4) {
                    break;
                }
                sim.run_for(Sim::<Grouped>::HAND_OVER + ms(1))
                    .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
            }
            let masters = sim.masters(vrid(member), Family::Ipv4);
            prop_assert_eq!(
                sim.holders(address(member)),
                masters,
                "and masters alone hold the address"
            );
        }
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

    fn authentication(&self) -> AuthenticationConfig {
        match (self.signed, self.version) {
            (false, _) => AuthenticationConfig::None,
            (true, Version::V2) => AuthenticationConfig::ah("secret").expect("six octets"),
            (true, Version::V3) => HmacConfig::new(HmacKey::new(1, &[7; 32]).expect("long enough")).into(),
        }
    }

    fn lan(&self) -> Sim<Grouped> {
        let mut sim = Sim::with_nodes(self.seed);
        sim.set_default_path(self.path());
        // Over before the last look.
        sim.set_lease(self.interval(|all| *all.iter().max().unwrap()) * 5);
        for (index, node) in self.nodes.iter().enumerate() {
            let routers = (0..self.members)
                .map(|member| {
                    VirtualRouter::new(
                        node.config(self.version, self.authentication(), member),
                        source(index),
                    )
                })
                .collect();
            let groups = match self.members {
                1 => Vec::new(),
                members => vec![SyncGroup::new(0..members).expect("members")],
            };
            sim.add(
                Grouped::new(routers, groups).expect("one group of all"),
                Clock::new(secs(index as u64), node.drift_ppm),
            );
        }
        sim
    }

    fn play(&self, sim: &mut Sim<Grouped>) -> Result<(), Violation> {
        let longest = self.interval(|all| *all.iter().max().unwrap());
        for (blow, wait) in &self.faults {
            self.strike(sim, blow)?;
            sim.run_for(longest * *wait / 1000)?;
        }
        self.quieten(sim)?;
        // By then nodes of different intervals have a master too.
        sim.run_for(longest * 20)
    }

    fn strike(&self, sim: &mut Sim<Grouped>, blow: &Blow) -> Result<(), Violation> {
        let of = |node: usize| NodeId(node % self.nodes.len());
        let member = |member: usize| member % self.members;
        match *blow {
            Blow::Quiet => self.quieten(sim),
            Blow::MemberFault(node, which) => sim.change(of(node), |node, now| {
                node.routers_mut()[member(which)].handle_fault(now, Fault::Addresses);
            }),
            Blow::MemberRecovery(node, which) => sim.change(of(node), |node, now| {
                node.routers_mut()[member(which)].handle_recovery(now, Fault::Addresses);
            }),
            Blow::SpeakEarly(node) => sim.change(of(node), |node, now| {
                for router in node.routers_mut() {
                    router.handle_advert_early(now);
                }
            }),
            _ => sim.apply(self.action(blow)),
        }
    }

    fn quieten(&self, sim: &mut Sim<Grouped>) -> Result<(), Violation> {
        for from in (0..self.nodes.len()).map(NodeId) {
            sim.apply(Action::Resume(from))?;
            for to in (0..self.nodes.len()).map(NodeId) {
                sim.apply(Action::SetPath(from, to, self.path()))?;
            }
        }
        sim.run_until_settled()
    }

    fn action(&self, blow: &Blow) -> Action {
        let id = |index: usize| NodeId(index % self.nodes.len());
        let interval = self.interval(|all| *all.iter().min().unwrap());
        match *blow {
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
            Blow::Switchover(node) => Action::Switchover(id(node)),
            Blow::EndHold(node) => Action::EndHold(id(node)),
            Blow::Quiet | Blow::MemberFault(..) | Blow::MemberRecovery(..) | Blow::SpeakEarly(_) => {
                unreachable!("not an action")
            }
        }
    }

    /// Whether the virtual routers of a node can be master; members of a sync group can together.
    fn able(&self, sim: &Sim<Grouped>) -> bool {
        let able = |router: &VirtualRouter| matches!(router.state(), State::Backup | State::Master);
        let mut nodes = (0..self.nodes.len()).filter_map(|index| sim.node(NodeId(index)));
        nodes.any(|node| node.routers().iter().all(able))
    }
}

impl NodeSpec {
    fn config(&self, version: Version, authentication: AuthenticationConfig, member: usize) -> Config {
        let interval = ms(u64::from(self.interval_cs) * 10);
        let damping = Damping::new(2, interval * 10).expect("a window");
        Config::builder(vrid(member), AddressList::new(&[address(member)]).expect("one"))
            .version(version)
            .authentication(authentication)
            .adver_interval(vrrp_core::AdverInterval::from_centis(self.interval_cs).expect("an interval"))
            .priority(Priority::new(self.priority))
            .preempt(self.preempt)
            .preempt_delay(interval * self.preempt_delay)
            .demotion(self.demotion)
            .down_timer_adverts(self.down_timer_adverts)
            .damping(self.damping.then_some(damping))
            .reassert(self.reassert)
            .higher_prio_send_advert(self.last_advert)
            .build()
            .expect("a scenario's settings are valid")
    }
}

fn vrid(member: usize) -> Vrid {
    Vrid::new(VRID.get() + member as u8).expect("not zero")
}

fn address(member: usize) -> std::net::IpAddr {
    [192, 0, 2, 100 + member as u8].into()
}

/// Nodes that nothing befalls but what people and checks do on purpose, and how long to wait after each, in thousandths
/// of the longest interval.
#[derive(Clone, Debug)]
struct Changes {
    lan: Scenario,
    changes: Vec<(Change, u32)>,
}

/// What is done to a node.
#[derive(Clone, Debug)]
enum Change {
    Priority(usize, u8),
    Switchover(usize),
    EndHold(usize),
}

fn changes() -> impl Strategy<Value = Changes> {
    let wait = prop_oneof![Just(0), 0..400_u32, 0..1500_u32, 0..6000_u32];
    let node = || 0..5_usize;
    let change = prop_oneof![
        6 => (node(), any::<u8>()).prop_map(|(node, priority)| Change::Priority(node, priority)),
        2 => node().prop_map(Change::Switchover),
        1 => node().prop_map(Change::EndHold),
    ];
    let changes = prop::collection::vec((change, wait), 1..60);
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
        if self.has_gap(&sim) {
            let trace: Vec<_> = sim.trace().map(ToString::to_string).collect();
            let last = trace.len().saturating_sub(60);
            return Err(TestCaseError::fail(format!(
                "nobody served\n{}",
                trace[last..].join("\n")
            )));
        }
        Ok(())
    }

    fn has_gap(&self, sim: &Sim<Grouped>) -> bool {
        (0..self.lan.members).any(|member| !sim.longest_outage(address(member)).is_zero())
    }

    fn play(&self, sim: &mut Sim<Grouped>) -> Result<(), Violation> {
        let longest = self.lan.interval(|all| *all.iter().max().unwrap());
        sim.run_for(longest * 7)?;
        sim.reset_outages();
        for (change, wait) in &self.changes {
            let node = |node: &usize| NodeId(node % self.lan.nodes.len());
            sim.apply(match change {
                Change::Priority(of, priority) => Action::SetPriority(node(of), Priority::new(*priority)),
                Change::Switchover(of) => Action::Switchover(node(of)),
                Change::EndHold(of) => Action::EndHold(node(of)),
            })?;
            sim.run_for(longest * *wait / 1000)?;
            if self.has_gap(sim) {
                // The trace ends where it matters.
                return Ok(());
            }
        }
        sim.run_for(longest * 10)
    }
}

#[test]
fn random_lans_obey_the_rules_under_random_faults() {
    try_cases(scenario, |scenario| scenario.run());
}

/// Whatever checks fail and recover and whoever is asked to hand over on whatever node, with every kind of demotion, with
/// sync groups and without: somebody always serves.
#[test]
fn random_changes_of_priority_and_switchovers_never_interrupt_the_service() {
    try_cases(changes, |changes| changes.run());
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
