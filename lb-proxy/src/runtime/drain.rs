//! Telling every open connection of a worker that it should come to an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The connections of a worker that want to hear of a drain.
///
/// A connection looks at one flag when it is polled, and is woken once, when the flag is set: cheaper, for something
/// that happens once in a connection's life, than a future beside each connection that is polled with it each time.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    draining: AtomicBool,
    /// Bounded by the worker's `max_connections`.
    wakers: Mutex<Wakers>,
}

#[derive(Debug, Default)]
struct Wakers {
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Drain {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Sets the flag and wakes everybody.
    pub(crate) fn start(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for waker in self.wakers().slots.iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Has `waker` woken when the drain starts, until the guard is dropped.
    pub(crate) fn register(&self, waker: Waker) -> Registered<'_> {
        let mut wakers = self.wakers();
        let slot = match wakers.free.pop() {
            Some(slot) => {
                wakers.slots[slot] = Some(waker);
                slot
            }
            None => {
                wakers.slots.push(Some(waker));
                wakers.slots.len() - 1
            }
        };
        Registered { drain: self, slot }
    }

    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that will hear of the drain.
pub(crate) struct Registered<'a> {
    drain: &'a Drain,
    slot: usize,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut wakers = self.drain.wakers();
        wakers.slots[self.slot] = None;
        wakers.free.push(self.slot);
    }
}
