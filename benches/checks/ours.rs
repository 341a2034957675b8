//! Our side: a stack of an upstream and nothing else, in a process of its own.

use std::process::{Command, ExitCode, Stdio};

use ha_benches::testbed::Result;
use ha_health::probe::Http;
use ha_stack::{Stack, UpstreamCheck};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};

use super::{INTERVAL, Killed, address};

/// Makes this program our side: the kind, how many backends, and the port.
const ASKED: &str = "HA_BENCH_CHECKS";

/// How backends are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Tcp,
    Http,
    Kept,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Tcp, Self::Http, Self::Kept];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no checks",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Kept => "http, kept alive",
        }
    }
}

/// Starts it.
pub(crate) fn start(kind: Kind, backends: u32, port: u16) -> Result<Killed> {
    let child = Command::new(std::env::current_exe()?)
        .env(ASKED, format!("{kind:?} {backends} {port}"))
        .stdin(Stdio::null())
        .spawn()?;
    Ok(Killed(child))
}

/// Runs until it is killed, where this program was started by [`start`].
pub(crate) fn main_if_asked() -> Option<ExitCode> {
    let asked = std::env::var(ASKED).ok()?;
    Some(match serve(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("checks: {error}");
            ExitCode::FAILURE
        }
    })
}

fn serve(asked: &str) -> Result<()> {
    let [kind, backends, port] = asked.split(' ').collect::<Vec<_>>()[..] else {
        return Err("three words".into());
    };
    let (backends, port): (u32, u16) = (backends.parse()?, port.parse()?);
    let backend = |number: u32| BackendConfig::new(format!("backend-{number}"), address(number, port));
    let config = UpstreamConfig::builder("app")
        .backends((0..backends).map(backend))
        .build()?;
    let mut stack = Stack::builder("bench").upstream(Upstream::new(config));
    let times = UpstreamCheck::times("app").interval(INTERVAL).build()?;
    let request = Http::builder(address(0, port)).path("/health");
    match kind {
        "Tcp" => stack = stack.check_backends("app", UpstreamCheck::tcp(times)),
        "Http" => stack = stack.check_backends("app", UpstreamCheck::http(times, request)?),
        "Kept" => stack = stack.check_backends("app", UpstreamCheck::http(times, request.keep_alive(true))?),
        _ => {}
    }
    let mut handle = stack.build()?.spawn()?;
    let mut events = handle.events();
    while let Some(event) = events.wait() {
        eprintln!("{event}");
    }
    Ok(())
}
