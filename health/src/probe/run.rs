//! The driver of one check.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use tokio::time::Instant;

use super::{Probe, ProbeFuture};
use crate::{Check, CheckConfig, Output};

/// Runs one check until `shutdown` is ready, and gives it back.
///
/// `on_output` is called with each output but [`Output::Start`], and with the check as it is then. The epoch of the
/// check is the moment of the call. At the shutdown a probe that is on is dropped, and ends by that.
///
/// ```
/// use core::time::Duration;
/// use ha_health::{CheckConfig, Output, probe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// let config = CheckConfig::builder("port").interval(Duration::from_millis(50)).build()?;
/// let shutdown = tokio::time::sleep(Duration::from_millis(120));
/// let check = probe::run(config, &probe::Tcp::new(address), |check, output| {
///     println!("{}: {output}", check.name());
/// }, shutdown).await;
/// assert_eq!(check.up(), Some(true));
/// # Ok(())
/// # }
/// ```
pub async fn run(
    config: CheckConfig,
    probe: &(impl Probe + ?Sized),
    mut on_output: impl FnMut(&Check, Output),
    shutdown: impl Future<Output = ()>,
) -> Check {
    let epoch = Instant::now();
    let mut check = Check::new(Duration::ZERO, config);
    let mut running: Option<ProbeFuture<'_>> = None;
    let mut shutdown = pin!(shutdown);
    loop {
        // 1. Wait. Results go before the timer: a result that is there already has not timed out.
        let timer = check.poll_timeout();
        let ended = tokio::select! {
            biased;
            () = &mut shutdown => return check,
            outcome = async { running.as_mut().expect("a run is on").await }, if running.is_some() => Some(outcome),
            () = tokio::time::sleep_until(epoch + timer.unwrap_or_default()), if timer.is_some() => None,
        };
        // 2. Feed one input.
        let now = epoch.elapsed();
        match ended {
            Some(outcome) => {
                running = None;
                check.handle_result(now, outcome);
            }
            None => check.handle_timeout(now),
        }
        // 3. Drain the outputs.
        while let Some(output) = check.poll_output() {
            match output {
                Output::Start { timeout } => running = Some(probe.probe(timeout)),
                output => on_output(&check, output),
            }
        }
        // 4. `poll_timeout` at the top arms the timer anew.
    }
}
