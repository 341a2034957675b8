//! A worker's upstream connections, by the slot of their backend: no key, no hash, the last used first.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;

use super::config::Keep;
use super::upload::RequestBody;
use super::upstream_io::UpstreamState;

/// One connection to a backend. Dropping it closes it, whatever it is doing.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) state: Arc<UpstreamState>,
    /// The task that reads and writes the socket.
    pub(super) driver: AbortHandle,
    pub(super) slot: u16,
    pub(super) address: SocketAddr,
    /// How long the backend said that it keeps an idle connection (`Keep-Alive: timeout`), if it did.
    pub(super) announced: Option<Duration>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without this a connection whose response ended before its request would never close.
        self.driver.abort();
    }
}

/// The idle connections of one worker.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    keep: Keep,
}

#[derive(Debug)]
struct Slot {
    address: SocketAddr,
    host: HeaderValue,
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
            let idle = last.state.idle_for(now);
            if last.sender.is_closed() || last.announced.is_some_and(|announced| idle >= announced) {
                slot.idle.pop_back();
            } else if idle < within {
                return slot.idle.pop_back();
            } else {
                return None;
            }
        }
    }

    /// Keeps a connection whose last request and response are complete, unless it is worn out or there are enough.
    pub(super) fn put(&mut self, connection: Connection, now: Duration) {
        let keep = self.keep;
        if connection.sender.is_closed() || connection.state.requests() >= keep.requests || keep.idle == 0 {
            return;
        }
        let slot = self.slot(connection.slot, connection.address);
        while slot.idle.front().is_some_and(|oldest| oldest.sender.is_closed())
            || slot.idle.len() >= keep.idle
        {
            slot.idle.pop_front();
        }
        connection.state.idle(now);
        slot.idle.push_back(connection);
    }

    /// Returns the `Host` of the backend in `slot`, made once.
    pub(super) fn host(&mut self, slot: u16, address: SocketAddr) -> HeaderValue {
        self.slot(slot, address).host.clone()
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
        let host =
            HeaderValue::from_str(&address.to_string()).expect("an address and port are visible ASCII");
        Self {
            address,
            host,
            idle: VecDeque::new(),
        }
    }
}
