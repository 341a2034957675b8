//! Two nodes share a virtual IP and balance HTTP behind it; then everything goes wrong, and clients go on.
//!
//! `cargo run --release --example two_node` needs no root: it builds a LAN of network namespaces on the real kernel,
//! runs two nodes in processes of their own, two web servers and a client, breaks one thing after the other, and
//! measures what the client sees. It exits non-zero if anything came out otherwise than expected.

mod client;
mod node;
mod report;
mod scenarios;
mod simulated;
mod topology;
mod web;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use report::Timeline;
use topology::NodeSpec;
use vrrp_net::lab;

const USAGE: &str = "usage: two_node [--json] [--sim]
  --json  prints one JSON object instead of a timeline and a table
  --sim   runs the protocol part in the simulator, in virtual time";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["node", name] => run_node(name),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        ref options if options.iter().all(|option| matches!(*option, "--json" | "--sim")) => {
            run_example(options.contains(&"--json"), options.contains(&"--sim"))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// A child: one of the two nodes.
fn run_node(name: &str) -> ExitCode {
    let Some(spec) = NodeSpec::named(name) else {
        eprintln!("there is no node {name}");
        return ExitCode::from(2);
    };
    match node::run(spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_example(json: bool, simulate: bool) -> ExitCode {
    // Before any thread exists: only then may a process move into a user namespace.
    let entered = if simulate { None } else { Some(lab::enter()) };
    let timeline = Arc::new(Timeline::new(json));
    let (mode, outcomes) = match entered {
        Some(Ok(())) => ("lab", scenarios::run(&timeline)),
        Some(Err(error)) => {
            timeline.say(
                "lab",
                format_args!("{error}; the simulator runs the protocol part instead"),
            );
            ("sim", simulated::run(&timeline))
        }
        None => ("sim", simulated::run(&timeline)),
    };
    match outcomes {
        Ok(outcomes) if timeline.finish(mode, &outcomes) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            timeline.say("example", format_args!("gives up: {error}"));
            timeline.finish(mode, &[]);
            eprintln!("two_node: {error}");
            ExitCode::FAILURE
        }
    }
}
