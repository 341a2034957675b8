//! The packet codec against captures, the RFCs and a slow reference decoder.

mod addresses;
mod captures;
mod corpus;
mod emit;
mod parse;
mod properties;
mod samples;
mod units;

/// What the fuzz targets do, for the tests that share it: the reference decoder and the round trip.
#[path = "../../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a library of its own where cargo-fuzz builds it"
)]
mod fuzz;
