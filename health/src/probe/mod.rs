//! Probes that do IO, on tokio: a script, an HTTP request, a TCP connect, or one of your own; and watches that tell by
//! themselves: of processes, of a file's number, of an interface, or of something of your own.
//!
//! A probe is usable by itself: call [`Probe::probe`] with a timeout and await the outcome. [`run`](run()) drives
//! one [`Check`](crate::Check) with one probe, and [`Prober`] a set of them; a program with a loop of its own keeps the check there, spawns the
//! probe at [`Output::Start`](crate::Output::Start) and hands the outcome back. A watch is driven in the same way by
//! [`run_watch`].
//!
//! Everything here needs a tokio runtime with IO and time enabled. Dropping the future of a probe ends it: sockets
//! are closed, and the processes of a script are killed.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use crate::{Failure, Outcome};

mod capture;
mod descriptor;
mod file;
mod group;
mod http;
mod interface;
mod number;
mod prober;
mod process;
mod run;
mod script;
mod security;
mod tcp;
mod user;
mod watch;
mod words;

pub use ::http::Method;
pub use file::File;
pub use http::{Http, HttpBuilder, HttpError};
pub use interface::Interface;
pub use prober::Prober;
pub use process::{ParamMatch, Process, ProcessBuilder, ProcessError};
pub use run::run;
pub use script::{Script, ScriptError};
pub use tcp::Tcp;
pub use user::{User, UserError};
pub use watch::{Tell, Watch, WatchFuture, run_watch};

/// The future of one run.
pub type ProbeFuture<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Something that can be asked whether it is well.
///
/// Runs may be started from any thread, but a [`Check`](crate::Check) never starts one before the last has ended.
pub trait Probe: Send + Sync {
    /// Begins one run.
    ///
    /// The future must end by itself soon after `timeout`, with [`Failure::TimedOut`] if nothing else is
    /// known, and leave nothing behind then; it may take a little longer than `timeout` for the clean-up.
    /// Dropping it must end the run. [`from_fn`] does both for a future that may simply be dropped.
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_>;
}

impl<P: Probe + ?Sized> Probe for &P {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        (**self).probe(timeout)
    }
}

impl<P: Probe + ?Sized> Probe for Box<P> {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        (**self).probe(timeout)
    }
}

impl<P: Probe + ?Sized> Probe for alloc::sync::Arc<P> {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        (**self).probe(timeout)
    }
}

/// Makes a probe of a function that gives a future, which is dropped at the timeout.
///
/// ```
/// use ha_health::{Failure, Outcome, probe};
/// # fn replication_lag() -> std::time::Duration { std::time::Duration::ZERO }
///
/// let probe = probe::from_fn(|| async {
///     if replication_lag().as_secs() < 5 { Outcome::success() } else { Failure::Other("replica lags").into() }
/// });
/// ```
pub fn from_fn<F, Fut>(f: F) -> FromFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Outcome> + Send,
{
    FromFn(f)
}

/// The probe that [`from_fn`] makes.
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

impl<F, Fut> Probe for FromFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Outcome> + Send,
{
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(within(timeout, async { (self.0)().await }))
    }
}

/// Bounds a run that may simply be dropped.
async fn within(timeout: Duration, run: impl Future<Output = Outcome>) -> Outcome {
    match tokio::time::timeout(timeout, run).await {
        Ok(outcome) => outcome,
        Err(_) => Failure::TimedOut { after: timeout }.into(),
    }
}

/// Says in our words why something can't be watched.
fn cannot_watch(error: &std::io::Error) -> Failure {
    Failure::CannotWatch {
        errno: error.raw_os_error().unwrap_or(0),
    }
}
