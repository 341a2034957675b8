#![no_main]
//! See `src/roundtrip.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vrrp_core_fuzz::roundtrip::run(data));
