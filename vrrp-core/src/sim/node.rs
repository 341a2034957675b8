//! What the simulator drives, and what it keeps about each node beside the node itself.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::slice;
use core::time::Duration;

use super::Clock;
use super::lan::Transit;
use crate::{
    AdverInterval, Discard, Family, Faults, Output, Packet, Priority, State, SyncGroup, VirtualRouter, Vrid,
};

/// A node as the simulator drives it: one or more virtual routers, and whatever decides about them.
///
/// A [`VirtualRouter`] is one, a `Vec` of them, and with sync groups [`Grouped`](super::Grouped). A program with health
/// checks around its routers overrides the methods by which time and facts reach them; the sim looks at the routers to
/// check its rules.
/// Restarting a node clones it as it was added.
pub trait Node: Clone {
    /// The routers, always the same in the same order.
    fn routers(&self) -> &[VirtualRouter];

    /// The routers, to feed facts to them.
    fn routers_mut(&mut self) -> &mut [VirtualRouter];

    /// The sync groups among them, by which the sim checks that members are master together.
    fn groups(&self) -> &[SyncGroup] {
        &[]
    }

    /// Facts were fed; called after each, before the outputs are drained. Sync groups make their members agree here.
    fn settle(&mut self, _now: Duration) {}

    /// The operator asks for a switchover of everything that is master here.
    fn handle_switchover(&mut self, now: Duration) {
        for router in self.routers_mut() {
            // One that is not master has nothing to hand over.
            let _ = router.handle_switchover(now);
        }
    }

    /// The process has started.
    fn handle_startup(&mut self, now: Duration) {
        for router in self.routers_mut() {
            router.handle_startup(now);
        }
    }

    /// The process is asked to stop.
    fn handle_shutdown(&mut self, now: Duration) {
        for router in self.routers_mut() {
            router.handle_shutdown(now);
        }
    }

    /// The process stood still and runs again; its queue has not been read yet. A router whose deadline is overdue by
    /// more than its master-down interval is told so ([`VirtualRouter::handle_pause`]).
    fn handle_resume(&mut self, now: Duration) {
        for router in self.routers_mut() {
            let overdue = router
                .poll_timeout()
                .map_or(Duration::ZERO, |at| now.saturating_sub(at));
            if overdue > router.master_down_interval() {
                router.handle_pause(now);
            }
        }
    }

    /// An advert arrived.
    ///
    /// # Errors
    /// When the router of its VRID and family discards it. One that no router is there for is dropped.
    fn handle_advert(&mut self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
        let ours = |router: &&mut VirtualRouter| {
            router.config().vrid() == packet.vrid() && router.config().family() == packet.family()
        };
        match self.routers_mut().iter_mut().find(ours) {
            Some(router) => router.handle_advert(now, packet),
            None => Ok(()),
        }
    }

    /// Time has come.
    fn handle_timeout(&mut self, now: Duration) {
        for router in self.routers_mut() {
            router.handle_timeout(now);
        }
    }

    /// The next effect, and the index of the router that wants it.
    fn poll_output(&mut self) -> Option<(usize, Output)> {
        let mut routers = self.routers_mut().iter_mut().enumerate();
        routers.find_map(|(index, router)| router.poll_output().map(|output| (index, output)))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    fn poll_timeout(&self) -> Option<Duration> {
        self.routers()
            .iter()
            .filter_map(VirtualRouter::poll_timeout)
            .min()
    }
}

impl Node for VirtualRouter {
    fn routers(&self) -> &[VirtualRouter] {
        slice::from_ref(self)
    }

    fn routers_mut(&mut self) -> &mut [VirtualRouter] {
        slice::from_mut(self)
    }
}

impl Node for Vec<VirtualRouter> {
    fn routers(&self) -> &[VirtualRouter] {
        self
    }

    fn routers_mut(&mut self) -> &mut [VirtualRouter] {
        self
    }
}

/// Whether a node runs.
#[derive(Clone, Debug)]
pub(super) enum Power {
    Running,
    /// Stands still; what arrived waits.
    Paused {
        queue: VecDeque<Transit>,
    },
    Down,
}

/// Whether a node's interface carries the addresses of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    No,
    /// Its driver renews the lease.
    Renewed,
    /// Nobody renews the lease, and the kernel will remove the addresses.
    Until(Duration),
}

