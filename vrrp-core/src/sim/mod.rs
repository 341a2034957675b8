//! Several machines on a simulated LAN, in virtual time, from a seed.
//!
//! Real adverts travel: each is emitted to octets, and parsed by whom it reaches, so that codec and machine are tested
//! together. Each direction between two nodes can delay, lose, double and cut packets; nodes crash, are killed, stand
//! still, and have clocks that drift. The seed decides everything that is left to chance, so that what failed once
//! fails again.
//!
//! After every step the [rules](Rule) are checked, and a broken one comes back as a [`Violation`] with seed and trace:
//!
//! - a running node holds the addresses exactly when it is master;
//! - two nodes that hear each other are both master only while an advert travels, at most there and back;
//! - once faults have ceased for [`Sim::settle_time`], which is the longest master-down interval and three times the
//!   longest way, exactly one is master, and no backup that preempts is above it (where their intervals are equal);
//!   flap damping, a yield or the hold after a switchover excuse a backup from preempting, but never from taking over
//!   from a master that is silent;
//! - members of a sync group are never in different roles on one node.
//!
//! A node is anything that is a [`Node`]: a [`VirtualRouter`], a `Vec` of them, a [`Grouped`], or a program's own
//! composition.
//!
//! ```
//! use core::time::Duration;
//! use vrrp_core::sim::{Action, Sim};
//! use vrrp_core::{AddressList, Config, Priority, Vrid};
//!
//! let vip = "192.0.2.100".parse()?;
//! let config = |priority| {
//!     Config::builder(Vrid::new(33).unwrap(), AddressList::new(&[vip]).unwrap())
//!         .priority(Priority::new(priority))
//!         .build()
//! };
//! let mut sim = Sim::new(1);
//! let a = sim.add_node(config(100)?, "192.0.2.10".parse()?);
//! let b = sim.add_node(config(90)?, "192.0.2.11".parse()?);
//!
//! sim.run_for(Duration::from_secs(10))?;
//! assert_eq!(sim.holders(vip), [a]);
//!
//! // Loses power, without a word: the backup waits for three adverts and its skew time.
//! sim.apply(Action::Crash(a))?;
//! sim.reset_outages();
//! sim.run_for(Duration::from_secs(10))?;
//! assert_eq!(sim.holders(vip), [b]);
//! assert!(sim.longest_outage(vip) <= Duration::from_micros(3_648_438 + 100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod clock;
mod driver;
mod grouped;
mod lan;
mod node;
mod outages;
mod path;
mod rng;
mod rules;
mod trace;

use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;
use core::time::Duration;

pub use action::{Action, NodeId};
pub use clock::Clock;
pub use grouped::Grouped;
pub use node::Node;
pub use path::Path;
pub use rules::{Rule, Violation};
pub use trace::{Event, Record};

use crate::{Config, Family, State, VirtualRouter, Vrid};
use lan::Lan;
use node::{Hold, Host, Power};
use outages::Outages;
use rules::Bounds;
use trace::Trace;

/// A simulated LAN and the nodes on it. See the [module](self).
///
/// It is cloneable, so that one can look ahead and come back.
#[derive(Clone, Debug)]
pub struct Sim<N = VirtualRouter> {
    seed: u64,
    now: Duration,
    lan: Lan,
    lease: Duration,
    hosts: Vec<Host<N>>,
    /// Since when nothing has disturbed the election, packets from before included.
    quiet_since: Duration,
    /// VRIDs with their families, of all nodes.
    groups: Vec<(Vrid, Family)>,
    /// What each group can be held to; worked out when something has disturbed it.
    bounds: Vec<Option<Bounds>>,
    disturbed: bool,
    outages: Outages,
    holds_changed: bool,
    steps_at_once: usize,
    trace: Trace,
}

impl Sim {
    /// An empty LAN of virtual routers, at time zero.
    pub fn new(seed: u64) -> Self {
        Self::with_nodes(seed)
    }

    /// Adds a node with one virtual router and an exact clock, and starts it. `source` is its primary address.
    pub fn add_node(&mut self, config: Config, source: IpAddr) -> NodeId {
        self.add(VirtualRouter::new(config, source), Clock::default())
    }
}

