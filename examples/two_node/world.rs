//! The lab: hosts, the nodes that run on them as processes, and what each has said of itself.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vrrp_core::State;
use vrrp_net::lab::Lab;

use super::node::{Command, Report};
use super::report::Timeline;
use super::topology::{CLIENT, INTERFACE, LB1, LB2, NodeSpec, PREFIX_LEN, VIP, WEBS};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long to wait for something that takes 4 s by the protocol before giving up.
const PATIENCE: Duration = Duration::from_secs(12);

/// The virtual LAN with all hosts.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) timeline: Arc<Timeline>,
}

impl World {
    pub(crate) fn new(timeline: Arc<Timeline>) -> Result<Self> {
        let cidr = |address: Ipv4Addr| [format!("{address}/{PREFIX_LEN}")];
        let mut lab = Lab::builder();
        for node in [LB1, LB2] {
            lab = lab.host(node.name, cidr(node.address)).interface(INTERFACE);
        }
        for web in WEBS {
            lab = lab.host(web.name, cidr(web.address));
        }
        let lab = lab.host(CLIENT.0, cidr(CLIENT.1)).build()?;
        Ok(Self { lab, timeline })
    }

    /// Starts a node on its host, as a process of its own.
    pub(crate) fn start(&self, spec: NodeSpec) -> Result<Node> {
        let mut process = Process::new(std::env::current_exe()?);
        process
            .args(["node", spec.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = self.lab.host(spec.name).spawn(process)?;
        let input = child.stdin.take().ok_or("a node without standard input")?;
        let output = child.stdout.take().ok_or("a node without standard output")?;
        let view = Arc::new(View::default());
        let (sink, timeline) = (Arc::clone(&view), Arc::clone(&self.timeline));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(io::Result::ok) {
                let Some((report, text)) = Report::parse(&line) else {
                    continue;
                };
                timeline.say(spec.name, text);
                if let Report::State(state) = report {
                    sink.set(Some(state));
                }
            }
            sink.set(None);
        });
        self.timeline
            .say(spec.name, format_args!("started, process {}", child.id()));
        Ok(Node {
            spec,
            child,
            input,
            view,
        })
    }

    /// Whether this host carries the virtual address.
    pub(crate) fn holds_vip(&self, spec: NodeSpec) -> Result<bool> {
        let addresses = self.lab.host(spec.name).addresses()?;
        Ok(addresses.iter().any(|net| net.addr() == VIP))
    }

    /// Whose interfaces answer the client's ARP request for the virtual address.
    pub(crate) fn who_answers(&self) -> Result<Vec<&'static str>> {
        let macs = self
            .lab
            .host(CLIENT.0)
            .arp_who_has(VIP, Duration::from_millis(200))?;
        let name = |mac| {
            [LB1, LB2]
                .into_iter()
                .find(|node| self.lab.host(node.name).mac() == mac)
        };
        Ok(macs
            .into_iter()
            .map(|mac| name(mac).map_or("a stranger", |node| node.name))
            .collect())
    }
}

/// A node's process.
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    child: Child,
    input: ChildStdin,
    view: Arc<View>,
}

impl Node {
    pub(crate) fn tell(&mut self, command: Command) -> Result<()> {
        Ok(writeln!(self.input, "{}", command.line())?)
    }

    /// Waits until the node says that it is in this state, and tells how long that took.
    pub(crate) fn wait_for(&self, state: State) -> Result<Duration> {
        let began = Instant::now();
        self.view.wait_for(|seen| seen == Some(state)).map_err(|seen| {
            let seen = seen.map_or("gone".into(), |state| state.to_string());
            format!(
                "{} was to become {state} within {PATIENCE:?}; it is {seen}",
                self.spec.name
            )
        })?;
        Ok(began.elapsed())
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits until it has; whether it ended well.
    pub(crate) fn stop(mut self) -> Result<bool> {
        self.tell(Command::Stop)?;
        self.view
            .wait_for(|seen| seen.is_none())
            .map_err(|_| format!("{} did not stop within {PATIENCE:?}", self.spec.name))?;
        Ok(self.child.wait()?.success())
    }
}

/// The state that a node last told; `None` before the first and after the end.
#[derive(Default)]
struct View {
    state: Mutex<Option<State>>,
    changed: Condvar,
}

impl View {
    fn set(&self, state: Option<State>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    fn wait_for(&self, wanted: impl Fn(Option<State>) -> bool) -> std::result::Result<(), Option<State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, timeout) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !wanted(*state))
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() { Err(*state) } else { Ok(()) }
    }
}
