//! What the driver drives: several virtual routers and whatever decides about them, still without IO.

mod command;
mod seats;
mod set;
#[cfg(test)]
mod tests;

pub use command::RouterCommand;
pub use set::RouterSet;

use std::time::Duration;

use vrrp_core::{Output, VirtualRouter};

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
    /// backups that are, a few at a time should become master: that takes several system calls each, and meanwhile
    /// those that are master already must advertise, and adverts may come that keep the next ones from it.
    fn handle_timeout(&mut self, now: Duration);

    /// A command from control code arrived.
    fn handle_command(&mut self, now: Duration, command: Self::Command);

    /// The next effect, in order; the routers' own outputs among them.
    fn poll_output(&mut self) -> Option<Effect<Self::Event>>;

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` for not at all.
    fn poll_timeout(&self) -> Option<Duration>;
}
