//! Virtual MAC addresses on the real kernel: what clients see of a takeover, and what they don't.

#[path = "../node/mod.rs"]
mod node;

mod adverts;
mod forwarding;
mod masters;
mod neighbours;
mod takeover;

mod world;
