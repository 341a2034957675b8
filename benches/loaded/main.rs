//! Whether mastership stays where it is while the proxy of the same process is under full load: two nodes that advertise
//! each 10 ms, and `wrk` with 256 connections to the virtual address.
//!
//! `cargo bench -p ha-benches --bench loaded` prints a line a node; with `--check` it fails on any change of state.

mod backend;

use std::process::{Command, ExitCode};
use std::time::Duration;

use ha_benches::testbed::lan::{Lan, Side};
use ha_benches::testbed::process::Usage;
use ha_benches::testbed::{self, Node, Result, Role, Setup, Variant, pause, wait_until};

const USAGE: &str = "usage: loaded [--seconds N] [--realtime] [--json] [--check]
  --seconds N  how long the load lasts (60)
  --realtime   VRRP with real-time priority (root)
  --json       prints one JSON object instead of lines
  --check      fails if any node changes its state";

/// How long it may take until one node is master.
const PATIENCE: Duration = Duration::from_secs(20);
/// Past the second round of announcements, 5 s after the first.
const WARM_UP: Duration = Duration::from_secs(6);

struct Options {
    seconds: u64,
    realtime: bool,
    json: bool,
    check: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self {
            seconds: 60,
            realtime: false,
            json: false,
            check: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--seconds" => options.seconds = arguments.next()?.parse().ok().filter(|n| *n > 0)?,
                "--realtime" => options.realtime = true,
                "--json" => options.json = true,
                "--check" => options.check = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Why the bench can't be run here.
fn wrk_missing() -> Option<&'static str> {
    let found = Command::new("wrk").arg("--version").output().is_ok();
    (!found).then_some("wrk is not installed")
}

fn main() -> ExitCode {
    testbed::main("loaded", USAGE, Options::parse, wrk_missing, |options| {
        Ok(run(options)? == 0 || !options.check)
    })
}

fn run(options: &Options) -> Result<usize> {
    let lan = Lan::new()?;
    let setup = |side, priority| {
        Setup::new(Variant::v3(1), side, priority)
            .proxy(backend::ADDRESS)
            .realtime(options.realtime)
    };
    for side in Side::BOTH {
        backend::start(lan.host(side))?;
    }
    let mut nodes = [
        Node::start(lan.host(Side::A), &setup(Side::A, 200))?,
        Node::start(lan.host(Side::B), &setup(Side::B, 100))?,
    ];
    let is_settled = || Ok(nodes[0].role() == Role::Master && nodes[1].role() == Role::Backup);
    if !wait_until(PATIENCE, is_settled)? {
        return Err("the node of higher priority does not become the only master".into());
    }
    pause(WARM_UP);

    let transitions = [nodes[0].transitions(), nodes[1].transitions()];
    let cpu = [Usage::of(nodes[0].pid())?.cpu, Usage::of(nodes[1].pid())?.cpu];
    let requests_per_second = load(&lan, options.seconds)?;
    let mut total = 0;
    let mut rows = Vec::new();
    for (index, side) in Side::BOTH.into_iter().enumerate() {
        let node = &mut nodes[index];
        let changes = node.transitions() - transitions[index];
        let used = Usage::of(node.pid())?.cpu.saturating_sub(cpu[index]);
        let cpu_percent = used.as_secs_f64() / options.seconds as f64 * 100.0;
        total += changes;
        if !options.json {
            println!(
                "{} {:?}: {changes} transitions, {cpu_percent:.0} % of a core",
                side.name(),
                node.role()
            );
        }
        rows.push(serde_json::json!({
            "node": side.name(),
            "transitions": changes,
            "cpu_percent": cpu_percent,
        }));
    }
    if options.json {
        let report = serde_json::json!({
            "seconds": options.seconds,
            "realtime": options.realtime,
            "requests_per_second": requests_per_second,
            "nodes": rows,
        });
        println!("{report:#}");
    } else {
        println!("{requests_per_second:.0} requests/s for {} s", options.seconds);
    }
    Ok(total)
}

/// Runs `wrk` on the client's host; gives requests a second. No requests at all are an error: that was no load.
fn load(lan: &Lan, seconds: u64) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-c256", "-t2", &format!("-d{seconds}s")]);
    command.arg(format!("http://{}/", testbed::lan::virtual_address(1, false)));
    let output = lan.client().output(command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") {
        return Err(format!("the proxy answers with errors:\n{text}").into());
    }
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
        .filter(|rate| *rate > 0.0)
        .ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("wrk tells no rate:\n{text}{errors}").into()
        })
}
