//! The proxy over real sockets on loopback: raw clients on one side, recording backends on the other.

#![allow(unreachable_pub, reason = "a test has no outside")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run threads and clocks of their own"
)]

mod support;

mod access_log;
mod apply;
mod backpressure;
mod chunked_requests;
mod drain;
mod early_answers;
mod forwarding;
mod h2_floods;
mod h2_requests;
mod h2_streams;
mod hop_by_hop;
mod host_rules;
mod interim;
mod keepalive;
mod limits;
mod lingering;
mod pipelining;
mod proxy_header;
mod request_fields;
mod request_framing;
mod request_line;
mod response_framing;
mod response_queue;
mod retries;
mod routes;
mod service;
mod smuggling;
mod status_codes;
mod streams;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod truncation;
mod websocket;
