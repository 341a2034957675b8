//! How long clients wait: with one worker on a core of its own, and with two workers that share both cores with load and
//! backend.

use std::time::Duration;

use ha_benches::testbed::spread::ms;
use ha_benches::testbed::{Histogram, Result, Spread, Table};

use crate::body::{BODIES, Body};
use crate::contender::{Contender, Field, expect_body};
use crate::cores::Place;
use crate::daemon::Daemon;
use crate::goal::{Goal, Goals};
use crate::load::{Load, Outcome, Pace};
use crate::ratio::Ratio;
use crate::{Options, nginx, section};

const BODY: Body = BODIES[0];
/// Of nginx's rate.
const SHARE: f64 = 0.8;

/// What one of them did, a value a round.
#[derive(Default)]
struct Row {
    cost: Vec<Duration>,
    rate: Vec<f64>,
    /// Latencies under full load.
    full: Latencies,
    /// Latencies at a share of nginx's rate.
    paced: Latencies,
}

#[derive(Default)]
struct Latencies {
    all: Histogram,
    p99: Vec<Duration>,
}

/// Where and with how many it is measured.
struct Case {
    name: &'static str,
    place: Place,
    workers: usize,
    connections: usize,
}

/// One worker.
pub(crate) fn one_worker(field: &Field<'_>, options: &Options) -> Result<Goals> {
    section("Latency, one worker, 64 connections");
    let case = Case {
        name: "one worker",
        place: Place::Proxy,
        workers: 1,
        connections: 64,
    };
    case.run(field, options)
}

/// Two workers on both cores, with all else.
pub(crate) fn two_workers(field: &Field<'_>, options: &Options) -> Result<Goals> {
    section("Two workers on both cores, which they share with load and backend, 128 connections");
    let case = Case {
        name: "two workers",
        place: Place::Anywhere,
        workers: 2,
        connections: 128,
    };
    field.cores.go(Place::Anywhere)?;
    let backend = nginx::backend(field.cores, field.directory, Place::Anywhere, "backend-anywhere")?;
    let field = Field {
        backend: backend.address(),
        ..*field
    };
    let goals = case.run(&field, options);
    field.cores.go(Place::Load)?;
    goals
}

impl Case {
    fn run(&self, field: &Field<'_>, options: &Options) -> Result<Goals> {
        let contenders = Contender::RIVALS
            .into_iter()
            .map(|contender| contender.start(field, self.place, self.workers))
            .collect::<Result<Vec<_>>>()?;
        let mut rows: Vec<Row> = contenders.iter().map(|_| Row::default()).collect();
        for daemon in &contenders {
            expect_body(daemon.address(), BODY)?;
        }
        let mut rates = Vec::new();
        for _ in 0..options.rounds {
            for (daemon, row) in contenders.iter().zip(&mut rows) {
                row.add_full(&self.load(daemon, Pace::Closed, options)?)?;
            }
            // The rate of this round, since the machine may do something else in the next one.
            let rate = rows[NGINX].rate.last().map_or(0.0, |rate| SHARE * rate);
            rates.push(rate);
            for (daemon, row) in contenders.iter().zip(&mut rows) {
                row.paced
                    .add(&self.load(daemon, Pace::Open(rate), options)?.latency);
            }
        }
        let rate = rates.iter().sum::<f64>() / rates.len() as f64;
        println!("{}", table(&rows, rate));
        Ok(self.judge(&rows))
    }

    fn load(&self, daemon: &Daemon, pace: Pace, options: &Options) -> Result<Outcome<Duration>> {
        let load = Load {
            target: daemon.address(),
            path: BODY.path(),
            connections: self.connections,
            pace,
            tls: None,
            keep_alive: true,
            warm_up: options.slice / 4,
            window: options.slice,
        };
        load.run(|| daemon.cpu())
    }

    fn judge(&self, rows: &[Row]) -> Goals {
        let mut goals = Goals::default();
        let mut goal = |what: &str, of: fn(&Row) -> &Latencies| {
            let pairs = of(&rows[OURS]).p99.iter().zip(&of(&rows[NGINX]).p99);
            let ratio = Ratio::new(pairs.map(|(ours, theirs)| (*ours, *theirs)));
            println!("p99 {what}, ours/nginx: {ratio}");
            let name = format!("p99, {}, {what}", self.name);
            goals.add(Goal::new(name, "nginx", ratio.median(), 1.0));
        };
        goal("at 80 % of nginx's rate", |row| &row.paced);
        if self.workers > 1 {
            goal("under full load", |row| &row.full);
        }
        goals
    }
}

/// Places in [`Contender::RIVALS`].
const NGINX: usize = 0;
const OURS: usize = 2;

impl Row {
    fn add_full(&mut self, outcome: &Outcome<Duration>) -> Result<()> {
        let [before, after] = outcome.meter;
        let answers = u32::try_from(outcome.answers)?.max(1);
        self.cost.push((after - before) / answers);
        self.rate.push(f64::from(answers) / outcome.elapsed.as_secs_f64());
        self.full.add(&outcome.latency);
        Ok(())
    }
}

impl Latencies {
    fn add(&mut self, latency: &Histogram) {
        self.p99.push(latency.quantile(0.99));
        self.all.merge(latency);
    }

    /// Median, 99 % with its spread over the rounds, 99.9 %.
    fn cells(&self) -> [String; 3] {
        [
            ms(self.all.quantile(0.5)),
            self.p99.iter().copied().collect::<Spread>().to_string(),
            ms(self.all.quantile(0.999)),
        ]
    }
}

fn table(rows: &[Row], rate: f64) -> Table {
    let mut table = Table::new([
        "".to_owned(),
        "µs a request".to_owned(),
        "requests/s".to_owned(),
        "full load: p50 ms".to_owned(),
        "p99".to_owned(),
        "p99.9".to_owned(),
        format!("at {rate:.0}/s: p50 ms"),
        "p99".to_owned(),
        "p99.9".to_owned(),
    ]);
    for (contender, row) in Contender::RIVALS.into_iter().zip(rows) {
        let rate = row.rate.iter().sum::<f64>() / row.rate.len() as f64;
        let mut cells = vec![
            contender.to_string(),
            row.cost.iter().copied().collect::<Spread>().micros(),
            format!("{rate:.0}"),
        ];
        cells.extend(row.full.cells());
        cells.extend(row.paced.cells());
        table.row(cells);
    }
    table
}
