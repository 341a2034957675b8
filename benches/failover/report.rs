//! The table, the JSON object and the comparison.

use std::fmt;
use std::time::Duration;

use ha_benches::testbed::event::{Cell, Event, Program};
use ha_benches::testbed::spread::ms;
use ha_benches::testbed::{Spread, Table};
use serde_json::{Value, json};

/// All cells.
pub(crate) struct Report {
    busy: bool,
    cells: Vec<Cell>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(events: &[Event], intervals_cs: &[u16], busy: bool) -> Self {
        let cells = events.iter().flat_map(|event| {
            intervals_cs
                .iter()
                .map(|interval_cs| Cell::new(*event, *interval_cs))
        });
        Self {
            busy,
            cells: cells.collect(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, event: Event, interval_cs: u16, program: Program, took: Duration) {
        let mut cells = self.cells.iter_mut();
        if let Some(cell) = cells.find(|cell| cell.event == event && cell.interval_cs == interval_cs) {
            cell.add(program, took);
        }
    }

    /// A run that came to no end.
    pub(crate) fn fail(&mut self, what: String) {
        eprintln!("{what}");
        self.failures.push(what);
    }

    /// Where ours is slower than keepalived or than the protocol allows, or a result is missing: a line each.
    pub(crate) fn broken(&self) -> Vec<String> {
        let ours = |failure: &&String| failure.starts_with(&Program::Ours.to_string());
        let failures = self.failures.iter().filter(ours).cloned();
        failures.chain(self.cells.iter().flat_map(Cell::broken)).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let cells: Vec<Value> = self.cells.iter().map(cell_json).collect();
        json!({ "busy": self.busy, "cells": cells, "failures": self.failures, "broken": self.broken() })
    }
}

fn ratio(cell: &Cell) -> Option<f64> {
    let theirs = cell.theirs.median()?.as_secs_f64();
    (theirs > 0.0).then(|| cell.ours.median().unwrap_or_default().as_secs_f64() / theirs)
}

fn cell_json(cell: &Cell) -> Value {
    let spread = |spread: &Spread| {
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        json!({
            "runs": spread.len(),
            "median_ms": ms(spread.median()),
            "min_ms": ms(spread.min()),
            "max_ms": ms(spread.max()),
        })
    };
    json!({
        "event": cell.event.name(),
        "interval_ms": cell.interval_cs * 10,
        "bound_ms": cell.event.bound(cell.interval_cs).as_secs_f64() * 1e3,
        "ours": spread(&cell.ours),
        "keepalived": spread(&cell.theirs),
        "ratio": ratio(cell),
        "broken": cell.broken(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = if self.busy {
            ", with nine tenths of every core busy"
        } else {
            ""
        };
        writeln!(
            f,
            "Milliseconds without service{load}: median (lowest–highest). Failed check and dead process: until the other\n\
             serves. The bound is the protocol's, with the check's interval. keepalived has no switchover, and hears of\n\
             processes (track_process) by a socket that only the first network namespace has.\n"
        )?;
        let mut table = Table::new(["", "adverts", "ours", "keepalived", "ratio", "bound"]);
        for cell in &self.cells {
            table.row([
                cell.event.to_string(),
                format!("{} ms", cell.interval_cs * 10),
                cell.ours.to_string(),
                cell.theirs.to_string(),
                ratio(cell).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
                ms(cell.event.bound(cell.interval_cs)),
            ]);
        }
        table.fmt(f)
    }
}
