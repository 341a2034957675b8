//! What the fuzz targets do, apart from libFuzzer, so that a test on stable Rust can replay their corpus.

pub mod chunked;
pub mod heads;
pub mod proxy_protocol;
pub mod reference;

/// The codec itself: it is no public part of the crate.
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "a proxy uses more of it than its fuzz targets"
)]
#[path = "../../src/h1/mod.rs"]
mod h1;
