//! The balancer of one upstream: many readers that pick, few writers that change it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::backend::{Backend, NEVER, nanos};
use super::config::{BackendId, UpstreamConfig, Weight};
use super::control::{Changed, Control, Setting};
use super::outcome::{Outcome, Verdict};
use super::pick::{Choice, Pick, Refusal};
use super::queue::{Gate, Waiting};
use super::slots::Tried;
use super::snapshot::Snapshot;
use super::status::{Diff, Transition, UnknownBackend, UpstreamStatus};
use super::strategy::{Dice, Key, Table};

/// Up to how many steps a schedule may take to lay out (some 50 µs) for the thread that reports a change to
/// do it at once.
const PROMPT_WORK: u64 = 1 << 15;

/// How often schedules are laid out again in one go because backends kept changing meanwhile.
const MAX_REBUILDS: usize = 4;

/// The balancer of one upstream. A clone is another handle on the same one.
///
/// Picks read one snapshot and take no lock; changes are made one after the other and publish one new
/// snapshot each.
#[derive(Clone, Debug)]
pub struct Upstream {
    core: Arc<Core>,
}

impl Upstream {
    /// A balancer that begins at the beginning of its schedule, with every backend up that is not `down`.
    #[must_use]
    pub fn new(config: UpstreamConfig) -> Self {
        let core = Arc::new_cyclic(|core| {
            let gate = Arc::new(Gate::default());
            let control = Control::new(config, Arc::clone(&gate), core);
            let plan = control.plan();
            let [primaries, spares] =
                [plan.primaries, plan.spares].map(|members| Arc::new(Table::new(plan.strategy, members)));
            let (snapshot, _) = control.snapshot(primaries, spares);
            Core {
                current: ArcSwap::from_pointee(snapshot),
                revision: AtomicU64::new(0),
                stale: AtomicBool::new(false),
                players: AtomicU64::new(0),
                due: AtomicU64::new(NEVER),
                control: Mutex::new(control),
                layout: Mutex::new(()),
                gate,
            }
        });
        Self { core }
    }

    /// Chooses the backend of one request that has been to `tried`; `None` if no backend can take it.
    ///
    /// Never gives one that was tried. Spares come only when no primary is left. When nobody is up, all are
    /// used that the operator has not taken out, or none if there is no [panic
    /// mode](super::UpstreamBuilder::panic) (nginx: "no live upstreams", 502). `now` is the time since the
    /// driver's epoch. A worker picks by a [`Reader`], which is faster.
    pub fn pick(&self, now: Duration, tried: &Tried) -> Option<Pick> {
        self.pick_by(now, Key::None, tried)
    }

    /// As [`pick`](Self::pick), for a request with a key.
    pub fn pick_by(&self, now: Duration, key: Key<'_>, tried: &Tried) -> Option<Pick> {
        let dice = &mut self.core.dice();
        self.core.current.load().pick(now, key, tried, dice).ok()
    }

    /// Takes a place in the queue for a request that has been to `tried`, after a pick said
    /// [`Refusal::Full`].
    ///
    /// If a slot has become free since, it is the request's at once. A slot goes to whoever has waited
    /// longest, whatever the strategy.
    ///
    /// # Errors
    /// [`Refusal::Full`] if the queue is full, or the upstream has [none](super::UpstreamBuilder::queue);
    /// [`Refusal::NoBackend`] if there is nothing to wait for.
    pub fn wait(&self, now: Duration, tried: &Tried) -> Result<Waiting, Refusal> {
        let claim = || {
            let dice = &mut self.core.dice();
            self.core.current.load().claim(now, Key::None, tried, dice)
        };
        self.core.gate.wait(now, tried, claim)
    }

