//! What the driver drives: several virtual routers and whatever decides about them, still without IO.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::{Index, IndexMut};
use std::time::Duration;

use vrrp_core::{
    Fault, HmacConfig, Output, Priority, State, SwitchoverEnd, SwitchoverError, SyncGroup, SyncGroupError,
    VirtualRouter,
};

use crate::deadlines::Deadlines;

/// How many backups may become master at a time: few enough that it takes less than the shortest advertisement
/// interval; and as many advertise together from then on, with one wake for all.
const TAKEOVERS: usize = 32;
/// How many masters are gathered to advertise at one wake: few enough that a peer's receive buffer of the usual size
/// holds their adverts.
const GATHERED: usize = 64;
/// They are gathered when their adverts are due within this part of their intervals.
const SOON: u32 = 8;
/// That part of the longest interval there is, 40.95 s.
const LONGEST: Duration = Duration::from_millis(40_950 / SOON as u64);

/// An effect of [`Routers`], in the order in which it must happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect<E> {
    /// The virtual router of this index wants something done.
    Router(usize, Output),
    /// Something for control code outside the driver: a check to start, an answer to a command.
    Event(E),
}

/// Virtual routers, and the control logic above them, as one machine without IO.
///
/// The driver owns it. It feeds startup, adverts, link faults, source addresses, pauses and shutdown to the routers
/// through [`router_mut`](Self::router_mut), and time and commands to the whole. After each it drains
/// [`poll_output`](Self::poll_output). [`RouterSet`] is the plain implementation.
pub trait Routers {
    /// What control code asks, from any thread.
    type Command;
    /// What it tells control code.
    type Event;

    /// How many virtual routers there are. Fixed while the driver runs.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The virtual router of this index, which is below [`len`](Self::len).
    fn router(&self, index: usize) -> &VirtualRouter;

    /// The virtual router of this index, for the driver to feed.
    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter;

    /// Facts were fed to routers through [`router_mut`](Self::router_mut): makes those agree that belong together, as
    /// sync groups. The driver calls it before it polls for outputs; without such routers there is nothing to do.
    fn settle(&mut self, _now: Duration) {}

    /// Time has come: what is due, of the routers and of its own. Early and spurious calls are harmless.
    ///
    /// It may leave something for the next call, and then [`poll_timeout`](Self::poll_timeout) is due still. Of many
    /// backups that are, a few at a time should become master: that takes several system calls each, and meanwhile those
    /// that are master already must advertise, and adverts may come that keep the next ones from it.
    fn handle_timeout(&mut self, now: Duration);

    /// A command from control code arrived.
    fn handle_command(&mut self, now: Duration, command: Self::Command);

