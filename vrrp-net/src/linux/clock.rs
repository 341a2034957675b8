//! The driver's clock and its one timer, both on CLOCK_BOOTTIME: it goes on in suspend, where the monotonic clock of
//! `std::time::Instant` stands still, and it wakes to the microsecond, where tokio's timer wheel has milliseconds.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

use crate::sys::{self, Timer};

#[derive(Debug)]
pub(super) struct Clock {
    epoch: Duration,
    timer: AsyncFd<Timer>,
    /// What the timer is set to and hasn't reached.
    armed: Option<Duration>,
}

impl Clock {
    pub(super) fn new() -> io::Result<Self> {
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        Ok(Self {
            epoch: boot_time(),
            timer: sys::watch(Timer(timer))?,
            armed: None,
        })
    }

    pub(super) fn now(&self) -> Duration {
        boot_time().saturating_sub(self.epoch)
    }

    /// Sees to it that the timer fires by then; one in the past fires at once. It may fire earlier: a backup's deadline
    /// moves with each advert, and waking for one that has moved costs less than setting the timer each time.
    pub(super) fn arm(&mut self, until: Option<Duration>) -> io::Result<()> {
        let Some(until) = until else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= until) {
            return Ok(());
        }
        let Timer(timer) = self.timer.get_ref();
        timer.set(
            Expiration::OneShot(TimeSpec::from_duration(self.epoch + until)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        self.armed = Some(until);
        Ok(())
    }

    pub(super) fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let expired = super::sockets::poll_readable(&self.timer, context);
        if expired.is_ready() {
            self.armed = None;
        }
        expired
    }
}

/// Time since the Unix epoch. It may jump when somebody sets it; nothing but authentication looks at it.
pub(super) fn unix_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from)
}

/// CLOCK_BOOTTIME.
pub(super) fn boot_time() -> Duration {
    // It fails for clocks that the kernel doesn't have alone, and every kernel since 2.6.39 has this one.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
