//! The `ha-stack` daemon.
#![forbid(unsafe_code)]

fn main() {}
