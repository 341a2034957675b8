//! The rows, and the table.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ha_benches::testbed::spread::ms;
use ha_benches::testbed::{Authentication, Table, Variant, is_required};
use serde_json::{Value, json};

use super::peer::{Missing, Program};
use super::row::{Outcome, Row, STEPS};

/// How often a row is tried. Rows run beside each other on a machine that may stand still; the later tries run alone.
const TRIES: usize = 3;

/// What the user asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) jobs: usize,
    pub(crate) filter: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            json: false,
            jobs: 8,
            filter: String::new(),
        }
    }
}

/// Fast enough that the rows don't take long; slow enough that a busy machine does not miss three adverts, and that half
/// the skew time, which is where a gap begins, is more than it stands still.
const V3: Variant = Variant::v3(50);

/// All that is tried; the slow ones first.
fn rows() -> Vec<Row> {
    use Program::{Frr, Keepalived};
    let mut variants = Vec::new();
    for authentication in [Authentication::None, Authentication::Pass, Authentication::Ah] {
        let variant = Variant::v2().authentication(authentication);
        variants.extend([variant, variant.unicast()]);
    }
    variants.push(Variant::v2().vmac());
    for variant in [V3, V3.ipv6()] {
        variants.extend([variant, variant.unicast(), variant.vmac()]);
    }
    let row = |program| move |variant| Row { program, variant };
    let frr = [Variant::v2(), V3, V3.ipv6()].map(row(Frr));
    variants.into_iter().map(row(Keepalived)).chain(frr).collect()
}

/// A row with what came of it, and why earlier tries failed.
struct Done {
    row: Row,
    result: Result<Outcome, Missing>,
    failed_before: Vec<String>,
}

/// Runs all rows and prints the table. Returns whether all is green.
pub(crate) fn run(options: &Options) -> bool {
    let began = Instant::now();
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row.name().contains(&options.filter))
        .collect();
    let mut done = beside_each_other(&rows, options.jobs);
    for one in &mut done {
        while one.tries() < TRIES
            && let Some(failure) = one.failure()
        {
            let first_line = failure.lines().next().unwrap_or_default().to_owned();
            eprintln!("{}, once more: {first_line}", one.row.name());
            one.failed_before.push(first_line);
            one.result = Ok(one.row.run());
        }
    }
    if options.json {
        let rows: Vec<Value> = done.iter().map(Done::json).collect();
        println!(
            "{:#}",
            json!({ "seconds": began.elapsed().as_secs(), "tried_again": tried_again(&done).count(), "rows": rows })
        );
    } else {
        print(&done);
        println!("after {} s", began.elapsed().as_secs());
    }
    !done.is_empty() && done.iter().all(Done::is_green)
}

fn beside_each_other(rows: &[Row], jobs: usize) -> Vec<Done> {
    let queue = Mutex::new((0..rows.len()).collect::<VecDeque<usize>>());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, rows.len().max(1)) {
            scope.spawn(|| {
                while let Some(index) = next() {
                    let row = rows[index];
                    let result = match row.program.missing() {
                        Some(reason) => Err(reason),
                        None => Ok(row.run()),
                    };
                    let one = Done {
                        row,
                        result,
                        failed_before: Vec::new(),
                    };
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, one));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, one)| one).collect()
}

impl Done {
    fn tries(&self) -> usize {
        self.failed_before.len() + 1
    }

    fn failure(&self) -> Option<&str> {
        self.result.as_ref().ok()?.failed.as_deref()
    }

    fn is_green(&self) -> bool {
        match &self.result {
            Ok(outcome) => outcome.failed.is_none(),
            Err(Missing::Root(_)) => true,
            Err(Missing::Program(_)) => !is_required(),
        }
    }

    /// A cell for each step.
    fn cells(&self) -> Vec<String> {
        let Ok(outcome) = &self.result else {
            return vec!["skipped".to_owned(); STEPS.len()];
        };
        let passed = outcome.passed.iter().map(|took| format!("{} ms", ms(*took)));
        let failed = outcome.failed.iter().map(|_| "RED".to_owned());
        let not_tried = std::iter::repeat("–".to_owned());
        passed.chain(failed).chain(not_tried).take(STEPS.len()).collect()
    }

    fn json(&self) -> Value {
        let steps: Vec<Value> = STEPS
            .iter()
            .zip(self.cells())
            .map(|(step, cell)| json!({ "step": step, "cell": cell }))
            .collect();
        json!({
            "row": self.row.name(),
            "green": self.is_green(),
            "tries": self.tries(),
            "failed_before": self.failed_before,
            "skipped": self.result.as_ref().err().map(ToString::to_string),
            "failed": self.failure(),
            "steps": steps,
        })
    }
}

/// The rows that were red at first.
fn tried_again(done: &[Done]) -> impl Iterator<Item = &Done> {
    done.iter().filter(|one| one.tries() > 1)
}

fn print(done: &[Done]) {
    let mut table = Table::new([""].into_iter().chain(STEPS));
    for one in done {
        table.row([one.row.name()].into_iter().chain(one.cells()));
    }
    println!(
        "Time until the client is served by the other (elected: by the master; theirs: until ours follows).\n\n{table}"
    );
    println!(
        "{} of {} rows needed another try",
        tried_again(done).count(),
        done.len()
    );
    for one in tried_again(done) {
        let end = if one.is_green() { "green" } else { "RED" };
        println!("{}: {end} at try {}, after:", one.row.name(), one.tries());
        for failure in &one.failed_before {
            println!("  {failure}");
        }
    }
    for one in done {
        match (&one.result, one.failure()) {
            (_, Some(failure)) => println!("RED: {}: {failure}\n", one.row.name()),
            (Err(reason), _) => println!("skipped: {}: {reason}", one.row.name()),
            _ => {}
        }
    }
}
