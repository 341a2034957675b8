#![no_main]
//! See `src/router.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vrrp_core_fuzz::router::run(data));
