//! TCP mode over loopback sockets: what clients send and backends see, and how connections end.

mod connecting;
mod forwarding;
mod lifecycle;
mod proxy_protocol;
mod resets;
mod support;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
