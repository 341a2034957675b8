//! Our node: `ha_stack` with its virtual routers and checks, in a process of its own on a host. It is driven by lines on
//! its standard input, and tells on its standard output, a line each, its changes of state and what it is asked.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ha_health::probe::{Process, Script};
use ha_health::{CheckConfig, WatchConfig, Weight};
use ha_stack::{Event, Handle, Instance, Stack};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use serde::{Deserialize, Serialize};
use vrrp_core::{AddressList, AhKey, AuthenticationConfig, Config, Priority, State, Vrid};
use vrrp_net::lab::Host;
use vrrp_net::{Attachment, DriverOptions, Vmac};

use super::lan::INTERFACE;
use super::setup::{CHECK, REALTIME, WEIGHT};
use super::{Authentication, Error, Result, Role, Setup};

/// First argument of the process.
const NODE: &str = "node";
/// How long its start, its end and its answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running node. Killed when dropped.
#[derive(Debug)]
pub struct Node {
    process: Child,
    input: ChildStdin,
    reports: Receiver<Report>,
    role: Role,
    transitions: usize,
    answers: Vec<Answer>,
}

/// What a node tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Report {
    /// It runs.
    Started,
    /// A virtual router changed its state.
    Transition {
        /// Of the first virtual router.
        first: bool,
        to: Role,
    },
    Answer(Answer),
}

/// What it answers when asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Adverts that passed every check.
    pub received: u64,
    /// Adverts sent.
    pub sent: u64,
    /// Adverts that came while it ran and were not acted upon.
    pub discarded: u64,
    /// Of the first virtual router.
    pub priority: u8,
    /// The latest that the VRRP thread acted upon a timer since its start, after its deadline.
    pub max_lateness: Duration,
    /// Times that it stood still for too long to go on as if nothing had been.
    pub pauses: u64,
}

impl Node {
    /// Starts it on a host.
    ///
    /// # Errors
    /// If it can't be started; why is on standard error.
    pub fn start(host: &Host, setup: &Setup) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([NODE, &serde_json::to_string(setup)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = host.spawn(command)?;
        let input = process.stdin.take().ok_or("a node without standard input")?;
        let output = process.stdout.take().ok_or("a node without standard output")?;
        let (sender, reports) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(io::Result::ok);
            for report in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        let mut node = Self {
            process,
            input,
            reports,
            role: Role::Other,
            transitions: 0,
            answers: Vec::new(),
        };
        match node.reports.recv_timeout(PATIENCE) {
            Ok(Report::Started) => Ok(node),
            other => {
                let _ = node.process.kill();
                Err(format!("our node does not start: {other:?}").into())
            }
        }
    }

    /// The state of its first virtual router.
    pub fn role(&mut self) -> Role {
        self.take_reports();
        self.role
    }

    /// Its changes of state so far, all virtual routers together.
    pub fn transitions(&mut self) -> usize {
        self.take_reports();
        self.transitions
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks for its counters.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub fn ask(&mut self) -> Result<Answer> {
        self.answers.clear();
        self.tell("status")?;
        let deadline = Instant::now() + PATIENCE;
        while self.answers.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left)?;
            self.take(report);
        }
        self.take_reports();
        self.answers
            .pop()
            .ok_or_else(|| "our node does not answer".into())
    }

    /// Hands mastership of the first virtual router over to the other node (`ha-stack switchover`).
    ///
    /// # Errors
    /// If it can't be told.
    pub fn switch_over(&mut self) -> Result<()> {
        self.tell("switchover")
    }

    /// Ends the hold after that (`ha-stack resume`).
    ///
    /// # Errors
    /// If it can't be told.
    pub fn resume(&mut self) -> Result<()> {
        self.tell("resume")
    }

    /// Stops it in an orderly way, and waits until it has ended.
    ///
    /// # Errors
    /// If it ends badly.
    pub fn stop(mut self) -> Result<()> {
        self.tell("stop")?;
        if self.process.wait()?.success() {
            Ok(())
        } else {
            Err("our node ended with an error".into())
        }
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn take_reports(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Started => {}
            Report::Answer(answer) => self.answers.push(answer),
            Report::Transition { first, to } => {
                self.transitions += 1;
                if first {
                    self.role = to;
                }
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a node if this process was started as one. Call it first in `main`.
#[must_use]
pub fn main_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [word, setup] = &arguments[..] else {
        return None;
    };
    if word != NODE {
        return None;
    }
    let ended = serde_json::from_str(setup)
        .map_err(Error::from)
        .and_then(|setup| run(&setup));
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("our node: {error}");
            ExitCode::FAILURE
        }
    })
}

