//! The reverse proxy: listeners, upstream pools, forwarding.
//!
//! [`Server`] listens and runs a [`ProxyService`] in each of its workers; the service by itself is a `tower::Service` for
//! programs that have a server of their own. A worker is a thread with its own runtime, its own SO_REUSEPORT listeners
//! and its own connections to backends, so that workers share nothing on the way of a request but the
//! [balancer](crate::balance)'s cursor.
//!
//! What a backend sees is always a well-formed HTTP/1.1 request with an origin-form target, one valid `Host` and one
//! framing, whatever the client sent; a client that breaks the protocol is told so and its connection is closed (of
//! HTTP/2, the stream, if no more than that is broken).
//! Bodies stream both ways and are never buffered beyond what a retry needs.
//!
//! # A proxy in a few lines
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
//! use lb_proxy::proxy::{ProxyConfig, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = UpstreamConfig::builder("app")
//!     .backend(BackendConfig::new("tomcat-1", "127.0.0.1:8080".parse()?))
//!     .backend(BackendConfig::new("tomcat-2", "127.0.0.1:8081".parse()?))
//!     .build()?;
//! let config = ProxyConfig::builder(Upstream::new(app))
//!     .listen("127.0.0.1:0".parse()?)
//!     .workers(1)
//!     .build()?;
//! let proxy = Server::spawn(config)?;
//! println!("listening on {}", proxy.addresses()[0]);
//! // … until it is time to go:
//! proxy.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # When nothing answers
//!
//! | status | when |
//! |---|---|
//! | 502 | a backend refused or broke the connection, or its answer is not HTTP, and no other could be tried |
//! | 503 | no backend can take the request: all down, failed, tried (nginx says 502 "no live upstreams"), or full |
//! | 504 | a backend did not accept, take the request, or answer in time, and no other could be tried |
//!
//! The body is one line with the [`Reason`]. The backend's name, address and error go to the log alone.
//!
//! # When a request is sent again
//!
//! To the next backend, never twice to the same, at most
//! [`retry_tries`](ProxyConfigBuilder::retry_tries) in all, and only before a byte of a response went to the client:
//!
//! - any request of which no byte was written: the connect failed, or a kept connection turned out to be closed;
//! - an idempotent one (RFC 9110 §9.2.2: GET, HEAD, OPTIONS, PUT, DELETE) after an error or a timeout, if its body
//!   still fits the [replay buffer](ProxyConfigBuilder::replay_buffer), and within a [budget](ProxyConfigBuilder::retry_percent):
//!   a backend may have done the work already, and when all are slow, more of it is the last thing they need.
//!
//! A POST, PATCH or other request goes over a new connection, or one that was in use within the last second, so that
//! it hardly ever meets a connection that the backend is closing.
//!
//! # HTTP/2
//!
//! A client that begins with the preface of HTTP/2 is [served by it](ProxyConfigBuilder::http2) (RFC 9113 §3.3, "prior
//! knowledge"; `Upgrade: h2c` is never followed). Backends see what an HTTP/1.1 client would have sent: `:authority` as
//! `Host`, the crumbs of a cookie in one line. Limits and timeouts are those of HTTP/1.1, per stream where they are of a
//! request; a response that breaks off ends in RST_STREAM. An idle connection, one that has had its
//! [requests](ProxyConfigBuilder::keepalive_requests), and one of a server that drains end with GOAWAY, and so does one
//! on which a client sends frames for their own sake: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM or empty DATA,
//! a thousand beyond what its traffic explains. A connection holds at most 512 KiB of request bodies (256 KiB of one),
//! and of each response 64 KiB beside what HTTP/1.1 would hold.
//!
//! # What it doesn't do
//!
//! `100 Continue` is the proxy's own, sent when a backend takes the body; other interim responses (103) are passed on
//! to HTTP/1.1. Trailers of a request are passed on, those of a response to clients that send `TE: trailers`; fields
//! that a head decides (RFC 9110 §6.5.1) are left out of both. A request with both `Content-Length` and
//! `Transfer-Encoding` is refused.

mod acceptor;
mod answer;
mod attempts;
mod body;
mod budget;
mod buffer;
mod client;
mod config;
mod connection;
mod core;
mod counters;
mod date;
mod exchange;
mod handle;
mod host;
mod http2;
mod incoming;
mod journal;
mod lease;
mod local;
mod policy;
mod pool;
mod receive;
mod relay;
mod request;
mod response;
mod serve;
mod server;
mod service;
mod source;
mod transport;
mod tunnel;
mod upload;

pub use crate::runtime::clock::now;
pub use crate::runtime::workers::{ServerState, StartError};
pub use answer::Reason;
pub use body::{ResponseBody, ResponseError};
pub use config::{ConfigError, ProxyConfig, ProxyConfigBuilder};
pub use counters::ProxyCounters;
pub use policy::{ForwardedPolicy, HostPolicy};
pub use server::{ApplyError, Server, ServerHandle, ServerStatus};
pub use service::{ClientAddr, ProxyService, ResponseFuture};
