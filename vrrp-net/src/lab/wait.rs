//! Waiting for the kernel or a process, by asking.

use std::io;
use std::time::{Duration, Instant};

/// How long the kernel may take until a change of a cable or an address has its full effect. It takes microseconds to
/// milliseconds, by work queues.
pub(super) const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks again and again, every 200 µs.
pub(super) fn wait_until(timeout: Duration, mut is_done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_micros(200);
    let deadline = Instant::now() + timeout;
    while !is_done()? {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        pause(PAUSE);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lab waits for the kernel on threads of its own, never on a driver's"
)]
pub(super) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
