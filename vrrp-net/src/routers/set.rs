//! Virtual routers side by side, without control logic of their own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use vrrp_core::{
    AdverInterval, Fault, Output, Priority, State, SwitchoverEnd, SwitchoverError, SyncGroup, SyncGroupError,
    VirtualRouter,
};

use super::seats::Seats;
use super::{Effect, RouterCommand, Routers};

/// How many backups may become master at a time: few enough that it takes less than the shortest advertisement
/// interval; and as many advertise together from then on, with one wake for all.
pub(super) const TAKEOVERS: usize = 32;
/// How many masters are gathered to advertise at one wake: few enough that a peer's receive buffer of the usual size
/// holds their adverts.
pub(super) const GATHERED: usize = 64;
/// They are gathered when their adverts are due within this part of their intervals.
const SOON: u32 = 8;

/// Virtual routers side by side, each on its own or held together with others by a [`SyncGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSet {
    seats: Seats,
    groups: Vec<SyncGroup>,
    /// The group of each router.
    group_of: Vec<Option<usize>>,
    /// Groups that a member was fed of since they were settled.
    unsettled: Vec<usize>,
    /// Switchovers that did not begin.
    refused: VecDeque<(usize, SwitchoverError)>,
}

impl RouterSet {
    /// Takes virtual routers in Initialize; the driver starts them.
    pub fn new(routers: Vec<VirtualRouter>) -> Self {
        Self {
            group_of: vec![None; routers.len()],
            seats: Seats::new(routers),
            groups: Vec::new(),
            unsettled: Vec::new(),
            refused: VecDeque::new(),
        }
    }

    /// Takes virtual routers in Initialize, and groups whose members are master together or not at all.
    ///
    /// # Errors
    /// When a group names a router that is not there, or two groups name the same.
    pub fn with_groups(routers: Vec<VirtualRouter>, groups: Vec<SyncGroup>) -> Result<Self, SyncGroupError> {
        let mut set = Self::new(routers);
        for (index, group) in groups.iter().enumerate() {
            for member in group.members() {
                let place = set.group_of.get_mut(*member);
                *place.ok_or(SyncGroupError::Unknown { member: *member })? = Some(index);
            }
            group.join(&mut set.seats)?;
        }
        set.groups = groups;
        Ok(set)
    }

    /// The routers, in order.
    pub fn routers(&self) -> &[VirtualRouter] {
        &self.seats.routers
    }

    /// The sync groups, in order.
    pub fn groups(&self) -> &[SyncGroup] {
        &self.groups
    }

    /// The sync group of a router, as its index in [`groups`](Self::groups).
    pub fn group_of(&self, router: usize) -> Option<usize> {
        self.group_of.get(router).copied().flatten()
    }

    /// Sets the effective priority; in a sync group as [`SyncGroup::set_priority`] says.
    pub fn set_priority(&mut self, now: Duration, router: usize, priority: Priority) {
        match self.group_of[router] {
            Some(group) => self.groups[group].set_priority(now, &mut self.seats, router, priority),
            None => self.seats[router].set_priority(now, priority),
        }
    }

    /// Something that the router needs is gone; see [`VirtualRouter::handle_fault`].
    pub fn handle_fault(&mut self, now: Duration, router: usize, fault: Fault) {
        self.router_mut(router).handle_fault(now, fault);
        self.settle(now);
    }

    /// Something that the router needs is back; see [`VirtualRouter::handle_recovery`].
    pub fn handle_recovery(&mut self, now: Duration, router: usize, fault: Fault) {
        self.router_mut(router).handle_recovery(now, fault);
        self.settle(now);
    }

    /// Some masters of this interval speak at this wake: has others of the same interval that would soon, at most so many,
    /// speak along with them. From then on they stay together.
    fn gather(&mut self, now: Duration, interval: AdverInterval, most: usize) {
        let until = now + interval.duration() / SOON;
        let soon = |at: Option<Duration>| at.is_some_and(|at| now < at && at <= until);
        // Most are ruled out by what lies close together in memory.
        let near = |index: &usize| soon(self.seats.deadlines.get(*index));
        let alike = |index: &usize| {
            let router = &self.seats.routers[*index];
            router.config().adver_interval() == interval && soon(router.advert_due())
        };
        let gathered: Vec<_> = (0..self.len()).filter(near).filter(alike).take(most).collect();
        for index in gathered {
            self.router_mut(index).handle_advert_early(now);
        }
    }

