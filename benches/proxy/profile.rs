//! Where a contender's time goes: `perf` looks at it under load.

use std::path::Path;
use std::process::{Command, Stdio};

use ha_benches::testbed::Result;

use crate::Options;
use crate::contender::{Contender, Field};
use crate::cores::Place;
use crate::load::{Load, Pace};

/// Samples a second; a virtual machine has no counter of cycles, so that it is the clock which interrupts.
const FREQUENCY: &str = "4999";
/// Functions below this share are left out.
const LIMIT: &str = "0.5";

/// Records the first body and number of connections of the options for ten slices, and prints where the time went; the
/// record stays beside this program, for `perf report` and `perf annotate`.
pub(crate) fn run(contender: Contender, field: &Field<'_>, options: &Options) -> Result<()> {
    let record = std::env::current_exe()?.with_extension("perf");
    let daemon = contender.start(field, Place::Proxy, 1)?;
    let window = options.slice * 10;
    let load = Load {
        target: daemon.address(),
        path: options.bodies[0].path(),
        connections: options.connections[0],
        pace: Pace::Closed,
        tls: None,
        keep_alive: true,
        warm_up: options.slice,
        window,
    };
    let pids: Vec<String> = daemon.pids().iter().map(ToString::to_string).collect();
    let mut recorder = None;
    let outcome = load.run(|| {
        if recorder.is_none() {
            let mut perf = Command::new("perf");
            perf.args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY])
                .args(["-p", &pids.join(","), "-o"])
                .arg(&record)
                .args(["sleep", &format!("{}", window.as_secs_f64())])
                .stdout(Stdio::null());
            let process = perf.spawn();
            recorder = Some(process.map_err(|error| format!("perf can't be run: {error}"))?);
        }
        daemon.cpu()
    })?;
    if let Some(mut perf) = recorder {
        perf.wait()?;
    }
    let [before, after] = outcome.meter;
    let micros = (after - before).as_secs_f64() * 1e6 / outcome.answers as f64;
    println!("{contender}: {micros:.1} µs a request, perf's own share included");
    report(&record, "dso")?;
    report(&record, "dso,symbol")?;
    println!("\nperf report -i {}", record.display());
    Ok(())
}

fn report(record: &Path, by: &str) -> Result<()> {
    let output = Command::new("perf")
        .args(["report", "--stdio", "-q", "--percent-limit", LIMIT, "-i"])
        .arg(record)
        .arg("--fields")
        .arg(format!("overhead,{by}"))
        .output()?;
    println!();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if !line.trim().is_empty() {
            println!("{}", line.trim_end());
        }
    }
    Ok(())
}
