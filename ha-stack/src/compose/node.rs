//! Checks and virtual routers together, without IO: what checks find becomes priorities and faults.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ha_health::{Check, Outcome, Tracked, Weight, effect};
use vrrp_core::{
    Config, Fault, HmacConfig, NoHmac, Output, Priority, State, SwitchoverEnd, SyncGroup, SyncGroupError,
    VirtualRouter,
};
use vrrp_net::{Effect, RouterSet, Routers};

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
///
/// Virtual routers in a [`NodeGroup`] are master together or not at all. A fault of one is a fault of all. Weights of
/// what the members track count for none of them, or with [`SyncGroup::tracking_weight`] for all of them alike.
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

/// A sync group of a [`Node`]: instances by index that are master together or not at all.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// What people call it.
    pub name: Arc<str>,
    /// The members.
    pub group: SyncGroup,
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
    /// Hand over to the best backup; see [`VirtualRouter::handle_switchover`]. [`NodeEvent::SwitchedOver`] answers.
    Switchover {
        /// Name of the instance or of the sync group. An instance moves with its sync group.
        name: Arc<str>,
        /// Comes back with the answer.
        token: u64,
    },
    /// Set other keys, mode or window of HMAC; see [`VirtualRouter::set_hmac`]. [`NodeEvent::HmacSet`] answers.
    SetHmac {
        /// Name of the instance.
        name: Arc<str>,
        /// The new settings.
        config: HmacConfig,
        /// Comes back with the answer.
        token: u64,
    },
    /// End the hold after a switchover; see [`VirtualRouter::handle_resume`]. [`NodeEvent::Resumed`] answers.
    Resume {
        /// Name of the instance or of the sync group. An instance resumes with its sync group.
        name: Arc<str>,
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
    /// A virtual router waits no longer for checks to report that would be a fault: all have, or there is a fault anyway.
    Waited {
        /// Index of the virtual router.
        router: usize,
        /// Whether it is in fault now.
        fault: bool,
    },
    /// A master has heard an advert of lower priority: another host has taken the addresses to be free.
    LowerReceived {
        /// Index of the virtual router.
        router: usize,
    },
    /// The answer to [`Command::Switchover`].
    SwitchedOver {
        /// That of the question.
        token: u64,
        /// How it ended; `None` when there is nothing of that name.
        end: Option<SwitchoverEnd>,
    },
    /// The answer to [`Command::SetHmac`].
    HmacSet {
        /// That of the question.
        token: u64,
        /// Whether it took the settings; nothing where there is no virtual router of that name.
        result: Option<Result<(), NoHmac>>,
    },
    /// The answer to [`Command::Resume`].
    Resumed {
        /// That of the question.
        token: u64,
        /// Whether there is something of that name.
        found: bool,
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

    /// Takes the outputs of a check, and lets those who track it know.
    fn settle_check(&mut self, now: Duration, check: usize) {
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
                if self
                    .tracks(index)
                    .any(|(member, track)| track.check == check && self.counts(index, member, track))
                {
                    self.apply(now, index);
                }
            }
        }
    }

    /// Whether a virtual router is kept from taking part by nothing but checks that have not reported yet, its own or its
    /// sync group's. It is in fault as long, which is no news to tell anybody.
    pub(super) fn waits(&self, index: usize) -> bool {
        let waiting = |fault| matches!(fault, Fault::Check | Fault::SyncGroup);
        let mut unknown = false;
        for (_, track) in self
            .tracks(index)
            .filter(|(_, track)| track.weight == Weight::FAULT)
        {
            let tracked = Tracked {
                weight: track.weight,
                reverse: track.reverse,
                ..self.checks[track.check].tracked()
            };
            match (tracked.up, effect::effect(1, [tracked])) {
                (None, _) => unknown = true,
                (Some(_), effect::Effect::Fault) => return false,
                _ => {}
            }
        }
        unknown && self.routers.router(index).faults().iter().all(waiting)
    }

    /// Says for which virtual router the wait is over.
    fn waited(&mut self) -> Option<NodeEvent> {
        let place = self.waiting.iter().position(|index| !self.waits(*index))?;
        let index = self.waiting.remove(place);
        Some(NodeEvent::Waited {
            router: index,
            fault: self.routers.router(index).state() == State::Fault,
        })
    }

    /// What a virtual router and the other members of its sync group track, each with the index of who tracks it. What
    /// several track alike is there once.
    fn tracks(&self, index: usize) -> impl Iterator<Item = (usize, TrackedCheck)> {
        let group = self.routers.group_of(index);
        let others = group.map_or(&[][..], |group| self.routers.groups()[group].members());
        let others = others.iter().copied().filter(move |other| *other != index);
        let mut seen = Vec::new();
        std::iter::once(index)
            .chain(others)
            .flat_map(|member| {
                self.members[member]
                    .tracks
                    .iter()
                    .map(move |track| (member, *track))
            })
            .filter(move |(_, track)| {
                let new = !seen.contains(track);
                seen.push(*track);
                new
            })
    }

    /// Whether what `member` tracks bears on the virtual router itself. Those without weight bear on the one that tracks
    /// them, and through its fault on the others.
    fn counts(&self, index: usize, member: usize, track: TrackedCheck) -> bool {
        if track.weight == Weight::FAULT {
            return member == index;
        }
        let group = self.routers.group_of(index);
        group.is_none_or(|group| self.routers.groups()[group].has_tracking_weight())
    }

    /// Makes priority and fault of one virtual router what its checks say.
    fn apply(&mut self, now: Duration, index: usize) {
        let configured = self.routers.router(index).config().priority().get();
        let tracked = self
            .tracks(index)
            .filter(|(member, track)| self.counts(index, *member, *track))
            .map(|(_, track)| Tracked {
                weight: track.weight,
                reverse: track.reverse,
                ..self.checks[track.check].tracked()
            });
        let effect = effect::effect(configured, tracked);
        match effect {
            effect::Effect::Fault => self.routers.router_mut(index).handle_fault(now, Fault::Check),
            effect::Effect::Priority(priority) => {
                // Each member's own sum: those of its group follow in this instant.
                let router = self.routers.router_mut(index);
                let before = router.priority();
                // Before the recovery, which counts its timer with this priority.
                router.set_priority(now, Priority::new(priority));
                router.handle_recovery(now, Fault::Check);
                if router.priority() != before {
                    self.events.push_back(NodeEvent::PriorityChanged {
                        router: index,
                        from: before,
                        to: self.routers.router(index).priority(),
                    });
                }
            }
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
