//! What tells its results by itself, and the driver of one check that is told.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::{Pin, pin};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{Check, Failure, Outcome, Output, WatchConfig};

/// The future of a watch: it ends only if nothing can be watched any more, and says why.
pub type WatchFuture<'a> = Pin<Box<dyn Future<Output = Failure> + Send + 'a>>;

/// What a watch calls with each result.
pub type Tell<'a> = &'a (dyn Fn(Outcome) + Send + Sync);

/// Something that tells by itself how it is, as soon as that changes.
///
/// It has its part of an event loop and shares it with other watches: it must never block.
///
/// ```
/// use ha_health::probe::{Tell, Watch, WatchFuture};
/// use ha_health::{Failure, Outcome};
///
/// /// Well while a flag of the program is set.
/// struct Flag(tokio::sync::watch::Receiver<bool>);
///
/// impl Watch for Flag {
///     fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
///         let mut flag = self.0.clone();
///         Box::pin(async move {
///             loop {
///                 let up = *flag.borrow_and_update();
///                 tell(if up { Outcome::success() } else { Failure::Other("flag is not set").into() });
///                 if flag.changed().await.is_err() {
///                     return Failure::Aborted;
///                 }
///             }
///         })
///     }
/// }
/// ```
pub trait Watch: Send + Sync {
    /// Tells how it is, at once and whenever that changes; from time to time again, so that it shows to be alive and
    /// a check can count. Dropping the future ends it.
    ///
    /// A future that ends has failed with what it gives. Whoever drives it may begin anew.
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a>;
}

impl<W: Watch + ?Sized> Watch for &W {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        (**self).watch(tell)
    }
}

impl<W: Watch + ?Sized> Watch for Box<W> {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        (**self).watch(tell)
    }
}

impl<W: Watch + ?Sized> Watch for alloc::sync::Arc<W> {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        (**self).watch(tell)
    }
}

/// Runs one check that is watched until `shutdown` is ready, and gives it back. A watch that ends by itself is the
/// last result, and nothing follows.
///
/// `on_output` is called with each output, and with the check as it is then. The epoch of the check is the moment of
/// the call.
///
/// ```
/// use core::time::Duration;
/// use ha_health::{WatchConfig, probe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = WatchConfig::builder("loopback").build()?;
/// let shutdown = tokio::time::sleep(Duration::from_millis(50));
/// let check = probe::run_watch(config, &probe::Interface::new("lo"), |check, output| {
///     println!("{}: {output}", check.name());
/// }, shutdown).await;
/// assert!(check.up().is_some());
/// # Ok(())
/// # }
/// ```
pub async fn run_watch(
    config: WatchConfig,
    watch: &(impl Watch + ?Sized),
    mut on_output: impl FnMut(&Check, Output),
    shutdown: impl Future<Output = ()>,
) -> Check {
    let epoch = Instant::now();
    let mut check = Check::watched(config);
    // Unbounded in type alone: the watch runs in this task, and each of its turns is followed by ours.
    let (results, mut told) = mpsc::unbounded_channel();
    let tell = move |outcome| {
        // The receiver outlives the watch.
        let _ = results.send(outcome);
    };
    let mut watching = Some(watch.watch(&tell));
    let mut shutdown = pin!(shutdown);
    loop {
        // 1. Wait.
        let outcome = tokio::select! {
            biased;
            () = &mut shutdown => return check,
            Some(outcome) = told.recv() => outcome,
            failure = async { watching.as_mut().expect("it is on").await }, if watching.is_some() => {
                watching = None;
                failure.into()
            }
        };
        // 2. Feed one input.
        check.handle_result(epoch.elapsed(), outcome);
        // 3. Drain the outputs.
        while let Some(output) = check.poll_output() {
            on_output(&check, output);
        }
    }
}
