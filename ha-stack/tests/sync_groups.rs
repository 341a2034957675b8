//! Nodes with two virtual routers in a sync group, in virtual time: they move together, by checks and on purpose.

use std::net::IpAddr;
use std::time::Duration;

use ha_health::{CheckConfig, Failure, Outcome, Weight};
use ha_stack::compose::node::{Command, NodeEvent, NodeGroup, NodeInstance, TrackedCheck};
use ha_stack::{BuildError, Instance, Node, Stack};
use vrrp_core::{
    AddressList, ChecksumForm, Config, Envelope, Fault, GROUP_V4, HOP_LIMIT, Output, Packet, Priority, State,
    SwitchoverEnd, SwitchoverError, SyncGroup, Vrid,
};
use vrrp_net::{Attachment, Effect, Routers as _};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_one_member_tracks_with_a_weight_moves_all_of_them_without_a_gap() {
    let mut lan = Lan::new(true);
    lan.run_for(5 * SECOND);
    assert_eq!(lan.states(), [[State::Master; 2], [State::Backup; 2]]);
    lan.probe(0, Failure::Refused.into());
    assert_eq!(lan.priorities(0), [80, 60]);
    for _ in 0..2000 {
        lan.run_for(Duration::from_millis(1));
        for router in [0, 1] {
            let masters = lan
                .states()
                .iter()
                .filter(|host| host[router] == State::Master)
                .count();
            assert_eq!(masters, 1, "of {router} at {:?}", lan.now);
        }
    }
    assert_eq!(lan.states(), [[State::Backup; 2], [State::Master; 2]]);
    lan.probe(0, Outcome::success());
    lan.run_for(5 * SECOND);
    assert_eq!(lan.states(), [[State::Master; 2], [State::Backup; 2]]);
}

/// keepalived without `sync_group_tracking_weight`.
#[test]
fn without_tracking_weight_weights_are_ignored() {
    let mut lan = Lan::new(false);
    lan.run_for(5 * SECOND);
    lan.probe(0, Failure::Refused.into());
    assert_eq!(lan.priorities(0), [100, 80]);
    lan.run_for(10 * SECOND);
    assert_eq!(lan.states(), [[State::Master; 2], [State::Backup; 2]]);
}

#[test]
fn a_fault_of_one_member_moves_all_of_them() {
    for tracking_weight in [false, true] {
        let mut lan = Lan::new(tracking_weight);
        lan.run_for(5 * SECOND);
        lan.hosts[0].router_mut(1).handle_fault(lan.now, Fault::Addresses);
        lan.drain(0);
        assert_eq!(lan.states()[0], [State::Fault; 2]);
        assert!(lan.hosts[0].router(0).faults().contains(Fault::SyncGroup));
        lan.run_for(SECOND);
        assert_eq!(lan.states()[1], [State::Master; 2]);
    }
}

#[test]
fn a_switchover_of_a_member_or_of_the_group_moves_the_group_and_holds_it() {
    for name in ["inside", "outside", "gateway"] {
        let mut lan = Lan::new(true);
        lan.run_for(5 * SECOND);
        lan.command(0, |token| switchover(name, token));
        lan.run_for(SECOND);
        assert_eq!(lan.states(), [[State::Backup; 2], [State::Master; 2]]);
        assert_eq!(lan.ends, [format!("7 {}", address(1))], "{name}");
        lan.run_for(20 * SECOND);
        assert_eq!(lan.states(), [[State::Backup; 2], [State::Master; 2]]);
        let status = lan.hosts[0].status();
        for instance in &status.instances {
            assert!(instance.held);
            assert_eq!(instance.sync_group.as_deref(), Some("gateway"));
        }
        assert_eq!(lan.command(0, |token| resume(name, token)), ["resumed true"]);
        lan.run_for(5 * SECOND);
        assert_eq!(lan.states(), [[State::Master; 2], [State::Backup; 2]]);
    }
}

#[test]
fn a_held_node_takes_over_when_the_other_falls_silent() {
    let mut lan = Lan::new(true);
    lan.run_for(5 * SECOND);
    lan.command(0, |token| switchover("gateway", token));
    lan.run_for(SECOND);
    lan.reachable = false;
    lan.run_for(5 * SECOND);
    assert_eq!(lan.states()[0], [State::Master; 2]);
}

