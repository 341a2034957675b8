//! The control thread: probes, backends, proxies, and questions about all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ha_health::{Failure, Outcome};
use lb_proxy::balance::{BackendId, BackendState, Upstream};
use lb_proxy::proxy::{ProxyConfig, Server, ServerHandle};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use vrrp_core::{HmacConfig, NoHmac, SwitchoverEnd};
use vrrp_net::{Commands, DriverCounters, DriverHandle};

use super::bus::Bus;
use super::event::Event;
use super::handle::ProxyError;
use super::hmac::{HmacChanges, SetHmacReply};
use super::local;
use super::node::{Command, Node};
use super::notify::Notifying;
use super::sources::Sources;
use super::stack::BackendCheck;
use super::status::{NodeStatus, ProxyStatus, Status};
use super::switchover::{ResumeReply, SwitchoverReply, Switchovers};

/// How often backends are looked at for changes that requests caused.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Longest time for masters to give up when stopping: it takes a few system calls, and proxies must be drained whatever
/// becomes of them.
const VRRP_STOP: Duration = Duration::from_secs(5);
/// Most questions about the status that wait for an answer; more are not answered.
const MAX_QUESTIONS: usize = 256;

/// What the control thread is told.
#[derive(Debug)]
pub(super) enum Input {
    /// A check wants its probe run.
    StartProbe { check: usize, timeout: Duration },
    /// A check went up or down.
    CheckChanged { check: usize, up: bool },
    /// The node's part of a status.
    NodeStatus { token: u64, status: Box<NodeStatus> },
    /// A switchover has ended.
    SwitchedOver { token: u64, end: Option<SwitchoverEnd> },
    /// HMAC settings were taken, or not.
    HmacSet {
        token: u64,
        result: Option<Result<(), NoHmac>>,
    },
    /// A hold has ended.
    Resumed { token: u64, found: bool },
    /// Somebody asks for the status.
    Status(oneshot::Sender<Status>),
    /// Hand over a virtual router or a sync group.
    Switchover(Arc<str>, SwitchoverReply),
    /// Change the HMAC settings of a virtual router.
    SetHmac(Arc<str>, HmacConfig, SetHmacReply),
    /// End the hold after that.
    Resume(Arc<str>, ResumeReply),
    /// End a proxy at once.
    AbortProxy(String, oneshot::Sender<Result<(), ProxyError>>),
    /// Start a proxy again.
    StartProxy(String, oneshot::Sender<Result<(), ProxyError>>),
    /// Whoever drove the node has ended, or is about to.
    DriveEnded,
    /// Stop everything.
    Shutdown(Duration, oneshot::Sender<usize>),
}

/// Who drives the node.
#[derive(Debug)]
pub(super) enum Drive {
    /// vrrp-net, on a thread of its own.
    Thread(DriverHandle<Command>),
    /// There is no virtual router: checks alone, on the control thread.
    Here {
        node: Box<Node>,
        bus: Bus,
        commands: mpsc::UnboundedSender<Command>,
        inbox: mpsc::UnboundedReceiver<Command>,
    },
}

impl Drive {
    pub(super) fn here(node: Node, bus: Bus) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        Self::Here {
            node: Box::new(node),
            bus,
            commands,
            inbox,
        }
    }

    /// What the VRRP thread has counted, if there is one.
    fn counters(&self) -> Option<DriverCounters> {
        match self {
            Self::Thread(driver) => Some(driver.counters()),
            Self::Here { .. } => None,
        }
    }

    /// Sends commands to the node from any thread.
    pub(super) fn commands(&self) -> NodeCommands {
        match self {
            Self::Thread(driver) => NodeCommands::Thread(driver.commands()),
            Self::Here { commands, .. } => NodeCommands::Here(commands.clone()),
        }
    }
}

/// A proxy that runs, or can be started again.
#[derive(Debug)]
pub(super) struct ProxySlot {
    pub(super) name: Arc<str>,
    pub(super) config: ProxyConfig,
    pub(super) server: Option<ServerHandle>,
}

/// An upstream with what was last told of its backends.
#[derive(Debug)]
struct Watched {
    upstream: Upstream,
    states: HashMap<BackendId, BackendState>,
}

/// Sends commands to the node, wherever it is driven.
#[derive(Clone, Debug)]
pub(super) enum NodeCommands {
    Thread(Commands<Command>),
    Here(mpsc::UnboundedSender<Command>),
}

