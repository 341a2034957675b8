//! Many checks on one timer, of which only so many run at a time.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::num::NonZeroUsize;
use core::time::Duration;

use crate::{Check, CheckConfig, Outcome, Output};

/// Many checks as one sans-IO machine: those of all backends of a balancer, for instance.
///
/// It is fed and drained as a [`Check`] is, and says in addition which check an input or output is about.
///
/// * The first runs are spread: each begins [`SPACING`](Self::SPACING) after the one that was inserted before it, and after
///   a whole interval from the beginning again, so that the more checks there are, the more begin in the same moment and
///   none waits longer than its interval.
/// * Not more runs are on at a time than `limit`. Those that fall due meanwhile begin in the order in which they fell due,
///   as others end; nothing is skipped by that. A probe that has run out of time counts until it has ended.
/// * Each check has a jitter of its own, whatever the names are, from a `seed` for all.
///
/// What it costs: a heap of timers, O(log n) for each run.
///
/// ```
/// use core::num::NonZeroUsize;
/// use core::time::Duration;
/// use ha_health::{CheckConfig, CheckSet, Outcome, Output};
///
/// let config = CheckConfig::builder("backend").interval(Duration::from_secs(2)).build()?;
/// let mut set = CheckSet::new(NonZeroUsize::MIN, 7);
/// let ids = [(); 2].map(|()| set.insert(Duration::ZERO, config.clone()));
///
/// // One at a time: the second waits for the end of the first.
/// let start = |id| Some((id, Output::Start { timeout: Duration::from_secs(2) }));
/// set.handle_timeout(CheckSet::SPACING);
/// assert_eq!((set.poll_output(), set.poll_output()), (start(ids[0]), None));
/// set.handle_result(CheckSet::SPACING, ids[0], Outcome::success());
/// assert!(matches!(set.poll_output(), Some((id, Output::Changed { up: true, .. })) if id == ids[0]));
/// assert_eq!(set.poll_output(), start(ids[1]));
/// # Ok::<(), ha_health::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct CheckSet {
    slots: Vec<Slot>,
    /// Slots without a check.
    free: Vec<u32>,
    /// Each check's timer, and outdated ones, whose stamp is not that of their slot.
    timers: BinaryHeap<Reverse<Timer>>,
    /// Checks that are due and have no place to run yet, in the order in which they fell due, and some that were removed.
    waiting: VecDeque<CheckId>,
    /// Checks that are there.
    len: usize,
    /// Runs that are on.
    running: usize,
    limit: NonZeroUsize,
    seed: u64,
    inserted: u32,
    outputs: VecDeque<(CheckId, Output)>,
}

/// Which check of a [`CheckSet`]. It is not used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId {
    slot: u32,
    generation: u32,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Room for one check.
#[derive(Debug)]
struct Slot {
    generation: u32,
    /// `None` while it is free, and when the check was removed and its run is still on.
    check: Option<Check>,
    running: bool,
    waiting: bool,
    /// Of its timer in the heap.
    stamp: u32,
    /// When that is.
    armed: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    at: Duration,
    slot: u32,
    stamp: u32,
}

impl CheckSet {
    /// Between the first runs of two checks: 10 ms.
    pub const SPACING: Duration = Duration::from_millis(10);
    /// Outdated timers are thrown out when they are as many as this and more than half.
    const MAX_OUTDATED: usize = 1024;

