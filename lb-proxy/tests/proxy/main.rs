//! The proxy over real sockets on loopback: raw clients on one side, recording backends on the other.

#![allow(unreachable_pub, reason = "a test has no outside")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run threads and clocks of their own"
)]

mod support;

mod backpressure;
mod chunked_requests;
mod drain;
mod early_answers;
mod forwarding;
mod hop_by_hop;
mod host_rules;
mod interim;
mod keepalive;
mod lingering;
mod pipelining;
mod request_fields;
mod request_framing;
mod request_line;
mod response_framing;
mod response_queue;
mod retries;
mod service;
mod smuggling;
mod status_codes;
mod streams;
mod timeouts;
mod truncation;
mod websocket;