impl NodeCommands {
    /// Whether somebody took it.
    pub(super) fn send(&self, command: Command) -> bool {
        match self {
            Self::Thread(commands) => commands.send(command).is_ok(),
            Self::Here(commands) => commands.send(command).is_ok(),
        }
    }
}

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
    /// Probes under way, one a check at most.
    running: JoinSet<()>,
    upstreams: Vec<Watched>,
    backend_checks: Vec<BackendCheck>,
    proxies: Vec<ProxySlot>,
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
        upstreams: Vec<Upstream>,
        backend_checks: Vec<BackendCheck>,
        proxies: Vec<ProxySlot>,
    ) -> Self {
        let watch = |upstream: Upstream| {
            let backends = upstream.status().backends;
            Watched {
                states: backends.into_iter().map(|one| (one.id, one.state)).collect(),
                upstream,
            }
        };
        Self {
            name,
            events,
            drive: Some(drive),
            sources,
            running: JoinSet::new(),
            upstreams: upstreams.into_iter().map(watch).collect(),
            backend_checks,
            proxies,
            questions: HashMap::new(),
            next_token: 0,
            notifying: None,
            switchovers: Switchovers::default(),
            hmac_changes: HmacChanges::default(),
        }
    }

    /// Waits at the end until others have been notified of it.
    pub(super) fn notifying(mut self, notifying: Option<Notifying>) -> Self {
        self.notifying = notifying;
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
                _ = watch.tick(), if !self.upstreams.is_empty() => {
                    self.watch_backends();
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
            Input::CheckChanged { check, up } => self.apply_check(check, up),
            Input::Status(reply) => self.question(reply, commands),
            Input::NodeStatus { token, status } => {
                if let Some(reply) = self.questions.remove(&token) {
                    // Who asked may not wait.
                    let _ = reply.send(self.status(*status));
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
            // The loop takes it.
            Input::DriveEnded => self.end_drive(),
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

    fn apply_check(&mut self, check: usize, up: bool) {
        for one in self.backend_checks.iter().filter(|one| one.check == check) {
            let upstream = &self.upstreams[one.upstream].upstream;
            // Unknown only if somebody has replaced the backends meanwhile.
            let _ = upstream.set_check(lb_proxy::proxy::now(), &one.backend, up);
        }
        self.watch_backends();
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
            upstreams: self.upstreams.iter().map(|one| one.upstream.status()).collect(),
            proxies: self
                .proxies
                .iter()
                .map(|proxy| ProxyStatus {
                    name: Arc::clone(&proxy.name),
                    server: proxy.server.as_ref().map(ServerHandle::status),
                })
                .collect(),
        }
    }

    fn abort_proxy(&mut self, name: &str) -> Result<(), ProxyError> {
        let slot = self.slot(name)?;
        if let Some(server) = slot.server.take() {
            server.abort();
            let proxy = Arc::clone(&slot.name);
            self.tell(Event::Proxy {
                proxy,
                running: false,
            });
        }
        Ok(())
    }

    fn start_proxy(&mut self, name: &str) -> Result<(), ProxyError> {
        let slot = self.slot(name)?;
        if slot.server.is_some() {
            return Err(ProxyError::Running(name.to_owned()));
        }
        slot.server = Some(Server::spawn(slot.config.clone())?);
        let proxy = Arc::clone(&slot.name);
        self.tell(Event::Proxy { proxy, running: true });
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Result<&mut ProxySlot, ProxyError> {
        let found = self.proxies.iter_mut().find(|proxy| &*proxy.name == name);
        found.ok_or_else(|| ProxyError::Unknown(name.to_owned()))
    }

    /// Requests take backends out and bring them back; that shows in their states alone.
    fn watch_backends(&mut self) {
        for Watched { upstream, states } in &mut self.upstreams {
            upstream.handle_timeout(lb_proxy::proxy::now());
            let status = upstream.status();
            for backend in status.backends {
                let from = states.insert(backend.id.clone(), backend.state);
                let Some(from) = from.filter(|from| *from != backend.state) else {
                    continue;
                };
                // Nobody may be listening.
                let _ = self.events.send(Event::Backend {
                    upstream: Arc::clone(&status.name),
                    backend: backend.id,
                    from,
                    to: backend.state,
                });
            }
        }
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
        let mut drains = JoinSet::new();
        if let Some(notifying) = self.notifying.take() {
            // What it tells was told by the end of VRRP.
            drains.spawn(async move {
                notifying.ended().await;
                0
            });
        }
        for proxy in &mut self.proxies {
            if let Some(server) = proxy.server.take() {
                drains.spawn(async move {
                    let cut = server.shutdown(deadline).await;
                    // Its threads have nothing left to do; this waits for them to be gone.
                    server.abort();
                    cut
                });
            }
        }
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
