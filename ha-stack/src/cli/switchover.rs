//! `ha-stack switchover` and `ha-stack resume`.

use super::{Failure, Socket, print};
use crate::admin;

/// Arguments of both.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the virtual router or of the sync group; a virtual router moves with its sync group.
    name: String,
    #[command(flatten)]
    socket: Socket,
}

/// Hands over, and says to whom.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let name = &args.name;
    let master = runtime()?.block_on(admin::switchover(&args.socket.socket, name))?;
    print(&format!(
        "{name}: handed over to {master}; this node does not preempt until `ha-stack resume {name}` or a restart\n"
    ))
}

/// Ends the hold.
pub(super) fn resume(args: &Args) -> Result<(), Failure> {
    let name = &args.name;
    runtime()?.block_on(admin::resume(&args.socket.socket, name))?;
    print(&format!("{name}: resumed\n"))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
