//! The daemon's command line.

mod check;
mod decode;
mod run;
mod status;
mod switchover;
mod table;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::DEFAULT_SOCKET;

/// Virtual IP failover (VRRP) and HTTP load balancing on one host of two or more.
#[derive(Debug, Parser)]
#[command(name = "ha-stack", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground what the files say, until SIGTERM or SIGINT.
    Run(run::Args),
    /// Say everything that is wrong with files, without starting anything.
    Check(check::Args),
    /// Show the status of a running daemon.
    Status(status::Args),
    /// Hand a virtual router over to its best backup, serving until that does, and hold this node back.
    Switchover(switchover::Args),
    /// Let this node preempt again after a switchover.
    Resume(switchover::Args),
    /// Show what stands in VRRP packets, one JSON object a packet.
    Decode(decode::Args),
}

/// Files to read together.
#[derive(Debug, clap::Args)]
struct Files {
    /// Configuration files: TOML where the name ends in .toml, keepalived.conf otherwise.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of this node, whatever the files say.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

impl Files {
    fn load(&self) -> crate::config::Loaded {
        let mut configuration = crate::config::Configuration::new();
        for file in &self.files {
            configuration.add_file(file);
        }
        if let Some(node) = &self.node {
            configuration.set_node(node);
        }
        configuration.load()
    }
}

/// Where the daemon answers.
#[derive(Debug, clap::Args)]
struct Socket {
    /// Unix socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

/// Why a command failed.
enum Failure {
    /// Everything has been said.
    Told,
    /// To be said in one line.
    Line(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Line(error.to_string())
    }
}

/// Runs the command line of the process. The exit code is 0 when all went well, 1 when something failed, and 2 when
/// the command line can't be understood.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Switchover(args) => switchover::run(&args),
        Command::Resume(args) => switchover::resume(&args),
        Command::Decode(args) => decode(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Line(line)) => {
            // With stderr gone there is nobody to tell.
            let _ = writeln!(io::stderr(), "ha-stack: {line}");
            ExitCode::FAILURE
        }
    }
}

fn decode(args: &decode::Args) -> Result<(), Failure> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let tally = match decode::run(args, &mut output) {
        Ok(tally) => tally,
        Err(decode::DecodeError::Io(error)) => return quiet(Err(error)),
        Err(error) => {
            // What was decoded before stands before the error.
            output.flush().or_else(|error| quiet_io(Err(error)))?;
            return Err(error.into());
        }
    };
    quiet(output.flush())?;
    drop(output);
    if tally.foreign > 0 {
        let _ = writeln!(
            io::stderr(),
            "ha-stack: {} packets are not VRRP, and not shown",
            tally.foreign
        );
    }
    if tally.bad > 0 { Err(Failure::Told) } else { Ok(()) }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    quiet(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

fn quiet(result: io::Result<()>) -> Result<(), Failure> {
    quiet_io(result).map_err(Into::into)
}

fn quiet_io(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
