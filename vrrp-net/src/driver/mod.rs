//! The loop that carries facts from the network to the virtual routers, and their effects back.

mod chores;
mod conflict;
mod effects;
mod event;
mod handover;
mod intake;
mod limit;
mod restore;
mod routing;
mod slot;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use vrrp_core::{Family, Vrid};

pub use event::DriverEvent;

use crate::counters::{Cells, Counter, DriverCounters};
use crate::network::{AddressError, LinkId, Network};
use crate::plan::{LinkPlan, Plan};
use crate::routers::Routers;
use limit::LogLimit;
use slot::Slot;

/// Most inputs that are read before expired timers are acted upon. More than the receive buffers of a few sockets hold,
/// so that whatever had come before the wake is read; and a flood can't keep the timers waiting.
const MAX_INPUTS: usize = 8192;
/// Most commands that are taken per wake.
const MAX_COMMANDS: usize = 64;

/// Runs [`Routers`] on a [`Network`]. [`spawn`](crate::spawn) makes one with its own thread and the real network;
/// tests make one with a network of their own.
#[derive(Debug)]
pub struct Driver<R, N> {
    routers: R,
    network: N,
    slots: Vec<Slot>,
    links: Vec<LinkPlan>,
    by_vrid: HashMap<(LinkId, Family, Vrid), usize>,
    cells: Cells,
    /// The advert being sent.
    message: Vec<u8>,
    /// Identification of the last IPv4 packet that went out with an IP authentication header.
    ip_id: u16,
    /// When the slots want something done; `None` for never. Recomputed when `chores_changed`.
    chores_at: Option<Duration>,
    chores_changed: bool,
    /// Leases are being renewed.
    renewing: bool,
    /// What is done answers an advert that just came.
    replying: bool,
    malformed_log: LogLimit,
}

type Events<'a, R> = &'a mut dyn FnMut(DriverEvent<<R as Routers>::Event>);

impl<R: Routers, N: Network> Driver<R, N> {
    /// Checks that the addresses can be held, and sweeps leftovers of an earlier run. `network` must have been made
    /// for the links of `plan`, and `plan` for `routers`.
    ///
    /// # Errors
    /// When a virtual address can't be held; see [`AddressError`].
    pub fn new(routers: R, plan: Plan, network: N) -> Result<Self, AddressError> {
        Self::with_cells(routers, plan, network, Cells::default())
    }

    pub(crate) fn with_cells(
        routers: R,
        plan: Plan,
        mut network: N,
        cells: Cells,
    ) -> Result<Self, AddressError> {
        let placements: Vec<_> = plan.seats.iter().flat_map(|seat| &seat.placements).collect();
        network.prepare(&placements)?;
        let routing: Vec<_> = plan.seats.iter().map(|seat| &seat.routing).collect();
        network.prepare_routing(&routing);
        Ok(Self {
            routers,
            network,
            links: plan.links,
            slots: plan.seats.into_iter().map(Slot::new).collect(),
            by_vrid: plan.by_vrid,
            cells,
            message: Vec::new(),
            ip_id: 0,
            chores_at: None,
            chores_changed: false,
            renewing: false,
            replying: false,
            malformed_log: LogLimit::default(),
        })
    }

