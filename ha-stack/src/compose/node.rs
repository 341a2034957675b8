//! Checks and virtual routers together, without IO: what checks find becomes priorities and faults.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ha_health::{Check, Outcome, Tracked, Weight, effect};
use vrrp_core::{Config, Fault, Output, Priority, VirtualRouter};
use vrrp_net::{Effect, Routers};

use super::status::{CheckStatus, InstanceStatus, NodeStatus};

/// One host's virtual routers with the checks that they track.
///
/// A sans-IO machine of machines, driven as [`Routers`] says: the driver feeds adverts, links and time; commands bring
/// the outcomes of probes; outputs are those of the routers and [`NodeEvent`]s. The same type runs on sockets and in a
/// simulator.
///
/// The priority of a virtual router follows its checks by keepalived's arithmetic ([`effect`]): weights are summed and
/// the sum is held within 1 to 254; a failing check of weight 0, or one that has not reported yet, is
/// [`Fault::Check`]. The owner of the addresses (priority 255) ignores weights.
#[derive(Debug)]
pub struct Node {
    members: Vec<Member>,
    checks: Vec<Check>,
    events: VecDeque<NodeEvent>,
}

/// A virtual router and what it tracks.
#[derive(Debug)]
struct Member {
    name: Arc<str>,
    interface: Arc<str>,
    router: VirtualRouter,
    tracks: Vec<TrackedCheck>,
    transitions: u64,
    /// How many adverts of lower priority it has told of.
    lower_received: u64,
}

/// What one virtual router of a [`Node`] is.
#[derive(Clone, Debug)]
pub struct NodeInstance {
    /// What people call it.
    pub name: Arc<str>,
    /// Interface that it runs on, for the status.
    pub interface: Arc<str>,
    /// Its configuration.
    pub config: Config,
    /// Address that it advertises from; unspecified until a driver sets it when left out.
    pub source: Option<IpAddr>,
    /// The checks that it tracks.
    pub tracks: Vec<TrackedCheck>,
}

/// One check as one virtual router tracks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedCheck {
    /// Index of the check in the node.
    pub check: usize,
    /// What it does to the priority; 0 makes its failure a fault.
    pub weight: Weight,
    /// Takes up for down and down for up.
    pub reverse: bool,
}

/// What control code tells a [`Node`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// The probe that [`NodeEvent::StartProbe`] asked for has ended, or a watch tells how it is.
    Probed {
        /// Index of the check.
        check: usize,
        /// What it found.
        outcome: Outcome,
    },
    /// Tell the status, by [`NodeEvent::Status`].
    Status {
        /// Comes back with the answer.
        token: u64,
    },
}

/// What a [`Node`] tells control code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeEvent {
    /// Run the probe of this check, and give the outcome to [`Command::Probed`].
    StartProbe {
        /// Index of the check.
        check: usize,
        /// How long it may take.
        timeout: Duration,
    },
    /// A check went up or down, or has its first result.
    CheckChanged {
        /// Index of the check.
        check: usize,
        /// Whether it is up.
        up: bool,
        /// Whether it is its first result.
        first: bool,
        /// The result that decided it.
        outcome: Outcome,
    },
    /// A script can't be executed; it counts as failed.
    CannotExecute {
        /// Index of the check.
        check: usize,
        /// Why.
        reason: ha_health::CannotExecute,
    },
    /// A run fell due while the one before was still on.
    CheckSkipped {
        /// Index of the check.
        check: usize,
        /// How long the run before has been on.
        running: Duration,
    },
    /// Checks changed the effective priority of a virtual router.
    PriorityChanged {
        /// Index of the virtual router.
        router: usize,
        /// Effective priority before.
        from: Priority,
        /// Effective priority after.
        to: Priority,
    },
    /// A master has heard an advert of lower priority: another host has taken the addresses to be free.
    LowerReceived {
        /// Index of the virtual router.
        router: usize,
    },
    /// The answer to [`Command::Status`].
    Status {
        /// That of the question.
        token: u64,
        /// The status.
        status: Box<NodeStatus>,
    },
}

impl Node {
    /// Puts virtual routers and checks together. Every check begins as unknown, or as down with `init_fail`; it runs a
    /// probe or is watched ([`CheckConfig`](ha_health::CheckConfig), [`WatchConfig`](ha_health::WatchConfig)).
    ///
    /// # Panics
    /// When an instance tracks a check that is not there; [`StackBuilder`](super::StackBuilder) sees to it.
    pub fn new<C: Into<Check>>(instances: Vec<NodeInstance>, checks: Vec<C>) -> Self {
        let checks: Vec<Check> = checks.into_iter().map(Into::into).collect();
        let members = instances.into_iter().map(|instance| {
            assert!(
                instance.tracks.iter().all(|track| track.check < checks.len()),
                "{} tracks a check that is not there",
                instance.name
            );
            Member::new(instance)
        });
        let mut node = Self {
            members: members.collect(),
            checks,
            events: VecDeque::new(),
        };
        for index in 0..node.members.len() {
            node.apply(Duration::ZERO, index);
        }
        // What the checks make of the priorities before the start is no change.
        node.events.clear();
        node
    }

