//! Nodes in virtual time on a small LAN: what checks do to who is master.
//!
//! The routers are those of the tutorial: priorities 100 and 90, VRRPv2, an advert a second, a check of weight −20.

use std::net::IpAddr;
use std::time::Duration;

use ha_health::{CheckConfig, CheckConfigBuilder, Failure, Outcome, Weight};
use ha_stack::Node;
use ha_stack::compose::node::{Command, NodeEvent, NodeInstance, TrackedCheck};
use vrrp_core::{
    AddressList, ChecksumForm, Config, ConfigBuilder, Envelope, Fault, GROUP_V4, HOP_LIMIT, Output, Packet,
    Priority, State, Vrid,
};
use vrrp_net::{Effect, Routers as _};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_failing_check_lowers_the_priority_and_the_peer_takes_over() {
    let mut lan = Lan::tutorial(|config| config, |check| check);
    lan.run_for(5 * SECOND);
    assert_eq!(lan.states(), [State::Master, State::Backup]);
    lan.hosts[0].healthy = false;
    // One check interval, the skew time of the backup, and no more.
    lan.run_for(2 * SECOND);
    assert_eq!(lan.states(), [State::Backup, State::Master]);
    assert_eq!(lan.priorities(), [80, 90]);
    lan.hosts[0].healthy = true;
    lan.run_for(6 * SECOND);
    assert_eq!(lan.states(), [State::Master, State::Backup]);
    assert_eq!(lan.priorities(), [100, 90]);
}

#[test]
fn somebody_serves_at_every_moment_of_a_re_election() {
    let mut lan = Lan::tutorial(|config| config, |check| check);
    lan.run_for(5 * SECOND);
    lan.hosts[0].healthy = false;
    for _ in 0..200 {
        lan.run_for(Duration::from_millis(10));
        assert!(lan.states().contains(&State::Master), "at {:?}", lan.now);
    }
    assert_eq!(lan.states(), [State::Backup, State::Master]);
}

#[test]
fn the_tutorials_trap_a_backup_without_preemption_never_takes_over_from_a_sick_master() {
    let mut lan = Lan::tutorial(|config| config.preempt(false), |check| check);
    lan.hosts[1].reachable = false;
    lan.run_for(5 * SECOND);
    lan.hosts[1].reachable = true;
    // Both are master for a moment; the higher priority stays.
    lan.run_for(2 * SECOND);
    assert_eq!(lan.states(), [State::Master, State::Backup]);
    lan.hosts[0].healthy = false;
    lan.run_for(60 * SECOND);
    assert_eq!(lan.states(), [State::Master, State::Backup]);
    assert_eq!(lan.priorities(), [80, 90]);
}

#[test]
fn the_way_out_of_the_trap_is_weight_0() {
    let mut lan = Lan::tutorial(
        |config| config.preempt(false),
        |check| check.weight(Weight::FAULT),
    );
    lan.run_for(8 * SECOND);
    // Who is first stays: nobody preempts.
    let master = lan
        .states()
        .iter()
        .position(|state| *state == State::Master)
        .unwrap();
    lan.hosts[master].healthy = false;
    lan.run_for(3 * SECOND);
    assert_eq!(lan.states()[master], State::Fault);
    assert_eq!(lan.states()[1 - master], State::Master);
    assert!(lan.hosts[master].node.router(0).faults().contains(Fault::Check));
}

#[test]
fn a_check_without_weight_is_a_fault_until_it_has_reported() {
    let mut lan = Lan::tutorial(|config| config, |check| check.weight(Weight::FAULT));
    assert_eq!(lan.states(), [State::Fault, State::Fault]);
    lan.run_for(Duration::from_millis(50));
    assert_eq!(lan.states(), [State::Backup, State::Backup]);
}

#[test]
fn fall_delays_the_change_and_rise_the_return() {
    let mut lan = Lan::tutorial(|config| config, |check| check.fall(3).rise(3));
    lan.run_for(5 * SECOND);
    lan.hosts[0].healthy = false;
    lan.run_for(SECOND + SECOND / 2);
    assert_eq!(lan.priorities(), [100, 90]);
    lan.run_for(2 * SECOND);
    assert_eq!(lan.priorities(), [80, 90]);
    lan.hosts[0].healthy = true;
    lan.run_for(2 * SECOND);
    assert_eq!(lan.priorities(), [80, 90]);
    lan.run_for(2 * SECOND);
    assert_eq!(lan.priorities(), [100, 90]);
}

