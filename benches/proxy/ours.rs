//! Our proxy, in a process of its own: this program, started again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use ha_benches::testbed::Result;
use ha_stack::{Stack, UpstreamCheck};
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
    listen: SocketAddr,
    /// The first backend.
    backend: SocketAddr,
    /// How many there are, at the addresses that follow.
    backends: u32,
    workers: usize,
    /// How often each is checked by a connect.
    check: Option<Duration>,
}

/// Ours, before this backend.
pub(crate) fn proxy(field: &Field<'_>, role: &Role<'_>) -> Result<Daemon> {
    if role.tls.is_some() {
        return Err("our proxy has no listener with TLS".into());
    }
    let setup = Setup {
        listen: free_address()?,
        backend: field.backend,
        backends: 1,
        workers: role.workers,
        check: None,
    };
    start(field.cores, role.place, &setup)
}

/// Ours with one worker, before so many backends, each of which is checked so often.
pub(crate) fn checked(field: &Field<'_>, backends: u32, interval: Duration) -> Result<Daemon> {
    let setup = Setup {
        listen: free_address()?,
        backend: field.backend,
        backends,
        workers: 1,
        check: Some(interval),
    };
    start(field.cores, Place::Proxy, &setup)
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
    let mut upstream = UpstreamConfig::builder("app");
    for number in 0..setup.backends {
        let address = address(&setup, number)?;
        upstream = upstream.backend(BackendConfig::new(format!("backend-{number}"), address));
    }
    let config = ProxyConfig::builder(Upstream::new(upstream.build()?))
        .listen(setup.listen)
        .workers(setup.workers)
        .backlog(4096)
        .max_connections(100_000)
        .keepalive_requests(u32::MAX)
        .upstream_keepalive(4096)
        .upstream_keepalive_requests(u32::MAX)
        .build()?;
    let Some(interval) = setup.check else {
        // The proxy alone, as a program that embeds it would have it.
        let _proxy = Server::spawn(config)?;
        wait_for_signal()
    };
    let check = UpstreamCheck::tcp(UpstreamCheck::times("app").interval(interval).build()?);
    let stack = Stack::builder("bench")
        .proxy("bench", config)
        .check_backends("app", check);
    let _stack = stack.build()?.spawn()?;
    wait_for_signal()
}

fn wait_for_signal() -> ! {
    loop {
        std::thread::park();
    }
}

/// One after the other from the first on, all of this machine.
fn address(setup: &Setup, number: u32) -> Result<SocketAddr> {
    let IpAddr::V4(first) = setup.backend.ip() else {
        return Err("the backend has an IPv4 address".into());
    };
    let ip = Ipv4Addr::from_bits(first.to_bits() + number);
    Ok(SocketAddr::new(ip.into(), setup.backend.port()))
}