    /// The check of that index.
    pub fn check(&self, index: usize) -> &Check {
        &self.checks[index]
    }

    /// Everything that there is to know.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            instances: self.members.iter().map(Member::status).collect(),
            checks: self.checks.iter().map(CheckStatus::of).collect(),
        }
    }

    /// Takes the outputs of a check, and lets those who track it know.
    fn settle(&mut self, now: Duration, check: usize) {
        let mut changed = false;
        while let Some(output) = self.checks[check].poll_output() {
            let event = match output {
                ha_health::Output::Start { timeout } => NodeEvent::StartProbe { check, timeout },
                ha_health::Output::Changed { up, first, outcome } => {
                    changed = true;
                    NodeEvent::CheckChanged {
                        check,
                        up,
                        first,
                        outcome,
                    }
                }
                ha_health::Output::CannotExecute { reason } => NodeEvent::CannotExecute { check, reason },
                ha_health::Output::Skipped { running } => NodeEvent::CheckSkipped { check, running },
                // Facts that a later version tells change nothing here.
                _ => continue,
            };
            self.events.push_back(event);
        }
        if changed {
            for index in 0..self.members.len() {
                if self.members[index]
                    .tracks
                    .iter()
                    .any(|track| track.check == check)
                {
                    self.apply(now, index);
                }
            }
        }
    }

    /// Makes priority and fault of one virtual router what its checks say.
    fn apply(&mut self, now: Duration, index: usize) {
        let Self {
            members,
            checks,
            events,
        } = self;
        let member = &mut members[index];
        let tracked = member.tracks.iter().map(|track| Tracked {
            weight: track.weight,
            reverse: track.reverse,
            ..checks[track.check].tracked()
        });
        let router = &mut member.router;
        match effect::effect(router.config().priority().get(), tracked) {
            effect::Effect::Fault => router.handle_fault(now, Fault::Check),
            effect::Effect::Priority(priority) => {
                let before = router.priority();
                // Before the recovery, which counts its timer with this priority.
                router.set_priority(now, Priority::new(priority));
                router.handle_recovery(now, Fault::Check);
                if router.priority() != before {
                    events.push_back(NodeEvent::PriorityChanged {
                        router: index,
                        from: before,
                        to: router.priority(),
                    });
                }
            }
        }
    }
}

impl Routers for Node {
    type Command = Command;
    type Event = NodeEvent;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn router(&self, index: usize) -> &VirtualRouter {
        &self.members[index].router
    }

    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter {
        &mut self.members[index].router
    }

    fn handle_timeout(&mut self, now: Duration) {
        for member in &mut self.members {
            member.router.handle_timeout(now);
        }
        for check in 0..self.checks.len() {
            self.checks[check].handle_timeout(now);
            self.settle(now, check);
        }
    }

    fn handle_command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Probed { check, outcome } => {
                if let Some(one) = self.checks.get_mut(check) {
                    one.handle_result(now, outcome);
                    self.settle(now, check);
                }
            }
            Command::Status { token } => {
                let status = Box::new(self.status());
                self.events.push_back(NodeEvent::Status { token, status });
            }
        }
    }

    /// Events first, then routers: what caused an effect stands before it.
    fn poll_output(&mut self) -> Option<Effect<NodeEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Effect::Event(event));
        }
        self.members.iter_mut().enumerate().find_map(|(index, member)| {
            let lower_received = member.router.counters().lower_received_as_master;
            if lower_received != member.lower_received {
                member.lower_received = lower_received;
                return Some(Effect::Event(NodeEvent::LowerReceived { router: index }));
            }
            let output = member.router.poll_output()?;
            member.transitions += u64::from(matches!(output, Output::Transition(_)));
            Some(Effect::Router(index, output))
        })
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let routers = self
            .members
            .iter()
            .filter_map(|member| member.router.poll_timeout());
        let checks = self.checks.iter().filter_map(Check::poll_timeout);
        routers.chain(checks).min()
    }
}

impl Member {
    fn new(instance: NodeInstance) -> Self {
        let unspecified = || match instance.config.family() {
            vrrp_core::Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            vrrp_core::Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let source = instance.source.unwrap_or_else(unspecified);
        Self {
            name: instance.name,
            interface: instance.interface,
            router: VirtualRouter::new(instance.config, source),
            tracks: instance.tracks,
            transitions: 0,
            lower_received: 0,
        }
    }

    fn status(&self) -> InstanceStatus {
        let Self {
            name,
            interface,
            router,
            transitions,
            ..
        } = self;
        let config = router.config();
        InstanceStatus {
            name: Arc::clone(name),
            vrid: config.vrid(),
            interface: Arc::clone(interface),
            family: config.family(),
            version: config.version(),
            state: router.state(),
            faults: router.faults(),
            priority: config.priority(),
            effective_priority: router.priority(),
            master: router.master().map(|peer| peer.address),
            addresses: config.addresses().as_addresses().iter().collect(),
            transitions: *transitions,
            counters: *router.counters(),
        }
    }
}