fn run(setup: &Setup) -> Result<()> {
    let mut stack = stack(setup)?.spawn()?;
    report(&Report::Started);
    let mut events = stack.events();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            if let Event::Transition { instance, transition } = event {
                report(&Report::Transition {
                    first: *instance == *name(1),
                    to: match transition.to {
                        State::Master => Role::Master,
                        State::Backup => Role::Backup,
                        State::Initialize | State::Fault => Role::Other,
                    },
                });
            }
        }
    });
    for line in io::stdin().lock().lines() {
        match &*line? {
            "status" => report(&Report::Answer(answer(&stack)?)),
            "switchover" => _ = stack.switchover(name(1)).wait()??,
            "resume" => stack.resume(name(1)).wait()??,
            "stop" => break,
            other => return Err(format!("unknown command {other:?}").into()),
        }
    }
    stack.shutdown(Duration::ZERO).wait()?;
    Ok(())
}

/// When the parent is gone nobody reads, and standard input ends the node.
fn report(report: &Report) {
    let mut out = io::stdout().lock();
    if let Ok(line) = serde_json::to_string(report) {
        let _ = writeln!(out, "{line}");
    }
}

fn answer(stack: &Handle) -> Result<Answer> {
    let status = stack.status().wait()?;
    let counters = || status.instances.iter().map(|instance| &instance.counters);
    let discarded =
        |counters: &vrrp_core::Counters| counters.discards.total() - counters.discards.not_running;
    let driver = status.driver.ok_or("our node has no VRRP thread")?;
    Ok(Answer {
        max_lateness: driver.max_lateness,
        pauses: driver.pauses,
        received: counters().map(|counters| counters.adverts_received).sum(),
        sent: counters().map(|counters| counters.adverts_sent).sum(),
        discarded: counters().map(discarded).sum(),
        priority: status
            .instances
            .first()
            .map_or(0, |instance| instance.effective_priority.get()),
    })
}

fn name(vrid: u8) -> String {
    format!("VI_{vrid}")
}

fn stack(setup: &Setup) -> Result<Stack> {
    let options = DriverOptions {
        realtime: setup.realtime.then_some(REALTIME),
        nice: setup.nice,
        ..DriverOptions::default()
    };
    let mut builder = Stack::builder(setup.side.name()).driver_options(options);
    let weight = Weight::new(i32::from(WEIGHT))?;
    if let Some(interval) = setup.check {
        let check = CheckConfig::builder("alive")
            .interval(interval)
            .weight(weight)
            .build()?;
        builder = builder.check(check, Script::from_words(CHECK)?);
    }
    if let Some(name) = &setup.process {
        let watch = WatchConfig::builder("watched").weight(weight).build()?;
        builder = builder.watch(watch, Process::builder(name).build()?);
    }
    for vrid in setup.vrids() {
        let mut instance = Instance::new(name(vrid), config(setup, vrid)?, attachment(setup)?);
        if setup.check.is_some() {
            instance = instance.track("alive");
        }
        if setup.process.is_some() {
            instance = instance.track("watched");
        }
        builder = builder.instance(instance);
    }
    if let Some(backend) = setup.proxy {
        let upstream = UpstreamConfig::builder("backend").backend(BackendConfig::new("only", backend));
        let proxy = ProxyConfig::builder(Upstream::new(upstream.build()?))
            .listen((Ipv4Addr::UNSPECIFIED, 80).into())
            .build()?;
        builder = builder.proxy("web", proxy);
    }
    Ok(builder.build()?)
}

fn config(setup: &Setup, vrid: u8) -> Result<Config> {
    let Setup {
        variant, priority, ..
    } = setup;
    let authentication = match variant.authentication {
        Authentication::None => AuthenticationConfig::None,
        Authentication::Pass => AuthenticationConfig::simple(Authentication::PASSWORD)?,
        Authentication::Ah => AuthenticationConfig::Ah(AhKey::new(Authentication::PASSWORD)?),
    };
    let mut builder = Config::builder(
        Vrid::new(vrid).ok_or("virtual router ids start at 1")?,
        AddressList::new(&setup.addresses(vrid))?,
    )
    .version(variant.version())
    .priority(Priority::new(*priority))
    .adver_interval(variant.adver_interval())
    .authentication(authentication);
    if variant.unicast {
        builder = builder.peers(&[setup.peer()]);
    }
    Ok(builder.build()?)
}

fn attachment(setup: &Setup) -> Result<Attachment> {
    let mut builder = Attachment::builder(INTERFACE);
    if setup.variant.unicast {
        builder = builder.source(setup.source());
    }
    if setup.variant.vmac {
        builder = builder.vmac(Vmac::new());
    }
    Ok(builder.build()?)
}
