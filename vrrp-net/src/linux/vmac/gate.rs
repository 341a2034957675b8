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

#[derive(Debug)]
struct Shared {
    yard: Mutex<Yard>,
    changed: Condvar,
}

#[derive(Debug)]
struct Yard {
    requests: Requests,
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
            yard: Mutex::new(Yard {
                requests: Requests::open()?,
                gates: vec![Gate::default(); count],
                busy_until: Instant::now(),
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let yard = Arc::clone(&shared);
        let closer = thread::Builder::new().name("vrrp-vmac".into());
        Ok(Self {
            shared,
            closer: Some(closer.spawn(move || yard.close_in_time())?),
        })
    }

    /// Takes note of an interface that is new, and down; or gone.
    pub(super) fn replace(&self, place: usize, index: Option<u32>) {
        self.yard().gates[place] = Gate {
            index,
            ..Gate::default()
        };
    }

    /// Opens a gate for its master, until it is [closed](Self::close).
    pub(super) fn open(&self, place: usize) -> io::Result<()> {
        let mut yard = self.yard();
        yard.busy_until = Instant::now() + LINGER;
        if !yard.gates[place].up || yard.gates[place].silent {
            yard.raise(place)?;
        }
        yard.gates[place].close_at = None;
        Ok(())
    }

    /// Opens a gate that is closed for an advert, and gives the index of its interface.
    pub(super) fn open_briefly(&self, place: usize) -> io::Result<u32> {
        let mut yard = self.yard();
        if !yard.gates[place].up {
            yard.raise(place)?;
            yard.gates[place].close_at = Some(Instant::now() + BRIEFLY);
            self.shared.changed.notify_all();
        }
        yard.gates[place]
            .index
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens a gate again that somebody may have closed.
    pub(super) fn reopen(&self, place: usize) {
        let mut yard = self.yard();
        if yard.gates[place].up && !yard.gates[place].silent {
            // If it can't be, the addresses can't be kept, and the driver says so.
            let _ = yard.raise(place);
        }
    }

    /// Closes gates a little later.
    pub(super) fn close(&self, places: &[usize]) {
        let mut yard = self.yard();
        yard.busy_until = Instant::now() + LINGER;
        for place in places {
            if yard.gates[*place].up {
                yard.gates[*place].close_at = Some(Instant::now());
            }
        }
        self.shared.changed.notify_all();
    }

    /// Silences gates until they are closed or opened again.
    pub(super) fn silence(&self, places: &[usize]) {
        let mut yard = self.yard();
        let yard = &mut *yard;
        let speaks = |place: &usize| yard.gates[*place].up && !yard.gates[*place].silent;
        let open: Vec<usize> = places.iter().copied().filter(speaks).collect();
        let indices = open.iter().filter_map(|place| yard.gates[*place].index);
        let requests: Vec<_> = indices.map(silencing).collect();
        let results = yard.requests.make(requests);
        for (place, result) in open.into_iter().zip(results) {
            match result {
                Ok(()) => yard.gates[place].silent = true,
                // A kernel without queue disciplines.
                Err(error) => tracing::debug!(%error, "a virtual MAC is not silenced"),
            }
        }
    }

    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.shared.lock()
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        self.yard().ended = true;
        self.shared.changed.notify_all();
        if let Some(closer) = self.closer.take() {
            let _ = closer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Yard> {
        self.yard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes each gate when its time has come, until the end.
    fn close_in_time(&self) {
        let mut yard = self.lock();
        while !yard.ended {
            let Some((at, place)) = yard.next() else {
                yard = self.changed.wait(yard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let mut wait = at.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                let began = Instant::now();
                yard.lower(place);
                // As long as it took, others have the kernel's lock on interfaces for themselves.
                wait = Instant::now() - began;
            }
            let waited = self.changed.wait_timeout(yard, wait);
            yard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Yard {
    /// When which gate is to be closed next.
    fn next(&self) -> Option<(Instant, usize)> {
        let closing = self.gates.iter().enumerate();
        let times = closing.filter_map(|(place, gate)| Some((gate.close_at?.max(self.busy_until), place)));
        times.min()
    }

    /// Lets an interface send and receive.
    fn raise(&mut self, place: usize) -> io::Result<()> {
        let gate = &mut self.gates[place];
        let Some(index) = gate.index else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let request = if gate.silent {
            voicing(index)
        } else {
            raising(index)
        };
        let results = self.requests.make([request]);
        results.into_iter().collect::<io::Result<()>>()?;
        (gate.up, gate.silent) = (true, false);
        Ok(())
    }

    fn lower(&mut self, place: usize) {
        let gate = &mut self.gates[place];
        gate.close_at = None;
        let Some(index) = gate.index else { return };
        let mut requests = vec![lowering(index)];
        // Last, when nothing leaves it any more; and nothing has to be waited for then.
        requests.extend(gate.silent.then(|| voicing(index)));
        (gate.up, gate.silent) = (false, false);
        for result in self.requests.make(requests) {
            if let Err(error) = result {
                tracing::debug!(%error, "a virtual MAC is not set down");
            }
        }
    }
}