    /// Makes an empty set that runs at most `limit` probes at a time. `seed` should be random, or else two processes with
    /// the same checks ask in the same rhythm.
    pub fn new(limit: NonZeroUsize, seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            waiting: VecDeque::new(),
            len: 0,
            running: 0,
            limit,
            seed,
            inserted: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Adds a check, whose first run comes as soon as the spreading allows.
    ///
    /// # Panics
    /// With more than 2³² checks.
    pub fn insert(&mut self, now: Duration, config: CheckConfig) -> CheckId {
        let spacings = Self::SPACING.saturating_mul(self.inserted);
        // Within a day, so neither number is cut.
        let spread = spacings.as_nanos() % config.interval().as_nanos();
        let first = now.saturating_add(Duration::from_nanos(spread as u64));
        let seed = self.seed ^ u64::from(self.inserted).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.inserted = self.inserted.wrapping_add(1);
        let check = Check::new(first, config).with_seed(seed);
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).expect("no machine holds as many checks");
            self.slots.push(Slot {
                generation: 0,
                check: None,
                running: false,
                waiting: false,
                stamp: 0,
                armed: None,
            });
            index
        });
        let slot = &mut self.slots[index as usize];
        slot.check = Some(check);
        self.len += 1;
        let id = CheckId {
            slot: index,
            generation: slot.generation,
        };
        self.settle(id);
        id
    }

    /// Takes a check out. Its run, if one is on, has to be ended by [`handle_result`](Self::handle_result) still. Gives
    /// nothing if it is not there any more.
    pub fn remove(&mut self, now: Duration, id: CheckId) -> Option<Check> {
        let slot = self.slot(id)?;
        let check = slot.check.take()?;
        slot.armed = None;
        slot.stamp = slot.stamp.wrapping_add(1);
        let mut running = slot.running;
        self.len -= 1;
        self.outputs.retain(|(of, output)| {
            if *of == id && matches!(output, Output::Start { .. }) {
                // Nobody has been told to begin it, so nobody will tell its end.
                running = false;
                self.running -= 1;
            }
            *of != id
        });
        if !running {
            self.vacate(id);
        }
        self.start_waiting(now);
        Some(check)
    }

    /// Says that time has come, for whatever check it has. Early, late and spurious calls are harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(Reverse(timer)) = self.timers.peek().copied() {
            if timer.at > now {
                break;
            }
            self.timers.pop();
            let slot = &mut self.slots[timer.slot as usize];
            if slot.stamp != timer.stamp || slot.armed.is_none() {
                continue;
            }
            slot.armed = None;
            let id = CheckId {
                slot: timer.slot,
                generation: slot.generation,
            };
            if slot.running {
                self.feed(id, |check| check.handle_timeout(now));
            } else {
                slot.waiting = true;
                self.waiting.push_back(id);
            }
        }
        self.start_waiting(now);
    }

    /// Takes the outcome of the run that was started last for this check; its probe has ended.
    pub fn handle_result(&mut self, now: Duration, id: CheckId, outcome: Outcome) {
        let Some(slot) = self.slot(id).filter(|slot| slot.running) else {
            return;
        };
        slot.running = false;
        let removed = slot.check.is_none();
        self.running -= 1;
        if removed {
            self.vacate(id);
        } else {
            self.feed(id, |check| check.handle_result(now, outcome));
        }
        self.start_waiting(now);
    }

    /// Takes note that something else has found reason for doubt; see [`Check::handle_suspicion`]. Such a check goes before
    /// those that wait.
    pub fn handle_suspicion(&mut self, now: Duration, id: CheckId) {
        let Some(slot) = self.slot(id) else { return };
        let Some(check) = &mut slot.check else { return };
        check.handle_suspicion(now);
        let due = check.poll_timeout().is_some_and(|due| due <= now);
        // One that waits keeps its place.
        if due && !slot.running && !slot.waiting {
            slot.armed = None;
            slot.stamp = slot.stamp.wrapping_add(1);
            slot.waiting = true;
            self.waiting.push_front(id);
            self.start_waiting(now);
        } else {
            self.settle(id);
        }
    }

    /// Gives the next effect, in order; `None` once all have been given.
    pub fn poll_output(&mut self) -> Option<(CheckId, Output)> {
        self.outputs.pop_front()
    }

    /// Says when to call [`handle_timeout`](Self::handle_timeout) next; `None` while all that can come is the end of a run.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse(timer)| timer.at)
    }

    /// Gives a check, unless it was removed.
    pub fn get(&self, id: CheckId) -> Option<&Check> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.check.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// Gives the number of checks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives the number of runs that are on.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Gives the number of runs that may be on.
    pub fn limit(&self) -> NonZeroUsize {
        self.limit
    }

    fn slot(&mut self, id: CheckId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        Some(slot).filter(|slot| slot.generation == id.generation)
    }

    /// Begins runs that are due, as long as there is room.
    fn start_waiting(&mut self, now: Duration) {
        while self.running < self.limit.get() {
            let Some(id) = self.waiting.pop_front() else {
                return;
            };
            let Some(slot) = self.slot(id).filter(|slot| slot.waiting) else {
                continue;
            };
            slot.waiting = false;
            self.feed(id, |check| check.handle_timeout(now));
        }
    }

    /// Feeds one input to a check, and takes what comes of it.
    fn feed(&mut self, id: CheckId, input: impl FnOnce(&mut Check)) {
        let slot = &mut self.slots[id.slot as usize];
        let Some(check) = &mut slot.check else { return };
        input(check);
        while let Some(output) = check.poll_output() {
            if matches!(output, Output::Start { .. }) {
                slot.running = true;
                self.running += 1;
            }
            self.outputs.push_back((id, output));
        }
        self.settle(id);
    }

    /// Arms the timer of a check anew, unless it waits for room already.
    fn settle(&mut self, id: CheckId) {
        let slot = &mut self.slots[id.slot as usize];
        let Some(check) = slot.check.as_ref().filter(|_| !slot.waiting) else {
            return;
        };
        let next = check.poll_timeout();
        if next != slot.armed {
            slot.armed = next;
            slot.stamp = slot.stamp.wrapping_add(1);
            if let Some(at) = next {
                self.timers.push(Reverse(Timer {
                    at,
                    slot: id.slot,
                    stamp: slot.stamp,
                }));
            }
        }
        self.forget_outdated();
    }

    fn forget_outdated(&mut self) {
        let slots = &self.slots;
        let current = |timer: &Timer| slots[timer.slot as usize].stamp == timer.stamp;
        if self.timers.len() >= 2 * slots.len() + Self::MAX_OUTDATED {
            self.timers.retain(|Reverse(timer)| current(timer));
        }
        // The next one tells when to come back.
        while self.timers.peek().is_some_and(|Reverse(timer)| !current(timer)) {
            self.timers.pop();
        }
    }

    fn vacate(&mut self, id: CheckId) {
        let slot = &mut self.slots[id.slot as usize];
        slot.waiting = false;
        slot.running = false;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
    }
}
