//! `ha-stack check`.

use std::io::{self, IsTerminal as _};

use super::{Failure, Files, print};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
}

/// Prints everything that is wrong, and how much.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = args.files.load();
    let (errors, warnings) = (loaded.diagnostics().errors(), loaded.diagnostics().warnings());
    print(&loaded.render(io::stdout().is_terminal()))?;
    print(&format!(
        "{}, {}\n",
        count(errors, "error"),
        count(warnings, "warning")
    ))?;
    if errors > 0 { Err(Failure::Told) } else { Ok(()) }
}

pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
