//! Putting back what somebody removes, addresses, routes and rules: at once, but not for ever at once.

use std::net::IpAddr;
use std::time::Duration;

use super::{Driver, DriverEvent, Events};
use crate::counters::Counter;
use crate::network::{AddressError, LinkId, Network};
use crate::routers::Routers;

/// Most per second and address, or of all routes and rules of a router. Whoever removes more fights us, and would only be driven to greater haste.
const PER_SECOND: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// What is left to be put back, and how much has been.
#[derive(Debug, Default)]
pub(super) struct Restores {
    /// When the second that is counted began.
    since: Option<Duration>,
    /// Places of what was put back in it.
    restored: Vec<usize>,
    /// When to put back what is missing.
    due_at: Option<Duration>,
    /// Places of what is missing.
    missing: Vec<usize>,
}

impl Restores {
    /// Whether an address may be put back at this moment; if not, it is when its time has come.
    fn allow(&mut self, now: Duration, place: usize) -> bool {
        let allowed = self.is_allowed(now, place);
        if allowed {
            self.count(place);
        }
        allowed
    }

    /// The same of what may turn out not to be missing, and is [counted](Self::count) only if it is.
    pub(super) fn is_allowed(&mut self, now: Duration, place: usize) -> bool {
        if self.since.is_none_or(|since| now >= since + SECOND) {
            self.since = Some(now);
            self.restored.clear();
        }
        let before = self
            .restored
            .iter()
            .filter(|restored| **restored == place)
            .count();
        if self.due_at.is_none() && before < PER_SECOND {
            return true;
        }
        self.due_at.get_or_insert(now + SECOND);
        if !self.missing.contains(&place) {
            self.missing.push(place);
        }
        false
    }

    /// It was put back.
    pub(super) fn count(&mut self, place: usize) {
        self.restored.push(place);
    }

    /// What is to be put back at this moment.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<usize> {
        if self.due_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.due_at = None;
        std::mem::take(&mut self.missing)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.due_at
    }

    /// What is missing is no longer ours to put back.
    pub(super) fn cancel(&mut self) {
        self.due_at = None;
        self.missing.clear();
    }
}

impl<R: Routers, N: Network> Driver<R, N> {
    /// Somebody removed an address, or its lease ran out while we stood still: put it back.
    pub(super) fn restore(&mut self, now: Duration, link: LinkId, address: IpAddr, events: Events<'_, R>) {
        let Some((index, place)) = self.owner(link, address) else {
            return;
        };
        // After a pause another may have it; if none has, the next renewal puts it back.
        if !self.slots[index].is_held() || self.stalled_until(now, index).is_some() {
            return;
        }
        if self.slots[index].restores.allow(now, place) {
            self.put_back(now, index, place, events);
        } else {
            self.chores_changed = true;
            if let Some(more) = self.slots[index].fight_log.allow(now) {
                let suspect = self.network.suspect(link).unwrap_or("another program");
                tracing::error!(
                    router = index, %address, more,
                    "removed again and again, by {suspect}; put back once a second from here on"
                );
            }
        }
    }

    /// Puts back what had to wait.
    pub(super) fn restore_due(&mut self, now: Duration, index: usize, events: Events<'_, R>) {
        for place in self.slots[index].restores.take_due(now) {
            if self.slots[index].is_held() && self.stalled_until(now, index).is_none() {
                self.put_back(now, index, place, events);
            }
        }
    }

    fn put_back(&mut self, now: Duration, index: usize, place: usize, events: Events<'_, R>) {
        let slot = &mut self.slots[index];
        let placement = &slot.seat.placements[place..=place];
        let (link, address) = (placement[0].link, placement[0].address());
        match self.network.acquire(placement) {
            Ok(()) => {
                self.cells.count(Counter::Restored);
                if let Some(more) = slot.address_log.allow(now) {
                    let suspect = self.network.suspect(link).unwrap_or("another program");
                    tracing::warn!(
                        router = index, %address, more,
                        "a virtual address was removed, by {suspect}; put back"
                    );
                }
                events(DriverEvent::AddressRestored {
                    router: index,
                    address,
                });
                // Routes whose source it is went with it.
                self.keep_routing(now, index, events);
            }
            // It went with its interface, which is reported next.
            Err(AddressError::NoInterface { .. }) => {}
            Err(error) => self.refuse(now, index, &error, events),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_second_are_put_back_at_once_and_the_rest_a_second_later() {
        let mut restores = Restores::default();
        let ms = Duration::from_millis;
        for n in 0..5 {
            assert!(restores.allow(ms(n), 0));
        }
        assert!(!restores.allow(ms(10), 0));
        assert!(!restores.allow(ms(20), 1));
        assert!(!restores.allow(ms(30), 0));
        assert_eq!(restores.deadline(), Some(ms(1010)));
        assert!(restores.take_due(ms(1009)).is_empty());
        assert_eq!(restores.take_due(ms(1010)), [0, 1]);
        assert_eq!(restores.deadline(), None);
        assert!(restores.allow(ms(1011), 0), "another second");
    }

    /// As when all are flushed, or go with the interface of a virtual MAC.
    #[test]
    fn any_number_of_addresses_is_put_back_at_once() {
        let mut restores = Restores::default();
        assert!((0..255).all(|place| restores.allow(Duration::ZERO, place)));
        assert_eq!(restores.deadline(), None);
    }

    #[test]
    fn what_was_given_up_is_not_put_back() {
        let mut restores = Restores::default();
        for _ in 0..6 {
            restores.allow(Duration::ZERO, 0);
        }
        assert!(restores.deadline().is_some());
        restores.cancel();
        assert!(restores.take_due(SECOND * 2).is_empty());
    }
}
