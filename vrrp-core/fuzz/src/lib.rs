//! What the fuzz targets do, apart from libFuzzer, so that a test on stable Rust can replay their corpus.

pub mod input;
pub mod parse;
pub mod reference;
pub mod roundtrip;
pub mod router;