#[test]
fn a_switchover_without_takers_says_so_and_changes_nothing() {
    let mut lan = Lan::new(true);
    lan.run_for(5 * SECOND);
    lan.reachable = false;
    lan.command(0, |token| switchover("gateway", token));
    lan.run_for(3 * SECOND);
    assert_eq!(lan.ends, ["7 NobodyTookOver"]);
    assert_eq!(lan.states()[0], [State::Master; 2]);
    assert!(!lan.hosts[0].status().instances[0].held);
}

#[test]
fn what_can_not_be_handed_over_is_refused_at_once() {
    let mut lan = Lan::new(true);
    lan.run_for(5 * SECOND);
    lan.command(1, |token| switchover("gateway", token));
    let refused = SwitchoverEnd::Refused(SwitchoverError::NotMaster { state: State::Backup });
    assert_eq!(lan.ends, [format!("7 {refused:?}")]);
    lan.ends.clear();
    lan.command(0, |token| switchover("nothing", token));
    assert_eq!(lan.ends, ["7 unknown"]);
    assert_eq!(
        lan.command(0, |token| resume("nothing", token)),
        ["resumed false"]
    );
}

#[test]
fn groups_that_can_not_be_meant_are_refused_with_their_names() {
    let builder = || {
        let instance = |name: &'static str, index: usize| {
            let attachment = Attachment::builder("eth0").build().unwrap();
            Instance::new(name, config(index, 100), attachment)
        };
        Stack::builder("lb1")
            .instance(instance("inside", 0))
            .instance(instance("outside", 1))
    };
    let error = |builder: ha_stack::StackBuilder| builder.build().unwrap_err().to_string();
    let none: [&str; 0] = [];
    assert_eq!(
        error(builder().sync_group("g", none, true)),
        "sync group g has no members: name the instances that it holds together"
    );
    assert_eq!(
        error(builder().sync_group("g", ["inside", "middle"], true)),
        "sync group g names instance middle, which does not exist"
    );
    assert_eq!(
        error(builder().sync_group("g", ["inside", "inside"], true)),
        "sync group g names instance inside twice: name it once"
    );
    let two = builder()
        .sync_group("g", ["inside", "outside"], true)
        .sync_group("h", ["outside"], true);
    assert_eq!(
        error(two),
        "instance outside is in sync groups g and h: put all members into one"
    );
    let clash = builder().sync_group("inside", ["outside"], true).build();
    assert!(matches!(clash, Err(BuildError::DuplicateName { name, .. }) if name == "inside"));
    assert!(
        builder()
            .sync_group("g", ["inside", "outside"], true)
            .build()
            .is_ok()
    );
}

fn switchover(name: &str, token: u64) -> Command {
    Command::Switchover {
        name: name.into(),
        token,
    }
}

fn resume(name: &str, token: u64) -> Command {
    Command::Resume {
        name: name.into(),
        token,
    }
}

fn config(index: usize, priority: u8) -> Config {
    let addresses = AddressList::new(&[IpAddr::from([192, 168, 192, 130 + index as u8])]).unwrap();
    Config::builder(Vrid::new(33 + index as u8).unwrap(), addresses)
        .priority(Priority::new(priority))
        .build()
        .unwrap()
}

fn address(host: usize) -> IpAddr {
    IpAddr::from([192, 168, 192, 10 + host as u8])
}

/// Two hosts that hear each other at once. The first has priorities 100 and 80, the second 90 and 70; of each, the first
/// member alone tracks a check of weight −20.
struct Lan {
    now: Duration,
    hosts: Vec<Node>,
    reachable: bool,
    /// Ends of switchovers, with their tokens.
    ends: Vec<String>,
    resumed: Vec<String>,
}

