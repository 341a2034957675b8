//! A worker's upstream connections, by the slot of their backend: no key, no hash, the last used first.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::config::Keep;
use super::connection::Connection;

/// The idle connections of one worker.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    keep: Keep,
}

#[derive(Debug)]
struct Slot {
    address: SocketAddr,
    /// The field that names the backend as `Host`.
    host: Box<str>,
    /// Oldest first.
    idle: VecDeque<Connection>,
}

impl Pool {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            slots: Vec::new(),
            keep,
        }
    }

    /// Takes the connection to the backend in `slot` that was used last, if it has been idle for less than `within`.
    ///
    /// The younger a connection, the less likely the backend is closing it at this moment.
    pub(super) fn take(
        &mut self,
        slot: u16,
        address: SocketAddr,
        now: Duration,
        within: Duration,
    ) -> Option<Connection> {
        let within = within.min(self.keep.idle_timeout);
        let slot = self.slot(slot, address);
        loop {
            let last = slot.idle.back()?;
            let idle = now.saturating_sub(last.idle_since);
            if idle >= within {
                return None;
            }
            let last = slot.idle.pop_back()?;
            if !last.is_spoilt() && last.announced.is_none_or(|announced| idle < announced) {
                return Some(last);
            }
        }
    }

    /// Keeps a connection whose last request and response are complete, unless it is worn out or there are enough.
    pub(super) fn put(&mut self, mut connection: Connection, now: Duration) {
        let keep = self.keep;
        if connection.requests >= keep.requests || keep.idle == 0 {
            return;
        }
        let slot = self.slot(connection.slot, connection.address);
        if slot.idle.len() >= keep.idle {
            slot.idle.pop_front();
        }
        connection.idle_since = now;
        slot.idle.push_back(connection);
    }

    /// Closes the connections that have been idle for too long, or that their backends closed.
    pub(super) fn sweep(&mut self, now: Duration) {
        let timeout = self.keep.idle_timeout;
        for slot in &mut self.slots {
            slot.idle.retain(|connection| {
                now.saturating_sub(connection.idle_since) < timeout && !connection.is_spoilt()
            });
        }
    }

    /// Returns the `Host` field of the backend in `slot`, made once.
    pub(super) fn host(&mut self, slot: u16, address: SocketAddr) -> &str {
        &self.slot(slot, address).host
    }

    /// Finds the slot; a backend whose address changed starts without connections.
    fn slot(&mut self, index: u16, address: SocketAddr) -> &mut Slot {
        let index = usize::from(index);
        while self.slots.len() <= index {
            self.slots.push(Slot::new(address));
        }
        let slot = &mut self.slots[index];
        if slot.address != address {
            *slot = Slot::new(address);
        }
        slot
    }
}

impl Slot {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: format!("Host: {address}\r\n").into(),
            idle: VecDeque::new(),
        }
    }
}
