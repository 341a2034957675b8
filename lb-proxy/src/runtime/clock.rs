//! The one place of the crate that reads a clock.
//!
//! Time is the `Duration` since the process first asked, so that all workers, all proxies and whoever else feeds
//! the same [`Upstream`](crate::balance::Upstream) speak of the same instant.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

static EPOCH: OnceLock<Instant> = OnceLock::new();

#[expect(
    clippy::disallowed_methods,
    reason = "the proxy is a driver, and this is where it reads its clock"
)]
fn read() -> Instant {
    Instant::from_std(std::time::Instant::now())
}

fn epoch() -> Instant {
    *EPOCH.get_or_init(read)
}

/// Returns the time since the epoch of this process's proxies, the `now` that they pass to their upstreams.
///
/// A program that feeds the same upstream (health checks, an operator's `down`) passes this too.
#[must_use]
pub fn now() -> Duration {
    let epoch = epoch();
    read().saturating_duration_since(epoch)
}

/// The time since 1970, for what people read.
#[cfg(feature = "proxy")]
#[expect(
    clippy::disallowed_methods,
    reason = "the proxy is a driver, and this is where it reads its clock"
)]
pub(crate) fn unix() -> Duration {
    let epoch = std::time::UNIX_EPOCH;
    std::time::SystemTime::now()
        .duration_since(epoch)
        .unwrap_or_default()
}

/// The instant at which a timer armed for `at` fires. What no clock of ours will show is a century away.
pub(crate) fn instant(at: Duration) -> Instant {
    let epoch = epoch();
    epoch.checked_add(at).unwrap_or_else(|| epoch + CENTURY)
}

const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