impl Lan {
    fn new(tracking_weight: bool) -> Self {
        let node = |host: usize| {
            let check = CheckConfig::builder("uplink")
                .weight(Weight::new(-20).unwrap())
                .build()
                .unwrap();
            let instance = |index: usize, name: &str| NodeInstance {
                name: name.into(),
                interface: "eth0".into(),
                config: config(index, 100 - 10 * host as u8 - 20 * index as u8),
                source: Some(address(host)),
                tracks: (index == 0)
                    .then_some(TrackedCheck {
                        check: 0,
                        weight: check.weight(),
                        reverse: false,
                    })
                    .into_iter()
                    .collect(),
            };
            let group = NodeGroup {
                name: "gateway".into(),
                group: SyncGroup::new([0, 1]).unwrap().tracking_weight(tracking_weight),
            };
            Node::with_groups(
                vec![instance(0, "inside"), instance(1, "outside")],
                vec![group],
                vec![check],
            )
            .unwrap()
        };
        let mut lan = Self {
            now: Duration::ZERO,
            hosts: vec![node(0), node(1)],
            reachable: true,
            ends: Vec::new(),
            resumed: Vec::new(),
        };
        for host in 0..2 {
            lan.probe(host, Outcome::success());
            for router in 0..2 {
                lan.hosts[host].router_mut(router).handle_startup(Duration::ZERO);
                lan.drain(host);
            }
        }
        lan
    }

    fn probe(&mut self, host: usize, outcome: Outcome) {
        // A check takes no outcome while no run is under way.
        let due = self.hosts[host].check(0).poll_timeout().unwrap_or_default();
        self.run_until(due.max(self.now));
        self.hosts[host].handle_timeout(self.now);
        self.hosts[host].handle_command(self.now, Command::Probed { check: 0, outcome });
        self.drain(host);
    }

    fn command(&mut self, host: usize, command: impl FnOnce(u64) -> Command) -> Vec<String> {
        self.hosts[host].handle_command(self.now, command(7));
        self.drain(host);
        std::mem::take(&mut self.resumed)
    }

    fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    fn run_until(&mut self, end: Duration) {
        loop {
            let wakes = self.hosts.iter().enumerate();
            let wakes = wakes.filter_map(|(host, node)| Some((router_deadline(node)?, host)));
            let Some((at, host)) = wakes.min().filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            for router in 0..2 {
                self.hosts[host].router_mut(router).handle_timeout(self.now);
            }
            self.drain(host);
        }
    }

    fn drain(&mut self, host: usize) {
        self.hosts[host].settle(self.now);
        while let Some(effect) = self.hosts[host].poll_output() {
            match effect {
                Effect::Router(router, Output::Advertise(priority)) => self.send(host, router, priority),
                Effect::Event(NodeEvent::SwitchedOver { token, end }) => self.ends.push(match end {
                    Some(SwitchoverEnd::Done(peer)) => format!("{token} {}", peer.address),
                    Some(end) => format!("{token} {end:?}"),
                    None => format!("{token} unknown"),
                }),
                Effect::Event(NodeEvent::Resumed { found, .. }) => {
                    self.resumed.push(format!("resumed {found}"));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, from: usize, router: usize, priority: Priority) {
        if !self.reachable {
            return;
        }
        let mut message = Vec::new();
        let advert = self.hosts[from].router(router).advert(priority);
        let group = GROUP_V4.into();
        advert
            .emit(address(from), group, ChecksumForm::PseudoHeader, &mut message)
            .unwrap();
        let envelope = Envelope {
            source: address(from),
            destination: group,
            hop_limit: HOP_LIMIT,
        };
        let packet = Packet::parse(&message, &envelope).unwrap();
        // Refused by a router that is in fault.
        let _ = self.hosts[1 - from]
            .router_mut(router)
            .handle_advert(self.now, &packet);
        self.drain(1 - from);
    }

    fn states(&self) -> [[State; 2]; 2] {
        [0, 1].map(|host| [0, 1].map(|router| self.hosts[host].router(router).state()))
    }

    fn priorities(&self, host: usize) -> [u8; 2] {
        [0, 1].map(|router| self.hosts[host].router(router).priority().get())
    }
}

fn router_deadline(node: &Node) -> Option<Duration> {
    (0..2)
        .filter_map(|router| node.router(router).poll_timeout())
        .min()
}