impl<N: Node> Sim<N> {
    /// How long addresses of a killed or paused process stay on its host, unless set: 3 s.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(3);
    /// How long addresses stay after they were handed over: longer than any driver keeps them.
    pub const HAND_OVER: Duration = Duration::from_millis(100);
    /// Packets that wait for a paused node, as in a socket's buffer; later ones are dropped.
    pub const MAX_QUEUE: usize = 256;
    /// Steps in one instant after which the nodes are said to keep each other busy for ever.
    pub const MAX_STEPS_AT_ONCE: usize = 10_000;

    /// An empty LAN of nodes of any kind, at time zero.
    pub fn with_nodes(seed: u64) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            lan: Lan::new(seed),
            lease: Self::DEFAULT_LEASE,
            hosts: Vec::new(),
            quiet_since: Duration::ZERO,
            groups: Vec::new(),
            bounds: Vec::new(),
            disturbed: false,
            holds_changed: false,
            outages: Outages::default(),
            steps_at_once: 0,
            trace: Trace::default(),
        }
    }

    /// Adds a node with a clock of its own, and starts it.
    pub fn add(&mut self, node: N, clock: Clock) -> NodeId {
        let id = NodeId(self.hosts.len());
        for router in node.routers() {
            let group = (router.config().vrid(), router.config().family());
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
        self.hosts.push(Host::new(node, clock));
        self.start(id);
        self.drain(id);
        self.outages.note(self.now, &self.hosts);
        id
    }

    /// Sets the path that holds between nodes for which none was set.
    pub fn set_default_path(&mut self, path: Path) {
        self.lan.set_default_path(path);
        self.disturb();
    }

    /// Sets how long the kernel keeps addresses that nobody renews.
    pub fn set_lease(&mut self, lease: Duration) {
        self.lease = lease;
    }

    /// Does something to a node or a path.
    ///
    /// # Errors
    /// When a rule is broken.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn apply(&mut self, action: Action) -> Result<(), Violation> {
        let id = action.node();
        self.trace.push(self.now, id, Event::Action(action));
        let now = self.hosts[id.0].clock.local(self.now);
        match action {
            Action::Crash(_) => {
                self.hosts[id.0].reset(Power::Down);
                self.hosts[id.0].holds.fill(Hold::No);
            }
            Action::Kill(_) => {
                self.hosts[id.0].abandon(self.now + self.lease);
                self.hosts[id.0].reset(Power::Down);
            }
            Action::Restart(_) => self.start(id),
            Action::Pause(_) => self.pause(id),
            Action::Resume(_) => self.resume(id).map_err(|rule| self.violation(rule))?,
            Action::Shutdown(_) => self.feed(id, |node| node.handle_shutdown(now)),
            Action::Switchover(_) => self.feed(id, |node| node.handle_switchover(now)),
            Action::EndHold(_) => {
                self.feed_routers(id, |router| router.handle_resume(now));
                if self.hosts[id.0].is_running() {
                    self.hosts[id.0].held.fill(false);
                }
            }
            Action::SetPriority(_, priority) => {
                self.feed_routers(id, |router| router.set_priority(now, priority));
            }
            Action::Fault(_, fault) => self.feed_routers(id, |router| router.handle_fault(now, fault)),
            Action::Recovery(_, fault) => self.feed_routers(id, |router| router.handle_recovery(now, fault)),
            Action::SetPath(from, to, path) => self.lan.set_path(from, to, path),
            Action::Lose(from, to, priority) => self.lan.doom(from, to, priority),
        }
        self.disturb();
        self.finish(id)
    }

    /// Feeds a fact of the caller's own to a running node; `change` is given the node's time. A node that is down or
    /// paused is not asked.
    ///
    /// # Errors
    /// When a rule is broken.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn change(&mut self, id: NodeId, change: impl FnOnce(&mut N, Duration)) -> Result<(), Violation> {
        let now = self.hosts[id.0].clock.local(self.now);
        self.feed(id, |node| change(node, now));
        self.disturb();
        self.finish(id)
    }

    /// Does the next thing that happens by itself, and says when it was; `None` when nothing ever will.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn step(&mut self) -> Result<Option<Duration>, Violation> {
        let Some(at) = self.next_event() else {
            return Ok(None);
        };
        self.steps_at_once = if at > self.now { 0 } else { self.steps_at_once + 1 };
        if self.steps_at_once > Self::MAX_STEPS_AT_ONCE {
            return Err(self.violation(Rule::TimePasses {
                steps: self.steps_at_once,
            }));
        }
        self.now = self.now.max(at);
        self.end_leases();
        // Packets first: a driver reads its sockets before it acts on an expired timer.
        if self.lan.next_arrival().is_some_and(|arrival| arrival <= self.now) {
            self.deliver_next()?;
        } else if let Some(id) = self
            .next_to_wake()
            .filter(|(wake, _)| *wake <= self.now)
            .map(|(_, id)| id)
        {
            let now = self.hosts[id.0].clock.local(self.now);
            self.feed(id, |node| node.handle_timeout(now));
            self.finish(id)?;
        } else {
            self.check()?;
        }
        Ok(Some(at))
    }

    /// Runs to that time, with everything that happens at it.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn run_until(&mut self, end: Duration) -> Result<(), Violation> {
        while self.next_event().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = self.now.max(end);
        self.check()
    }

    /// Runs for so long.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        self.run_until(self.now + time)
    }

    /// Runs until every VRID whose nodes can agree has settled, if nothing more disturbs them.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn run_until_settled(&mut self) -> Result<(), Violation> {
        let bounds = |(vrid, family): &(Vrid, Family)| self.find_bounds(*vrid, *family);
        let longest = self.groups.iter().filter_map(bounds);
        let longest = longest
            .filter_map(|bounds| bounds.settle_time)
            .max()
            .unwrap_or_default();
        self.run_until(self.quiet_since.max(self.now) + longest + Duration::from_nanos(1))
    }

    /// Starts measuring outages anew.
    pub fn reset_outages(&mut self) {
        self.outages.reset(self.now);
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The node, also while it is paused; `None` while it is down, and when there is none.
    pub fn node(&self, id: NodeId) -> Option<&N> {
        let host = self.hosts.get(id.0)?;
        (!matches!(host.power, Power::Down)).then_some(&host.node)
    }

    /// The path from one node to another.
    pub fn path(&self, from: NodeId, to: NodeId) -> Path {
        self.lan.path(from, to)
    }

    /// Nodes whose interface carries this address, in order, those included whose process is killed or paused and
    /// whose lease has not ended.
    pub fn holders(&self, address: IpAddr) -> Vec<NodeId> {
        self.nodes_where(|router, hold| hold != Hold::No && backs_up(router, address), true)
    }

    /// Running nodes that are master of this VRID in this family, in order.
    pub fn masters(&self, vrid: Vrid, family: Family) -> Vec<NodeId> {
        let is_master = |router: &VirtualRouter, _| {
            let config = router.config();
            router.state() == State::Master && config.vrid() == vrid && config.family() == family
        };
        self.nodes_where(is_master, false)
    }

    /// Longest time since the start, or since [`reset_outages`](Self::reset_outages), in which no running node held
    /// the address; the one under way counts. Addresses left by killed processes don't serve anybody.
    pub fn longest_outage(&self, address: IpAddr) -> Duration {
        self.outages.longest(self.now, address)
    }

    /// Since when nothing has disturbed the nodes: no action, no change of priority or fault, no advert lost by
    /// [`Action::Lose`], and no packet from before under way.
    pub fn quiet_since(&self) -> Duration {
        self.quiet_since
    }

    /// Time from [`quiet_since`](Self::quiet_since) after which exactly one node is master of this VRID, and with
    /// preemption the highest: the longest master-down interval of its routers plus three times the longest way. With
    /// `preempt_delay` it is twice that interval, the delay, and five times the longest way.
    ///
    /// `None` when its nodes can't be expected to agree: a path among them is cut or lossy or takes as long as an
    /// interval, one of them stands still, their configurations don't match or have different intervals, or none is
    /// able to be master.
    pub fn settle_time(&self, vrid: Vrid, family: Family) -> Option<Duration> {
        self.find_bounds(vrid, family)?.settle_time
    }

    /// The last 4,096 things that happened, oldest first.
    pub fn trace(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.trace.iter()
    }

    fn next_event(&self) -> Option<Duration> {
        let leases = self.hosts.iter().filter_map(Host::lease_ends_at).min();
        let wake = self.next_to_wake().map(|(at, _)| at);
        [self.lan.next_arrival(), wake, leases]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_to_wake(&self) -> Option<(Duration, NodeId)> {
        let wakes = self.hosts.iter().enumerate();
        wakes
            .filter_map(|(id, host)| Some((host.wakes_at()?, NodeId(id))))
            .min()
    }

    fn end_leases(&mut self) {
        for (id, host) in self.hosts.iter_mut().enumerate() {
            for (hold, router) in host.holds.iter_mut().zip(host.node.routers()) {
                if matches!(*hold, Hold::Until(at) if at <= self.now) {
                    *hold = Hold::No;
                    self.holds_changed = true;
                    self.trace
                        .push(self.now, NodeId(id), Event::LeaseEnded(router.config().vrid()));
                }
            }
        }
    }

    fn deliver_next(&mut self) -> Result<(), Violation> {
        let Some(transit) = self.lan.receive() else {
            return Ok(());
        };
        match &mut self.hosts[transit.to.0].power {
            Power::Paused { queue } if queue.len() < Self::MAX_QUEUE => queue.push_back(transit),
            Power::Down | Power::Paused { .. } => {}
            Power::Running => {
                self.read(&transit).map_err(|rule| self.violation(rule))?;
                return self.finish(transit.to);
            }
        }
        self.check()
    }

    fn nodes_where(&self, holds: impl Fn(&VirtualRouter, Hold) -> bool, stopped_too: bool) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for (id, host) in self.hosts.iter().enumerate() {
            let mut routers = host.node.routers().iter().zip(&host.holds);
            if (stopped_too || host.is_running()) && routers.any(|(router, hold)| holds(router, *hold)) {
                nodes.push(NodeId(id));
            }
        }
        nodes
    }

    /// Something happened that the election has to digest.
    fn disturb(&mut self) {
        let last = self.lan.last_arrival().unwrap_or(self.now);
        self.quiet_since = self.quiet_since.max(self.now).max(last);
        self.disturbed = true;
        self.holds_changed = true;
    }

    fn finish(&mut self, id: NodeId) -> Result<(), Violation> {
        self.drain(id);
        self.check()
    }

    fn check(&mut self) -> Result<(), Violation> {
        if mem::take(&mut self.holds_changed) {
            self.outages.note(self.now, &self.hosts);
        }
        if mem::take(&mut self.disturbed) {
            self.bounds.clear();
            for (vrid, family) in &self.groups {
                self.bounds.push(self.find_bounds(*vrid, *family));
            }
        }
        self.find_broken_rule().map_err(|rule| self.violation(rule))
    }

    fn find_broken_rule(&self) -> Result<(), Rule> {
        for (id, host) in self.hosts.iter().enumerate() {
            rules::check_holds(NodeId(id), host)?;
            rules::check_groups(NodeId(id), host)?;
        }
        for ((vrid, family), bounds) in self.groups.iter().zip(&self.bounds) {
            if let Some(bounds) = bounds {
                let members = rules::members(&self.hosts, *vrid, *family);
                rules::check_masters(&members, bounds, self.quiet_since, self.now)?;
            }
        }
        Ok(())
    }

    fn find_bounds(&self, vrid: Vrid, family: Family) -> Option<Bounds> {
        let stands_still = |host: &Host<N>| {
            matches!(host.power, Power::Paused { .. }) && host.longest_interval(vrid, family).is_some()
        };
        if self.hosts.iter().any(stands_still) {
            return None;
        }
        let members = rules::members(&self.hosts, vrid, family);
        let longest = self
            .hosts
            .iter()
            .filter_map(|host| host.longest_interval(vrid, family))
            .max()?;
        Bounds::of(&members, longest, |from, to| self.lan.path(from, to))
    }

    fn violation(&self, broken: Rule) -> Violation {
        Violation {
            seed: self.seed,
            at: self.now,
            broken,
            trace: self.trace.iter().copied().collect(),
        }
    }
}

fn backs_up(router: &VirtualRouter, address: IpAddr) -> bool {
    router
        .config()
        .addresses()
        .as_addresses()
        .iter()
        .any(|ours| ours == address)
}
