//! The key of the IP authentication header.

use core::fmt;

use ::hmac::{Hmac, KeyInit};
use md5::Md5;

use super::padded;
use crate::config::ConfigError;
use crate::packet::PASSWORD_LEN;

/// The key of the IP authentication header: a password of 1 to 8 octets, padded with zeros, as keepalived uses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AhKey([u8; PASSWORD_LEN]);

impl AhKey {
    /// Makes one from the password (`auth_pass`).
    ///
    /// # Errors
    /// [`ConfigError::PasswordLength`] when it is empty or longer than 8 octets; keepalived cuts it there.
    pub fn new(password: &str) -> Result<Self, ConfigError> {
        padded(password).map(Self)
    }

    pub(crate) fn mac(&self) -> Hmac<Md5> {
        // RFC 2104 §2: a key shorter than a block is padded with zeros.
        let mut block = [0; 64];
        block[..PASSWORD_LEN].copy_from_slice(&self.0);
        Hmac::new(&block.into())
    }
}

impl fmt::Debug for AhKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AhKey(…)")
    }
}
