//! The control thread: probes, backends, proxies, and questions about all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ha_health::{Failure, Outcome};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

use super::backends::Backends;
use super::checking::Checking;
use super::drive::{Drive, NodeCommands};
use super::event::Event;
use super::hmac::HmacChanges;
use super::input::Input;
use super::local;
use super::node::Command;
use super::notify::Notifying;
use super::proxies::{Proxies, ProxyError};
use super::sources::Sources;
use super::status::{NodeStatus, Status};
use super::switchover::Switchovers;

/// How often backends are looked at for changes that requests caused.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Longest time for masters to give up when stopping: it takes a few system calls, and proxies must be drained whatever
/// becomes of them.
const VRRP_STOP: Duration = Duration::from_secs(5);
/// Most questions about the status that wait for an answer; more are not answered.
const MAX_QUESTIONS: usize = 256;

/// A probe under way. However it ends, the check is told, which waits for it: a probe that panics has failed.
struct ProbeRun {
    check: usize,
    commands: NodeCommands,
    outcome: Option<Outcome>,
}

impl ProbeRun {
    fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for ProbeRun {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        self.commands.send(Command::Probed {
            check: self.check,
            outcome: outcome.unwrap_or_else(|| Outcome::failed(Failure::Aborted)),
        });
    }
}

pub(super) struct Control {
    name: Arc<str>,
    events: broadcast::Sender<Event>,
    drive: Option<Drive>,
    sources: Sources,
    /// There if somebody is to be notified.
    notifying: Option<Notifying>,
    /// There if backends are asked.
    checking: Option<Checking>,
    /// Probes under way, one a check at most.
    running: JoinSet<()>,
    backends: Backends,
    proxies: Proxies,
    questions: HashMap<u64, oneshot::Sender<Status>>,
    next_token: u64,
    switchovers: Switchovers,
    hmac_changes: HmacChanges,
}

impl Control {
    pub(super) fn new(
        name: Arc<str>,
        events: broadcast::Sender<Event>,
        drive: Drive,
        sources: Sources,
        backends: Backends,
        proxies: Proxies,
    ) -> Self {
        Self {
            name,
            events,
            drive: Some(drive),
            sources,
            running: JoinSet::new(),
            backends,
            proxies,
            questions: HashMap::new(),
            next_token: 0,
            notifying: None,
            checking: None,
            switchovers: Switchovers::default(),
            hmac_changes: HmacChanges::default(),
        }
    }

    /// Waits at the end until others have been notified of it.
    pub(super) fn notifying(mut self, notifying: Option<Notifying>) -> Self {
        self.notifying = notifying;
        self
    }

    /// Lets it ask backends, until the end.
    pub(super) fn checking(mut self, checking: Option<Checking>) -> Self {
        self.checking = checking;
        self
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Input>) {
        let commands = self.start_drive();
        let mut watch = tokio::time::interval(WATCH_INTERVAL);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (deadline, reply) = loop {
            // 1. Wait for one input, or for the next look at what tells nothing by itself.
            let input = tokio::select! {
                input = inbox.recv() => input,
                _ = watch.tick(), if !self.backends.is_empty() => {
                    self.backends.watch(&self.events);
                    continue;
                }
            };
            // 2. Act on it.
            match input {
                Some(Input::Shutdown(deadline, reply)) => break (deadline, Some(reply)),
                Some(input) => self.handle(input, &commands),
                // Every handle is gone.
                None => break (Duration::ZERO, None),
            }
        };
        let cut = self.shutdown(deadline).await;
        if let Some(reply) = reply {
            // Who asked may not wait.
            let _ = reply.send(cut);
        }
    }

    fn start_drive(&mut self) -> NodeCommands {
        match self.drive.take() {
            Some(Drive::Here {
                node,
                mut bus,
                commands,
                inbox,
            }) => {
                tokio::spawn(local::run(*node, inbox, move |event| bus.publish_node(event)));
                NodeCommands::Here(commands)
            }
            Some(Drive::Thread(driver)) => {
                let commands = driver.commands();
                self.drive = Some(Drive::Thread(driver));
                NodeCommands::Thread(commands)
            }
            None => NodeCommands::Here(mpsc::unbounded_channel().0),
        }
    }

