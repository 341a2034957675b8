//! How much one client may ask for: [`RateLimit`] as nginx's `limit_req`, [`ConnectionLimit`] as its `limit_conn`.
//!
//! Both count by client address; of IPv6 by the first 64 bits, since whoever has one address there has all of them.
//! Both are shared by all workers and split into shards with a lock each, so that two workers rarely meet. Their
//! memory is bounded: see [`RateLimitConfig::clients`] and [`ConnectionLimitConfig::clients`].
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::limit::{ConnectionLimit, ConnectionLimitConfig, RateLimit, RateLimitConfig, Verdict};
//!
//! let rate = RateLimit::new(RateLimitConfig::per_second(2).burst(1).no_delay())?;
//! let (client, now) = ("192.0.2.1".parse()?, Duration::from_secs(7));
//! assert_eq!(rate.check(now, client), Verdict::Pass);
//! assert_eq!(rate.check(now, client), Verdict::Pass); // the burst
//! assert_eq!(rate.check(now, client), Verdict::Refuse); // answered with `rate.status()`
//! assert_eq!(rate.check(now + Duration::from_millis(500), client), Verdict::Pass);
//!
//! let connections = ConnectionLimit::new(ConnectionLimitConfig::new(1))?;
//! let one = connections.acquire(client);
//! assert!(one.is_some() && connections.acquire(client).is_none());
//! drop(one);
//! assert!(connections.acquire(client).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connections;
mod key;
mod rate;
mod recent;

pub use connections::{ConnectionLimit, ConnectionLimitConfig, Permit};
pub use key::{LimitError, MAX_CLIENTS};
pub use rate::{RateLimit, RateLimitConfig, RateLimitStatus, Verdict};
