//! Every variant of VRRP between our node and keepalived's and FRR's, in both roles, as one table.
//!
//! `cargo bench -p ha-benches --bench interop` prints it, and fails if any cell is red.

mod matrix;
mod peer;
mod row;

use std::process::ExitCode;

use ha_benches::testbed;

const USAGE: &str = "usage: interop [--json] [--jobs N] [FILTER]
  --json    prints one JSON object instead of the table
  --jobs N  so many rows at a time (8)
  FILTER    only rows whose name has this text: 'keepalived v2', 'IPv6', 'FRR'";

fn main() -> ExitCode {
    if let Some(code) = testbed::node::main_if_asked() {
        return code;
    }
    let mut options = matrix::Options::default();
    // `cargo bench` adds --bench.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut jobs = || arguments.next().and_then(|jobs| jobs.parse().ok());
        match &*argument {
            "--json" => options.json = true,
            "--jobs" => match jobs() {
                Some(jobs) => options.jobs = jobs,
                None => return usage(),
            },
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => return usage(),
            filter => options.filter = filter.to_owned(),
        }
    }
    if let Err(code) = testbed::enter() {
        return code;
    }
    if matrix::run(&options) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
