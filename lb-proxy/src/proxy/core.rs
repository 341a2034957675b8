//! What the requests of one worker share: the balancer's reader, upstream connections, buffers and counters.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
use crate::balance::{Key, Outcome, Pick, Reader, Refusal};
use crate::forwarded::{Received, RequestId, RequestIds};
use crate::log::{self, AccessLog, Record};
use crate::route::HeaderEdits;
use crate::runtime::clock;

/// What the requests of one worker share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) counters: Arc<Counters>,
    /// The upstreams' names, for the log.
    names: Vec<Arc<str>>,
    /// Locked for moments, never over an `await`, and by one thread only if the worker is one thread.
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// By the place of their upstream.
    targets: Vec<Target>,
    ids: RequestIds,
    log: Option<log::Buffer>,
    buffers: Buffers,
    budget: Budget,
    date: Date,
}

/// A worker's side of an upstream.
#[derive(Debug)]
struct Target {
    reader: Reader,
    pool: Pool,
}

impl Proxy {
    pub(super) fn new(config: Arc<ProxyConfig>, counters: Arc<Counters>) -> Arc<Self> {
        let shared = Shared {
            targets: config
                .upstreams
                .iter()
                .map(|upstream| Target {
                    reader: upstream.reader(),
                    pool: Pool::new(config.keep),
                })
                .collect(),
            ids: RequestIds::random(),
            log: config.access_log.as_ref().map(AccessLog::buffer),
            buffers: Buffers::default(),
            budget: Budget::new(config.retry.percent, config.retry.floor),
            date: Date::default(),
        };
        let names = config
            .upstreams
            .iter()
            .map(|upstream| upstream.status().name)
            .collect();
        Arc::new(Self {
            config,
            counters,
            names,
            shared: Mutex::new(shared),
        })
    }

    /// The name of the upstream in that place.
    pub(super) fn upstream_name(&self, upstream: usize) -> &str {
        &self.names[upstream]
    }

    /// The edits of a request's response, if there are some.
    pub(super) fn response_edits(&self, request: &Admitted) -> Option<&HeaderEdits> {
        let routes = self.config.routes.as_ref()?;
        let edits = routes.as_slice()[request.route?].response_headers();
        (!edits.is_empty()).then_some(edits)
    }

    /// Picks a backend that hasn't been tried, and a kept connection to it if there is one that will do. `sent` is whether
    /// a backend may have seen the request, which is only sent again within the budget. The client's address is the key
    /// for strategies that go by one.
    pub(super) fn choose(
        &self,
        attempts: &mut Attempts,
        sent: bool,
        now: Duration,
    ) -> Result<(Pick, Option<Connection>), Refusal> {
        let mut shared = self.shared();
        let Shared { targets, budget, .. } = &mut *shared;
        let reader = &mut targets[attempts.request.upstream].reader;
        let key = attempts
            .request
            .client
            .map_or(Key::None, |client| Key::Ip(client.ip()));
        let pick = reader.pick_or_refusal(now, key, &attempts.tried)?;
        if sent && !budget.withdraw(now) {
            tracing::debug!("no budget for a retry");
            return Err(Refusal::NoBackend);
        }
        drop(shared);
        let kept = self.begin(attempts, &pick, now);
        Ok((pick, kept))
    }

    /// A try on `pick` begins; gives a kept connection to it if there is one that will do.
    pub(super) fn begin(&self, attempts: &mut Attempts, pick: &Pick, now: Duration) -> Option<Connection> {
        let within = if attempts.request.idempotent {
            Duration::MAX
        } else {
            self.config.retry.young
        };
        let mut shared = self.shared();
        let Shared { targets, budget, .. } = &mut *shared;
        attempts.tried.insert(pick);
        if attempts.count() {
            Counters::count(&self.counters.retries);
        } else {
            budget.deposit();
        }
        let pool = &mut targets[attempts.request.upstream].pool;
        pool.take(pick.slot(), pick.address(), now, within)
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
                let pool = &mut shared.targets[connection.upstream].pool;
                out.extend_from_slice(pool.host(connection.slot, connection.address).as_bytes());
                out.extend_from_slice(&head[at..]);
            }
        }
    }

    /// Puts a connection whose exchange is complete back for the next request.
    pub(super) fn give_back(&self, mut connection: Connection, now: Duration) {
        let mut shared = self.shared();
        shared.buffers.take_back(std::mem::take(&mut connection.buffer));
        shared.targets[connection.upstream].pool.put(connection, now);
    }

    /// Gives `buffer` room.
    pub(super) fn lend(&self, buffer: &mut Buffer, size: usize) {
        self.shared().buffers.provide(buffer, size);
    }

    /// Takes the room of a buffer back.
    pub(super) fn take_back(&self, buffer: Buffer) {
        self.shared().buffers.take_back(buffer);
    }

    /// The id of a request; empty if none is passed on or logged.
    pub(super) fn request_id<'a>(&self, received: &Received<'a>) -> RequestId<'a> {
        self.config
            .forwarding
            .request_id(received, &mut self.shared().ids)
    }

    /// Writes a line to the access log, if there is one.
    pub(super) fn log(&self, now: Duration, record: &Record<'_>) {
        if let Some(log) = &mut self.shared().log {
            log.write(now, record);
        }
    }

    /// Calls `then` with the time as `Date` has it.
    pub(super) fn with_date<T>(&self, then: impl FnOnce(&[u8]) -> T) -> T {
        let mut shared = self.shared();
        then(shared.date.text())
    }

    /// Does what nobody waits for: closes upstream connections that nobody has used for too long, writes what has
    /// waited long enough to the log, and lets upstreams do what is due.
    pub(super) fn tend(&self, now: Duration) {
        let mut shared = self.shared();
        for target in &mut shared.targets {
            target.pool.sweep(now);
        }
        if let Some(log) = &mut shared.log {
            log.handle_timeout(now);
        }
        drop(shared);
        for upstream in &self.config.upstreams {
            if upstream.poll_timeout().is_some_and(|due| due <= now) {
                upstream.handle_timeout(now);
            }
        }
    }

    /// Counts a failure against the backend, and says so in the log, where its name belongs.
    pub(super) fn failed(
        &self,
        upstream: usize,
        pick: Pick,
        reason: Reason,
        outcome: Outcome,
        error: impl fmt::Display,
    ) {
        tracing::warn!(backend = %pick.id(), address = %pick.address(), reason = reason.as_str(), %error, "backend failed");
        self.finish(upstream, pick, clock::now(), outcome);
    }

    /// Ends a request at its backend, and does what a change of the backend's state asks for.
    pub(super) fn finish(&self, upstream: usize, pick: Pick, now: Duration, outcome: Outcome) {
        if let Some(change) = pick.finish(now, outcome) {
            tracing::info!(backend = %change.id, from = %change.from, to = %change.to, "backend changed");
            let upstream = &self.config.upstreams[upstream];
            if upstream.poll_timeout().is_some_and(|due| due <= now) {
                upstream.handle_timeout(now);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
