//! `ha-stack run`.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use vrrp_core::AuthenticationConfig;

use super::check::count;
use super::{Failure, Files, Socket};
use crate::admin::AdminSocket;
use crate::{Controller, Event, Events, Handle};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    socket: Socket,
    /// Seconds that requests under way may take when stopping.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    drain: u16,
}

/// What is logged unless `RUST_LOG` says otherwise. What the driver tells at level info comes as an event too, with
/// names.
const LOGGED: &str = "info,vrrp_net=warn";

/// A signal within this time of the first is the same one: timeout(1) sends two. VRRP needs a part of it to send
/// priority 0 and to give up its addresses.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Runs until a signal.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let terminal = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED)))
        .with_writer(io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        // It would tell of a log that nobody reads on stderr, and panic where that is the same pipe.
        .log_internal_errors(false)
        .init();
    unlimit_descriptors();
    let loaded = args.files.load();
    // With stderr gone there is nobody to tell, and no reason not to run.
    let _ = io::stderr().write_all(loaded.render(terminal).as_bytes());
    let errors = loaded.diagnostics().errors();
    let stack = loaded.into_stack().map_err(|_| {
        Failure::Line(format!(
            "{} in the configuration: nothing is started",
            count(errors.max(1), "error")
        ))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Signals and socket first: both can fail, and are undone by themselves.
        let mut signals = Signals::new()?;
        let socket = AdminSocket::bind(&args.socket.socket).await?;
        let mut handle = stack.spawn()?;
        let mut events = handle.events();
        tracing::info!("running, status on {}", args.socket.socket.display());
        let admin = socket.serve(handle.controller());
        let controller = handle.controller();
        let ended = tokio::select! {
            ended = serve(&args.files, &controller, &mut events, &mut signals) => ended,
            never = admin => match never {},
        };
        stop(
            handle,
            events,
            ended,
            &mut signals,
            Duration::from_secs(args.drain.into()),
        )
        .await
    })
}

/// Lifts the limit of open descriptors as far as the hard limit goes. Distributions keep the soft one at 1024 for programs
/// that use select(2), which a few hundred virtual routers or connections exceed.
fn unlimit_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        // What it has may be enough.
        tracing::warn!("the limit of open descriptors (RLIMIT_NOFILE) can't be raised: {error}");
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hangup.recv() => Told::Reread,
        }
    }

    /// Waits for a signal to stop.
    async fn stop(&mut self) -> &'static str {
        loop {
            if let Told::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// What a signal asks.
enum Told {
    Stop(&'static str),
    Reread,
}

/// Why it is over.
enum Ended {
    Signal(&'static str),
    Failed,
}

/// Tells events until it is over.
async fn serve(files: &Files, controller: &Controller, events: &mut Events, signals: &mut Signals) -> Ended {
    loop {
        // 1. Wait for an event or a signal.
        tokio::select! {
            event = events.next() => match event {
                // 2. Tell it.
                Some(event) => {
                    tell(&event);
                    if matches!(event, Event::Failed { .. }) {
                        return Ended::Failed;
                    }
                }
                None => return Ended::Failed,
            },
            told = signals.next() => match told {
                Told::Stop(name) => return Ended::Signal(name),
                Told::Reread => reread(files, controller).await,
            },
        }
    }
}

/// Takes HMAC keys and modes from the files again: keys are rotated without a restart. All else takes one.
async fn reread(files: &Files, controller: &Controller) {
    let loaded = files.load();
    let found = loaded.render(false);
    let Ok(builder) = loaded.into_builder() else {
        tracing::error!("SIGHUP: nothing is changed, since the files have errors:\n{found}");
        return;
    };
    let mut taken = 0;
    for instance in builder.instances() {
        let AuthenticationConfig::Hmac(config) = instance.config().authentication() else {
            continue;
        };
        match controller.set_hmac(instance.name(), config.clone()).await {
            Ok(Ok(())) => taken += 1,
            Ok(Err(error)) => tracing::error!("SIGHUP: {error}"),
            // It is stopping.
            Err(_) => return,
        }
    }
    if taken == 0 {
        tracing::warn!(
            "SIGHUP: files are not read again while running, but for HMAC keys; restart to apply changes"
        );
    } else {
        tracing::info!(
            "SIGHUP: HMAC keys and modes of {} are those of the files; restart to apply other changes",
            count(taken, "virtual router")
        );
    }
}

fn tell(event: &Event) {
    match event {
        Event::Failed { .. } => tracing::error!("{event}"),
        Event::Conflict { .. }
        | Event::AddressRestored { .. }
        | Event::RoutingRestored { .. }
        | Event::AddressesRefused { .. }
        | Event::CannotExecute { .. }
        | Event::CheckSkipped { .. }
        | Event::Missed { .. }
        | Event::NotifyFailed { .. }
        | Event::NotifyReader { .. }
        | Event::NotifyLost { .. }
        | Event::Check { up: false, .. }
        | Event::BackendCheck { up: false, .. } => tracing::warn!("{event}"),
        _ => tracing::info!("{event}"),
    }
}

async fn stop(
    handle: Handle,
    mut events: Events,
    ended: Ended,
    signals: &mut Signals,
    drain: Duration,
) -> Result<(), Failure> {
    if let Ended::Signal(name) = ended {
        tracing::info!("{name}: stopping");
    }
    let began = Instant::now();
    let mut stopped = std::pin::pin!(handle.shutdown(drain));
    let cut = loop {
        tokio::select! {
            cut = &mut stopped => break cut,
            Some(event) = events.next() => tell(&event),
            name = signals.stop() => if began.elapsed() > SAME_SIGNAL {
                return Err(Failure::Line(format!("{name} again: requests under way are cut")));
            }
        }
    };
    while let Some(event) = events.next().await {
        tell(&event);
    }
    match cut {
        Ok(0) => tracing::info!("stopped"),
        Ok(cut) => tracing::warn!("stopped; {cut} connections were cut after {drain:?}"),
        Err(error) => tracing::warn!("{error}"),
    }
    match ended {
        Ended::Signal(_) => Ok(()),
        Ended::Failed => Err(Failure::Line("VRRP has stopped by itself".to_owned())),
    }
}