    /// A handle that caches the snapshot, for one worker.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let revision = self.core.revision.load(Ordering::Acquire);
        Reader {
            core: Arc::clone(&self.core),
            revision,
            snapshot: self.core.current.load_full(),
            dice: self.core.dice(),
        }
    }

    /// Takes over a new set of settings, and tells what differs.
    ///
    /// By [`BackendId`], backends keep their counters, the result of their checks and their failures; one
    /// whose address changed keeps its counters alone. Weights, `down` and `drain` are what `config` says,
    /// whatever was set at run time. Who waits in the queue goes on waiting. When this returns, no pick gives
    /// a backend that is not in `config`; a `max_conns` that was not there before counts the requests that
    /// begin from then on.
    pub fn replace(&self, now: Duration, config: UpstreamConfig) -> Diff {
        let core = Arc::downgrade(&self.core);
        self.core
            .change(now, |control| (control.replace(now, config, &core), Changed::Set))
    }

    /// Sets a backend's weight; 0 drains it.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn set_weight(
        &self,
        now: Duration,
        id: &BackendId,
        weight: impl Into<Weight>,
    ) -> Result<Option<Transition>, UnknownBackend> {
        self.core.set(now, id, Setting::Weight(weight.into()))
    }

    /// Takes a backend out by the operator's word, or back in.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn set_down(
        &self,
        now: Duration,
        id: &BackendId,
        down: bool,
    ) -> Result<Option<Transition>, UnknownBackend> {
        self.core.set(now, id, Setting::Down(down))
    }

    /// Lets a backend run dry, or ends that: requests that stick to it go on, others don't come.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn set_drain(
        &self,
        now: Duration,
        id: &BackendId,
        drain: bool,
    ) -> Result<Option<Transition>, UnknownBackend> {
        self.core.set(now, id, Setting::Drain(drain))
    }

    /// Tells what a backend's active check says; until told, it passes, unless its check is
    /// [mandatory](super::BackendConfig::mandatory). Coming back up also forgets failed requests.
    ///
    /// With thousands of backends of different weights, one that is new among those up waits for
    /// [`handle_timeout`](Self::handle_timeout), so that many checks make one new schedule.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn set_check(
        &self,
        now: Duration,
        id: &BackendId,
        up: bool,
    ) -> Result<Option<Transition>, UnknownBackend> {
        self.core.handle_check(now, id, up)
    }

    /// Lets the shares grow of backends that [start slowly](super::BackendConfig::slow_start), and lays the
    /// schedules out anew if a request's outcome or a check changed them and that was too much work to do on
    /// its thread.
    ///
    /// Without it, a backend that starts slowly keeps the least share; and with thousands of backends of
    /// different weights, picks skip the failed ones, and those that recovered stay out. Early, late and
    /// spurious calls are harmless.
    pub fn handle_timeout(&self, now: Duration) {
        self.core.handle_timeout(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do: at once (zero), at that time, or not
    /// until a request's outcome or a check says so.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.core.stale.load(Ordering::Acquire) {
            return Some(Duration::ZERO);
        }
        let due = self.core.due.load(Ordering::Acquire);
        (due != NEVER).then(|| Duration::from_nanos(due))
    }

    /// A backend whose requests failed, so that its active check should look at it now rather than at its
    /// time; each at most once a second.
    ///
    /// When there is none, `driver` is woken for the next one, and also whenever a fact may have changed
    /// [`poll_timeout`](Self::poll_timeout); the last one given is. Drivers without active checks need only
    /// the latter.
    pub fn poll_suspect(&self, driver: &Waker) -> Poll<BackendId> {
        match lock(&self.core.control).poll_suspect(driver) {
            Some(suspect) => Poll::Ready(suspect),
            None => Poll::Pending,
        }
    }

    /// The upstream and its backends at this moment.
    #[must_use]
    pub fn status(&self) -> UpstreamStatus {
        lock(&self.core.control).status()
    }
}

/// A worker's handle on an [`Upstream`], with the snapshot at hand; each pick checks that it is still the
/// current one.
///
/// It keeps an outdated snapshot in memory until the next pick.
pub struct Reader {
    core: Arc<Core>,
    revision: u64,
    snapshot: Arc<Snapshot>,
    dice: Dice,
}

