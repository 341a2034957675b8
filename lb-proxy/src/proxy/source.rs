//! Where a request's body comes from, and the other things that a backend's side asks of the client's.

use std::task::{Context, Poll};

use super::answer::Reason;

/// The client's side of a request, while its backend's side is at work.
pub(super) trait Source: Send {
    /// Waits until [`data`](Self::data) has something (`true`) or the body has ended.
    ///
    /// An error is the client's fault, or means that it is gone.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Reason>>;

    /// What has come and has not been consumed.
    fn data(&self) -> &[u8];

    fn consume(&mut self, length: usize);

    /// The trailer section of a body that has ended, as lines with an empty one at the end; nothing if there is none.
    fn trailers(&self) -> &[u8] {
        &[]
    }

    /// Passes on an interim response, whose head is `head`. It may be lost.
    fn inform(&mut self, _head: &[u8]) {}

    /// Ready if the client has gone, so that nobody waits for the response. Asked once the body has ended.
    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
