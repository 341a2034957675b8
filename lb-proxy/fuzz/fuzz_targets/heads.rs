#![no_main]
//! See `src/heads.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_proxy_fuzz::heads::run(data));
