//! Our proxy, in a process of its own: this program, started again.

use std::net::SocketAddr;
use std::process::ExitCode;

use ha_benches::testbed::Result;
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::{ProxyConfig, Server};
use serde::{Deserialize, Serialize};

use crate::contender::{Field, Role};
use crate::cores::{Cores, Place};
use crate::daemon::{self, Daemon, free_address};

/// First argument of the process.
const OURS: &str = "ours";

/// How it is configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    pub(crate) backends: Vec<SocketAddr>,
    pub(crate) workers: usize,
}

/// Ours, before this backend.
pub(crate) fn proxy(field: &Field<'_>, role: &Role<'_>) -> Result<Daemon> {
    if role.tls.is_some() {
        return Err("our proxy has no listener with TLS".into());
    }
    let setup = Setup {
        listen: free_address()?,
        backends: vec![field.backend],
        workers: role.workers,
    };
    start(field.cores, role.place, &setup)
}

fn start(cores: &Cores, place: Place, setup: &Setup) -> Result<Daemon> {
    let program = std::env::current_exe()?;
    let mut command = daemon::command(program.to_str().ok_or("the path of this program is no text")?);
    command.args([OURS, &serde_json::to_string(setup)?]);
    Daemon::start(cores, place, command, setup.listen, 0)
}

/// What the process does instead of the bench, where it was started as one.
pub(crate) fn main_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != OURS {
        return None;
    }
    Some(match run(&arguments.next()?) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("our proxy: {error}");
            ExitCode::FAILURE
        }
    })
}

fn run(setup: &str) -> Result<()> {
    let setup: Setup = serde_json::from_str(setup)?;
    let backends = setup
        .backends
        .iter()
        .enumerate()
        .map(|(index, address)| BackendConfig::new(format!("backend-{index}"), *address));
    let upstream = UpstreamConfig::builder("app").backends(backends).build()?;
    let config = ProxyConfig::builder(Upstream::new(upstream))
        .listen(setup.listen)
        .workers(setup.workers)
        .backlog(4096)
        .max_connections(100_000)
        .keepalive_requests(u32::MAX)
        .upstream_keepalive(4096)
        .upstream_keepalive_requests(u32::MAX)
        .build()?;
    let _proxy = Server::spawn(config)?;
    loop {
        // Until a signal ends it.
        std::thread::park();
    }
}
