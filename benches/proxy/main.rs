//! Our proxy beside nginx and HAProxy, before the same backend and under the same load, in short turns.
//!
//! `cargo bench -p ha-benches --bench proxy` prints a table a section and a line a goal; `README.md` tells what each
//! figure means.

mod body;
mod certificate;
mod contender;
mod cores;
mod cost;
mod daemon;
mod goal;
mod haproxy;
mod latency;
mod load;
mod memory;
mod nginx;
mod ours;
mod profile;
mod ratio;
mod tls;

use std::process::{Command, ExitCode};
use std::time::Duration;

use body::{BODIES, Body};
use contender::{Contender, Field};
use cores::{Cores, Place};
use daemon::Directory;
use goal::Goals;
use ha_benches::testbed::{self, Result};

const USAGE: &str =
    "usage: proxy [--only NAME,NAME] [--short] [--check] [--slack RATIO] [--rounds N] [--slice MS]
             [--bodies NAME,NAME] [--connections N,N]
  --only NAME,NAME    of the sections: cost, latency, workers, tls, memory
  --short             a minute or two: fewer cells, rounds and seconds
  --check             fails if a goal is missed by more than the slack
  --slack RATIO       how many times a goal is allowed (1.2)
  --rounds N          turns of each (7; short: 3)
  --slice MS          length of a turn (1000; short: 500)
  --bodies NAME,NAME  100B,10KiB,64KiB,1MiB (short: 100B,1MiB)
  --connections N,N   16,64,256 (short: 64)
  --clients N         idle ones, for memory (5000)
  --profile NAME      nothing but where the time of nginx, nginx-default, haproxy or ours goes, by perf
  --first             before all else that this machine does (root)";

/// A part of the bench.
type Section = fn(&Field<'_>, &Options) -> Result<Goals>;

const SECTIONS: [(&str, Section); 5] = [
    ("cost", cost::run),
    ("latency", latency::one_worker),
    ("workers", latency::two_workers),
    ("tls", tls::run),
    ("memory", memory::run),
];

struct Options {
    only: Vec<String>,
    check: bool,
    slack: f64,
    rounds: usize,
    slice: Duration,
    bodies: Vec<Body>,
    connections: Vec<usize>,
    clients: usize,
    first: bool,
    profile: Option<Contender>,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let short = arguments.iter().any(|argument| argument == "--short");
        let mut options = Self {
            only: Vec::new(),
            check: false,
            slack: 1.2,
            rounds: if short { 3 } else { 7 },
            slice: Duration::from_millis(if short { 500 } else { 1000 }),
            bodies: if short {
                vec![BODIES[0], BODIES[3]]
            } else {
                BODIES.to_vec()
            },
            connections: if short { vec![64] } else { vec![16, 64, 256] },
            clients: 5000,
            first: false,
            profile: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--short" => {}
                "--only" => options.only = list(arguments.next()?, |name| Some(name.to_owned()))?,
                "--check" => options.check = true,
                "--slack" => options.slack = arguments.next()?.parse().ok()?,
                "--rounds" => options.rounds = arguments.next()?.parse().ok()?,
                "--slice" => options.slice = Duration::from_millis(arguments.next()?.parse().ok()?),
                "--bodies" => options.bodies = list(arguments.next()?, Body::named)?,
                "--connections" => {
                    options.connections = list(arguments.next()?, |number| number.parse().ok())?;
                }
                "--clients" => options.clients = arguments.next()?.parse().ok()?,
                "--profile" => options.profile = Some(Contender::named(arguments.next()?)?),
                "--first" => options.first = true,
                _ => return None,
            }
        }
        let is_section = |name: &String| SECTIONS.iter().any(|(section, _)| section == name);
        let sound = options.only.iter().all(is_section)
            && options
                .connections
                .iter()
                .all(|number| (1..=4096).contains(number))
            && options.rounds > 0
            && options.clients > 0
            && !options.slice.is_zero()
            && options.slack >= 1.0;
        sound.then_some(options)
    }
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(parse).collect()
}

fn main() -> ExitCode {
    if let Some(code) = ours::main_if_asked() {
        return code;
    }
    // `cargo bench` adds --bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let Some(options) = Options::parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    for (program, argument) in [("nginx", "-v"), ("haproxy", "-v"), ("setpriv", "--version")] {
        if Command::new(program).arg(argument).output().is_err() {
            return testbed::skipped(&format!("{program} is not installed"));
        }
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    daemon::raise_file_limit()?;
    if options.first {
        cores::go_first()?;
    }
    let cores = Cores::new()?;
    if !cores.are_two() {
        println!("one core only: load, backend and proxy share it");
    }
    cores.go(Place::Load)?;
    let directory = Directory::new()?;
    let backend = nginx::backend(&cores, &directory, Place::Load, "backend")?;
    for body in BODIES {
        contender::expect_body(backend.address(), body)?;
    }
    let field = Field {
        cores: &cores,
        directory: &directory,
        backend: backend.address(),
    };
    if let Some(contender) = options.profile {
        profile::run(contender, &field, options)?;
        return Ok(true);
    }
    let mut goals = Goals::default();
    for (name, section) in SECTIONS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            goals.extend(section(&field, options)?);
        }
    }
    Ok(goals.report(options.slack) || !options.check)
}

/// The heading of a section.
fn section(title: &str) {
    println!("\n{title}\n");
}
