//! A backend and one of its connections, held for one request.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::answer::Reason;
use super::connection::Connection;
use super::core::Proxy;
use super::exchange::{Exchange, Failure};
use super::source::Source;
use crate::balance::{Outcome, Pick};
use crate::runtime::clock;

/// What a response holds until its body has ended. Dropped, it closes the connection and counts for nothing: the
/// client went away.
#[derive(Debug)]
pub(super) struct Lease {
    proxy: Arc<Proxy>,
    upstream: usize,
    pick: Pick,
    status: u16,
    pub(super) exchange: Exchange,
}

impl Lease {
    /// `status` is what the backend answered.
    pub(super) fn new(
        proxy: Arc<Proxy>,
        upstream: usize,
        pick: Pick,
        status: u16,
        exchange: Exchange,
    ) -> Self {
        Self {
            proxy,
            upstream,
            pick,
            status,
            exchange,
        }
    }

    /// As [`Exchange::poll_body`].
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
    ) -> Poll<Result<bool, Failure>> {
        self.exchange.poll_body(cx, &self.proxy, source)
    }

    /// As [`Exchange::deadline`].
    pub(super) fn deadline(&self) -> Duration {
        self.exchange.deadline(&self.proxy)
    }

    /// The response is complete: the backend did well, and its connection can be used again unless it holds something
    /// that would be taken for part of another exchange. Gives back the room of the request's head.
    pub(super) fn complete(self) -> Vec<u8> {
        let now = clock::now();
        self.proxy
            .finish(self.upstream, self.pick, now, Outcome::Status(self.status));
        let (connection, out) = self.exchange.finish();
        if let Some(connection) = connection {
            self.proxy.give_back(connection, now);
        }
        out
    }

    /// The backend broke off.
    pub(super) fn broken(self, failure: &Failure) {
        match failure {
            Failure::Client(_) => {}
            failure => self.proxy.failed(
                self.upstream,
                self.pick,
                Reason::Closed,
                failure.outcome(),
                failure,
            ),
        }
    }

    /// The connection carries no more HTTP; the backend counts the request as under way until the pick is dropped.
    pub(super) fn into_tunnel(self) -> (Connection, usize, Pick) {
        (self.exchange.into_connection(), self.upstream, self.pick)
    }
}
