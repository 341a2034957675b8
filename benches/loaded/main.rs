//! Whether mastership stays where it is while the proxy of the same process is under full load: two nodes that advertise
//! each 10 ms, and 256 connections to the virtual address that ask without a rest.
//!
//! `cargo bench -p ha-benches --bench loaded` prints a line a node; with `--check` it fails on any change of state.

mod backend;
mod load;

use std::process::ExitCode;
use std::time::Duration;

use ha_benches::testbed::lan::{Lan, Side};
use ha_benches::testbed::process::Usage;
use ha_benches::testbed::{self, Node, Result, Role, Setup, Variant, pause, wait_until};

const USAGE: &str = "usage: loaded [--seconds N] [--realtime | --nice N] [--json] [--check]
  --seconds N  how long the load lasts (60)
  --realtime   VRRP with real-time priority (root)
  --nice N     VRRP with another nice value than by default: 0 is without CAP_SYS_NICE
  --json       prints one JSON object instead of lines
  --check      fails if any node changes its state";

/// How long it may take until one node is master.
const PATIENCE: Duration = Duration::from_secs(20);
/// Past the second round of announcements, 5 s after the first.
const WARM_UP: Duration = Duration::from_secs(6);

struct Options {
    seconds: u64,
    realtime: bool,
    nice: Option<i8>,
    json: bool,
    check: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self {
            seconds: 60,
            realtime: false,
            nice: None,
            json: false,
            check: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--seconds" => options.seconds = arguments.next()?.parse().ok().filter(|n| *n > 0)?,
                "--realtime" => options.realtime = true,
                "--nice" => options.nice = Some(arguments.next()?.parse().ok()?),
                "--json" => options.json = true,
                "--check" => options.check = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    testbed::main(
        "loaded",
        USAGE,
        Options::parse,
        |_| None,
        |options| Ok(run(options)? == 0 || !options.check),
    )
}

fn run(options: &Options) -> Result<usize> {
    let lan = Lan::new()?;
    let setup = |side, priority| {
        Setup::new(Variant::v3(1), side, priority)
            .proxy(backend::ADDRESS)
            .realtime(options.realtime)
            .nice(options.nice)
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
    let before = [nodes[0].ask()?, nodes[1].ask()?];
    let (requests_per_second, by) = load::run(&lan, options.seconds)?;
    let mut total = 0;
    let mut rows = Vec::new();
    for (index, side) in Side::BOTH.into_iter().enumerate() {
        let node = &mut nodes[index];
        let changes = node.transitions() - transitions[index];
        let used = Usage::of(node.pid())?.cpu.saturating_sub(cpu[index]);
        let cpu_percent = used.as_secs_f64() / options.seconds as f64 * 100.0;
        let answer = node.ask()?;
        let late_ms = [&before[index], &answer].map(|answer| answer.max_lateness.as_secs_f64() * 1000.0);
        let pauses = answer.pauses - before[index].pauses;
        total += changes;
        if !options.json {
            println!(
                "{} {:?}: {changes} transitions, latest {:.1} ms late ({:.1} before the load), {pauses} pauses, {cpu_percent:.0} % of a core",
                side.name(),
                node.role(),
                late_ms[1],
                late_ms[0]
            );
        }
        rows.push(serde_json::json!({
            "node": side.name(),
            "transitions": changes,
            "max_lateness_ms": late_ms[1],
            "max_lateness_ms_before": late_ms[0],
            "pauses": pauses,
            "cpu_percent": cpu_percent,
        }));
    }
    if options.json {
        let report = serde_json::json!({
            "seconds": options.seconds,
            "realtime": options.realtime,
            "nice": options.nice,
            "load": by,
            "requests_per_second": requests_per_second,
            "nodes": rows,
        });
        println!("{report:#}");
    } else {
        println!(
            "{requests_per_second:.0} requests/s for {} s, by {by}",
            options.seconds
        );
    }
    Ok(total)
}
