//! HAProxy as a peer.

use std::net::SocketAddr;

use ha_benches::testbed::Result;

use crate::cores::{Cores, Place};
use crate::daemon::{self, Daemon, Directory, free_address};

/// HAProxy, in one process with so many threads. A request may go over any upstream connection: that costs it least.
pub(crate) fn proxy(
    cores: &Cores,
    place: Place,
    directory: &Directory,
    backend: SocketAddr,
    workers: usize,
) -> Result<Daemon> {
    let address = free_address()?;
    // Two files a connection, and some for itself.
    let connections = daemon::file_limit() / 2 - 500;
    let config = format!(
        "global
    nbthread {workers}
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend bench
    bind {address} backlog 4096
    default_backend app
backend app
    server one {backend} pool-max-conn -1
"
    );
    let file = directory.write("haproxy.cfg", config)?;
    let mut command = daemon::command("haproxy");
    command.args(["-db", "-q", "-f"]).arg(file);
    Daemon::start(cores, place, command, address, 0)
}
