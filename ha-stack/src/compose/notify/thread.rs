//! The thread that tells: scripts one at a time for each target, and lines into FIFOs.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ha_health::Failure;
use ha_health::probe::Probe as _;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::fifo::{Fifo, FifoError};
use super::message::{Message, What};
use super::notifier::{Notifier, Start, Target};
use super::turns::Turns;
use super::{Notify, NotifyFifo};
use crate::compose::event::Event;

/// How long a script that runs when all stops may go on.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long one that is begun then may take.
const STOP_SCRIPT: Duration = Duration::from_secs(4);
/// How long all of it may take then.
const STOP_LIMIT: Duration = Duration::from_secs(12);
/// Longest wait for the thread: a script that has run out of time is given two seconds to end.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// The thread, for whoever waits for its end. It ends when the [`Notifier`] is dropped and all is told.
#[derive(Debug)]
pub(in super::super) struct Notifying {
    ended: oneshot::Receiver<()>,
}

/// Why there is no thread.
#[derive(Debug)]
pub(in super::super) enum NotifyingError {
    Thread(io::Error),
    Fifo(FifoError),
}

impl Notifying {
    /// Begins, unless there is nothing to tell to. `targets` are the virtual routers, which start as `starts` say, and
    /// then the groups.
    pub(in super::super) fn start(
        targets: Vec<Target>,
        starts: &[Start],
        fifos: Vec<NotifyFifo>,
        events: broadcast::Sender<Event>,
    ) -> Result<Option<(Notifier, Self)>, NotifyingError> {
        if fifos.is_empty() && targets.iter().all(|target| !target.notify.has_scripts()) {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(NotifyingError::Thread)?;
        let (messages, inbox) = mpsc::unbounded_channel();
        let notifier = Notifier::new(&targets, starts, messages);
        let mut telling = Telling::new(targets, events);
        {
            let _runtime = runtime.enter();
            for fifo in fifos {
                telling.add_fifo(fifo).map_err(NotifyingError::Fifo)?;
            }
        }
        let (report, ended) = oneshot::channel();
        let main = move || {
            runtime.block_on(telling.run(inbox));
            runtime.shutdown_background();
            // Nobody may wait.
            let _ = report.send(());
        };
        thread::Builder::new()
            .name("notify".into())
            .spawn(main)
            .map_err(NotifyingError::Thread)?;
        Ok(Some((notifier, Self { ended })))
    }

    /// Waits until all is told, for a bounded time.
    pub(in super::super) async fn ended(self) {
        // An error means that it ended by a panic.
        let _ = timeout(JOIN_LIMIT, self.ended).await;
    }
}

struct Telling {
    targets: Vec<(Arc<Notify>, Turns)>,
    /// Index of the target.
    scripts: JoinSet<usize>,
    lines: Vec<mpsc::UnboundedSender<String>>,
    fifos: JoinSet<()>,
    /// Whether all stops.
    stop: watch::Sender<bool>,
    events: broadcast::Sender<Event>,
}

impl Telling {
    fn new(targets: Vec<Target>, events: broadcast::Sender<Event>) -> Self {
        Self {
            targets: targets
                .into_iter()
                .map(|target| (Arc::new(target.notify), Turns::default()))
                .collect(),
            scripts: JoinSet::new(),
            lines: Vec::new(),
            fifos: JoinSet::new(),
            stop: watch::Sender::new(false),
            events,
        }
    }

    fn add_fifo(&mut self, config: NotifyFifo) -> Result<(), FifoError> {
        let fifo = Fifo::open(&config.path, config.owner)?;
        let (lines, inbox) = mpsc::unbounded_channel();
        self.lines.push(lines);
        self.fifos
            .spawn(fifo.run(config.script, inbox, self.events.clone()));
        Ok(())
    }

    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<(usize, Message)>) {
        let mut stop_at = None;
        loop {
            // 1. Wait for a message or for the end of a script, or, at the end, no longer.
            tokio::select! {
                biased;
                Some(ended) = self.scripts.join_next() => if let Ok(target) = ended {
                    self.targets[target].1.end();
                },
                message = messages.recv(), if stop_at.is_none() => match message {
                    Some((target, message)) => self.handle_message(target, message),
                    None => {
                        stop_at = Some(Instant::now() + STOP_LIMIT);
                        self.stop.send_replace(true);
                    }
                },
                () = sleep_until(stop_at.unwrap_or_else(Instant::now)), if stop_at.is_some() => break,
            }
            // 2. Begin what has its turn.
            self.begin_scripts();
            if stop_at.is_some() && self.scripts.is_empty() {
                break;
            }
        }
        self.scripts.shutdown().await;
        self.lines.clear();
        // Each closes its FIFO, and gives its reader a bounded time.
        while self.fifos.join_next().await.is_some() {}
    }

    fn handle_message(&mut self, target: usize, message: Message) {
        for fifo in &self.lines {
            // Fails if its task has panicked.
            let _ = fifo.send(message.line());
        }
        let (notify, turns) = &mut self.targets[target];
        if notify.scripts(&message).next().is_some() {
            turns.push(message);
        }
    }

    fn begin_scripts(&mut self) {
        for (index, (notify, turns)) in self.targets.iter_mut().enumerate() {
            if let Some(message) = turns.begin() {
                let notify = Arc::clone(notify);
                let stop = self.stop.subscribe();
                let events = self.events.clone();
                self.scripts.spawn(async move {
                    tell_scripts(&notify, &message, stop, &events).await;
                    index
                });
            }
        }
    }
}

/// Runs the scripts for one message, one after the other.
async fn tell_scripts(
    notify: &Notify,
    message: &Message,
    stop: watch::Receiver<bool>,
    events: &broadcast::Sender<Event>,
) {
    for script in notify.scripts(message) {
        let stopping = *stop.borrow();
        if stopping && message.what != What::Stop {
            return;
        }
        let limit = if stopping {
            notify.timeout.min(STOP_SCRIPT)
        } else {
            notify.timeout
        };
        let outcome = tokio::select! {
            outcome = script.probe(limit) => outcome,
            // Dropping it kills the script with all that it has started.
            () = grace(stop.clone()), if !stopping => Failure::TimedOut { after: STOP_GRACE }.into(),
        };
        if !outcome.is_success() {
            // Nobody may be listening.
            let _ = events.send(Event::NotifyFailed {
                name: Arc::clone(&message.name),
                change: message.what.word(),
                script: script.to_string(),
                outcome,
            });
        }
    }
}

/// Ends a while after all has begun to stop.
async fn grace(mut stop: watch::Receiver<bool>) {
    // An error: the sender is gone, and with it whoever asks.
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(STOP_GRACE).await;
}
