//! What the driver drives: several virtual routers and whatever decides about them, still without IO.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use vrrp_core::{Fault, HmacConfig, Output, Priority, VirtualRouter};

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

    /// Time has come: everything that is due, of the routers and of its own. Early and spurious calls are harmless.
    fn handle_timeout(&mut self, now: Duration);

    /// A command from control code arrived.
    fn handle_command(&mut self, now: Duration, command: Self::Command);

    /// The next effect, in order; the routers' own outputs among them.
    fn poll_output(&mut self) -> Option<Effect<Self::Event>>;

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` for not at all.
    fn poll_timeout(&self) -> Option<Duration>;
}

/// Virtual routers side by side, each on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSet {
    routers: Vec<VirtualRouter>,
    /// Routers that may hold outputs, so that a fact for one doesn't poll all the others.
    touched: VecDeque<usize>,
}

impl RouterSet {
    /// Takes virtual routers in Initialize; the driver starts them.
    pub fn new(routers: Vec<VirtualRouter>) -> Self {
        Self {
            routers,
            touched: VecDeque::new(),
        }
    }

    fn touch(&mut self, index: usize) -> &mut VirtualRouter {
        if self.touched.back() != Some(&index) {
            self.touched.push_back(index);
        }
        &mut self.routers[index]
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
}

impl RouterCommand {
    fn router(&self) -> usize {
        match *self {
            Self::Priority { router, .. }
            | Self::Hmac { router, .. }
            | Self::Fault { router, .. }
            | Self::Recovery { router, .. }
            | Self::Shutdown { router } => router,
        }
    }
}

impl Routers for RouterSet {
    type Command = RouterCommand;
    type Event = Infallible;

    fn len(&self) -> usize {
        self.routers.len()
    }

    fn router(&self, index: usize) -> &VirtualRouter {
        &self.routers[index]
    }

    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter {
        self.touch(index)
    }

    fn handle_timeout(&mut self, now: Duration) {
        for index in 0..self.routers.len() {
            if self.routers[index].poll_timeout().is_some_and(|at| at <= now) {
                self.touch(index).handle_timeout(now);
            }
        }
    }

    fn handle_command(&mut self, now: Duration, command: RouterCommand) {
        if command.router() >= self.routers.len() {
            return;
        }
        let router = self.touch(command.router());
        match command {
            RouterCommand::Priority { priority, .. } => router.set_priority(now, priority),
            RouterCommand::Fault { fault, .. } => router.handle_fault(now, fault),
            RouterCommand::Recovery { fault, .. } => router.handle_recovery(now, fault),
            RouterCommand::Hmac { config, .. } => {
                let _ = router.set_hmac(config);
            }
            RouterCommand::Shutdown { .. } => router.handle_shutdown(now),
        }
    }

    fn poll_output(&mut self) -> Option<Effect<Infallible>> {
        while let Some(&index) = self.touched.front() {
            if let Some(output) = self.routers[index].poll_output() {
                return Some(Effect::Router(index, output));
            }
            self.touched.pop_front();
        }
        None
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.routers.iter().filter_map(VirtualRouter::poll_timeout).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrp_core::{AddressList, Config, State, Vrid};

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