impl Reader {
    /// As [`Upstream::pick`].
    #[inline]
    pub fn pick(&mut self, now: Duration, tried: &Tried) -> Option<Pick> {
        self.pick_by(now, Key::None, tried)
    }

    /// As [`Upstream::pick_by`].
    #[inline]
    pub fn pick_by(&mut self, now: Duration, key: Key<'_>, tried: &Tried) -> Option<Pick> {
        self.pick_or_refusal(now, key, tried).ok()
    }

    /// As [`pick_by`](Self::pick_by), but tells why there is none.
    ///
    /// # Errors
    /// [`Refusal::NoBackend`], or [`Refusal::Full`] if waiting may help ([`Upstream::wait`]).
    #[inline]
    pub fn pick_or_refusal(&mut self, now: Duration, key: Key<'_>, tried: &Tried) -> Result<Pick, Refusal> {
        self.refresh();
        self.snapshot.pick(now, key, tried, &mut self.dice)
    }

    /// Takes the turn of a backend without beginning a request on it.
    ///
    /// It is the pick alone: the same choice, the same step of the schedule, and, if a failed backend is due
    /// for its probe, the probe.
    #[inline]
    pub fn choose(&mut self, now: Duration, tried: &Tried) -> Option<Choice<'_>> {
        self.choose_by(now, Key::None, tried)
    }

    /// As [`choose`](Self::choose), for a request with a key.
    #[inline]
    pub fn choose_by(&mut self, now: Duration, key: Key<'_>, tried: &Tried) -> Option<Choice<'_>> {
        self.refresh();
        self.snapshot.choose(now, key, tried, &mut self.dice)
    }

    /// What `arc_swap::Cache` does, but inlined: on the way to an atomic addition, a call's pushes are what
    /// takes time.
    #[inline]
    fn refresh(&mut self) {
        if self.core.revision.load(Ordering::Acquire) != self.revision {
            self.revalidate();
        }
    }

    /// The revision is read first, so a snapshot may be newer than it and is then loaded once more, but never
    /// older.
    #[cold]
    fn revalidate(&mut self) {
        self.revision = self.core.revision.load(Ordering::Acquire);
        self.snapshot = self.core.current.load_full();
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            revision: self.revision,
            snapshot: Arc::clone(&self.snapshot),
            dice: self.core.dice(), // the same would draw the same
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// Who holds which lock: `layout` is taken before `control`, and `control` before the queue's in `gate`.
/// `layout` is held by whoever changes more than a backend's failures, for as long as it takes to publish.
/// `control` is held for moments, never while a schedule is laid out, so that workers who report failures do
/// not wait for one. `current` changes only under both.
#[derive(Debug)]
pub(super) struct Core {
    current: ArcSwap<Snapshot>,
    /// How often `current` has been replaced.
    revision: AtomicU64,
    /// The schedules of `current` are not those of `control`.
    stale: AtomicBool,
    /// How many have been given dice.
    players: AtomicU64,
    /// When a share is next due to grow, in nanoseconds.
    due: AtomicU64,
    control: Mutex<Control>,
    layout: Mutex<()>,
    gate: Arc<Gate>,
}

impl Core {
    fn dice(&self) -> Dice {
        Dice::new(self.players.fetch_add(1, Ordering::Relaxed))
    }

    /// What an outcome says about a backend.
    pub(super) fn judge(&self, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Success => Verdict::Success,
            Outcome::Failure => Verdict::Failure,
            Outcome::Cancelled => Verdict::Neutral,
            other => self.current.load().classifier().classify(other),
        }
    }

    pub(super) fn handle_failure(
        &self,
        now: Duration,
        picked_at: u64,
        backend: &Arc<Backend>,
    ) -> Option<Transition> {
        self.learn(now, |control| control.handle_failure(now, picked_at, backend))
    }

    pub(super) fn handle_success(
        &self,
        now: Duration,
        picked_at: u64,
        backend: &Arc<Backend>,
    ) -> Option<Transition> {
        self.learn(now, |control| control.handle_success(now, picked_at, backend))
    }

    fn handle_check(
        &self,
        now: Duration,
        id: &BackendId,
        up: bool,
    ) -> Result<Option<Transition>, UnknownBackend> {
        let mut known = Ok(());
        let transition = self.learn(now, |control| match control.handle_check(now, id, up) {
            Ok(transition) => transition,
            Err(unknown) => {
                known = Err(unknown);
                None
            }
        });
        known.map(|()| transition)
    }

    fn handle_timeout(&self, now: Duration) {
        if nanos(now) >= self.due.load(Ordering::Acquire) {
            let layout = lock(&self.layout);
            if lock(&self.control).handle_timeout(now) {
                self.rebuild(layout);
            }
        }
        self.settle();
        self.serve(now);
    }

    /// A fact: marked in the current snapshot at once, so that the very next pick heeds it.
    fn learn(
        &self,
        now: Duration,
        fact: impl FnOnce(&mut Control) -> Option<(usize, Transition)>,
    ) -> Option<Transition> {
        let mut control = lock(&self.control);
        let change = fact(&mut control);
        let driver = control.take_driver(change.is_some());
        let work = change.as_ref().map(|&(index, _)| {
            let current = self.current.load();
            control.mark(index, &current);
            self.stale.store(true, Ordering::Release);
            current.tables().iter().map(|table| table.work()).sum::<u64>()
        });
        drop(control);
        if let Some(work) = work {
            if work <= PROMPT_WORK {
                self.settle();
            }
            self.serve(now);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
        change.map(|(_, transition)| transition)
    }

    fn set(
        &self,
        now: Duration,
        id: &BackendId,
        setting: Setting,
    ) -> Result<Option<Transition>, UnknownBackend> {
        self.change(now, |control| match control.set(now, id, setting) {
            Ok((changed, transition)) => (Ok(transition), changed),
            Err(unknown) => (Err(unknown), Changed::Nothing),
        })
    }

    /// A change by the operator, published when this returns.
    fn change<T>(&self, now: Duration, change: impl FnOnce(&mut Control) -> (T, Changed)) -> T {
        let layout = lock(&self.layout);
        let mut control = lock(&self.control);
        let (result, changed) = change(&mut control);
        let driver = control.take_driver(changed != Changed::Nothing);
        if let Changed::Backend(index) = changed {
            control.mark(index, &self.current.load());
        }
        drop(control);
        if changed == Changed::Nothing {
            drop(layout);
        } else {
            self.rebuild(layout);
            self.serve(now);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Gives those who wait what a change has made room for.
    fn serve(&self, now: Duration) {
        if self.gate.is_waiting() {
            let current = self.current.load();
            self.gate
                .serve(|tried| current.claim(now, Key::None, tried, &mut self.dice()));
        }
    }

    /// Lays the schedules out anew if that is called for and nobody was faster.
    fn settle(&self) {
        if self.stale.load(Ordering::Acquire) {
            let layout = lock(&self.layout);
            if self.stale.load(Ordering::Acquire) {
                self.rebuild(layout);
            }
        }
    }

    /// Lays the schedules out and publishes them, again if backends failed or recovered meanwhile.
    fn rebuild(&self, _layout: MutexGuard<'_, ()>) {
        for _ in 0..MAX_REBUILDS {
            let plan = lock(&self.control).plan();
            let current = self.current.load();
            let [primaries, spares] = current.tables();
            let primaries = primaries.rebuilt(plan.strategy, plan.primaries);
            let spares = spares.rebuilt(plan.strategy, plan.spares);

            let control = lock(&self.control);
            let (snapshot, settled) = control.snapshot(primaries, spares);
            self.current.store(Arc::new(snapshot));
            self.revision.fetch_add(1, Ordering::Release);
            self.stale.store(!settled, Ordering::Release);
            let due = control.poll_timeout().map_or(NEVER, nanos);
            self.due.store(due, Ordering::Release);
            if settled {
                return;
            }
        }
    }
}

/// A panic while the lock was held can't have left anything half done: what is done under it does not panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
