//! Counts the instructions of an operation: runs this program under cachegrind twice, with different numbers of
//! repetitions, and divides the difference, so that start and set-up cancel out.

use std::io;
use std::process::Command;

/// First argument of the child.
pub(crate) const RUN: &str = "--run";

/// Repetitions of the two runs. The first warms what allocates or announces once.
const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

/// Why nothing could be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    #[error("valgrind can't be run ({0}): install the package `valgrind`")]
    Valgrind(#[source] io::Error),
    #[error("no count from valgrind; it said:\n{0}")]
    NoCount(String),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Instructions that one repetition of the case takes, the loop's few included.
pub(crate) fn count(name: &str) -> Result<u64, CountError> {
    let few = total(name, FEW)?;
    let many = total(name, MANY)?;
    Ok(many.saturating_sub(few).div_ceil(MANY - FEW))
}

/// Instructions of a whole run.
fn total(name: &str, times: u64) -> Result<u64, CountError> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe()?)
        .args([RUN, name, &times.to_string()])
        .output()
        .map_err(CountError::Valgrind)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = said
        .lines()
        .find_map(instructions)
        .filter(|_| output.status.success());
    count.ok_or(CountError::NoCount(said))
}

/// `==123== I   refs:      1,234,567`, spaced otherwise in later versions.
fn instructions(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip(1);
    let (i, refs, count) = (words.next()?, words.next()?, words.next()?);
    if (i, refs) != ("I", "refs:") {
        return None;
    }
    count.replace(',', "").parse().ok()
}
