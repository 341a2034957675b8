//! Which virtual MACs are open: a master's is up, a backup's is down, where it neither answers nor sends.
//!
//! Setting an interface up is quick. Setting one down waits for RCU grace periods, 10 to 30 ms, in which a driver
//! thread would send no adverts. So a thread beside does that, a little after a master has stepped down.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::device::{lowering, raising, silencing, voicing};
use crate::linux::requests::Requests;

/// From when a gate last had to be opened or closed to setting any down. Until then others of the host may be taking
/// over, and all netlink requests stand in one queue.
const LINGER: Duration = Duration::from_millis(200);
/// How long an interface stays up that an advert has needed, if no addresses follow.
const BRIEFLY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Gates {
    shared: Arc<Shared>,
    closer: Option<JoinHandle<()>>,
}

/// Both threads lock `requests` before they change a gate, and `yard` just to look or to take note: who sends through an
/// open gate never waits for one that is being closed.
#[derive(Debug)]
struct Shared {
    requests: Mutex<Requests>,
    yard: Mutex<Yard>,
    changed: Condvar,
}

#[derive(Debug)]
struct Yard {
    gates: Vec<Gate>,
    /// No gate is closed before.
    busy_until: Instant,
    ended: bool,
}

/// One virtual MAC's interface.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    index: Option<u32>,
    up: bool,
    silent: bool,
    close_at: Option<Instant>,
}

impl Gates {
    /// For so many interfaces, none of which is there yet.
    pub(super) fn new(count: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            requests: Mutex::new(Requests::open()?),
            yard: Mutex::new(Yard {
                gates: vec![Gate::default(); count],
                busy_until: Instant::now(),
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let closer = thread::Builder::new().name("vrrp-vmac".into());
        Ok(Self {
            shared,
            closer: Some(closer.spawn(move || theirs.close_in_time())?),
        })
    }

    /// Takes note of an interface that is new, and down; or gone.
    pub(super) fn replace(&self, place: usize, index: Option<u32>) {
        self.shared.yard().gates[place] = Gate {
            index,
            ..Gate::default()
        };
    }

    /// Opens a gate for its master, until it is [closed](Self::close).
    pub(super) fn open(&self, place: usize) -> io::Result<()> {
        let mut yard = self.shared.yard();
        yard.busy_until = Instant::now() + LINGER;
        yard.gates[place].close_at = None;
        if yard.gates[place].speaks() {
            return Ok(());
        }
        drop(yard);
        self.shared.raise(place).map(drop)
    }

    /// Opens a gate that is closed for an advert, and gives the index of its interface.
    pub(super) fn open_briefly(&self, place: usize) -> io::Result<u32> {
        let yard = self.shared.yard();
        if let (true, Some(index)) = (yard.gates[place].up, yard.gates[place].index) {
            return Ok(index);
        }
        drop(yard);
        let index = self.shared.raise(place)?;
        self.shared.yard().gates[place].close_at = Some(Instant::now() + BRIEFLY);
        self.shared.changed.notify_all();
        Ok(index)
    }

    /// Opens a gate again that somebody may have closed.
    pub(super) fn reopen(&self, place: usize) {
        if self.shared.gate(place).speaks() {
            // If it can't be, the addresses can't be kept, and the driver says so.
            let _ = self.shared.raise(place);
        }
    }

    /// Closes gates a little later.
    pub(super) fn close(&self, places: &[usize]) {
        let mut yard = self.shared.yard();
        yard.busy_until = Instant::now() + LINGER;
        for place in places {
            if yard.gates[*place].up {
                yard.gates[*place].close_at = Some(Instant::now());
            }
        }
        drop(yard);
        self.shared.changed.notify_all();
    }

    /// Silences gates until they are closed or opened again.
    pub(super) fn silence(&self, places: &[usize]) {
        let mut requests = self.shared.requests();
        let mut open = Vec::with_capacity(places.len());
        for place in places {
            let gate = self.shared.gate(*place);
            if let (true, Some(index)) = (gate.speaks(), gate.index) {
                open.push((*place, index));
            }
        }
        let silenced = requests.make(open.iter().map(|(_, index)| silencing(*index)));
        let mut yard = self.shared.yard();
        for ((place, _), result) in open.into_iter().zip(silenced) {
            match result {
                Ok(()) => yard.gates[place].silent = true,
                // A kernel without queue disciplines.
                Err(error) => tracing::debug!(%error, "a virtual MAC is not silenced"),
            }
        }
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        self.shared.yard().ended = true;
        self.shared.changed.notify_all();
        if let Some(closer) = self.closer.take() {
            let _ = closer.join();
        }
    }
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.yard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, place: usize) -> Gate {
        self.yard().gates[place]
    }

    /// Lets an interface send and receive, and gives its index.
    fn raise(&self, place: usize) -> io::Result<u32> {
        let mut requests = self.requests();
        // It is not being closed any more: the closer had the requests for that.
        let gate = self.gate(place);
        let Some(index) = gate.index else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let request = if gate.silent {
            voicing(index)
        } else {
            raising(index)
        };
        requests.make([request]).into_iter().collect::<io::Result<()>>()?;
        let gate = &mut self.yard().gates[place];
        (gate.up, gate.silent) = (true, false);
        Ok(index)
    }

    /// Sets the interface of a gate down, if its time has come still.
    fn lower(&self, place: usize) {
        let mut requests = self.requests();
        let mut yard = self.yard();
        if yard.next_of(place).is_none_or(|at| at > Instant::now()) {
            return;
        }
        let gate = &mut yard.gates[place];
        let before = *gate;
        (gate.up, gate.silent, gate.close_at) = (false, false, None);
        drop(yard);
        let Some(index) = before.index else { return };
        let mut wanted = vec![lowering(index)];
        // Last, when nothing leaves it any more; and nothing has to be waited for then.
        wanted.extend(before.silent.then(|| voicing(index)));
        for result in requests.make(wanted) {
            if let Err(error) = result {
                tracing::debug!(%error, "a virtual MAC is not set down");
            }
        }
    }

    /// Closes each gate when its time has come, until the end.
    fn close_in_time(&self) {
        let mut yard = self.yard();
        while !yard.ended {
            let Some((at, place)) = yard.next() else {
                yard = self.changed.wait(yard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let mut wait = at.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                let began = Instant::now();
                drop(yard);
                self.lower(place);
                yard = self.yard();
                // As long as it took, others have the kernel's lock on interfaces for themselves.
                wait = began.elapsed();
            }
            let waited = self.changed.wait_timeout(yard, wait);
            yard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Yard {
    /// When which gate is to be closed next.
    fn next(&self) -> Option<(Instant, usize)> {
        let closing = (0..self.gates.len()).filter_map(|place| Some((self.next_of(place)?, place)));
        closing.min()
    }

    /// When a gate is to be closed.
    fn next_of(&self, place: usize) -> Option<Instant> {
        let at = self.gates[place].close_at?;
        Some(at.max(self.busy_until))
    }
}

impl Gate {
    fn speaks(self) -> bool {
        self.up && !self.silent
    }
}
