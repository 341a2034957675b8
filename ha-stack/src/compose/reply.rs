//! An answer that comes later, in async code and without.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// An answer of a running stack: await it in any runtime, or [`wait`](Self::wait) for it in a thread.
///
/// The question has been asked when this is returned; dropping it drops the answer alone.
#[derive(Debug)]
#[must_use = "the answer comes here"]
pub struct Reply<T>(oneshot::Receiver<T>);

/// The stack has stopped, and doesn't answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack has stopped")]
pub struct Stopped;

impl<T> Reply<T> {
    pub(super) fn new() -> (oneshot::Sender<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Blocks the thread until the answer is there. Not to be called in async code.
    ///
    /// # Errors
    /// When the stack has stopped.
    pub fn wait(self) -> Result<T, Stopped> {
        self.0.blocking_recv().map_err(|_| Stopped)
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Stopped)
    }
}
