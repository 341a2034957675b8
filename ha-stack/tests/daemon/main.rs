//! The daemon on real sockets: two of them, from the tutorial's own files.

#[path = "../support/mod.rs"]
mod support;

mod keepalived;
mod life;
mod proxy;
mod takeover;

mod process;
mod tutorial;
