//! Routes and rules of the virtual routers: had with the addresses, and put back when they go.

use std::time::Duration;

use super::slot::Holding;
use super::{Driver, DriverEvent, Events};
use crate::counters::Counter;
use crate::network::{LinkId, Network};
use crate::routers::Routers;

/// The place of all routes and rules of a router together.
const ALL: usize = 0;

impl<R: Routers, N: Network> Driver<R, N> {
    /// Adds what is missing of every master's routes and rules.
    pub(super) fn keep_all_routing(&mut self, now: Duration, events: Events<'_, R>) {
        for index in 0..self.slots.len() {
            self.keep_routing(now, index, events);
        }
    }

    /// Adds what is missing of a master's routes and rules.
    pub(super) fn keep_routing(&mut self, now: Duration, index: usize, events: Events<'_, R>) {
        let slot = &mut self.slots[index];
        if slot.seat.routing.is_empty() || !slot.is_held() {
            return;
        }
        // After a pause another may be master; if none is, it takes over anew, and has them anew.
        if self.stalled_until(now, index).is_some() {
            return;
        }
        let slot = &mut self.slots[index];
        if !slot.routing_restores.is_allowed(now, ALL) {
            self.chores_changed = true;
            if let Some(more) = slot.fight_log.allow(now) {
                tracing::error!(
                    router = index,
                    more,
                    "routes or rules are removed again and again, by another program; put back once a second from here on"
                );
            }
            return;
        }
        match self.network.acquire_routing(&slot.seat.routing) {
            Ok(0) => {}
            Ok(count) => {
                slot.routing_restores.count(ALL);
                self.cells.count(Counter::Restored);
                if let Some(more) = slot.address_log.allow(now) {
                    tracing::warn!(router = index, count, more, "routes or rules were gone; put back");
                }
                events(DriverEvent::RoutingRestored { router: index, count });
            }
            Err(error) => self.refuse(now, index, &error, events),
        }
    }

    /// Adds what had to wait, if it is missing still.
    pub(super) fn keep_routing_due(&mut self, now: Duration, index: usize, events: Events<'_, R>) {
        if !self.slots[index].routing_restores.take_due(now).is_empty() {
            self.keep_routing(now, index, events);
        }
    }

    /// An interface changed. The kernel removes the routes over one that goes down, and says nothing of it; when it comes
    /// up, who was refused for the want of it tries again at once.
    pub(super) fn follow_link(&mut self, now: Duration, link: LinkId, events: Events<'_, R>) {
        self.keep_all_routing(now, events);
        if !self.network.link(link).up {
            return;
        }
        let name = &self.links[link.0].name;
        for slot in &mut self.slots {
            let needs = slot
                .seat
                .routing
                .routes
                .iter()
                .any(|route| route.devs().any(|dev| dev == name));
            if let (Holding::Refused { retry_at }, true) = (&mut slot.holding, needs) {
                *retry_at = now;
                self.chores_changed = true;
            }
        }
    }
}
