//! What it costs to ask thousands of backends each two seconds: a process of ours that does nothing else, and HAProxy in the
//! same run.
//!
//! `cargo bench -p ha-benches --bench checks` prints a line for each kind of check; with `--check` it fails where ours takes
//! more CPU than HAProxy's by the limit.

mod haproxy;
mod ours;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ha_benches::testbed::process::Usage;
use ha_benches::testbed::{Result, pause};

use self::ours::Kind;
use self::server::Server;

const USAGE: &str = "usage: checks [--backends N] [--seconds N] [--check] [--limit X]
  --backends N  how many (10000; at most 60000)
  --seconds N   how long each is measured (20)
  --check       fails if ours takes more than the limit times HAProxy's CPU for a check
  --limit X     that limit (1.5)";

/// Between two checks of a backend.
const INTERVAL: Duration = Duration::from_secs(2);

struct Options {
    backends: u32,
    seconds: u64,
    check: bool,
    limit: f64,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self {
            backends: 10_000,
            seconds: 20,
            check: false,
            limit: 1.5,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--backends" => {
                    let count = arguments.next()?.parse().ok();
                    options.backends = count.filter(|n| (1..=60_000).contains(n))?;
                }
                "--seconds" => options.seconds = arguments.next()?.parse().ok().filter(|n| *n > 0)?,
                "--limit" => options.limit = arguments.next()?.parse().ok()?,
                "--check" => options.check = true,
                // `cargo bench` adds it.
                "--bench" => {}
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    if let Some(code) = ours::main_if_asked() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("checks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    let server = Server::start()?;
    println!(
        "{} backends, a check of each every {INTERVAL:?} for {} s",
        options.backends, options.seconds
    );
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>10} {:>8}",
        "", "checks/s", "CPU %", "µs/check", "MiB", "KiB each"
    );
    let mut well = true;
    for kind in Kind::ALL {
        let ours = measure(
            kind.name(),
            ours::start(kind, options.backends, server.port())?,
            &server,
            options,
        )?;
        let Some(theirs) = haproxy::start(kind, options.backends, server.port())? else {
            continue;
        };
        let theirs = measure(&format!("HAProxy {}", kind.name()), theirs, &server, options)?;
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && options.check
            && ours > theirs * options.limit
        {
            eprintln!("{}: more than {} times HAProxy's", kind.name(), options.limit);
            well = false;
        }
    }
    Ok(well)
}

/// Prints a line; gives the CPU time of a check in microseconds, if any was made.
fn measure(name: &str, program: Killed, server: &Server, options: &Options) -> Result<Option<f64>> {
    // Past the first round, and what is made for it.
    pause(INTERVAL * 3);
    let asked = || server.asked().load(Ordering::Relaxed);
    let (usage, before, began) = (Usage::of(program.0.id())?, asked(), Instant::now());
    pause(Duration::from_secs(options.seconds));
    let (after, count, took) = (Usage::of(program.0.id())?, asked() - before, began.elapsed());
    let cpu = (after.cpu - usage.cpu).as_secs_f64();
    let each = (count > 0).then(|| cpu * 1e6 / count as f64);
    println!(
        "{name:<22} {:>9.0} {:>9.1} {:>9} {:>10.1} {:>8.2}",
        count as f64 / took.as_secs_f64(),
        cpu / took.as_secs_f64() * 100.0,
        each.map_or_else(|| "-".to_owned(), |each| format!("{each:.1}")),
        after.resident_kib as f64 / 1024.0,
        after.resident_kib as f64 / f64::from(options.backends)
    );
    Ok(each)
}

/// A program that is killed when it is not needed any more.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Ended already if something went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each backend has an address of its own, and all are the one server.
fn address(backend: u32, port: u16) -> SocketAddr {
    let [_, _, high, low] = backend.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 1, high, low), port))
}
