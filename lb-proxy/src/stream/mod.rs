//! TCP mode: connections are passed on byte for byte, as by nginx's `stream` (feature `stream`).
//!
//! [`StreamServer`] listens, picks a backend of an [`Upstream`](crate::balance::Upstream) for each connection, by the
//! client's address where the strategy wants a key, and copies both ways until both sides are done:
//!
//! - **Ends**: the end of one direction (FIN) is passed on while the other goes on; a reset is passed on as a reset.
//! - **Time**: a connect has a timeout, after which the next backend is tried; a connection over which nothing has
//!   moved either way for the idle timeout is closed.
//! - **Back-pressure**: each direction has one buffer of 64 KiB, which it holds only while it waits for a slow
//!   reader. Idle connections hold none.
//! - **PROXY protocol**: in, from trusted peers, and out, in both versions.
#![cfg_attr(
    feature = "tls",
    doc = "- **TLS**: ended here ([`tls`](StreamConfigBuilder::tls)), and begun towards backends ([`upstream_tls`](StreamConfigBuilder::upstream_tls))."
)]
#![cfg_attr(
    not(feature = "tls"),
    doc = "- **TLS**: ended here, and begun towards backends (feature `tls`)."
)]
//!
//! A backend that can't be reached, or breaks a connection off on which it has said nothing, counts as failed as it
//! would in a proxied request; a connection that is made brings a failed one back.
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
//! use lb_proxy::stream::{StreamConfig, StreamServer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let databases = UpstreamConfig::builder("databases")
//!     .backend(BackendConfig::new("db-1", "127.0.0.1:5432".parse()?))
//!     .backend(BackendConfig::new("db-2", "127.0.0.1:5433".parse()?).spare(true))
//!     .build()?;
//! let config = StreamConfig::builder(Upstream::new(databases))
//!     .listen("127.0.0.1:0".parse()?)
//!     .workers(1)
//!     .build()?;
//! let server = StreamServer::spawn(config)?;
//! println!("listening on {}", server.addresses()[0]);
//! // … until it is time to go:
//! server.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```

mod buffers;
mod config;
mod connect;
mod counters;
mod incoming;
mod relay;
mod server;
mod service;
mod transport;

pub use crate::runtime::clock::now;
pub use crate::runtime::workers::{ServerState, StartError};
pub use config::{ConfigError, StreamConfig, StreamConfigBuilder};
pub use counters::StreamCounters;
pub use server::{ApplyError, StreamHandle, StreamServer, StreamStatus};
