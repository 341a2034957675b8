//! How long a client is without the virtual address, with two nodes of ours and with two of keepalived, in turns.
//!
//! `cargo bench -p ha-benches --bench failover` prints the table; with `--check` it fails where ours is slower.

mod event;
mod pair;
mod report;

use std::process::ExitCode;

use event::Event;
use ha_benches::testbed::{self, Busy, Result, keepalived};
use pair::Program;
use report::Report;

const USAGE: &str =
    "usage: failover [--short] [--json] [--check] [--busy] [--runs N] [--interval MS,MS] [EVENT...]
  --short           three runs of the quick events at 100 ms
  --json            prints one JSON object instead of the table
  --check           fails where ours is slower than keepalived by more than chance
  --busy            with nine tenths of every core at work on something else
  --runs N          so many runs of each (7)
  --interval MS,MS  advertisement intervals (1000,100,10)
  EVENT             only these: link-cut, planned-stop, switchover, failed-check, dead-process, recovery";

struct Options {
    json: bool,
    check: bool,
    busy: bool,
    runs: usize,
    intervals_cs: Vec<u16>,
    events: Vec<Event>,
}

impl Options {
    fn parse(arguments: &[String]) -> Option<Self> {
        let short = arguments.iter().any(|argument| argument == "--short");
        let mut options = Self {
            json: false,
            check: false,
            busy: false,
            runs: if short { 3 } else { 7 },
            intervals_cs: if short { vec![10] } else { vec![100, 10, 1] },
            events: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--short" => {}
                "--json" => options.json = true,
                "--check" => options.check = true,
                "--busy" => options.busy = true,
                "--runs" => options.runs = arguments.next()?.parse().ok()?,
                "--interval" => {
                    let millis: std::result::Result<Vec<u16>, _> =
                        arguments.next()?.split(',').map(str::parse).collect();
                    options.intervals_cs = millis.ok()?.iter().map(|ms| ms / 10).collect();
                }
                name => options.events.push(Event::named(name)?),
            }
        }
        if options.events.is_empty() {
            options.events = Event::ALL.to_vec();
        }
        let sound = options.intervals_cs.iter().all(|cs| (1..=4095).contains(cs));
        (sound && options.runs > 0).then_some(options)
    }
}

fn main() -> ExitCode {
    testbed::main("failover", USAGE, Options::parse, |_| keepalived::missing(), run)
}

fn run(options: &Options) -> Result<bool> {
    let _busy = options.busy.then(Busy::start);
    let mut report = Report::new(&options.events, &options.intervals_cs, options.busy);
    for interval_cs in &options.intervals_cs {
        for run in 0..options.runs {
            for program in [Program::Ours, Program::Keepalived] {
                let go = |report: &mut Report| pair::run(program, *interval_cs, &options.events, report);
                // Once more where the machine stood still.
                if let Err(error) = go(&mut report).or_else(|_| go(&mut report)) {
                    report.fail(format!(
                        "{program} at {} ms, run {run}: {error}",
                        interval_cs * 10
                    ));
                }
            }
        }
        if !options.json {
            eprintln!("{} ms done", interval_cs * 10);
        }
    }
    if options.json {
        println!("{:#}", report.json());
    } else {
        println!("{report}");
    }
    let broken = report.broken();
    for line in &broken {
        eprintln!("{line}");
    }
    Ok(!options.check || broken.is_empty())
}
