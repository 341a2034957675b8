//! A response on its way to an HTTP/1 client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::client::Client;
use super::exchange::Failure;
use super::lease::Lease;
use super::response::Delivery;
use crate::h1;
use crate::runtime::clock;

/// Up to how many bytes of a body are copied behind the head instead of written from where they are.
const COPY: usize = 4 * 1024;

/// How far a response has come.
pub(super) struct Relay {
    /// Head, and framing of chunks; how much of it has been written.
    out: Vec<u8>,
    written: usize,
    /// How much of the data at hand has been announced to the client.
    piece: usize,
    delivery: Delivery,
    /// Whether a chunk was sent, whose end is still to be marked.
    in_chunk: bool,
    takes_trailers: bool,
    ended: bool,
    sent: u64,
    /// Since when the client takes nothing, if it is the client that is waited for.
    stalled: Option<Duration>,
}

/// Why a response did not arrive.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client is gone, or takes nothing.
    Client(io::Error),
    /// The backend broke off.
    Backend(Failure),
}

impl Relay {
    /// `out` is the head.
    pub(super) const fn new(out: Vec<u8>, delivery: Delivery, takes_trailers: bool) -> Self {
        Self {
            out,
            written: 0,
            piece: 0,
            delivery,
            in_chunk: false,
            takes_trailers,
            ended: false,
            sent: 0,
            stalled: None,
        }
    }

    /// Room of the head, for the next one.
    pub(super) fn into_out(self) -> Vec<u8> {
        self.out
    }

    /// How many bytes the client has been sent.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// When whoever is waited for will have taken too long.
    pub(super) fn deadline(&self, lease: &Lease, send_timeout: Duration) -> Duration {
        match self.stalled {
            Some(since) => since + send_timeout,
            None => lease.deadline(),
        }
    }

    /// What a passed deadline means.
    pub(super) fn timed_out(&self, lease: &Lease) -> Broken {
        match self.stalled {
            Some(_) => Broken::Client(io::ErrorKind::TimedOut.into()),
            None => Broken::Backend(lease.exchange.timed_out()),
        }
    }

    /// Passes the response on as far as both sides go along.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        lease: &mut Lease,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.piece == 0 && !self.ended {
                match self.poll_piece(cx, client, lease) {
                    // What came before the break is sent first, so that the client has all there is.
                    Poll::Ready(Err(failure)) if self.out.is_empty() => {
                        return Poll::Ready(Err(Broken::Backend(failure)));
                    }
                    Poll::Ready(Err(failure)) => {
                        let _ = Pin::new(&mut client.transport).poll_write(cx, &self.out[self.written..]);
                        return Poll::Ready(Err(Broken::Backend(failure)));
                    }
                    Poll::Pending if self.out.is_empty() => {
                        if let Poll::Ready(Err(broken)) = self.poll_flush(cx, client) {
                            return Poll::Ready(Err(broken));
                        }
                        self.stalled = None;
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            if self.out.is_empty() && self.piece == 0 {
                return self.poll_flush(cx, client);
            }
            let written = match self.poll_write(cx, client, lease) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Client(error))),
                Poll::Pending => {
                    self.stalled.get_or_insert_with(clock::now);
                    return Poll::Pending;
                }
            };
            self.stalled = None;
            self.wrote(written, lease);
        }
    }

    /// Has what TLS holds back sent as well.
    fn poll_flush(&mut self, cx: &mut Context<'_>, client: &mut Client) -> Poll<Result<(), Broken>> {
        match Pin::new(&mut client.transport).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed.map_err(Broken::Client)),
            Poll::Pending => {
                self.stalled.get_or_insert_with(clock::now);
                Poll::Pending
            }
        }
    }

    /// Announces what has come next.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        lease: &mut Lease,
    ) -> Poll<Result<(), Failure>> {
        let more = std::task::ready!(lease.poll_body(cx, client))?;
        if self.in_chunk {
            self.out.extend_from_slice(b"\r\n");
        }
        if !more {
            self.ended = true;
            if self.delivery == Delivery::Chunked {
                self.out.extend_from_slice(b"0\r\n");
                let trailers = if self.takes_trailers {
                    lease.exchange.trailers()
                } else {
                    &[]
                };
                h1::push_trailers(&mut self.out, trailers);
            }
            return Poll::Ready(Ok(()));
        }
        let length = lease.exchange.data().len();
        if self.delivery == Delivery::Chunked {
            h1::push_size(&mut self.out, length);
            self.in_chunk = true;
        }
        if length <= COPY && !self.out.is_empty() {
            self.out.extend_from_slice(lease.exchange.data());
            lease.exchange.consume(length);
        } else {
            self.piece = length;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        client: &mut Client,
        lease: &Lease,
    ) -> Poll<io::Result<usize>> {
        let transport = Pin::new(&mut client.transport);
        let out = &self.out[self.written..];
        let data = &lease.exchange.data()[..self.piece];
        match (out, data) {
            (out, []) => transport.poll_write(cx, out),
            ([], data) => transport.poll_write(cx, data),
            (out, data) => transport.poll_write_vectored(cx, &[IoSlice::new(out), IoSlice::new(data)]),
        }
    }

    fn wrote(&mut self, written: usize, lease: &mut Lease) {
        self.sent += written as u64;
        let of_out = written.min(self.out.len() - self.written);
        self.written += of_out;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        let of_data = written - of_out;
        self.piece -= of_data;
        lease.exchange.consume(of_data);
    }
}
