//! TLS towards clients: what a whole handshake costs, and what a MiB does.

use std::time::Duration;

use ha_benches::testbed::{Result, Spread, Table};

use crate::body::{BODIES, Body};
use crate::certificate::Certificate;
use crate::contender::{Contender, Field};
use crate::daemon::Daemon;
use crate::goal::{Goal, Goals};
use crate::load::{Load, Pace};
use crate::ratio::Ratio;
use crate::{Options, section};

/// Ours does at least 0.95 of what nginx does in the same time.
const MOST: f64 = 1.0 / 0.95;
const CONNECTIONS: usize = 16;

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    body: Body,
    keep_alive: bool,
}

const CASES: [Case; 2] = [
    Case {
        name: "a connection with one request of 100B",
        body: BODIES[0],
        keep_alive: false,
    },
    Case {
        name: "a request of 1MiB on a kept connection",
        body: BODIES[3],
        keep_alive: true,
    },
];

pub(crate) fn run(field: &Field<'_>, options: &Options) -> Result<Goals> {
    section("TLS 1.3, one worker: X25519, ECDSA on P-256, AES-256-GCM, no resumption; CPU time");
    let certificate = Certificate::new(field.directory)?;
    let contenders = Contender::WITH_TLS
        .into_iter()
        .map(|contender| contender.start_with_tls(field, &certificate))
        .collect::<Result<Vec<_>>>()?;
    let mut table = Table::new(headings());
    let mut goals = Goals::default();
    for case in CASES {
        let mut costs: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            for (daemon, costs) in contenders.iter().zip(&mut costs) {
                costs.push(case.cost(daemon, &certificate, options)?);
            }
        }
        let mut row = vec![case.name.to_owned()];
        row.extend(
            costs
                .iter()
                .map(|costs| costs.iter().copied().collect::<Spread>().micros()),
        );
        if let Some(ours) = place(Contender::Ours) {
            for (contender, theirs) in Contender::WITH_TLS.into_iter().zip(&costs) {
                if contender != Contender::Ours {
                    let ratio = Ratio::new(costs[ours].iter().copied().zip(theirs.iter().copied()));
                    if contender == Contender::Nginx {
                        let name = format!("CPU with TLS, {}", case.name);
                        goals.add(Goal::new(name, "nginx", ratio.median(), MOST));
                    }
                    row.push(ratio.to_string());
                }
            }
        }
        table.row(row);
    }
    println!("{table}");
    Ok(goals)
}

fn place(contender: Contender) -> Option<usize> {
    Contender::WITH_TLS.iter().position(|other| *other == contender)
}

fn headings() -> Vec<String> {
    let mut headings = vec![String::new()];
    headings.extend(Contender::WITH_TLS.map(|contender| format!("{contender} µs")));
    if place(Contender::Ours).is_some() {
        let rivals = Contender::WITH_TLS
            .into_iter()
            .filter(|contender| *contender != Contender::Ours);
        headings.extend(rivals.map(|contender| format!("ours/{contender}")));
    }
    headings
}

impl Case {
    /// CPU time of the proxy, a request.
    fn cost(self, daemon: &Daemon, certificate: &Certificate, options: &Options) -> Result<Duration> {
        let load = Load {
            target: daemon.address(),
            path: self.body.path(),
            connections: CONNECTIONS,
            pace: Pace::Closed,
            tls: Some(certificate.client()),
            keep_alive: self.keep_alive,
            warm_up: options.slice / 4,
            window: options.slice,
        };
        let outcome = load.run(|| daemon.cpu())?;
        let [before, after] = outcome.meter;
        Ok((after - before) / u32::try_from(outcome.answers)?.max(1))
    }
}