    fn handle(&mut self, input: Input, commands: &NodeCommands) {
        match input {
            Input::StartProbe { check, timeout } => self.start_probe(check, timeout, commands.clone()),
            Input::CheckChanged { check, up } => {
                self.backends.apply_check(check, up);
                self.backends.watch(&self.events);
            }
            Input::Status(reply) => self.question(reply, commands),
            Input::NodeStatus { token, status } => {
                if let Some(reply) = self.questions.remove(&token) {
                    let status = self.status(*status);
                    match &self.checking {
                        Some(checking) => checking.complete(status, reply),
                        // Who asked may not wait.
                        None => drop(reply.send(status)),
                    }
                }
            }
            Input::Switchover(name, reply) => {
                if let Some(token) = self.switchovers.begin(Arc::clone(&name), reply)
                    && !commands.send(Command::Switchover { name, token })
                {
                    self.switchovers.abandon();
                }
            }
            Input::Resume(name, reply) => {
                if let Some(token) = self.switchovers.resume(Arc::clone(&name), reply)
                    && !commands.send(Command::Resume { name, token })
                {
                    self.switchovers.abandon();
                }
            }
            Input::SetHmac(name, config, reply) => {
                if let Some(token) = self.hmac_changes.begin(Arc::clone(&name), reply)
                    && !commands.send(Command::SetHmac { name, config, token })
                {
                    self.hmac_changes.abandon();
                }
            }
            Input::HmacSet { token, result } => self.hmac_changes.ended(token, result),
            Input::SwitchedOver { token, end } => self.switchovers.ended(token, end),
            Input::Resumed { token, found } => self.switchovers.resumed(token, found),
            Input::AbortProxy(name, reply) => {
                let _ = reply.send(self.abort_proxy(&name));
            }
            Input::StartProxy(name, reply) => {
                let _ = reply.send(self.start_proxy(&name));
            }
            Input::DriveEnded => self.end_drive(),
            // The loop takes it.
            Input::Shutdown(..) => {}
        }
    }

    fn start_probe(&mut self, check: usize, timeout: Duration, commands: NodeCommands) {
        // Forget those that have ended.
        while self.running.try_join_next().is_some() {}
        // A check that is watched never asks.
        let Some(probe) = self.sources.probe(check) else {
            return;
        };
        let run = ProbeRun {
            check,
            commands,
            outcome: None,
        };
        self.running.spawn(async move {
            let outcome = probe.probe(timeout).await;
            run.end(outcome);
        });
    }

    fn question(&mut self, reply: oneshot::Sender<Status>, commands: &NodeCommands) {
        // A question whose asker has gone is none.
        self.questions.retain(|_, reply| !reply.is_closed());
        if self.questions.len() == MAX_QUESTIONS {
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        if commands.send(Command::Status { token }) {
            self.questions.insert(token, reply);
        }
    }

    fn status(&self, node: NodeStatus) -> Status {
        Status {
            node: Arc::clone(&self.name),
            driver: self.drive.as_ref().and_then(Drive::counters),
            instances: node.instances,
            checks: node.checks,
            upstreams: self.backends.status(),
            backend_checks: Vec::new(),
            proxies: self.proxies.status(),
        }
    }

    fn abort_proxy(&mut self, name: &str) -> Result<(), ProxyError> {
        if let Some(proxy) = self.proxies.abort(name)? {
            self.tell(Event::Proxy {
                proxy,
                running: false,
            });
        }
        Ok(())
    }

    fn start_proxy(&mut self, name: &str) -> Result<(), ProxyError> {
        let proxy = self.proxies.restart(name)?;
        self.tell(Event::Proxy { proxy, running: true });
        Ok(())
    }

    /// The VRRP thread ended without having been asked to.
    fn end_drive(&mut self) {
        if let Some(Drive::Thread(driver)) = self.drive.take() {
            let reason = match driver.join() {
                Ok(()) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            };
            self.tell(Event::Failed { reason });
            // Nobody is left to answer these.
            self.questions.clear();
            self.switchovers.abandon();
            self.hmac_changes.abandon();
        }
    }

    /// Priority 0 and the end of VRRP first, so that a peer serves while requests under way are finished here.
    async fn shutdown(&mut self, deadline: Duration) -> usize {
        if let Some(Drive::Thread(driver)) = self.drive.take() {
            let joined = tokio::task::spawn_blocking(move || driver.join());
            let failed = match tokio::time::timeout(VRRP_STOP, joined).await {
                Ok(Ok(Err(error))) => Some(error.to_string()),
                Err(_) => Some(format!("it did not stop within {VRRP_STOP:?}")),
                Ok(_) => None,
            };
            if let Some(reason) = failed {
                self.tell(Event::Failed { reason });
            }
        }
        // What a probe has started ends with it, and before whoever asked for the end may end the process.
        self.running.shutdown().await;
        if let Some(checking) = self.checking.take() {
            checking.stop().await;
        }
        let mut drains = JoinSet::new();
        if let Some(notifying) = self.notifying.take() {
            // What it tells was told by the end of VRRP.
            drains.spawn(async move {
                notifying.ended().await;
                0
            });
        }
        self.proxies.drain(deadline, &mut drains);
        let mut cut = 0;
        while let Some(drained) = drains.join_next().await {
            cut += drained.unwrap_or(0);
        }
        cut
    }

    fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}
