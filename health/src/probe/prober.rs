//! The driver of a set of checks.

use alloc::sync::Arc;
use core::fmt;
use core::future::pending;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Probe;
use crate::{Check, CheckConfig, CheckId, CheckSet, Failure, Outcome, Output};

/// Runs a [`CheckSet`]: each probe that is on is a task of its own, and everything else one timer.
///
/// A probe that panics has failed. Dropping this ends all probes.
///
/// ```
/// use core::time::Duration;
/// use ha_health::probe::{Prober, Tcp};
/// use ha_health::{CheckConfig, Output};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
/// # let addresses = listeners.iter().map(|one| one.local_addr().unwrap());
/// let config = CheckConfig::builder("port").interval(Duration::from_millis(100)).jitter_percent(20).build()?;
/// let mut prober = Prober::new(Prober::DEFAULT_LIMIT);
/// for address in addresses {
///     prober.insert(config.clone(), Tcp::new(address));
/// }
/// let mut up = 0;
/// while up < 3 {
///     let (id, output) = prober.next().await;
///     println!("{id}: {output}");
///     up += usize::from(matches!(output, Output::Changed { up: true, .. }));
/// }
/// # Ok(())
/// # }
/// ```
pub struct Prober {
    epoch: Instant,
    set: CheckSet,
    probes: HashMap<CheckId, Arc<dyn Probe>>,
    running: JoinSet<Outcome>,
    /// Which check a task is for.
    tasks: HashMap<task::Id, CheckId>,
}

impl Prober {
    /// How many probes run at a time unless told otherwise: 1024. Each holds a descriptor, and if nothing answers each
    /// waits for its timeout.
    pub const DEFAULT_LIMIT: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

    /// Makes one without checks, which runs at most `limit` probes at a time.
    pub fn new(limit: NonZeroUsize) -> Self {
        Self {
            epoch: Instant::now(),
            set: CheckSet::new(limit, RandomState::new().hash_one(())),
            probes: HashMap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
        }
    }

    /// Adds a check with its probe.
    pub fn insert(&mut self, config: CheckConfig, probe: impl Probe + 'static) -> CheckId {
        let id = self.set.insert(self.now(), config);
        self.probes.insert(id, Arc::new(probe));
        id
    }

    /// Takes a check out, and gives it back unless it was out already. A probe that is on runs to its end.
    pub fn remove(&mut self, id: CheckId) -> Option<Check> {
        self.probes.remove(&id);
        self.set.remove(self.now(), id)
    }

    /// Has a check ask at once, since something else has found reason for doubt; see
    /// [`Check::handle_suspicion`](crate::Check::handle_suspicion).
    pub fn suspect(&mut self, id: CheckId) {
        self.set.handle_suspicion(self.now(), id);
    }

    /// Gives the checks.
    pub fn set(&self) -> &CheckSet {
        &self.set
    }

    /// Gives the time since the epoch of the checks.
    pub fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Runs what falls due until there is something to tell: any output but [`Output::Start`]. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> (CheckId, Output) {
        loop {
            // 1. Drain the outputs.
            while let Some((id, output)) = self.set.poll_output() {
                match output {
                    Output::Start { timeout } => self.start(id, timeout),
                    output => return (id, output),
                }
            }
            // 2. Wait. Results go before the timer: a result that is there already has not timed out.
            let timer = self.set.poll_timeout();
            let due = self.epoch + timer.unwrap_or_default();
            let ended = tokio::select! {
                biased;
                Some(ended) = self.running.join_next_with_id() => Some(ended),
                () = sleep_until(due), if timer.is_some() => None,
                // Without checks there is nothing to tell.
                else => pending().await,
            };
            // 3. Feed one input.
            let now = self.now();
            let (task, outcome) = match ended {
                Some(Ok((task, outcome))) => (task, outcome),
                Some(Err(error)) => (error.id(), Failure::Aborted.into()),
                None => {
                    self.set.handle_timeout(now);
                    continue;
                }
            };
            if let Some(id) = self.tasks.remove(&task) {
                self.set.handle_result(now, id, outcome);
            }
        }
    }

    fn start(&mut self, id: CheckId, timeout: Duration) {
        // One that was removed has no outputs any more.
        let Some(probe) = self.probes.get(&id).map(Arc::clone) else {
            return;
        };
        let task = self.running.spawn(async move { probe.probe(timeout).await });
        self.tasks.insert(task.id(), id);
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}
