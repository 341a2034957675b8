//! What the requests of one worker share: the balancer's reader, upstream connections, buffers and counters.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::answer::Reason;
use super::attempts::Attempts;
use super::budget::Budget;
use super::buffer::{Buffer, Buffers};
use super::config::ProxyConfig;
use super::connection::Connection;
use super::counters::Counters;
use super::date::Date;
use super::pool::Pool;
use super::request::Admitted;
use crate::balance::{Outcome, Pick, Reader};
use crate::runtime::clock;

/// What the requests of one worker share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) counters: Counters,
    /// Notified whenever a connection or a tunnel ends.
    pub(super) ended: Notify,
    /// Locked for moments, never over an `await`, and by one thread only if the worker is one thread.
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    reader: Reader,
    pool: Pool,
    buffers: Buffers,
    budget: Budget,
    date: Date,
}

impl Proxy {
    pub(super) fn new(config: Arc<ProxyConfig>) -> Arc<Self> {
        let shared = Shared {
            reader: config.upstream.reader(),
            pool: Pool::new(config.keep),
            buffers: Buffers::default(),
            budget: Budget::new(config.retry.percent, config.retry.floor),
            date: Date::default(),
        };
        Arc::new(Self {
            config,
            counters: Counters::default(),
            ended: Notify::new(),
            shared: Mutex::new(shared),
        })
    }

    /// Picks a backend that hasn't been tried, and a kept connection to it if there is one that will do. `sent` is whether
    /// a backend may have seen the request, which is only sent again within the budget.
    pub(super) fn choose(
        &self,
        attempts: &mut Attempts,
        sent: bool,
        now: Duration,
    ) -> Option<(Pick, Option<Connection>)> {
        let within = if attempts.request.idempotent {
            Duration::MAX
        } else {
            self.config.retry.young
        };
        let mut shared = self.shared();
        let pick = shared.reader.pick(now, &attempts.tried)?;
        if sent && !shared.budget.withdraw(now) {
            tracing::debug!("no budget for a retry");
            return None;
        }
        attempts.tried.insert(&pick);
        if attempts.count() {
            Counters::count(&self.counters.retries);
        } else {
            shared.budget.deposit();
        }
        let kept = shared.pool.take(pick.slot(), pick.address(), now, within);
        Some((pick, kept))
    }

    /// Writes the head that goes to `connection`'s backend into `out`, which is empty.
    pub(super) fn push_head(
        &self,
        request: &Admitted,
        head: &[u8],
        connection: &Connection,
        out: &mut Vec<u8>,
    ) {
        match request.host_at {
            None => out.extend_from_slice(head),
            Some(at) => {
                out.extend_from_slice(&head[..at]);
                let mut shared = self.shared();
                out.extend_from_slice(shared.pool.host(connection.slot, connection.address).as_bytes());
                out.extend_from_slice(&head[at..]);
            }
        }
    }

    /// Puts a connection whose exchange is complete back for the next request.
    pub(super) fn give_back(&self, mut connection: Connection, now: Duration) {
        let mut shared = self.shared();
        shared.buffers.take_back(std::mem::take(&mut connection.buffer));
        shared.pool.put(connection, now);
    }

    /// Gives `buffer` room.
    pub(super) fn lend(&self, buffer: &mut Buffer, size: usize) {
        self.shared().buffers.provide(buffer, size);
    }

    /// Takes the room of a buffer back.
    pub(super) fn take_back(&self, buffer: Buffer) {
        self.shared().buffers.take_back(buffer);
    }

    /// Calls `then` with the time as `Date` has it.
    pub(super) fn with_date<T>(&self, then: impl FnOnce(&[u8]) -> T) -> T {
        let mut shared = self.shared();
        then(shared.date.text())
    }

    /// Does what nobody waits for: closes upstream connections that nobody has used for too long.
    pub(super) fn sweep(&self, now: Duration) {
        self.shared().pool.sweep(now);
    }

    /// Counts a failure against the backend, and says so in the log, where its name belongs.
    pub(super) fn failed(&self, pick: Pick, reason: Reason, error: impl fmt::Display) {
        tracing::warn!(backend = %pick.id(), address = %pick.address(), reason = reason.as_str(), %error, "backend failed");
        self.finish(pick, clock::now(), Outcome::Failure);
    }

    /// Ends a request at its backend, and does what a change of the backend's state asks for.
    pub(super) fn finish(&self, pick: Pick, now: Duration, outcome: Outcome) {
        let upstream = &self.config.upstream;
        if let Some(change) = pick.finish(now, outcome) {
            tracing::info!(backend = %change.id, from = %change.from, to = %change.to, "backend changed");
            if upstream.poll_timeout().is_some() {
                upstream.handle_timeout(now);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
