//! HAProxy as a peer.

use ha_benches::testbed::Result;

use crate::contender::{Field, Role};
use crate::daemon::{self, Daemon, free_address};

/// HAProxy, in one process with so many threads. A request may go over any upstream connection: that costs it least.
pub(crate) fn proxy(field: &Field<'_>, role: &Role<'_>) -> Result<Daemon> {
    let Role { place, workers, tls } = *role;
    let backend = field.backend;
    let address = free_address()?;
    // Two files a connection, and some for itself.
    let connections = daemon::file_limit() / 2 - 500;
    let tls = tls.map_or(String::new(), |certificate| {
        format!("ssl crt {} alpn http/1.1", certificate.both.display())
    });
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
    bind {address} backlog 4096 {tls}
    default_backend app
backend app
    server one {backend} pool-max-conn -1
"
    );
    let file = field.directory.write("haproxy.cfg", config)?;
    let mut command = daemon::command("haproxy");
    command.args(["-db", "-q", "-f"]).arg(file);
    Daemon::start(field.cores, place, command, address, 0)
}
