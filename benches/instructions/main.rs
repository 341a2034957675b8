//! Instructions an operation takes, counted by valgrind, held against the recorded counts in `instructions.csv`.
//!
//! Unlike time, the count hardly depends on the machine or its load, so CI can gate on it: an operation that takes
//! more than 1.15 times its recorded count fails. `cargo bench -p ha-benches --bench instructions` counts all;
//! `-- NAME` those whose name contains it; `-- --record` writes the counts down, to be committed with the change that
//! justifies them.
//!
//! An operation is added as a [`Case`] in the module of its crate; a crate without one gets a module and a line in
//! [`cases`].

#[path = "../support/adverts.rs"]
mod adverts;
mod balance;
mod edge;
#[path = "../support/edge.rs"]
mod edge_inputs;
mod limits;
mod proxy;
mod route;
#[path = "../support/upstreams.rs"]
mod upstreams;
mod valgrind;
mod vrrp;

use std::process::ExitCode;

use limits::{Limits, Verdict};
use valgrind::CountError;

/// An operation that is counted.
pub(crate) struct Case {
    /// Crate's subject, operation and input: `codec/parse/v2-1`.
    pub(crate) name: String,
    /// Sets up, then does it so many times.
    pub(crate) run: Box<dyn Fn(u64)>,
}

fn cases() -> Vec<Case> {
    let mut cases = vrrp::cases();
    cases.extend(balance::cases());
    cases.extend(proxy::cases());
    cases.extend(route::cases());
    cases.extend(edge::cases());
    cases
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [valgrind::RUN, name, times] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return run_under_valgrind(name, times);
    }
    let record = arguments.iter().any(|argument| argument == "--record");
    // Cargo adds `--bench`.
    let filter = arguments.iter().find(|argument| !argument.starts_with("--"));
    let chosen: Vec<String> = cases()
        .into_iter()
        .map(|case| case.name)
        .filter(|name| filter.is_none_or(|filter| name.contains(filter.as_str())))
        .collect();
    match count(&chosen, record) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// The child's part: one case, so many times.
fn run_under_valgrind(name: &str, times: &str) -> ExitCode {
    let case = cases().into_iter().find(|case| case.name == name);
    let (Some(case), Ok(times)) = (case, times.parse()) else {
        return ExitCode::FAILURE;
    };
    (case.run)(times);
    ExitCode::SUCCESS
}

/// Counts the cases and prints a line for each; whether all keep to their limits.
fn count(names: &[String], record: bool) -> Result<bool, CountError> {
    let mut limits = Limits::read()?;
    let mut kept = true;
    println!("{:<32} {:>12} {:>10}", "operation", "instructions", "recorded");
    for name in names {
        let instructions = valgrind::count(name)?;
        let recorded = limits
            .recorded(name)
            .map_or("-".to_owned(), |count| count.to_string());
        let verdict = limits.verdict(name, instructions);
        println!("{name:<32} {instructions:>12} {recorded:>10}  {verdict}");
        kept &= matches!(verdict, Verdict::Kept | Verdict::Better);
        limits.record(name, instructions);
    }
    if record {
        limits.write()?;
        return Ok(true);
    }
    Ok(kept)
}