    /// Starts the routers and runs them until `shutdown` is ready; then masters send priority 0 and release their
    /// addresses.
    ///
    /// `events` is called in order, between other work: it must return soon. When `commands` closes, the driver goes
    /// on without. Dropping the future stops everything at once: nothing is sent, and the addresses stay until their
    /// leases expire, as after a crash; but those on a virtual MAC go with its interface.
    ///
    /// # Errors
    /// When the clock or the poller of the operating system fail; see [`DriverError`]. Addresses are released then.
    pub async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<R::Command>,
        mut events: impl FnMut(DriverEvent<R::Event>),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let events: Events<'_, R> = &mut events;
        let mut shutdown = pin!(shutdown);
        let mut commanded = true;
        self.start(events);
        let result = loop {
            // 1. Wait for the end, a command, the network, or the next deadline.
            let deadline = self.deadline();
            let mut command = tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                command = commands.recv(), if commanded => {
                    commanded = command.is_some();
                    command
                }
                waited = self.network.wait(deadline) => match waited {
                    Ok(()) => None,
                    Err(error) => break Err(DriverError::Wait { error }),
                },
            };
            let now = self.network.now();
            // 2. After a pause, step down: before anything is sent, and before what came meanwhile is believed.
            self.handle_pauses(now, events);
            // 3. Read what has come, so that an advert in the queue keeps a timer from firing.
            self.read_inputs(now, events);
            // 4. Do what control code asks.
            for _ in 0..MAX_COMMANDS {
                let Some(asked) = command.take().or_else(|| commands.try_recv().ok()) else {
                    break;
                };
                self.routers.handle_command(now, asked);
                self.drain(now, events);
            }
            // 5. Act on what has expired; step 1 arms the timer anew.
            self.handle_timeouts(now, events);
        };
        self.stop(events);
        result
    }

    /// A reader of the driver's counters, for any thread and for after the driver has gone.
    pub fn counters_reader(&self) -> impl Fn() -> DriverCounters + Send + Sync + Clone + 'static + use<R, N> {
        let cells = self.cells.clone();
        move || cells.snapshot()
    }

    fn start(&mut self, events: Events<'_, R>) {
        let now = self.network.now();
        for index in 0..self.slots.len() {
            self.refresh_link_of(now, index);
            self.routers.router_mut(index).handle_startup(now);
            self.drain(now, events);
        }
        self.drain(now, events);
    }

    fn stop(&mut self, events: Events<'_, R>) {
        let now = self.network.now();
        for index in 0..self.slots.len() {
            self.routers.router_mut(index).handle_shutdown(now);
            self.drain(now, events);
        }
    }

    fn deadline(&mut self) -> Option<Duration> {
        if std::mem::take(&mut self.chores_changed) {
            self.chores_at = self
                .slots
                .iter()
                .filter_map(|slot| slot.deadline(self.renewing))
                .min();
        }
        [self.routers.poll_timeout(), self.chores_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle_timeouts(&mut self, now: Duration, events: Events<'_, R>) {
        if let Some(at) = self.routers.poll_timeout().filter(|at| *at <= now) {
            self.cells.note_lateness(now - at);
            self.routers.handle_timeout(now);
            self.drain(now, events);
        }
        if self.chores_at.is_some_and(|at| at <= now) {
            self.handle_chores(now, events);
            self.drain(now, events);
        }
    }

    /// A router whose deadline is long past was not asleep but stopped, with its whole process or machine: others may
    /// have taken over meanwhile, and will have if it was master and silent for a Master_Down_Interval.
    fn handle_pauses(&mut self, now: Duration, events: Events<'_, R>) {
        if self.chores_at.is_some_and(|at| at <= now) {
            self.end_handovers(now);
        }
        // No router is later than the earliest deadline of all.
        let due = self.routers.poll_timeout().is_some_and(|at| at <= now);
        if !due {
            return;
        }
        for index in 0..self.slots.len() {
            let router = self.routers.router(index);
            // Few are due at a wake, and patience takes reckoning.
            let overdue = router.poll_timeout().and_then(|at| now.checked_sub(at));
            let Some(overdue) = overdue.filter(|overdue| *overdue > slot::patience(router)) else {
                continue;
            };
            self.cells.note_lateness(overdue);
            self.pause(now, index);
            self.drain(now, events);
        }
    }

    fn pause(&mut self, now: Duration, index: usize) {
        self.cells.count(Counter::Pauses);
        tracing::warn!(router = index, "the process stood still; listening anew");
        self.end_handover(index);
        self.routers.router_mut(index).handle_pause(now);
    }

    fn interface(&self, link: LinkId) -> &str {
        &self.links[link.0].name
    }
}

/// Why a driver ended before it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The operating system's clock or poller failed.
    #[error("the VRRP driver can't wait: {error}")]
    Wait {
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The driver's thread panicked: a bug. Its addresses expire with their leases.
    #[error("the VRRP thread panicked")]
    Panicked,
}
