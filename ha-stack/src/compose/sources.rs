//! Where the results of checks come from: probes, and the thread of watches, from which a result goes straight to the
//! VRRP thread.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ha_health::probe::{Probe, Watch};
use ha_health::{Check, CheckConfig, Failure, Outcome, WatchConfig, Weight};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::drive::NodeCommands;
use super::node::Command;

/// After a watch has ended by itself, until it is begun anew.
const AGAIN: Duration = Duration::from_secs(1);

/// What the checks ask or watch. Dropping it ends the watches.
#[derive(Debug)]
pub(super) struct Sources {
    checks: Vec<NamedSource>,
    /// There if there is a thread of watches.
    _stop: Option<oneshot::Sender<()>>,
}

impl Sources {
    /// Begins with the watches among `checks`, in the caller's network namespace. Without one there is no thread.
    pub(super) fn start(checks: Vec<NamedSource>, commands: &NodeCommands) -> io::Result<Self> {
        let watch = |(check, named): (usize, &NamedSource)| match &named.source {
            Source::Watch(watch) => Some(Watched {
                check,
                watch: Arc::clone(watch),
                commands: commands.clone(),
            }),
            Source::Probe(_) => None,
        };
        let watches: Vec<Watched> = checks.iter().enumerate().filter_map(watch).collect();
        if watches.is_empty() {
            return Ok(Self { checks, _stop: None });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let main = move || {
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                for watched in watches {
                    tasks.spawn(watched.run());
                }
                // Either way this is the end.
                let _ = stopped.await;
            });
        };
        thread::Builder::new().name("watch".into()).spawn(main)?;
        Ok(Self {
            checks,
            _stop: Some(stop),
        })
    }

    /// The probe of a check; one that is watched has none.
    pub(super) fn probe(&self, check: usize) -> Option<Arc<dyn Probe>> {
        match &self.checks[check].source {
            Source::Probe(probe) => Some(Arc::clone(probe)),
            Source::Watch(_) => None,
        }
    }
}

/// A watch and the check that it is for.
#[derive(Clone)]
struct Watched {
    check: usize,
    watch: Arc<dyn Watch>,
    commands: NodeCommands,
}

impl Watched {
    async fn run(self) {
        loop {
            // A task of its own: one that panics has failed, and takes nothing else with it.
            let mut task = JoinSet::new();
            let this = self.clone();
            task.spawn(async move { this.watch.watch(&|outcome| this.tell(outcome)).await });
            let failure = match task.join_next().await {
                Some(Ok(failure)) => failure,
                Some(Err(_)) | None => Failure::Aborted,
            };
            self.tell(failure.into());
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn tell(&self, outcome: Outcome) {
        // Fails when the node has ended, and so will this.
        self.commands.send(Command::Probed {
            check: self.check,
            outcome,
        });
    }
}

/// Where a check's results come from.
pub(super) struct NamedSource {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
}

impl fmt::Debug for NamedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NamedSource").field(&self.name).finish()
    }
}

/// What is asked, or tells by itself.
#[derive(Clone)]
pub(super) enum Source {
    Probe(Arc<dyn Probe>),
    Watch(Arc<dyn Watch>),
}

/// A check with its settings.
pub(super) enum CheckPart {
    Probe(CheckConfig, Arc<dyn Probe>),
    Watch(WatchConfig, Arc<dyn Watch>),
}

impl CheckPart {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Probe(config, _) => config.name(),
            Self::Watch(config, _) => config.name(),
        }
    }

    pub(super) fn weight(&self) -> Weight {
        match self {
            Self::Probe(config, _) => config.weight(),
            Self::Watch(config, _) => config.weight(),
        }
    }

    pub(super) fn split(self) -> (Check, NamedSource) {
        let name = self.name().into();
        let (check, source) = match self {
            Self::Probe(config, probe) => (config.into(), Source::Probe(probe)),
            Self::Watch(config, watch) => (config.into(), Source::Watch(watch)),
        };
        (check, NamedSource { name, source })
    }
}
