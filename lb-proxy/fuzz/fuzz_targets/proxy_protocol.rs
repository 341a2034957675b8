#![no_main]
//! See `src/proxy_protocol.rs`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_proxy_fuzz::proxy_protocol::run(data));
