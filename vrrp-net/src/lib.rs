//! vrrp-net
#[cfg(feature = "lab")]
pub mod lab;
#[cfg(feature = "lab")]
mod sys;
