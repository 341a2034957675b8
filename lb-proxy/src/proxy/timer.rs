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
        if self.is_armed_before(deadline) {
            return Poll::Pending;
        }
        if clock::now() >= deadline {
            return Poll::Ready(());
        }
        self.arm(cx, deadline);
        Poll::Pending
    }

    /// Has the task woken at `at` or earlier.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, at: Duration) {
        if self.is_armed_before(at) {
            return;
        }
        self.fires_at = at;
        let at = clock::instant(at);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn is_armed_before(&self, at: Duration) -> bool {
        self.fires_at <= at && self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
    }
}
