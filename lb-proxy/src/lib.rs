//! An HTTP load balancer, in two parts that can be used apart.
//!
//! [`balance`] decides which backend serves a request. It is pure: it opens no socket, reads no clock and
//! starts no thread, and nothing asynchronous is below it. Its strategies are those of nginx and some that
//! nginx lacks, its passive health is nginx's `max_fails` and `fail_timeout`, and a pick costs a few
//! nanoseconds at any number of backends.
//!
#![cfg_attr(
    feature = "proxy",
    doc = "[`proxy`] is the reverse proxy that uses it (feature `proxy`, on by default)."
)]
#![cfg_attr(
    not(feature = "proxy"),
    doc = "`proxy` is the reverse proxy that uses it (feature `proxy`)."
)]
#![cfg_attr(
    feature = "stream",
    doc = "[`stream`] passes TCP connections on (feature `stream`)."
)]
#![cfg_attr(
    not(feature = "stream"),
    doc = "`stream` passes TCP connections on (feature `stream`)."
)]
#![cfg_attr(
    feature = "tls",
    doc = "[`tls`] is TLS towards clients and backends (feature `tls`)."
)]
#![cfg_attr(
    not(feature = "tls"),
    doc = "`tls` is TLS towards clients and backends (feature `tls`)."
)]
//!
//! What a proxy does before and after the choice is pure as well, and works on bytes: [`route`] finds what a host and
//! path lead to, [`forwarded`] tells who the client is and passes it on, [`limit`] counts what a client asks for,
//! [`log`] writes a line for each request, and [`proxy_protocol`] tells the next hop whose connection it is.
//!
//! It is not a web server, it resolves no names and reads no config files; the crate `ha-stack` does the
//! last.
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::balance::{BackendConfig, Outcome, Tried, Upstream, UpstreamConfig};
//!
//! let config = UpstreamConfig::builder("app")
//!     .backend(BackendConfig::new("a", "192.0.2.10:8080".parse()?).weight(5))
//!     .backend(BackendConfig::new("b", "192.0.2.11:8080".parse()?))
//!     .backend(BackendConfig::new("c", "192.0.2.12:8080".parse()?))
//!     .build()?;
//! let upstream = Upstream::new(config);
//! let mut reader = upstream.reader(); // one a worker
//!
//! // The loop of a worker: pick, forward, tell how it went, and on a failure never try the same backend again.
//! let mut tried = Tried::new();
//! while let Some(pick) = reader.pick(Duration::from_secs(1), &tried) {
//!     tried.insert(&pick);
//!     let answered = pick.id().as_str() != "a"; // where a proxy would connect to `pick.address()`
//!     if answered {
//!         pick.finish(Duration::from_secs(1), Outcome::Success);
//!         break;
//!     }
//!     pick.finish(Duration::from_secs(1), Outcome::Failure);
//! }
//! assert_eq!(upstream.status().backends[0].failures, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod balance;
pub mod fields;
pub mod forwarded;
#[cfg(feature = "proxy")]
mod h1;
pub mod limit;
pub mod log;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod proxy_protocol;
pub mod route;
#[cfg(any(feature = "proxy", feature = "stream"))]
mod runtime;
#[cfg(feature = "stream")]
pub mod stream;
pub mod template;
mod text;
#[cfg(feature = "tls")]
pub mod tls;
