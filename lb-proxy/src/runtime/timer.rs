//! One timer a connection, which touches the runtime's wheel about once a timeout.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::clock;

/// A timer for deadlines that move with every request.
///
/// A connection has several deadlines, of which most are moved before they are due. So the timer isn't moved with them:
/// it is armed for the *shortest* of the connection's timeouts from now, hence not later than any deadline that can
/// be set meanwhile, and only when it has fired are the deadlines looked at. It must always be used from the same task,
/// because an armed timer isn't polled again and so keeps that task's waker.
#[derive(Debug)]
pub(crate) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    shortest: Duration,
}

impl LazyTimer {
    /// `shortest` is the least time from setting a deadline to the deadline.
    pub(crate) fn new(shortest: Duration) -> Self {
        Self {
            sleep: None,
            shortest,
        }
    }

    /// Whether it has not fired, so that no deadline can be over. Otherwise [`poll`](Self::poll) must be called.
    pub(crate) fn is_pending(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
    }

    /// Says whether `deadline` is over; if not, the task is woken when it could be.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Duration>) -> Poll<()> {
        if self.is_pending() {
            return Poll::Pending;
        }
        let now = clock::now();
        let mut at = now + self.shortest;
        if let Some(deadline) = deadline {
            if deadline <= now {
                return Poll::Ready(());
            }
            at = at.min(deadline);
        }
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
        Poll::Pending
    }
}