    /// Hands over to the best backup, with the whole sync group; see [`VirtualRouter::handle_switchover`].
    ///
    /// # Errors
    /// When one of them can't. Then nothing has changed.
    pub fn handle_switchover(&mut self, now: Duration, router: usize) -> Result<(), SwitchoverError> {
        match self.group_of[router] {
            Some(group) => self.groups[group].handle_switchover(now, &mut self.seats),
            None => self.seats[router].handle_switchover(now),
        }
    }

    /// Ends the hold after a switchover, of the whole sync group; see [`VirtualRouter::handle_resume`].
    pub fn handle_resume(&mut self, now: Duration, router: usize) {
        match self.group_of[router] {
            Some(group) => self.groups[group].handle_resume(now, &mut self.seats),
            None => self.seats[router].handle_resume(now),
        }
    }
}

impl From<VirtualRouter> for RouterSet {
    fn from(router: VirtualRouter) -> Self {
        Self::new(vec![router])
    }
}

impl Routers for RouterSet {
    type Command = RouterCommand;
    type Event = Infallible;

    fn len(&self) -> usize {
        self.seats.routers.len()
    }

    fn router(&self, index: usize) -> &VirtualRouter {
        &self.seats[index]
    }

    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter {
        if let Some(group) = self.group_of[index] {
            if self.unsettled.last() != Some(&group) {
                self.unsettled.push(group);
            }
        }
        &mut self.seats[index]
    }

    fn settle(&mut self, now: Duration) {
        while let Some(group) = self.unsettled.pop() {
            self.groups[group].settle(now, &mut self.seats);
        }
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.seats.refresh();
        let (mut takeovers, mut adverts, mut interval) = (0, 0, None);
        for index in 0..self.len() {
            // Few are due at a wake, and the deadlines of all lie closer together than the routers.
            if !self.seats.deadlines.is_due(index, now) {
                continue;
            }
            let router = &self.seats.routers[index];
            let takes_over = router.state() == State::Backup;
            if router.advert_due().is_some_and(|at| at <= now) {
                adverts += 1;
                interval = interval.or(Some(router.config().adver_interval()));
            }
            if !(takes_over && takeovers == TAKEOVERS) {
                self.router_mut(index).handle_timeout(now);
                takeovers += usize::from(takes_over);
            }
        }
        if let Some(interval) = interval {
            self.gather(now, interval, GATHERED.saturating_sub(adverts));
        }
        self.settle(now);
    }

    fn handle_command(&mut self, now: Duration, command: RouterCommand) {
        let index = command.router();
        if index >= self.len() {
            return;
        }
        match command {
            RouterCommand::Priority { priority, .. } => self.set_priority(now, index, priority),
            RouterCommand::Fault { fault, .. } => self.handle_fault(now, index, fault),
            RouterCommand::Recovery { fault, .. } => self.handle_recovery(now, index, fault),
            RouterCommand::Shutdown { .. } => self.router_mut(index).handle_shutdown(now),
            RouterCommand::Switchover { .. } => {
                if let Err(error) = self.handle_switchover(now, index) {
                    self.refused.push_back((index, error));
                }
            }
            RouterCommand::Resume { .. } => self.handle_resume(now, index),
            RouterCommand::Hmac { config, .. } => {
                let _ = self.router_mut(index).set_hmac(config);
            }
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Effect<Infallible>> {
        if let Some((index, error)) = self.refused.pop_front() {
            let end = SwitchoverEnd::Refused(error);
            return Some(Effect::Router(index, Output::Switchover(end)));
        }
        let (index, output) = self.seats.poll_output()?;
        Some(Effect::Router(index, output))
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.seats.poll_timeout()
    }
}
