//! nginx's `ip_hash`: the client's network decides.

use std::net::IpAddr;

use super::Key;
use super::modulo::Modulo;
use super::placement::Placed;

/// Clients of one IPv4 /24, and of one IPv6 address, belong to one backend.
#[derive(Debug)]
pub(super) struct IpHash(Modulo);

impl IpHash {
    pub(super) fn new(placed: &[Placed]) -> Self {
        Self(Modulo::new(placed))
    }

    /// Where `key` belongs; if that is not `fit`, where it does hashed on.
    pub(super) fn find(&self, key: Key<'_>, tried: usize, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let (v4, v6, hashed);
        let bytes = match key {
            Key::Ip(IpAddr::V4(ip)) => {
                v4 = ip.octets();
                &v4[..3]
            }
            Key::Ip(IpAddr::V6(ip)) => {
                v6 = ip.octets();
                &v6[..]
            }
            Key::Bytes(bytes) => bytes,
            Key::Hash(hash) => {
                hashed = hash.to_be_bytes();
                &hashed[..]
            }
            Key::None | Key::Sticky(_) => return None,
        };
        let mut hash = 89;
        self.0.walk(tried, fit, || {
            hash = bytes
                .iter()
                .fold(hash, |hash, &byte| (hash * 113 + u64::from(byte)) % 6_271);
            hash
        })
    }
}
