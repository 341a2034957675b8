//! The table, the JSON object and the limits.

use std::fmt;
use std::time::Duration;

use ha_benches::testbed::Table;
use serde_json::{Value, json};

use super::cell::{Cell, Cost, Measured};

/// CPU below this share of a core, in percent, is nothing: the check does not compare it.
const CPU_FLOOR: f64 = 0.05;
/// Most memory that ours may have resident.
const RESIDENT_MIB: f64 = 10.0;

/// All cells.
pub(crate) struct Report {
    window: Duration,
    /// Most of keepalived's CPU that ours may take.
    limit: f64,
    /// Keepalived's second, where it was measured.
    cells: Vec<(Cell, Measured, Option<Measured>)>,
}

impl Report {
    pub(crate) fn new(window: Duration, limit: f64) -> Self {
        Self {
            window,
            limit,
            cells: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, cell: Cell, ours: Measured, theirs: Option<Measured>) {
        self.cells.push((cell, ours, theirs));
    }

    /// What is above the limits, a line each.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (cell, ours, theirs) in &self.cells {
            let name = name(cell);
            if ours.transitions > 0 {
                broken.push(format!("{name}: {} changes of state", ours.transitions));
            }
            let roles = [
                ("master", ours.master, theirs.map(|theirs| theirs.master)),
                ("backup", ours.backup, theirs.map(|theirs| theirs.backup)),
            ];
            for (role, ours, theirs) in roles {
                let most = theirs.map(|theirs| (theirs.cpu_percent * self.limit).max(CPU_FLOOR));
                if most.is_some_and(|most| ours.cpu_percent > most) {
                    broken.push(format!(
                        "{name}: the {role} takes {} of keepalived's CPU",
                        ratio(ours, theirs)
                    ));
                }
                if ours.resident_mib > RESIDENT_MIB {
                    broken.push(format!(
                        "{name}: the {role} has {:.1} MiB resident",
                        ours.resident_mib
                    ));
                }
            }
        }
        broken
    }

    pub(crate) fn json(&self) -> Value {
        let cells: Vec<Value> = self
            .cells
            .iter()
            .map(|(cell, ours, theirs)| {
                json!({
                    "routers": cell.routers,
                    "interval_ms": cell.interval_cs * 10,
                    "ours": measured(ours),
                    "keepalived": theirs.as_ref().map(measured),
                })
            })
            .collect();
        json!({ "window_s": self.window.as_secs_f64(), "cells": cells, "broken": self.broken() })
    }
}

fn measured(measured: &Measured) -> Value {
    let cost = |cost: Cost| {
        json!({
            "cpu_percent": cost.cpu_percent,
            "us_per_advert": cost.per_advert_us,
            "resident_mib": cost.resident_mib,
        })
    };
    json!({
        "master": cost(measured.master),
        "backup": cost(measured.backup),
        "transitions": measured.transitions,
        "adverts": measured.adverts.round(),
    })
}

/// One line about a cell, while the others go on.
pub(crate) fn progress(cell: &Cell, ours: &Measured, theirs: Option<&Measured>) -> String {
    let both = |role: fn(&Measured) -> &Cost| {
        let ours = format!("{:.2} %", role(ours).cpu_percent);
        match theirs {
            Some(theirs) => format!("{ours} against {:.2} %", role(theirs).cpu_percent),
            None => ours,
        }
    };
    format!(
        "{}: master {}, backup {}, {} changes of state",
        name(cell),
        both(|measured| &measured.master),
        both(|measured| &measured.backup),
        ours.transitions
    )
}

fn name(cell: &Cell) -> String {
    let routers = if cell.routers == 1 { "router" } else { "routers" };
    format!("{} {routers} at {} ms", cell.routers, cell.interval_cs * 10)
}

fn ratio(ours: Cost, theirs: Option<Cost>) -> String {
    theirs.map_or_else(String::new, |theirs| {
        format!("{:.2}", ours.cpu_percent / theirs.cpu_percent)
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "CPU in percent of a core and in µs an advert, memory in MiB, over {} s; ours / keepalived.\n",
            self.window.as_secs()
        )?;
        let mut table = Table::new([
            "",
            "master CPU",
            "ratio",
            "µs sent",
            "backup CPU",
            "ratio",
            "µs received",
            "master MiB",
            "backup MiB",
            "changes",
        ]);
        for (cell, ours, theirs) in &self.cells {
            let both = |of: fn(&Cost) -> f64, role: fn(&Measured) -> &Cost, digits: usize| {
                let ours = format!("{:.digits$}", of(role(ours)));
                match theirs {
                    Some(theirs) => format!("{ours} / {:.digits$}", of(role(theirs))),
                    None => ours,
                }
            };
            let master: fn(&Measured) -> &Cost = |measured| &measured.master;
            let backup: fn(&Measured) -> &Cost = |measured| &measured.backup;
            table.row([
                name(cell),
                both(|cost| cost.cpu_percent, master, 2),
                ratio(ours.master, theirs.map(|theirs| theirs.master)),
                both(|cost| cost.per_advert_us, master, 1),
                both(|cost| cost.cpu_percent, backup, 2),
                ratio(ours.backup, theirs.map(|theirs| theirs.backup)),
                both(|cost| cost.per_advert_us, backup, 1),
                both(|cost| cost.resident_mib, master, 1),
                both(|cost| cost.resident_mib, backup, 1),
                match theirs {
                    Some(theirs) => format!("{} / {}", ours.transitions, theirs.transitions),
                    None => ours.transitions.to_string(),
                },
            ]);
        }
        table.fmt(f)
    }
}