#[test]
fn weights_add_up_and_stay_within_1_and_254() {
    // Weight and state of each check, and the priority that 100 becomes.
    let cases: [(&[(i32, bool)], u8); 6] = [
        (&[(20, true)], 120),
        (&[(20, false)], 100),
        (&[(-20, true)], 100),
        (&[(-20, false)], 80),
        (&[(-20, false), (-253, false)], 1),
        (&[(20, true), (253, true)], 254),
    ];
    for (checks, expected) in cases {
        let mut node = node_of(checks, config(100, |config| config));
        assert_eq!(report_all(&mut node, checks).0, expected, "{checks:?}");
    }
}

#[test]
fn the_owner_keeps_its_priority_whatever_weights_say() {
    let checks = [(-253, false)];
    let mut node = node_of(&checks, config(255, |config| config));
    assert_eq!(report_all(&mut node, &checks), (255, Vec::new()));
}

#[test]
fn a_change_is_told_before_what_it_causes() {
    let checks = [(-20, false)];
    let mut node = node_of(&checks, config(100, |config| config));
    node.router_mut(0).handle_startup(Duration::ZERO);
    let at = node.router(0).poll_timeout().unwrap();
    node.handle_timeout(at);
    while node.poll_output().is_some() {}
    let outcome = Failure::Refused.into();
    node.handle_command(at, Command::Probed { check: 0, outcome });
    let outputs: Vec<String> = std::iter::from_fn(|| node.poll_output())
        .map(|effect| match effect {
            Effect::Event(NodeEvent::CheckChanged { up, .. }) => format!("check {up}"),
            Effect::Event(NodeEvent::PriorityChanged { from, to, .. }) => format!("priority {from} {to}"),
            Effect::Router(_, Output::Advertise(priority)) => format!("advertise {priority}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        outputs,
        ["check false", "priority 100 80", "advertise 0", "advertise 80"]
    );
}

#[test]
fn the_status_tells_names_states_and_transitions() {
    let mut lan = Lan::tutorial(|config| config, |check| check);
    lan.run_for(5 * SECOND);
    let status = lan.hosts[1].node.status();
    let instance = &status.instances[0];
    assert_eq!((&*instance.name, &*instance.interface), ("VI_1", "ens33"));
    assert_eq!(instance.master, Some(address(0)));
    assert_eq!(instance.transitions, 1);
    assert_eq!(status.checks[0].up, Some(true));
    assert_eq!(lan.hosts[0].node.status().instances[0].transitions, 2);
}

#[test]
fn an_outcome_for_a_check_that_is_not_there_is_ignored() {
    let mut node = node_of(&[], config(100, |config| config));
    let outcome = Outcome::success();
    node.handle_command(Duration::ZERO, Command::Probed { check: 7, outcome });
    assert!(node.poll_output().is_none());
}

fn config(priority: u8, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    let addresses = AddressList::new(&[IpAddr::from([192, 168, 192, 130])]).unwrap();
    let builder = Config::builder(Vrid::new(33).unwrap(), addresses).priority(Priority::new(priority));
    set(builder).build().unwrap()
}

fn node_of(checks: &[(i32, bool)], config: Config) -> Node {
    let tracks = checks
        .iter()
        .enumerate()
        .map(|(check, (weight, _))| TrackedCheck {
            check,
            weight: Weight::new(*weight).unwrap(),
            reverse: false,
        })
        .collect();
    let instance = NodeInstance {
        name: "VI_1".into(),
        interface: "ens33".into(),
        config,
        source: Some(address(0)),
        tracks,
    };
    let configs = (0..checks.len()).map(|index| CheckConfig::builder(format!("c{index}")).build().unwrap());
    Node::new(vec![instance], configs.collect())
}

/// Lets all checks report, and gives the priority and its changes.
fn report_all(node: &mut Node, checks: &[(i32, bool)]) -> (u8, Vec<(u8, u8)>) {
    node.handle_timeout(Duration::ZERO);
    for (check, (_, up)) in checks.iter().enumerate() {
        let outcome = if *up {
            Outcome::success()
        } else {
            Failure::Refused.into()
        };
        node.handle_command(Duration::ZERO, Command::Probed { check, outcome });
    }
    let mut changes = Vec::new();
    while let Some(effect) = node.poll_output() {
        if let Effect::Event(NodeEvent::PriorityChanged { from, to, .. }) = effect {
            changes.push((from.get(), to.get()));
        }
    }
    (node.router(0).priority().get(), changes)
}

fn address(host: usize) -> IpAddr {
    IpAddr::from([192, 168, 192, 10 + host as u8])
}

/// Hosts that hear each other at once, in virtual time.
struct Lan {
    now: Duration,
    hosts: Vec<Host>,
}

struct Host {
    node: Node,
    /// What its probes find.
    healthy: bool,
    /// Whether others hear it, and it them.
    reachable: bool,
    /// When the probe that runs ends.
    probe: Option<(Duration, usize)>,
}

/// How long a probe takes.
const PROBE: Duration = Duration::from_millis(10);

impl Lan {
    fn tutorial(
        set: impl Fn(ConfigBuilder) -> ConfigBuilder,
        set_check: impl Fn(CheckConfigBuilder) -> CheckConfigBuilder,
    ) -> Self {
        let host = |(index, priority): (usize, u8)| {
            let check = CheckConfig::builder("proxy").weight(Weight::new(-20).unwrap());
            let check = set_check(check).build().unwrap();
            let instance = NodeInstance {
                name: "VI_1".into(),
                interface: "ens33".into(),
                config: config(priority, &set),
                source: Some(address(index)),
                tracks: vec![TrackedCheck {
                    check: 0,
                    weight: check.weight(),
                    reverse: false,
                }],
            };
            Host {
                node: Node::new(vec![instance], vec![check]),
                healthy: true,
                reachable: true,
                probe: None,
            }
        };
        let mut lan = Self {
            now: Duration::ZERO,
            hosts: [100, 90].into_iter().enumerate().map(host).collect(),
        };
        for index in 0..lan.hosts.len() {
            lan.hosts[index].node.router_mut(0).handle_startup(Duration::ZERO);
            lan.drain(index);
        }
        lan
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.hosts.iter().enumerate().filter_map(|(index, host)| {
                let probe = host.probe.map(|(at, _)| at);
                Some((host.node.poll_timeout().into_iter().chain(probe).min()?, index))
            });
            let Some((at, index)) = next.min().filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            let host = &mut self.hosts[index];
            match host.probe.take_if(|(at, _)| *at <= self.now) {
                Some((_, check)) => {
                    let outcome = if host.healthy {
                        Outcome::success()
                    } else {
                        Failure::Refused.into()
                    };
                    host.node
                        .handle_command(self.now, Command::Probed { check, outcome });
                }
                None => host.node.handle_timeout(self.now),
            }
            self.drain(index);
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(effect) = self.hosts[index].node.poll_output() {
            match effect {
                Effect::Event(NodeEvent::StartProbe { check, .. }) => {
                    self.hosts[index].probe = Some((self.now + PROBE, check));
                }
                Effect::Router(router, Output::Advertise(priority)) => self.send(index, router, priority),
                _ => {}
            }
        }
    }

    fn send(&mut self, from: usize, router: usize, priority: Priority) {
        let mut message = Vec::new();
        let advert = self.hosts[from].node.router(router).advert(priority);
        advert
            .emit(
                address(from),
                GROUP_V4.into(),
                ChecksumForm::PseudoHeader,
                &mut message,
            )
            .unwrap();
        let envelope = Envelope {
            source: address(from),
            destination: GROUP_V4.into(),
            hop_limit: HOP_LIMIT,
        };
        let packet = Packet::parse(&message, &envelope).unwrap();
        for to in 0..self.hosts.len() {
            if to != from && self.hosts[from].reachable && self.hosts[to].reachable {
                // Refused by a router that is in fault.
                let _ = self.hosts[to]
                    .node
                    .router_mut(router)
                    .handle_advert(self.now, &packet);
                self.drain(to);
            }
        }
    }

    fn states(&self) -> Vec<State> {
        self.hosts
            .iter()
            .map(|host| host.node.router(0).state())
            .collect()
    }

    fn priorities(&self) -> Vec<u8> {
        self.hosts
            .iter()
            .map(|host| host.node.router(0).priority().get())
            .collect()
    }
}
