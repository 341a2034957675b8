//! `ha-stack status`.

use super::{Failure, Socket, print, table};
use crate::admin::fetch;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

/// Asks the daemon and prints what it says.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(fetch(&args.socket.socket))?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string(&report)?))
    } else {
        print(&table::render(&report))
    }
}
