//! Checks and virtual routers together, without IO: what checks find becomes priorities and faults.

mod command;
mod event;
mod parts;
mod tracking;

pub use command::Command;
pub use event::NodeEvent;
pub use parts::{NodeGroup, NodeInstance, TrackedCheck};

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ha_health::Check;
use vrrp_core::{Output, SwitchoverEnd, SyncGroupError, VirtualRouter};
use vrrp_net::{Effect, RouterSet, Routers};

use super::status::{CheckStatus, InstanceStatus, NodeStatus};

/// One host's virtual routers with the checks that they track.
///
/// A sans-IO machine of machines, driven as [`Routers`] says: the driver feeds adverts, links and time; commands bring
/// the outcomes of probes; outputs are those of the routers and [`NodeEvent`]s. The same type runs on sockets and in a
/// simulator.
///
/// The priority of a virtual router follows its checks by keepalived's arithmetic ([`effect`](ha_health::effect)):
/// weights are summed and the sum is held within 1 to 254; a failing check of weight 0, or one that has not reported
/// yet, is [`Fault::Check`](vrrp_core::Fault::Check). The owner of the addresses (priority 255) ignores weights.
///
/// Virtual routers in a [`NodeGroup`] are master together or not at all. A fault of one is a fault of all. Weights of
/// what the members track count for none of them, or with
/// [`SyncGroup::tracking_weight`](vrrp_core::SyncGroup::tracking_weight) for all of them alike.
#[derive(Debug)]
pub struct Node {
    members: Vec<Member>,
    routers: RouterSet,
    /// Names of the sync groups, in the order of the set's.
    groups: Vec<Arc<str>>,
    checks: Vec<Check>,
    events: VecDeque<NodeEvent>,
    /// Switchovers under way, by the index of the router that was named.
    switchovers: Vec<(usize, u64)>,
    /// Those that are in fault for nothing but checks that have not reported yet, or will be when they start.
    waiting: Vec<usize>,
}

/// What there is to a virtual router beside it.
#[derive(Debug)]
struct Member {
    name: Arc<str>,
    interface: Arc<str>,
    tracks: Vec<TrackedCheck>,
    transitions: u64,
    /// How many adverts of lower priority it has told of.
    lower_received: u64,
}

impl Node {
    /// Puts virtual routers and checks together. Every check begins as unknown, or as down with `init_fail`; it runs a
    /// probe or is watched ([`CheckConfig`](ha_health::CheckConfig), [`WatchConfig`](ha_health::WatchConfig)).
    ///
    /// # Panics
    /// When an instance tracks a check that is not there; [`StackBuilder`](super::StackBuilder) sees to it.
    pub fn new<C: Into<Check>>(instances: Vec<NodeInstance>, checks: Vec<C>) -> Self {
        let (members, routers) = instances.into_iter().map(Member::new).unzip();
        Self::with_set(members, RouterSet::new(routers), Vec::new(), checks)
    }

    /// Puts virtual routers and checks together, with sync groups among the routers.
    ///
    /// # Errors
    /// When a group names an instance that is not there, or two groups name the same.
    ///
    /// # Panics
    /// When an instance tracks a check that is not there; [`StackBuilder`](super::StackBuilder) sees to it.
    pub fn with_groups<C: Into<Check>>(
        instances: Vec<NodeInstance>,
        groups: Vec<NodeGroup>,
        checks: Vec<C>,
    ) -> Result<Self, SyncGroupError> {
        let (members, routers): (Vec<_>, Vec<_>) = instances.into_iter().map(Member::new).unzip();
        let (names, groups) = groups.into_iter().map(|one| (one.name, one.group)).unzip();
        let routers = RouterSet::with_groups(routers, groups)?;
        Ok(Self::with_set(members, routers, names, checks))
    }

    fn with_set<C: Into<Check>>(
        members: Vec<Member>,
        routers: RouterSet,
        groups: Vec<Arc<str>>,
        checks: Vec<C>,
    ) -> Self {
        let checks: Vec<Check> = checks.into_iter().map(Into::into).collect();
        for member in &members {
            assert!(
                member.tracks.iter().all(|track| track.check < checks.len()),
                "{} tracks a check that is not there",
                member.name
            );
        }
        let mut node = Self {
            members,
            routers,
            groups,
            checks,
            events: VecDeque::new(),
            switchovers: Vec::new(),
            waiting: Vec::new(),
        };
        for index in 0..node.members.len() {
            node.apply(Duration::ZERO, index);
        }
        // What the checks make of the priorities before the start is no change.
        node.events.clear();
        let waiting = (0..node.members.len()).filter(|index| node.waits(*index));
        node.waiting = waiting.collect();
        node
    }

    /// The check of that index.
    pub fn check(&self, index: usize) -> &Check {
        &self.checks[index]
    }

