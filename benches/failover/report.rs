//! The table, the JSON object and the comparison.

use std::fmt;
use std::time::Duration;

use ha_benches::testbed::spread::ms;
use ha_benches::testbed::{Spread, Table};
use serde_json::{Value, json};

use super::event::Event;
use super::pair::Program;

/// Less than this is chance: the client asks twice a millisecond, and threads take turns.
const GRAIN: Duration = Duration::from_millis(2);

/// All cells.
pub(crate) struct Report {
    busy: bool,
    cells: Vec<Cell>,
    failures: Vec<String>,
}

struct Cell {
    event: Event,
    interval_cs: u16,
    ours: Spread,
    theirs: Spread,
}

impl Report {
    pub(crate) fn new(events: &[Event], intervals_cs: &[u16], busy: bool) -> Self {
        let cells = events.iter().flat_map(|event| {
            intervals_cs.iter().map(|interval_cs| Cell {
                event: *event,
                interval_cs: *interval_cs,
                ours: Spread::new(),
                theirs: Spread::new(),
            })
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
            match program {
                Program::Ours => cell.ours.add(took),
                Program::Keepalived => cell.theirs.add(took),
            }
        }
    }

    /// A run that came to no end.
    pub(crate) fn fail(&mut self, what: String) {
        eprintln!("{what}");
        self.failures.push(what);
    }

    /// Where ours is slower, or had no result: a line each.
    pub(crate) fn broken(&self) -> Vec<String> {
        let ours = |failure: &&String| failure.starts_with(&Program::Ours.to_string());
        let failures = self.failures.iter().filter(ours).cloned();
        failures
            .chain(self.cells.iter().filter_map(Cell::broken))
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        let cells: Vec<Value> = self.cells.iter().map(Cell::json).collect();
        json!({ "busy": self.busy, "cells": cells, "failures": self.failures, "broken": self.broken() })
    }
}

impl Cell {
    fn broken(&self) -> Option<String> {
        let ours = self.ours.median()?;
        let theirs = self.theirs.median()?;
        let chance = self.ours.noise().max(self.theirs.noise()).max(GRAIN);
        (ours > theirs + chance).then(|| {
            format!(
                "{} at {} ms: {} ms against keepalived's {} ms",
                self.event,
                self.interval_cs * 10,
                self.ours,
                self.theirs
            )
        })
    }

    fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.median()?.as_secs_f64();
        (theirs > 0.0).then(|| self.ours.median().unwrap_or_default().as_secs_f64() / theirs)
    }

    fn json(&self) -> Value {
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
            "event": self.event.name(),
            "interval_ms": self.interval_cs * 10,
            "bound_ms": self.event.bound(self.interval_cs).as_secs_f64() * 1e3,
            "ours": spread(&self.ours),
            "keepalived": spread(&self.theirs),
            "ratio": self.ratio(),
        })
    }
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
                cell.ratio()
                    .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
                ms(cell.event.bound(cell.interval_cs)),
            ]);
        }
        table.fmt(f)
    }
}
