//! What the driver does in its own time: renewing leases, trying refused addresses again, asking who else has them.

use std::time::Duration;

use vrrp_core::Fault;

use super::slot::{Holding, Slot};
use super::{Driver, DriverEvent, Events};
use crate::counters::Counter;
use crate::network::{AddressError, Network};
use crate::routers::Routers;

impl<R: Routers, N: Network> Driver<R, N> {
    pub(super) fn handle_chores(&mut self, now: Duration, events: Events<'_, R>) {
        self.chores_changed = true;
        if self.slots.iter().filter_map(Slot::renew_at).any(|at| at <= now) {
            self.renew(now, events);
        }
        for index in 0..self.slots.len() {
            self.retry(now, index);
            self.probe(now, index, events);
        }
    }

    /// Renews what is due, and what soon will be with it: then they stay together, and one batch serves all.
    fn renew(&mut self, now: Duration, events: Events<'_, R>) {
        let soon = |slot: &Slot| {
            let ahead = slot.seat.lease.unwrap_or_default() / 4;
            slot.renew_at().is_some_and(|at| at <= now + ahead)
        };
        let (mut batch, mut owners) = (Vec::new(), Vec::new());
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| soon(slot)) {
            if self.stalled_until(now, index).is_some() {
                // Due again at once, and by then it has stepped down.
                return;
            }
            batch.extend(&slot.seat.placements);
            owners.resize(batch.len(), index);
        }
        let failures = self.network.renew(&batch);
        self.cells
            .add(Counter::Renewals, (batch.len() - failures.len()) as u64);
        for slot in &mut self.slots {
            if soon(slot) {
                if let (Holding::Held { renew_at, .. }, Some(lease)) = (&mut slot.holding, slot.seat.lease) {
                    *renew_at = Some(now + lease / 2);
                }
            }
        }
        self.keep_renewed_routing(now, &owners, events);
        for (place, error) in failures {
            let index = owners[place];
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

    /// A second look at what the kernel removes without a word.
    fn keep_renewed_routing(&mut self, now: Duration, owners: &[usize], events: Events<'_, R>) {
        // The owners stand in order, one for each address.
        let mut last = None;
        for index in owners {
            if last.replace(index) != Some(index) {
                self.keep_routing(now, *index, events);
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
        if slot.probe.ask(now) {
            // On another interface than the adverts' the last master can't be told from a stranger.
            let here = slot
                .seat
                .placements
                .iter()
                .filter(|placement| placement.link == home)
                .map(|placement| (home, placement.address()));
            let last_master = slot.last_master.map(|address| (slot.seat.link, address));
            for (link, address) in here.chain(last_master) {
                if let Err(error) = self.network.probe(link, address) {
                    self.cells.count(Counter::AnnounceErrors);
                    tracing::debug!(router = index, %address, %error, "probe not sent");
                }
            }
        }
        let strangers = slot.probe.conclude(now, self.network.mac(home), slot.last_master);
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
