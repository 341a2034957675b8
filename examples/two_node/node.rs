//! A node: the whole stack, embedded in a process of its own. Its parent drives it by lines on standard input.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use ha_health::probe::Tcp;
use ha_health::{CheckConfig, Weight};
use ha_stack::{Event, Handle, Instance, Stack};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use vrrp_core::State;
use vrrp_net::Attachment;

use super::topology::{CHECK_INTERVAL, CHECK_WEIGHT, INSTANCE, INTERFACE, NodeSpec, WEBS};

const PROXY: &str = "web";
const CHECK: &str = "chk_proxy";
/// How long a web server that failed is left alone.
const FAIL_TIMEOUT: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(2);

/// What a parent asks of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// Ends the proxy's workers at once, as a crash would.
    AbortProxy,
    /// Starts them again.
    StartProxy,
    /// Stops the node in an orderly way.
    Stop,
}

impl Command {
    const ALL: [Self; 3] = [Self::AbortProxy, Self::StartProxy, Self::Stop];

    /// The line on the node's standard input.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::AbortProxy => "abort-proxy",
            Self::StartProxy => "start-proxy",
            Self::Stop => "stop",
        }
    }
}

/// What a node tells its parent, a line each: the keyword, a tab, and the text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    State(State),
    Note,
}

impl Report {
    fn of(event: &Event) -> Self {
        match event {
            Event::Transition { transition, .. } => Self::State(transition.to),
            _ => Self::Note,
        }
    }

    fn keyword(&self) -> String {
        match self {
            Self::State(state) => state.to_string(),
            Self::Note => "note".into(),
        }
    }

    /// The report and the text of a line.
    pub(crate) fn parse(line: &str) -> Option<(Self, &str)> {
        let (keyword, text) = line.split_once('\t')?;
        let states = [State::Initialize, State::Backup, State::Master, State::Fault];
        let state = states.into_iter().find(|state| state.to_string() == keyword);
        Some((state.map_or(Self::Note, Self::State), text))
    }
}

/// Runs the node in the network namespace that its parent started it in.
pub(crate) fn run(spec: NodeSpec) -> Result<(), Box<dyn Error>> {
    let mut stack = stack(spec)?.spawn()?;
    let mut events = stack.events();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            let mut out = io::stdout().lock();
            // When the parent is gone nobody reads, and standard input ends the node.
            let _ = writeln!(out, "{}\t{event}", Report::of(&event).keyword());
        }
    });
    for line in io::stdin().lock().lines() {
        let line = line?;
        match Command::ALL.into_iter().find(|command| command.line() == line) {
            Some(Command::AbortProxy) => stack.abort_proxy(PROXY).wait()??,
            Some(Command::StartProxy) => stack.start_proxy(PROXY).wait()??,
            Some(Command::Stop) => break,
            None => return Err(format!("unknown command {line:?}").into()),
        }
    }
    stop(stack)
}

fn stop(stack: Handle) -> Result<(), Box<dyn Error>> {
    stack.shutdown(DRAIN).wait()?;
    Ok(())
}

/// The tutorial's node: one virtual router, one check of the proxy, one proxy before both web servers.
fn stack(spec: NodeSpec) -> Result<Stack, Box<dyn Error>> {
    let backends = WEBS.map(|web| BackendConfig::new(web.name, web.socket()).fail_timeout(FAIL_TIMEOUT));
    let upstream = Upstream::new(UpstreamConfig::builder("webs").backends(backends).build()?);
    let proxy = ProxyConfig::builder(upstream)
        .listen((Ipv4Addr::UNSPECIFIED, 80).into())
        .workers(2)
        .build()?;
    let check = CheckConfig::builder(CHECK)
        .interval(CHECK_INTERVAL)
        .weight(Weight::new(CHECK_WEIGHT)?)
        .build()?;
    let attachment = Attachment::builder(INTERFACE)
        .source(spec.address.into())
        .build()?;
    let stack = Stack::builder(spec.name)
        .check(check, Tcp::new((Ipv4Addr::LOCALHOST, 80).into()))
        .instance(Instance::new(INSTANCE, spec.config()?, attachment).track(CHECK))
        .proxy(PROXY, proxy)
        .build()?;
    Ok(stack)
}