/// A node with its clock and its interface.
#[derive(Clone, Debug)]
pub(super) struct Host<N> {
    /// As added, to restart from.
    pristine: N,
    pub(super) node: N,
    pub(super) clock: Clock,
    pub(super) power: Power,
    /// One a router.
    pub(super) holds: Vec<Hold>,
    /// Since when each router is master.
    pub(super) master_since: Vec<Option<Duration>>,
    /// Whether each router has yielded, and its priority has not risen since.
    pub(super) yielded: Vec<bool>,
    /// Whether each router has handed over on purpose, and is held since.
    pub(super) held: Vec<bool>,
    vitals: Vec<Vitals>,
}

/// What of a router's own affairs bears on the election.
type Vitals = (Priority, Faults, bool);

impl<N: Node> Host<N> {
    pub(super) fn new(node: N, clock: Clock) -> Self {
        let count = node.routers().len();
        Self {
            pristine: node.clone(),
            node,
            clock,
            power: Power::Down,
            holds: vec![Hold::No; count],
            master_since: vec![None; count],
            yielded: vec![false; count],
            held: vec![false; count],
            vitals: Vec::with_capacity(count),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.power, Power::Running)
    }

    /// The longest interval that its routers of this VRID and family advertise by or have learned; `None` when it has
    /// no such router.
    pub(super) fn longest_interval(&self, vrid: Vrid, family: Family) -> Option<AdverInterval> {
        let ours =
            |router: &&VirtualRouter| router.config().vrid() == vrid && router.config().family() == family;
        let routers = self.node.routers().iter().filter(ours);
        routers
            .map(|router| {
                router
                    .config()
                    .adver_interval()
                    .max(router.master_adver_interval())
            })
            .max()
    }

    /// The state is lost.
    pub(super) fn reset(&mut self, power: Power) {
        self.node = self.pristine.clone();
        self.power = power;
        self.master_since.fill(None);
        self.yielded.fill(false);
        self.held.fill(false);
    }

    /// Nobody renews the leases any more.
    pub(super) fn abandon(&mut self, until: Duration) {
        for hold in &mut self.holds {
            if *hold == Hold::Renewed {
                *hold = Hold::Until(until);
            }
        }
    }

    /// The driver renews the leases of masters again, and adds addresses again that have expired.
    pub(super) fn renew(&mut self) {
        for (hold, router) in self.holds.iter_mut().zip(self.node.routers()) {
            *hold = match router.state() {
                State::Master => Hold::Renewed,
                _ => Hold::No,
            };
        }
    }

    /// When the node wants to be woken, in the time of the simulation.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        if !self.is_running() {
            return None;
        }
        self.node.poll_timeout().map(|at| self.clock.global(at))
    }

    /// When the first lease ends that nobody renews.
    pub(super) fn lease_ends_at(&self) -> Option<Duration> {
        let ends = self.holds.iter().filter_map(|hold| match hold {
            Hold::Until(at) => Some(*at),
            Hold::No | Hold::Renewed => None,
        });
        ends.min()
    }

    /// Keeps [`master_since`](Self::master_since).
    pub(super) fn note_masters(&mut self, now: Duration) {
        for (since, router) in self.master_since.iter_mut().zip(self.node.routers()) {
            match router.state() {
                State::Master => *since = since.or(Some(now)),
                _ => *since = None,
            }
        }
    }

    /// Whether the node has changed the priority, the faults or the running of a router since this was last asked.
    pub(super) fn note_vitals(&mut self) -> bool {
        let vitals = |router: &VirtualRouter| {
            (
                router.priority(),
                router.faults(),
                router.state() == State::Initialize,
            )
        };
        if self
            .node
            .routers()
            .iter()
            .map(vitals)
            .eq(self.vitals.iter().copied())
        {
            return false;
        }
        let before = self.vitals.iter().map(|(priority, ..)| *priority);
        for ((yielded, router), before) in self.yielded.iter_mut().zip(self.node.routers()).zip(before) {
            *yielded &= router.priority() <= before;
        }
        self.vitals.clear();
        self.vitals.extend(self.node.routers().iter().map(vitals));
        true
    }
}