    /// Everything that there is to know.
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            instances: (0..self.members.len())
                .map(|index| self.instance_status(index))
                .collect(),
            checks: self.checks.iter().map(CheckStatus::of).collect(),
        }
    }

    /// The instance of that name, or the first of the sync group of that name.
    fn find(&self, name: &str) -> Option<usize> {
        let instance = self.members.iter().position(|member| &*member.name == name);
        instance.or_else(|| {
            let group = self.groups.iter().position(|group| &**group == name)?;
            self.routers.groups()[group].members().first().copied()
        })
    }

    fn switch_over(&mut self, now: Duration, name: &str, token: u64) {
        let Some(index) = self.find(name) else {
            self.events
                .push_back(NodeEvent::SwitchedOver { token, end: None });
            return;
        };
        match self.routers.handle_switchover(now, index) {
            Ok(()) => self.switchovers.push((index, token)),
            Err(error) => self.events.push_back(NodeEvent::SwitchedOver {
                token,
                end: Some(SwitchoverEnd::Refused(error)),
            }),
        }
    }

    /// What came out of a router concerns whoever asked for it.
    fn note_output(&mut self, index: usize, output: Output) {
        let member = &mut self.members[index];
        member.transitions += u64::from(matches!(output, Output::Transition(_)));
        let lower_received = self.routers.router(index).counters().lower_received_as_master;
        if core::mem::replace(&mut member.lower_received, lower_received) != lower_received {
            self.events.push_back(NodeEvent::LowerReceived { router: index });
        }
        if let Output::Switchover(end) = output
            && let Some(place) = self.switchovers.iter().position(|(router, _)| *router == index)
        {
            let (_, token) = self.switchovers.swap_remove(place);
            self.events.push_back(NodeEvent::SwitchedOver {
                token,
                end: Some(end),
            });
        }
    }

    fn instance_status(&self, index: usize) -> InstanceStatus {
        let Member {
            name,
            interface,
            transitions,
            ..
        } = &self.members[index];
        let router = self.routers.router(index);
        let config = router.config();
        let group = self.routers.group_of(index);
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
            sync_group: group.map(|group| Arc::clone(&self.groups[group])),
            held: router.is_held(),
            addresses: config.addresses().as_addresses().iter().collect(),
            transitions: *transitions,
            counters: *router.counters(),
        }
    }
}

impl Routers for Node {
    type Command = Command;
    type Event = NodeEvent;

    fn len(&self) -> usize {
        self.routers.len()
    }

    fn router(&self, index: usize) -> &VirtualRouter {
        self.routers.router(index)
    }

    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter {
        self.routers.router_mut(index)
    }

    fn settle(&mut self, now: Duration) {
        self.routers.settle(now);
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.routers.handle_timeout(now);
        for check in 0..self.checks.len() {
            self.checks[check].handle_timeout(now);
            self.settle_check(now, check);
        }
        self.routers.settle(now);
    }

    fn handle_command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Probed { check, outcome } => {
                if let Some(one) = self.checks.get_mut(check) {
                    one.handle_result(now, outcome);
                    self.settle_check(now, check);
                }
            }
            Command::Status { token } => {
                let status = Box::new(self.status());
                self.events.push_back(NodeEvent::Status { token, status });
            }
            Command::Switchover { name, token } => self.switch_over(now, &name, token),
            Command::SetHmac { name, config, token } => {
                let index = self.members.iter().position(|member| member.name == name);
                let result = index.map(|index| self.routers.router_mut(index).set_hmac(config));
                self.events.push_back(NodeEvent::HmacSet { token, result });
            }
            Command::Resume { name, token } => {
                let found = self.find(&name);
                if let Some(index) = found {
                    self.routers.handle_resume(now, index);
                }
                let found = found.is_some();
                self.events.push_back(NodeEvent::Resumed { token, found });
            }
        }
        self.routers.settle(now);
    }

    /// Events first, then routers: what caused an effect stands before it.
    fn poll_output(&mut self) -> Option<Effect<NodeEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Effect::Event(event));
        }
        if let Some(event) = self.waited() {
            return Some(Effect::Event(event));
        }
        match self.routers.poll_output()? {
            Effect::Router(index, output) => {
                self.note_output(index, output);
                Some(Effect::Router(index, output))
            }
            Effect::Event(never) => match never {},
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let checks = self.checks.iter().filter_map(Check::poll_timeout);
        checks.chain(self.routers.poll_timeout()).min()
    }
}

impl Member {
    fn new(instance: NodeInstance) -> (Self, VirtualRouter) {
        let unspecified = || match instance.config.family() {
            vrrp_core::Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            vrrp_core::Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let source = instance.source.unwrap_or_else(unspecified);
        let member = Self {
            name: instance.name,
            interface: instance.interface,
            tracks: instance.tracks,
            transitions: 0,
            lower_received: 0,
        };
        (member, VirtualRouter::new(instance.config, source))
    }
}
