#![no_main]
//! See `src/chunked.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_proxy_fuzz::chunked::run(data));
