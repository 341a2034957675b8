//! What the example tells: a timeline as it goes, and at the end a table or one JSON object.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Time that a loaded machine may add to what the protocol allows. The bounds are the protocol's.
const SLACK: Duration = Duration::from_millis(250);

/// One scenario and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// How long clients got no answer.
    pub(crate) outage: Duration,
    /// How long that may take by the protocol and the check's interval.
    pub(crate) bound: Duration,
    /// What else was expected and did not come.
    pub(crate) broken: Vec<String>,
    /// What else is worth knowing.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(id: &'static str, title: &'static str, outage: Duration, bound: Duration) -> Self {
        let mut broken = Vec::new();
        if outage > bound + SLACK {
            broken.push(format!(
                "an outage of {} ms, {} ms are allowed",
                ms(outage),
                ms(bound + SLACK)
            ));
        }
        Self {
            id,
            title,
            outage,
            bound,
            broken,
            notes: Vec::new(),
        }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn expect(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.broken.push(otherwise());
        }
        self
    }

    pub(crate) fn ok(&self) -> bool {
        self.broken.is_empty()
    }
}

/// The timeline: a line an event, with the seconds since the start.
pub(crate) struct Timeline {
    epoch: Instant,
    json: bool,
    lines: Mutex<Vec<Value>>,
}

impl Timeline {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            epoch: Instant::now(),
            json,
            lines: Mutex::default(),
        }
    }

    /// Something that `who` did or that happened to it.
    pub(crate) fn say(&self, who: &str, what: impl Display) {
        self.say_at(self.epoch.elapsed(), who, what);
    }

    /// The same, at a time of the teller's own.
    pub(crate) fn say_at(&self, at: Duration, who: &str, what: impl Display) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.json {
            print(format_args!("{:>8.3} s  {who:<7} {what}", at.as_secs_f64()));
        }
        lines.push(json!({ "at_s": seconds(at), "who": who, "what": what.to_string() }));
    }

    /// The headline of a part.
    pub(crate) fn headline(&self, text: impl Display) {
        if !self.json {
            print(format_args!("\n{text}"));
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The end: a table, or one JSON object.
    pub(crate) fn finish(&self, mode: &str, outcomes: &[Outcome]) -> bool {
        let ok = !outcomes.is_empty() && outcomes.iter().all(Outcome::ok);
        if self.json {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let object = json!({
                "mode": mode,
                "ok": ok,
                "seconds": seconds(self.elapsed()),
                "slack_ms": millis(SLACK),
                "scenarios": outcomes.iter().map(scenario).collect::<Vec<_>>(),
                "timeline": *lines,
            });
            print(format_args!("{object:#}"));
        } else {
            table(outcomes);
            print(format_args!(
                "\nThe bounds are the protocol's; {} ms more are put down to the machine.",
                ms(SLACK)
            ));
            let verdict = if ok { "as expected" } else { "NOT as expected" };
            print(format_args!(
                "{verdict}, after {:.0} s",
                self.elapsed().as_secs_f64()
            ));
        }
        ok
    }
}

fn table(outcomes: &[Outcome]) {
    print(format_args!(
        "\n      {:<42} {:>11} {:>11}",
        "", "outage", "bound"
    ));
    for outcome in outcomes {
        let Outcome {
            id,
            title,
            outage,
            bound,
            ..
        } = outcome;
        let mark = if outcome.ok() { "ok" } else { "FAILED" };
        print(format_args!(
            "{:<5} {title:<42} {:>8.1} ms {:>8.1} ms  {mark}",
            format!("({id})"),
            millis(*outage),
            millis(*bound)
        ));
        for note in &outcome.notes {
            print(format_args!("       {note}"));
        }
        for broken in &outcome.broken {
            print(format_args!("       expected otherwise: {broken}"));
        }
    }
}

fn scenario(outcome: &Outcome) -> Value {
    json!({
        "id": outcome.id,
        "title": outcome.title,
        "ok": outcome.ok(),
        "outage_ms": millis(outcome.outage),
        "bound_ms": millis(outcome.bound),
        "notes": outcome.notes,
        "broken": outcome.broken,
    })
}

/// Milliseconds for people.
pub(crate) fn ms(time: Duration) -> u128 {
    (time + Duration::from_micros(500)).as_millis()
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

/// Unlike `println!` it does not panic when the reader has gone.
fn print(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
