//! What many backends cost that are all checked: a request with one of them, and with ten thousand.

use std::time::Duration;

use ha_benches::testbed::{Result, Spread, Table};

use crate::body::{BODIES, Body};
use crate::contender::{Field, expect_body};
use crate::daemon::Daemon;
use crate::goal::{Goal, Goals};
use crate::load::{Load, Pace};
use crate::ratio::Ratio;
use crate::{Options, nginx, ours, section};

const BODY: Body = BODIES[0];
const CONNECTIONS: usize = 64;
const BACKENDS: [u32; 2] = [1, 10_000];
/// Each backend is asked for a connection so often.
const CHECKED: Duration = Duration::from_secs(10);
/// The name of the thread that does it.
const CHECKS: &str = "backend checks";
/// Until all checks have begun and most backends have a connection.
const SETTLING: Duration = Duration::from_secs(2);
/// Most that a request may cost with many, of what it costs with one.
const MOST: f64 = 1.05;

pub(crate) fn run(field: &Field<'_>, options: &Options) -> Result<Goals> {
    section("Ours with one backend and with 10,000, each checked every 10 s; the checks' CPU time is in it");
    let backend = nginx::backend_everywhere(field)?;
    let field = Field {
        backend: backend.address(),
        ..*field
    };
    let mut rows = BACKENDS.map(|_| Row::default());
    for _ in 0..options.rounds {
        for (backends, row) in BACKENDS.into_iter().zip(&mut rows) {
            // Only one at a time: checks go on when no request comes, and would take the other's core.
            let daemon = ours::checked(&field, backends, CHECKED)?;
            expect_body(daemon.address(), BODY)?;
            Row::default().load(&daemon, SETTLING)?;
            row.load(&daemon, options.slice)?;
        }
    }
    let mut table = Table::new(["backends", "µs a request", "of which checks", "requests/s"]);
    for (backends, row) in BACKENDS.into_iter().zip(&rows) {
        table.row([
            backends.to_string(),
            row.cost.iter().copied().collect::<Spread>().micros(),
            row.checks.iter().copied().collect::<Spread>().micros(),
            format!("{:.0}", row.rate.iter().sum::<f64>() / row.rate.len() as f64),
        ]);
    }
    let [one, many] = rows;
    let ratio = Ratio::new(many.cost.into_iter().zip(one.cost));
    println!("{table}\nmany/one: {ratio}");
    let name = "CPU a request with 10,000 backends".to_owned();
    let mut goals = Goals::default();
    goals.add(Goal::new(name, "that with one", ratio.median(), MOST));
    Ok(goals)
}

/// What a request took, a value a round.
#[derive(Default)]
struct Row {
    /// CPU time of the process.
    cost: Vec<Duration>,
    /// CPU time of the thread that checks.
    checks: Vec<Duration>,
    rate: Vec<f64>,
}

impl Row {
    fn load(&mut self, daemon: &Daemon, window: Duration) -> Result<()> {
        let load = Load {
            target: daemon.address(),
            path: BODY.path(),
            connections: CONNECTIONS,
            pace: Pace::Closed,
            tls: None,
            keep_alive: true,
            warm_up: window / 4,
            window,
        };
        let outcome = load.run(|| Ok((daemon.cpu()?, daemon.cpu_of(CHECKS)?)))?;
        let [before, after] = outcome.meter;
        let answers = u32::try_from(outcome.answers)?.max(1);
        self.cost.push((after.0 - before.0) / answers);
        self.checks.push((after.1 - before.1) / answers);
        self.rate.push(f64::from(answers) / outcome.elapsed.as_secs_f64());
        Ok(())
    }
}
