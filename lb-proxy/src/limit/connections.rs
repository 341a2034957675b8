//! Connections at a time by client, as nginx's `limit_conn` counts them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::key::{Key, Keyed, LimitError, Prefixes, Shards, check_clients, check_status};

/// A connection limit's settings; [`ConnectionLimit::new`] checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a limit is made of them"]
pub struct ConnectionLimitConfig {
    connections: u32,
    clients: usize,
    prefixes: Prefixes,
    status: u16,
}

impl ConnectionLimitConfig {
    /// So many connections of a client at a time, at least 1.
    pub fn new(connections: u32) -> Self {
        Self {
            connections,
            clients: 1 << 16,
            prefixes: Prefixes::default(),
            status: 503,
        }
    }

    /// Sets of how many clients count is kept: 65,536 by default, some 30 bytes each. As in nginx, further ones are
    /// refused: forgetting one would let it have twice as many. With as many clients as the proxy takes connections
    /// this never happens.
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Sets how many bits of an IPv4 address tell clients apart; 32 by default.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv4 = bits;
        self
    }

    /// Sets how many bits of an IPv6 address tell clients apart; 64 by default, 128 is nginx's.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv6 = bits;
        self
    }

    /// Sets the status of refusals, 400 to 599: 503 by default, as in nginx; 429 says that it is the client's doing.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// Connections at a time by client; clones share their counts, and so do all workers.
///
/// What is counted is up to the driver: connections from their beginning to their end, or, as nginx does, requests
/// under way.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: Shards<Shard>,
    config: ConnectionLimitConfig,
}

#[derive(Debug)]
struct Shard {
    open: HashMap<Key, u32, Keyed>,
    capacity: usize,
    refused: u64,
}

impl ConnectionLimit {
    /// Makes a limit that counts from now on.
    ///
    /// # Errors
    /// No connections, or a number of clients, prefix or status outside its range.
    pub fn new(config: ConnectionLimitConfig) -> Result<Self, LimitError> {
        if config.connections == 0 {
            return Err(LimitError::NoConnections);
        }
        check_clients(config.clients)?;
        check_status(config.status)?;
        config.prefixes.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                shards: Shards::new(config.clients, |capacity, hashing| Shard {
                    open: HashMap::with_hasher(hashing),
                    capacity,
                    refused: 0,
                }),
                config,
            }),
        })
    }

    /// Counts one more connection of `client` for as long as the permit lives; `None` if it has as many as it may, or
    /// if there is no room to count it. Then the answer is [`status`](Self::status).
    #[must_use = "the connection is counted for as long as the permit lives"]
    pub fn acquire(&self, client: IpAddr) -> Option<Permit> {
        let key = self.inner.config.prefixes.key(client);
        self.inner
            .shards
            .lock(key)
            .acquire(key, self.inner.config.connections)
            .then(|| Permit {
                key,
                inner: Arc::clone(&self.inner),
            })
    }

    /// The status to refuse with.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.config.status
    }

    /// What it was made of: who applies a new config keeps this limit, and its counts, if that is the same.
    pub fn config(&self) -> ConnectionLimitConfig {
        self.inner.config
    }

    /// How many were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inner.shards.each().map(|shard| shard.refused).sum()
    }

    /// How many connections are counted at the moment.
    #[must_use]
    pub fn open(&self) -> u64 {
        let shards = self.inner.shards.each();
        shards
            .map(|shard| shard.open.values().map(|&open| u64::from(open)).sum::<u64>())
            .sum()
    }
}

impl Shard {
    fn acquire(&mut self, key: Key, most: u32) -> bool {
        let full = self.open.len() >= self.capacity;
        let admitted = match self.open.get_mut(&key) {
            Some(open) if *open >= most => false,
            Some(open) => {
                *open += 1;
                true
            }
            None if full => false,
            None => {
                self.open.insert(key, 1);
                true
            }
        };
        self.refused += u64::from(!admitted);
        admitted
    }

    fn release(&mut self, key: Key) {
        if let Some(open) = self.open.get_mut(&key) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&key);
            }
        }
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
#[must_use = "the connection is counted for as long as the permit lives"]
pub struct Permit {
    key: Key,
    inner: Arc<Inner>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.inner.shards.lock(self.key).release(self.key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_client_has_its_own_count() {
        let limit = ConnectionLimit::new(ConnectionLimitConfig::new(2)).unwrap();
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = limit.acquire(a);
        let second = limit.acquire(a);
        assert!(first.is_some() && second.is_some() && limit.acquire(a).is_none());
        let other = limit.acquire(b);
        assert!(other.is_some());
        drop(first);
        let third = limit.acquire(a);
        assert!(third.is_some() && limit.acquire(a).is_none());
        assert_eq!((limit.open(), limit.refused()), (3, 2));
        drop((second, third, other));
        assert_eq!(limit.open(), 0);
    }

    #[test]
    fn memory_is_bounded_and_counts_stay_true() {
        let limit = ConnectionLimit::new(ConnectionLimitConfig::new(5).clients(2)).unwrap();
        let client = |octet| IpAddr::from([192, 0, 2, octet]);
        let held: Vec<Permit> = [1, 2, 1]
            .into_iter()
            .filter_map(|octet| limit.acquire(client(octet)))
            .collect();
        assert_eq!(held.len(), 3);
        assert!(limit.acquire(client(3)).is_none());
        drop(held);
        assert!(limit.acquire(client(3)).is_some());
    }

    #[test]
    fn a_permit_outlives_the_limit_and_threads_share_it() {
        let limit = ConnectionLimit::new(ConnectionLimitConfig::new(1)).unwrap();
        let client = IpAddr::from([192, 0, 2, 1]);
        let permit = limit.acquire(client).unwrap();
        let clone = limit.clone();
        drop(limit);
        std::thread::scope(|scope| {
            scope.spawn(move || drop(permit));
        });
        assert!(clone.acquire(client).is_some());
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let config = ConnectionLimitConfig::new(1);
        let none = ConnectionLimit::new(ConnectionLimitConfig::new(0));
        assert_eq!(none.unwrap_err(), LimitError::NoConnections);
        assert_eq!(
            ConnectionLimit::new(config.clients(0)).unwrap_err(),
            LimitError::Clients { got: 0 }
        );
        assert_eq!(
            ConnectionLimit::new(config.status(200)).unwrap_err(),
            LimitError::Status { got: 200 }
        );
        assert!(ConnectionLimit::new(config.ipv6_prefix(0)).is_err());
        assert_eq!(ConnectionLimit::new(config.status(429)).unwrap().status(), 429);
    }

    proptest! {
        #[test]
        fn it_admits_what_a_list_of_connections_admits(
            most in 1_u32..4,
            steps in proptest::collection::vec((0_u8..4, any::<Option<prop::sample::Index>>()), 0..100),
        ) {
            let limit = ConnectionLimit::new(ConnectionLimitConfig::new(most)).unwrap();
            let mut open: Vec<(u8, Permit)> = Vec::new();
            for (client, close) in steps {
                if let Some(close) = close.filter(|_| !open.is_empty()) {
                    drop(open.remove(close.index(open.len())));
                    continue;
                }
                let has = open.iter().filter(|(owner, _)| *owner == client).count();
                let permit = limit.acquire([10, 0, 0, client].into());
                prop_assert_eq!(permit.is_some(), has < most as usize);
                open.extend(permit.map(|permit| (client, permit)));
                prop_assert_eq!(limit.open(), open.len() as u64);
            }
        }
    }
}
