//! Clients as limits tell them apart, and where they are counted.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most clients that one limit keeps count of.
pub const MAX_CLIENTS: usize = 1 << 24;

/// The most that a status may be, and the least.
const STATUSES: std::ops::RangeInclusive<u16> = 400..=599;

/// A client's address without the bits that are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

/// How many bits of an address are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) ipv4: u8,
    pub(super) ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl Prefixes {
    pub(super) fn check(self) -> Result<(), LimitError> {
        for (got, most) in [(self.ipv4, 32), (self.ipv6, 128)] {
            if !(1..=most).contains(&got) {
                return Err(LimitError::Prefix { got, most });
            }
        }
        Ok(())
    }

    /// An IPv4 address of a dual-stack socket counts as IPv4.
    #[inline]
    pub(super) fn key(self, address: IpAddr) -> Key {
        let (address, ignored): (Ipv6Addr, u8) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 32 - self.ipv4),
            IpAddr::V6(address) => (address, 128 - self.ipv6),
        };
        Key(address.to_bits() & (u128::MAX << ignored))
    }
}

/// What limits refuse to be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A rate of zero, or one that can't be counted.
    #[error("a rate is 1 to {most} requests a second, or 1 to {most} a minute, not {got}")]
    Rate {
        /// What was given.
        got: u32,
        /// The greatest.
        most: u32,
    },
    /// A burst that can't be counted.
    #[error("a burst is at most {most} requests, not {got}")]
    Burst {
        /// What was given.
        got: u32,
        /// The greatest.
        most: u32,
    },
    /// No connections at all.
    #[error("a client may have at least one connection")]
    NoConnections,
    /// No clients, or too many.
    #[error("a limit keeps count of 1 to {MAX_CLIENTS} clients, not {got}")]
    Clients {
        /// What was given.
        got: usize,
    },
    /// A prefix that is none.
    #[error("a prefix has 1 to {most} bits, not {got}")]
    Prefix {
        /// What was given.
        got: u8,
        /// The bits of such an address.
        most: u8,
    },
    /// A status that doesn't refuse.
    #[error("a refusal has a status from 400 to 599, not {got}: 429 or 503 are usual")]
    Status {
        /// What was given.
        got: u16,
    },
}

pub(super) fn check_clients(got: usize) -> Result<(), LimitError> {
    (1..=MAX_CLIENTS)
        .contains(&got)
        .then_some(())
        .ok_or(LimitError::Clients { got })
}

pub(super) fn check_status(got: u16) -> Result<(), LimitError> {
    STATUSES
        .contains(&got)
        .then_some(())
        .ok_or(LimitError::Status { got })
}

/// Something for each client, split by the hash of the client.
#[derive(Debug)]
pub(super) struct Shards<T> {
    shards: Box<[Shard<T>]>,
    hashing: Keyed,
}

/// On cache lines of its own: workers lock neighbours at the same time.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

/// Enough that a handful of workers rarely meet, few enough that each holds its share of the clients.
const MAX_SHARDS: usize = 32;

/// With fewer clients than this a shard, chance would fill one long before the others.
const LEAST_PER_SHARD: usize = 256;

impl<T> Shards<T> {
    /// Shards for so many clients; `new` makes one for its share of them.
    pub(super) fn new(clients: usize, mut new: impl FnMut(usize, Keyed) -> T) -> Self {
        let count = (clients / LEAST_PER_SHARD)
            .next_power_of_two()
            .clamp(1, MAX_SHARDS);
        let hashing = Keyed::random();
        let share = clients.div_ceil(count);
        Self {
            shards: (0..count)
                .map(|_| Shard(Mutex::new(new(share, hashing))))
                .collect(),
            hashing,
        }
    }

    #[inline]
    pub(super) fn lock(&self, key: Key) -> MutexGuard<'_, T> {
        // A table takes the low and the topmost bits.
        let index = (self.hashing.hash_one(key) >> 32) as usize & (self.shards.len() - 1);
        lock(&self.shards[index].0)
    }

    /// All shards, one after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.shards.iter().map(|shard| lock(&shard.0))
    }
}

/// What a thread that panicked left is a count like any other.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A quick hash with a secret: clients choose their addresses, so without one they could choose their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    secret: [u64; 2],
}

impl Keyed {
    fn random() -> Self {
        let state = RandomState::new();
        Self {
            secret: [state.hash_one(0) | 1, state.hash_one(1)],
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher {
            secret: self.secret,
            state: 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct KeyedHasher {
    secret: [u64; 2],
    state: u64,
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(byte.into());
        }
    }

    #[inline]
    fn write_u128(&mut self, key: u128) {
        let [multiplier, added] = self.secret;
        let half = fold(key as u64 ^ self.state ^ added, multiplier);
        self.state = fold(half ^ (key >> 64) as u64, multiplier.rotate_left(32) ^ added);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_by_their_prefix() {
        let key = |text: &str| Prefixes::default().key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        let wide = Prefixes { ipv4: 24, ipv6: 128 };
        assert_eq!(wide.key([192, 0, 2, 1].into()), wide.key([192, 0, 2, 200].into()));
        assert_ne!(wide.key([0; 16].into()), wide.key("::1".parse().unwrap()));
        for (ipv4, ipv6) in [(0, 64), (33, 64), (32, 0), (32, 129)] {
            assert!(Prefixes { ipv4, ipv6 }.check().is_err());
        }
    }

    #[test]
    fn neighbouring_clients_spread_over_all_shards() {
        let shards = Shards::new(1 << 16, |_, _| 0_u32);
        let clients = 32_000_u32;
        for client in 0..clients {
            *shards.lock(Prefixes::default().key(client.to_be_bytes().into())) += 1;
        }
        let counts: Vec<u32> = shards.each().map(|count| *count).collect();
        assert_eq!(counts.len(), MAX_SHARDS);
        assert!(
            counts.iter().all(|count| (700..1_300).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn few_clients_need_one_shard() {
        assert_eq!(
            Shards::new(1, |share, _| share)
                .each()
                .map(|share| *share)
                .collect::<Vec<_>>(),
            [1]
        );
        let shares: Vec<usize> = Shards::new(1_000, |share, _| share)
            .each()
            .map(|share| *share)
            .collect();
        assert_eq!(shares, [250; 4]);
    }
}