    /// The next effect, in order; the routers' own outputs among them.
    fn poll_output(&mut self) -> Option<Effect<Self::Event>>;

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` for not at all.
    fn poll_timeout(&self) -> Option<Duration>;
}

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

/// The routers, and which of them may hold outputs, so that a fact for one doesn't poll all the others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seats {
    routers: Vec<VirtualRouter>,
    touched: VecDeque<usize>,
    /// Those of the routers, as of when each was last drained.
    deadlines: Deadlines,
}

impl Seats {
    fn new(routers: Vec<VirtualRouter>) -> Self {
        Self {
            deadlines: Deadlines::new(routers.iter().map(VirtualRouter::poll_timeout)),
            routers,
            touched: VecDeque::new(),
        }
    }

    fn poll_output(&mut self) -> Option<(usize, Output)> {
        while let Some(&index) = self.touched.front() {
            let router = &mut self.routers[index];
            if let Some(output) = router.poll_output() {
                return Some((index, output));
            }
            self.deadlines.set(index, router.poll_timeout());
            self.touched.pop_front();
        }
        None
    }

    /// Brings the deadlines of those up to date that have not been drained.
    fn refresh(&mut self) {
        for index in &self.touched {
            self.deadlines.set(*index, self.routers[*index].poll_timeout());
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let touched = self.touched.iter();
        let fresh = touched.filter_map(|index| self.routers[*index].poll_timeout());
        fresh.chain(self.deadlines.next()).min()
    }
}

impl Index<usize> for Seats {
    type Output = VirtualRouter;

    fn index(&self, index: usize) -> &VirtualRouter {
        &self.routers[index]
    }
}

impl IndexMut<usize> for Seats {
    fn index_mut(&mut self, index: usize) -> &mut VirtualRouter {
        if self.touched.back() != Some(&index) {
            self.touched.push_back(index);
        }
        &mut self.routers[index]
    }
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

    /// Some masters speak at this wake: has others that would soon, at most so many, speak along with them. From then on
    /// they stay together.
    fn gather(&mut self, now: Duration, most: usize) {
        let soon = |index: &usize| {
            let router = &self.seats.routers[*index];
            let ahead = router.config().adver_interval().duration() / SOON;
            router
                .advert_due()
                .is_some_and(|at| now < at && at <= now + ahead)
        };
        // Most are filtered by what lies close together in memory.
        let near = |index: &usize| {
            self.seats
                .deadlines
                .get(*index)
                .is_some_and(|at| now < at && at <= now + LONGEST)
        };
        let gathered: Vec<_> = (0..self.len()).filter(near).filter(soon).take(most).collect();
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

/// What control code may ask of a [`RouterSet`]. An index that no router has is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouterCommand {
    /// Set the effective priority; see [`VirtualRouter::set_priority`].
    Priority {
        /// Index of the virtual router.
        router: usize,
        /// The new priority.
        priority: Priority,
    },
    /// Something that the router needs is gone; see [`VirtualRouter::handle_fault`].
    Fault {
        /// Index of the virtual router.
        router: usize,
        /// What is gone.
        fault: Fault,
    },
    /// Something that the router needs is back; see [`VirtualRouter::handle_recovery`].
    Recovery {
        /// Index of the virtual router.
        router: usize,
        /// What is back.
        fault: Fault,
    },
    /// Set other keys or another mode of HMAC; see [`VirtualRouter::set_hmac`]. Ignored by a router that was not
    /// configured with HMAC.
    Hmac {
        /// Index of the virtual router.
        router: usize,
        /// The new settings.
        config: HmacConfig,
    },
    /// Give up mastership and stop; see [`VirtualRouter::handle_shutdown`].
    Shutdown {
        /// Index of the virtual router.
        router: usize,
    },
    /// Hand over to the best backup, with the whole sync group; see [`VirtualRouter::handle_switchover`]. Each member's
    /// [`Output::Switchover`] tells the end, also when it does not begin.
    Switchover {
        /// Index of the virtual router.
        router: usize,
    },
    /// End the hold after a switchover, of the whole sync group; see [`VirtualRouter::handle_resume`].
    Resume {
        /// Index of the virtual router.
        router: usize,
    },
}

impl RouterCommand {
    fn router(&self) -> usize {
        match *self {
            Self::Priority { router, .. }
            | Self::Hmac { router, .. }
            | Self::Fault { router, .. }
            | Self::Recovery { router, .. }
            | Self::Shutdown { router }
            | Self::Switchover { router }
            | Self::Resume { router } => router,
        }
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
        let (mut takeovers, mut adverts) = (0, 0);
        for index in 0..self.len() {
            // Few are due at a wake, and the deadlines of all lie closer together than the routers.
            if !self.seats.deadlines.is_due(index, now) {
                continue;
            }
            let router = &self.seats.routers[index];
            let takes_over = router.state() == State::Backup;
            adverts += usize::from(router.advert_due().is_some_and(|at| at <= now));
            if !(takes_over && takeovers == TAKEOVERS) {
                self.router_mut(index).handle_timeout(now);
                takeovers += usize::from(takes_over);
            }
        }
        if adverts > 0 {
            self.gather(now, GATHERED.saturating_sub(adverts));
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

#[cfg(test)]
mod tests {
    use super::*;
    use vrrp_core::{AddressList, Config, Vrid};

    #[test]
    fn a_set_wakes_for_the_earliest_router_and_times_out_only_what_is_due() {
        let mut set = set(&[200, 100]);
        start(&mut set);
        let first = set.poll_timeout().unwrap();
        assert_eq!(Some(first), set.router(0).poll_timeout());
        set.handle_timeout(first);
        assert_eq!(set.router(0).state(), State::Master);
        assert_eq!(set.router(1).state(), State::Backup);
        assert!(matches!(
            set.poll_output(),
            Some(Effect::Router(0, Output::Advertise(_)))
        ));
    }

    #[test]
    fn masters_advertise_between_the_takeovers_of_many_others() {
        let mut set = set(&[100; 2 * TAKEOVERS + 1]);
        start(&mut set);
        let first = set.poll_timeout().unwrap();
        assert!(advertised(&mut set, first).into_iter().eq(0..TAKEOVERS));
        assert_eq!(set.poll_timeout(), Some(first), "more are due");
        // The first takeovers took as long as an advertisement interval.
        let later = first + set.router(0).config().adver_interval().duration();
        assert!(advertised(&mut set, later).into_iter().eq(0..2 * TAKEOVERS));
        assert_eq!(advertised(&mut set, later), [2 * TAKEOVERS]);
    }

    #[test]
    fn a_command_for_a_router_that_does_not_exist_is_ignored() {
        let mut set = set(&[100]);
        start(&mut set);
        let before = set.clone();
        set.handle_command(Duration::ZERO, RouterCommand::Shutdown { router: 1 });
        assert_eq!(set, before);
    }

    #[test]
    fn a_command_reaches_its_router() {
        let mut set = set(&[100, 100]);
        start(&mut set);
        let priority = Priority::new(80);
        set.handle_command(Duration::ZERO, RouterCommand::Priority { router: 1, priority });
        assert_eq!(set.router(1).priority(), priority);
        let fault = Fault::Check;
        set.handle_command(Duration::ZERO, RouterCommand::Fault { router: 1, fault });
        assert_eq!(set.router(1).state(), State::Fault);
        set.handle_command(Duration::ZERO, RouterCommand::Recovery { router: 1, fault });
        assert_eq!(set.router(1).state(), State::Backup);
        set.handle_command(Duration::ZERO, RouterCommand::Shutdown { router: 1 });
        assert_eq!(set.router(1).state(), State::Initialize);
        assert_eq!(set.router(0).state(), State::Backup);
    }

    #[test]
    fn masters_whose_adverts_are_due_soon_speak_together_from_then_on() {
        // Skew times 4 ms and 387 ms apart.
        let mut set = set(&[200, 199, 100]);
        start(&mut set);
        while set.routers().iter().any(|router| router.state() == State::Backup) {
            let at = set.poll_timeout().unwrap();
            set.handle_timeout(at);
            drain(&mut set);
        }
        let due = |set: &RouterSet, index: usize| set.router(index).advert_due().unwrap();
        let (first, last) = (due(&set, 0), due(&set, 2));
        assert!(first < due(&set, 1) && due(&set, 1) < last);
        assert_eq!(advertised(&mut set, first), [0, 1]);
        assert_eq!(due(&set, 1), due(&set, 0));
        assert_eq!(due(&set, 2), last, "too far off");
        assert_eq!(advertised(&mut set, last), [2]);
        let second = due(&set, 0);
        assert_eq!(advertised(&mut set, second), [0, 1]);
    }

    #[test]
    fn no_more_are_gathered_than_a_receive_buffer_holds() {
        let mut set = set(&[100; 2 * GATHERED]);
        start(&mut set);
        expire(&mut set, Duration::from_secs(4));
        let due = set.poll_timeout().unwrap();
        set.router_mut(0)
            .handle_advert_early(due - Duration::from_millis(100));
        drain(&mut set);
        let others = advertised(&mut set, due);
        assert!(
            others.into_iter().eq(1..2 * GATHERED),
            "what is due is never kept back"
        );
        let along = advertised(&mut set, due + Duration::from_millis(900));
        assert!(along.into_iter().eq(0..GATHERED));
    }

    #[test]
    fn commands_for_a_member_move_its_whole_group() {
        let mut set = grouped();
        expire(&mut set, Duration::from_secs(4));
        assert_eq!(states(&set), [State::Master, State::Master, State::Master]);
        let now = Duration::from_secs(5);
        let priority = Priority::new(90);
        set.handle_command(now, RouterCommand::Priority { router: 1, priority });
        let adverts: Vec<_> = drain(&mut set)
            .into_iter()
            .filter(|(_, output)| matches!(output, Output::Advertise(_)))
            .map(|(index, _)| index)
            .collect();
        assert_eq!(adverts, [0, 0, 1, 1]);
        set.handle_command(now, RouterCommand::Switchover { router: 0 });
        let stops = drain(&mut set);
        let stop = Output::Advertise(Priority::STOP);
        assert_eq!(stops, [(0, stop), (1, stop)]);
        let fault = Fault::Check;
        set.handle_command(now, RouterCommand::Fault { router: 1, fault });
        assert_eq!(states(&set), [State::Fault, State::Fault, State::Master]);
        set.handle_command(now, RouterCommand::Recovery { router: 1, fault });
        assert_eq!(states(&set), [State::Backup, State::Backup, State::Master]);
        set.handle_command(now, RouterCommand::Shutdown { router: 0 });
        expire(&mut set, Duration::from_secs(60));
        assert_eq!(set.router(1).state(), State::Backup, "never alone");
    }

    #[test]
    fn facts_fed_to_a_member_reach_the_others_when_the_set_settles() {
        let mut set = grouped();
        let now = Duration::from_secs(4);
        expire(&mut set, now);
        set.router_mut(1).handle_pause(now);
        assert_eq!(set.router(0).state(), State::Master);
        set.settle(now);
        assert_eq!(states(&set), [State::Backup, State::Backup, State::Master]);
        let outputs = drain(&mut set);
        assert!(outputs.contains(&(0, Output::ReleaseAddresses)));
    }

    #[test]
    fn a_switchover_that_does_not_begin_is_told() {
        let mut set = set(&[100]);
        start(&mut set);
        set.handle_command(Duration::ZERO, RouterCommand::Switchover { router: 0 });
        let error = SwitchoverError::NotMaster { state: State::Backup };
        let told = Output::Switchover(SwitchoverEnd::Refused(error));
        assert_eq!(drain(&mut set), [(0, told)]);
    }

    #[test]
    fn groups_of_what_is_not_there_are_refused() {
        let routers = || set(&[100, 100]).routers().to_vec();
        let group = |members: &[usize]| SyncGroup::new(members.iter().copied()).unwrap();
        let with = |groups| RouterSet::with_groups(routers(), groups).map(|_| ());
        assert_eq!(
            with(vec![group(&[0, 2])]),
            Err(SyncGroupError::Unknown { member: 2 })
        );
        assert_eq!(
            with(vec![group(&[0, 1]), group(&[1])]),
            Err(SyncGroupError::InTwoGroups { member: 1 })
        );
        assert_eq!(with(vec![group(&[0]), group(&[1])]), Ok(()));
    }

    /// The first two of three are a group.
    fn grouped() -> RouterSet {
        let group = SyncGroup::new([0, 1]).unwrap().tracking_weight(true);
        let routers = set(&[100, 100, 100]).routers().to_vec();
        let mut set = RouterSet::with_groups(routers, vec![group]).unwrap();
        start(&mut set);
        set
    }

    /// Who advertises at this moment.
    fn advertised(set: &mut RouterSet, now: Duration) -> Vec<usize> {
        set.handle_timeout(now);
        let adverts = drain(set).into_iter();
        adverts
            .filter_map(|(index, output)| matches!(output, Output::Advertise(_)).then_some(index))
            .collect()
    }

    /// Everything that is due, as a driver does it.
    fn expire(set: &mut RouterSet, now: Duration) {
        while set.poll_timeout().is_some_and(|at| at <= now) {
            set.handle_timeout(now);
            drain(set);
        }
    }

    fn states(set: &RouterSet) -> Vec<State> {
        set.routers().iter().map(VirtualRouter::state).collect()
    }

    fn drain(set: &mut RouterSet) -> Vec<(usize, Output)> {
        let next = || match set.poll_output()? {
            Effect::Router(index, output) => Some((index, output)),
            Effect::Event(never) => match never {},
        };
        std::iter::from_fn(next).collect()
    }

    fn set(priorities: &[u8]) -> RouterSet {
        let router = |(index, priority): (usize, &u8)| {
            let addresses = AddressList::new(&["192.0.2.100".parse().unwrap()]).unwrap();
            let vrid = Vrid::new(index as u8 + 1).unwrap();
            let config = Config::builder(vrid, addresses).priority(Priority::new(*priority));
            VirtualRouter::new(config.build().unwrap(), "192.0.2.10".parse().unwrap())
        };
        RouterSet::new(priorities.iter().enumerate().map(router).collect())
    }

    fn start(set: &mut RouterSet) {
        for index in 0..set.len() {
            set.router_mut(index).handle_startup(Duration::ZERO);
        }
        while set.poll_output().is_some() {}
    }
}
