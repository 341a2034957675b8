//! The `ha-stack` daemon.
fn main() {}
