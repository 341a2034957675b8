#![no_main]
//! See `src/parse.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vrrp_core_fuzz::parse::run(data));
