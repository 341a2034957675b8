//! What the driver does in its own time: renewing leases, trying refused addresses again, asking who else has them.

use std::time::Duration;

use vrrp_core::Fault;

use super::slot::{Holding, Slot, patience};
use super::{Driver, DriverEvent, Events};
use crate::counters::Counter;
use crate::network::{AddressError, Network, Placement, Renewal};
use crate::routers::Routers;

impl<R: Routers, N: Network> Driver<R, N> {
    pub(super) fn handle_chores(&mut self, now: Duration, events: Events<'_, R>) {
        self.chores_changed = true;
        if !self.renewing && self.slots.iter().filter_map(Slot::renew_at).any(|at| at <= now) {
            self.renew(now);
        }
        self.end_handovers(now);
        for index in 0..self.slots.len() {
            self.retry(now, index);
            self.restore_due(now, index, events);
            self.keep_routing_due(now, index, events);
            self.probe(now, index, events);
        }
    }

    /// Renews what is due, and what soon will be with it: then they stay together, and one batch serves all.
    fn renew(&mut self, now: Duration) {
        let soon = |slot: &Slot| {
            let ahead = slot.seat.lease.unwrap_or_default() / 4;
            slot.renew_at().is_some_and(|at| at <= now + ahead)
        };
        let (mut batch, mut least_patience) = (Vec::new(), Duration::MAX);
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| soon(slot)) {
            if self.stalled_until(now, index).is_some() {
                // Due again at once, and by then it has stepped down.
                return;
            }
            least_patience = least_patience.min(patience(self.routers.router(index)));
            batch.extend(&slot.seat.placements);
        }
        self.network.renew(&batch, least_patience);
        self.renewing = true;
        for slot in self.slots.iter_mut().filter(|slot| soon(slot)) {
            if let (Holding::Held { renew_at, .. }, Some(lease)) = (&mut slot.holding, slot.seat.lease) {
                *renew_at = Some(now + lease / 2);
            }
        }
    }

    /// A renewal has ended.
    pub(super) fn note_renewal(&mut self, now: Duration, renewal: Renewal, events: Events<'_, R>) {
        self.renewing = false;
        self.chores_changed = true;
        self.cells.add(Counter::Renewals, renewal.renewed);
        for (link, address) in renewal.left {
            if let Some((index, _)) = self.owner(link, address) {
                self.slots[index].renew_now(now);
            }
        }
        for (link, address, error) in renewal.failures {
            let Some((index, _)) = self.owner(link, address) else {
                continue;
            };
            match error {
                // Somebody made it their own while we are master. It is there, so we serve; it is not ours to touch.
                AddressError::Foreign { .. } => {
                    if let Some(more) = self.slots[index].address_log.allow(now) {
                        tracing::error!(router = index, %error, more, "not renewed");
                    }
                }
                // Several addresses of one router may fail; the first puts it in Fault.
                _ if self.slots[index].is_held() => self.refuse(now, index, &error, events),
                _ => {}
            }
        }
    }

    fn retry(&mut self, now: Duration, index: usize) {
        let slot = &mut self.slots[index];
        if matches!(slot.holding, Holding::Refused { retry_at } if retry_at <= now) {
            slot.holding = Holding::Released;
            self.routers
                .router_mut(index)
                .handle_recovery(now, Fault::Addresses);
        }
    }

    fn probe(&mut self, now: Duration, index: usize, events: Events<'_, R>) {
        let slot = &mut self.slots[index];
        let home = slot.seat.home();
        let placed = |placement: &&Placement| (placement.link, placement.address());
        let (here, elsewhere): (Vec<_>, Vec<_>) = slot
            .seat
            .placements
            .iter()
            .partition(|placement| placement.link == home);
        let mut asked = Vec::new();
        if slot.probe.ask(now) {
            asked.extend(here.iter().map(placed));
            asked.extend(slot.last_master.map(|address| (slot.seat.link, address)));
        }
        // Nothing to hear there means nothing to wait for.
        if elsewhere.is_empty() {
            slot.probe_elsewhere.cancel();
        } else if slot.probe_elsewhere.ask(now) {
            asked.extend(elsewhere.iter().map(placed));
        }
        for (link, address) in asked {
            if let Err(error) = self.network.probe(link, address) {
                self.cells.count(Counter::AnnounceErrors);
                tracing::debug!(router = index, %address, %error, "probe not sent");
            }
        }
        let mut strangers = slot.probe.conclude(now, self.network.mac(home), slot.last_master);
        strangers.extend(slot.probe_elsewhere.conclude(now, None, None));
        for (address, mac) in strangers {
            self.cells.count(Counter::Conflicts);
            tracing::warn!(router = index, %address, %mac, "another host answers for a virtual address");
            events(DriverEvent::Conflict {
                router: index,
                address,
                mac,
            });
        }
    }
}
