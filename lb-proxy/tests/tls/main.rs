//! TLS towards clients and backends, with certificates made here, over streams in memory.

mod client_certificates;
mod files;
mod hot_swap;
mod names;
mod resumption;
mod support;
mod verification;
