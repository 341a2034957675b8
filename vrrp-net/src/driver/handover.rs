//! Handing the addresses over: a master that has stepped down to a living one keeps them until that one announces them.
//!
//! The winner advertises, then adds the addresses, then announces them. The loser hears the advert first: would it
//! remove them at once, nobody would serve for as long as the winner takes. So clients see no gap, and none is led
//! astray: whatever they send after the announcement goes to the winner.

use std::net::IpAddr;
use std::time::Duration;

use super::Driver;
use super::slot::Holding;
use crate::network::{LinkId, Network};
use crate::routers::Routers;

/// Longest wait for an announcement, if the winner's interval is not shorter. It may announce nothing, or be cut off;
/// and another keepalived adds a hundred addresses in less.
const LONGEST: Duration = Duration::from_millis(50);

impl<R: Routers, N: Network> Driver<R, N> {
    /// Begins to wait for the winner.
    pub(super) fn hand_over(&mut self, now: Duration, index: usize) {
        let wait = self.routers.router(index).master_adver_interval().duration();
        let slot = &mut self.slots[index];
        if !slot.is_held() {
            return;
        }
        if slot.seat.out != slot.seat.link {
            // The advert that we have lost to came from the virtual MAC, and the switch has sent everything to the winner
            // since. An answer of ours would draw it back.
            return self.release(index);
        }
        slot.let_go();
        slot.awaited = (0..slot.seat.placements.len()).collect();
        slot.holding = Holding::HandingOver {
            until: now + wait.min(LONGEST),
        };
        self.chores_changed = true;
    }

    /// A host has said that this address is its own.
    pub(super) fn note_announcement(&mut self, link: LinkId, address: IpAddr) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !slot.is_handing_over() {
                continue;
            }
            let seat = &slot.seat;
            // What is said from our own virtual MAC is heard on the interface below.
            let heard = |at| at == link || (Some(at) == seat.vmac && seat.link == link);
            let said = |place: &usize| {
                let placement = &seat.placements[*place];
                placement.address() == address && heard(placement.link)
            };
            slot.awaited.retain(|place| !said(place));
            if slot.awaited.is_empty() {
                self.release(index);
            }
        }
    }

    /// Ends the waits that have been long enough.
    pub(super) fn end_handovers(&mut self, now: Duration) {
        for index in 0..self.slots.len() {
            if matches!(self.slots[index].holding, Holding::HandingOver { until } if until <= now) {
                self.release(index);
            }
        }
    }

    /// Whoever is down, in fault, or was paused waits for nobody.
    pub(super) fn end_handover(&mut self, index: usize) {
        if self.slots[index].is_handing_over() {
            self.release(index);
        }
    }
}
