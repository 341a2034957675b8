//! One timer a connection, re-armed only when it fires.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::clock;

/// A timer whose deadline moves with every request, yet which touches the runtime's wheel about once a timeout.
///
/// A deadline that moves away leaves the timer where it was: it fires early, sees that the deadline is later, and is
/// armed again. A deadline that comes nearer re-arms it at once. It must always be polled from the same task,
/// because an armed timer isn't polled again and so keeps that task's waker.
#[derive(Debug, Default)]
pub(super) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    fires_at: Duration,
}

impl LazyTimer {
    /// Says whether `deadline` has passed; if not, the task is woken at it or earlier.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Duration) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else {
            self.fires_at = deadline;
            let sleep = self
                .sleep
                .insert(Box::pin(tokio::time::sleep_until(clock::instant(deadline))));
            return sleep.as_mut().poll(cx);
        };
        if self.fires_at <= deadline && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        if sleep.is_elapsed() && clock::now() >= deadline {
            return Poll::Ready(());
        }
        self.fires_at = deadline;
        sleep.as_mut().reset(clock::instant(deadline));
        sleep.as_mut().poll(cx)
    }
}
