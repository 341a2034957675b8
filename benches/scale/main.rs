//! What many virtual routers cost: CPU and memory of master and backup, ours and keepalived in the same run.
//!
//! `cargo bench -p ha-benches --bench scale` prints the table; with `--check` it fails above the limits.

mod cell;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use cell::{Cell, Program};
use ha_benches::testbed::{self, Result, keepalived};
use report::Report;

const USAGE: &str = "usage: scale [--short] [--json] [--check] [--limit RATIO] [--realtime] [--window SECONDS]
             [--routers N,N] [--interval MS,MS] [--alone]
  --short           a few seconds and a few cells
  --json            prints one JSON object instead of the table
  --check           fails if ours takes more than half of keepalived's CPU (or RATIO), more than 10 MiB, or changes state
  --limit RATIO     so much of keepalived's CPU instead of half
  --realtime        both programs with real-time priority (root)
  --window SECONDS  how long each cell is measured (10; short: 4)
  --routers N,N     numbers of virtual routers (1,50,255; short: 255)
  --interval MS,MS  advertisement intervals (1000,100,10; short: 1000,100)
  --alone           ours only, for changes of state over a long window";

struct Options {
    json: bool,
    check: bool,
    limit: f64,
    realtime: bool,
    alone: bool,
    window: Duration,
    routers: Vec<u8>,
    intervals_cs: Vec<u16>,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let short = arguments.iter().any(|argument| argument == "--short");
        let mut options = Self {
            json: false,
            check: false,
            limit: 0.5,
            realtime: false,
            alone: false,
            window: Duration::from_secs(if short { 4 } else { 10 }),
            routers: if short { vec![255] } else { vec![1, 50, 255] },
            intervals_cs: if short { vec![100, 10] } else { vec![100, 10, 1] },
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--short" => {}
                "--json" => options.json = true,
                "--check" => options.check = true,
                "--limit" => options.limit = arguments.next()?.parse().ok()?,
                "--realtime" => options.realtime = true,
                "--alone" => options.alone = true,
                "--window" => options.window = Duration::from_secs(arguments.next()?.parse().ok()?),
                "--routers" => options.routers = list(arguments.next()?)?,
                "--interval" => {
                    let millis: Vec<u16> = list(arguments.next()?)?;
                    options.intervals_cs = millis.iter().map(|ms| ms / 10).collect();
                }
                _ => return None,
            }
        }
        let sound = options.intervals_cs.iter().all(|cs| (1..=4095).contains(cs))
            && options.routers.iter().all(|routers| *routers > 0)
            && !options.window.is_zero();
        sound.then_some(options)
    }
}

fn list<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

fn main() -> ExitCode {
    let missing = |options: &Options| {
        if options.alone {
            None
        } else {
            keepalived::missing()
        }
    };
    testbed::main("scale", USAGE, Options::parse, missing, run)
}

fn run(options: &Options) -> Result<bool> {
    let mut report = Report::new(options.window, options.limit);
    for interval_cs in &options.intervals_cs {
        for routers in &options.routers {
            let cell = Cell {
                routers: *routers,
                interval_cs: *interval_cs,
                realtime: options.realtime,
                window: options.window,
            };
            let ours = cell.measure(Program::Ours)?;
            let theirs = (!options.alone)
                .then(|| cell.measure(Program::Keepalived))
                .transpose()?;
            if !options.json {
                eprintln!("{}", report::progress(&cell, &ours, theirs.as_ref()));
            }
            report.add(cell, ours, theirs);
        }
    }
    if options.json {
        println!("{:#}", report.json());
    } else {
        println!("{report}");
    }
    let broken = report.broken();
    for line in &broken {
        eprintln!("above the limit: {line}");
    }
    Ok(!options.check || broken.is_empty())
}
