//! The thread that asks backends: one timer for all of them, however many there are.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ha_health::probe::Prober;
use ha_health::{CheckId, Output};
use lb_proxy::balance::{BackendId, Upstream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

use super::event::Event;
use super::status::{BackendCheckStatus, Status};
use super::upstream_check::UpstreamCheck;

/// How often backends are looked for that were added or removed while running.
const LOOK: Duration = Duration::from_secs(1);

/// An upstream whose backends are asked.
#[derive(Debug)]
pub(super) struct CheckedUpstream {
    pub(super) upstream: Upstream,
    pub(super) check: UpstreamCheck,
    /// Backends that follow a check of their own instead.
    pub(super) except: HashSet<BackendId>,
}

/// The thread. Dropping this ends it and all probes.
#[derive(Debug)]
pub(super) struct Checking {
    orders: mpsc::UnboundedSender<Order>,
    ended: oneshot::Receiver<()>,
}

#[derive(Debug)]
enum Order {
    /// Add what is known here to a status, and give it to who asked.
    Complete(Box<Status>, oneshot::Sender<Status>),
}

impl Checking {
    /// Begins to ask, in the caller's network namespace. Without upstreams there is no thread.
    pub(super) fn start(
        upstreams: Vec<CheckedUpstream>,
        events: broadcast::Sender<Event>,
    ) -> io::Result<Option<Self>> {
        if upstreams.is_empty() {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (ending, ended) = oneshot::channel();
        let main = move || {
            runtime.block_on(async {
                let mut checks = Checks::new(upstreams, events);
                checks.run(inbox).await;
            });
            // Probes under way end here.
            drop(runtime);
            drop::<oneshot::Sender<()>>(ending);
        };
        thread::Builder::new().name("backend checks".into()).spawn(main)?;
        Ok(Some(Self { orders, ended }))
    }

    /// Answers a question about the status, of which everything else is known.
    pub(super) fn complete(&self, status: Status, reply: oneshot::Sender<Status>) {
        // With the thread gone, who asked learns that nobody answers.
        let _ = self.orders.send(Order::Complete(Box::new(status), reply));
    }

    /// Ends all probes, and waits for their end.
    pub(super) async fn stop(self) {
        drop(self.orders);
        // It never tells anything but by its end.
        let _ = self.ended.await;
    }
}

/// All checks of backends.
struct Checks {
    upstreams: Vec<Checked>,
    prober: Prober,
    places: HashMap<CheckId, (usize, BackendId)>,
    events: broadcast::Sender<Event>,
    looks: u64,
}

struct Checked {
    name: Arc<str>,
    settings: CheckedUpstream,
    backends: HashMap<BackendId, CheckedBackend>,
}

struct CheckedBackend {
    address: SocketAddr,
    check: CheckId,
    /// When it was last seen to be there.
    seen: u64,
}

impl Checks {
    fn new(upstreams: Vec<CheckedUpstream>, events: broadcast::Sender<Event>) -> Self {
        let checked = |settings: CheckedUpstream| Checked {
            name: settings.upstream.status().name,
            settings,
            backends: HashMap::new(),
        };
        Self {
            upstreams: upstreams.into_iter().map(checked).collect(),
            prober: Prober::new(Prober::DEFAULT_LIMIT),
            places: HashMap::new(),
            events,
            looks: 0,
        }
    }

    async fn run(&mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (mut suspects, _tasks) = self.watch_suspects();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Complete(mut status, reply)) => {
                        status.backend_checks = self.status(&status);
                        // Who asked may not wait.
                        let _ = reply.send(*status);
                    }
                    None => return,
                },
                (check, output) = self.prober.next() => self.handle(check, output),
                Some((upstream, backend)) = suspects.recv() => self.suspect(upstream, &backend),
                _ = look.tick() => self.look(),
            }
        }
    }

    /// What requests have found failing. A task for each upstream, so that who is woken by one doesn't ask all.
    fn watch_suspects(&self) -> (mpsc::Receiver<(usize, BackendId)>, JoinSet<()>) {
        // When it is full, those that wait in the upstreams wait on.
        let (sender, suspects) = mpsc::channel(256);
        let mut tasks = JoinSet::new();
        for (index, checked) in self.upstreams.iter().enumerate() {
            let (upstream, sender) = (checked.settings.upstream.clone(), sender.clone());
            tasks.spawn(async move {
                loop {
                    let suspect = poll_fn(|context| upstream.poll_suspect(context.waker())).await;
                    if sender.send((index, suspect)).await.is_err() {
                        return;
                    }
                }
            });
        }
        (suspects, tasks)
    }

    fn suspect(&mut self, upstream: usize, backend: &BackendId) {
        // One with a check of its own, or that is gone.
        if let Some(known) = self.upstreams[upstream].backends.get(backend) {
            self.prober.suspect(known.check);
        }
    }

    fn handle(&mut self, check: CheckId, output: Output) {
        let Output::Changed { up, first, outcome } = output else {
            return;
        };
        let Some((upstream, backend)) = self.places.get(&check) else {
            return;
        };
        let Checked { name, settings, .. } = &self.upstreams[*upstream];
        let known = settings
            .upstream
            .set_check(lb_proxy::proxy::now(), backend, up)
            .is_ok();
        // That all goes well at the start is no news.
        if known && !(up && first) {
            // Nobody may be listening.
            let _ = self.events.send(Event::BackendCheck {
                upstream: Arc::clone(name),
                backend: backend.clone(),
                up,
                first,
                outcome,
            });
        }
    }

    /// Asks those that were added, and those that were removed no longer.
    fn look(&mut self) {
        self.looks += 1;
        for (index, checked) in self.upstreams.iter_mut().enumerate() {
            let Checked {
                settings, backends, ..
            } = checked;
            for backend in settings.upstream.status().backends {
                if settings.except.contains(&backend.id) {
                    continue;
                }
                if let Some(known) = backends.get_mut(&backend.id)
                    && known.address == backend.address
                {
                    known.seen = self.looks;
                    continue;
                }
                let probe = settings.check.probe(&backend.id, backend.address);
                let check = self.prober.insert(settings.check.config().clone(), probe);
                self.places.insert(check, (index, backend.id.clone()));
                let new = CheckedBackend {
                    address: backend.address,
                    check,
                    seen: self.looks,
                };
                if let Some(old) = backends.insert(backend.id, new) {
                    self.prober.remove(old.check);
                    self.places.remove(&old.check);
                }
            }
            backends.retain(|_, backend| {
                let there = backend.seen == self.looks;
                if !there {
                    self.prober.remove(backend.check);
                    self.places.remove(&backend.check);
                }
                there
            });
        }
    }

    /// In the order of the backends in `status`.
    fn status(&self, status: &Status) -> Vec<BackendCheckStatus> {
        let now = self.prober.now();
        let mut all = Vec::with_capacity(self.places.len());
        for upstream in &status.upstreams {
            let Some(checked) = self.upstreams.iter().find(|one| one.name == upstream.name) else {
                continue;
            };
            all.extend(upstream.backends.iter().filter_map(|backend| {
                let known = checked.backends.get(&backend.id)?;
                let check = self.prober.set().get(known.check)?;
                Some(BackendCheckStatus {
                    upstream: Arc::clone(&checked.name),
                    backend: backend.id.clone(),
                    up: check.up(),
                    last: check.last_outcome().cloned(),
                    took: check.last_duration(),
                    consecutive: check.consecutive(),
                    since: check.last_changed().map(|at| now.saturating_sub(at)),
                    next: (!check.is_running())
                        .then(|| check.poll_timeout())
                        .flatten()
                        .map(|at| at.saturating_sub(now)),
                    counters: check.counters(),
                })
            }));
        }
        all
    }
}
