//! What a request costs the proxy: CPU time over requests, one worker on a core of its own.

use std::time::Duration;

use ha_benches::testbed::{Result, Spread, Table};

use crate::body::{BODIES, Body};
use crate::contender::{Contender, Field, expect_body};
use crate::cores::Place;
use crate::daemon::Daemon;
use crate::goal::{Goal, Goals};
use crate::load::{Load, Pace};
use crate::ratio::Ratio;
use crate::{Options, section};

/// A line of the table.
struct Cell {
    body: Body,
    connections: usize,
    /// In the order of [`Contender::ALL`].
    rows: Vec<Row>,
}

/// What one of them took, a value a round.
#[derive(Default)]
struct Row {
    cost: Vec<Duration>,
    rate: Vec<f64>,
}

pub(crate) fn run(field: &Field<'_>, options: &Options) -> Result<Goals> {
    section("CPU time a request, one worker, keep-alive");
    let contenders = Contender::ALL
        .into_iter()
        .map(|contender| contender.start(field, Place::Proxy, 1))
        .collect::<Result<Vec<_>>>()?;
    for daemon in &contenders {
        for body in BODIES {
            expect_body(daemon.address(), body)?;
        }
    }
    let mut cells = Vec::new();
    for body in options.bodies.iter().copied() {
        for connections in options.connections.iter().copied() {
            cells.push(measure(&contenders, body, connections, options)?);
        }
    }
    let mut goals = Goals::default();
    let headings = ["body", "connections"];
    let mut table = Table::new(headings.into_iter().map(str::to_owned).chain(headings_of_all()));
    for cell in &cells {
        table.row(cell.cells());
        cell.judge(&mut goals);
    }
    println!("{table}");
    Ok(goals)
}

/// The contenders in turns, each for a slice, so that what else the machine does meets all alike.
fn measure(contenders: &[Daemon], body: Body, connections: usize, options: &Options) -> Result<Cell> {
    let mut rows: Vec<Row> = contenders.iter().map(|_| Row::default()).collect();
    for _ in 0..options.rounds {
        for (daemon, row) in contenders.iter().zip(&mut rows) {
            let load = Load {
                target: daemon.address(),
                path: body.path(),
                connections,
                pace: Pace::Closed,
                tls: None,
                keep_alive: true,
                warm_up: options.slice / 4,
                window: options.slice,
            };
            let outcome = load.run(|| daemon.cpu())?;
            let [before, after] = outcome.meter;
            let answers = u32::try_from(outcome.answers)?.max(1);
            row.cost.push((after - before) / answers);
            row.rate.push(f64::from(answers) / outcome.elapsed.as_secs_f64());
        }
    }
    Ok(Cell {
        body,
        connections,
        rows,
    })
}

fn headings_of_all() -> impl Iterator<Item = String> {
    let costs = Contender::ALL
        .into_iter()
        .map(|contender| format!("{contender} µs"));
    let rivals = Contender::ALL
        .into_iter()
        .filter(|contender| *contender != Contender::Ours);
    let ratios = rivals.map(|contender| format!("ours/{contender}"));
    costs.chain(ratios).chain(["requests/s nginx, ours".to_owned()])
}

impl Cell {
    fn row(&self, contender: Contender) -> &Row {
        let index = Contender::ALL.iter().position(|other| *other == contender);
        &self.rows[index.expect("one of all")]
    }

    fn ratio(&self, contender: Contender) -> Ratio {
        let ours = self.row(Contender::Ours).cost.iter().copied();
        Ratio::new(ours.zip(self.row(contender).cost.iter().copied()))
    }

    /// To the better of nginx and HAProxy, round by round.
    fn ratio_to_better(&self) -> Ratio {
        let nginx = self.row(Contender::Nginx).cost.iter();
        let better = nginx
            .zip(&self.row(Contender::Haproxy).cost)
            .map(|(a, b)| *a.min(b));
        Ratio::new(self.row(Contender::Ours).cost.iter().copied().zip(better))
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.body.to_string(), self.connections.to_string()];
        for row in &self.rows {
            cells.push(row.cost.iter().copied().collect::<Spread>().micros());
        }
        for contender in Contender::ALL {
            if contender != Contender::Ours {
                cells.push(self.ratio(contender).to_string());
            }
        }
        let rates = [Contender::Nginx, Contender::Ours].map(|contender| self.row(contender).rate());
        cells.push(format!("{:.0}, {:.0}", rates[0], rates[1]));
        cells
    }

    fn judge(&self, goals: &mut Goals) {
        let name = format!("CPU a request, {}, {} connections", self.body, self.connections);
        let nginx = self.ratio(Contender::Nginx).median();
        let goal = match (self.connections, self.body.bytes) {
            (64, ..=10_240) => Goal::new(name, "the better", self.ratio_to_better().median(), 0.95),
            (64, ..=65_536) => Goal::new(name, "nginx", nginx, 0.6),
            (64, _) => Goal::new(name, "nginx", nginx, 0.45),
            _ => Goal::new(name, "nginx", nginx, 1.0),
        };
        goals.add(goal);
    }
}

impl Row {
    fn rate(&self) -> f64 {
        self.rate.iter().sum::<f64>() / self.rate.len() as f64
    }
}
