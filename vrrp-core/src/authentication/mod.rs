//! How adverts prove who sent them: settings and keys, and what a router remembers against replay.
//!
//! VRRPv2 knows a password that anyone on the link can read, and the IP authentication header in the form that
//! keepalived gives it. VRRPv3 has a trailer with HMAC-SHA256 (draft-cassen-vrrp-auth-hmac, keepalived since 2.4.2).
//! What they look like on the wire is in [`packet`](crate::packet).

mod ah;
mod hmac;
mod replay;
mod sequence;

use core::fmt;

use crate::config::ConfigError;
use crate::packet::PASSWORD_LEN;
pub use ah::AhKey;
pub use hmac::{AntiReplay, HmacConfig, HmacError, HmacKey, HmacKeys, HmacMode};
pub(crate) use replay::Replay;
pub use sequence::Sequence;
pub(crate) use sequence::WallClock;

/// Authentication as configured.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum AuthenticationConfig {
    /// None: type 0 in VRRPv2, no trailer in VRRPv3.
    #[default]
    None,
    /// VRRPv2's simple text password (RFC 2338 §5.3.6): type 1, padded with zeros to eight octets. Anyone on the link
    /// can read it.
    Simple([u8; PASSWORD_LEN]),
    /// VRRPv2's IP authentication header (RFC 2338 §5.3.6) as keepalived sends it: type 2, HMAC-MD5-96.
    Ah(AhKey),
    /// VRRPv3's trailer with HMAC-SHA256 (keepalived's `auth_hmac`).
    Hmac(HmacConfig),
}

impl AuthenticationConfig {
    /// A simple text password of 1 to 8 octets.
    ///
    /// # Errors
    /// When it is empty or longer; keepalived cuts a longer one to 8, and so may its caller.
    pub fn simple(password: &str) -> Result<Self, ConfigError> {
        padded(password).map(Self::Simple)
    }

    /// The IP authentication header with a password of 1 to 8 octets.
    ///
    /// # Errors
    /// When it is empty or longer; keepalived cuts a longer one to 8, and so may its caller.
    pub fn ah(password: &str) -> Result<Self, ConfigError> {
        AhKey::new(password).map(Self::Ah)
    }
}

impl From<HmacConfig> for AuthenticationConfig {
    fn from(config: HmacConfig) -> Self {
        Self::Hmac(config)
    }
}

impl fmt::Debug for AuthenticationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            // A password never reaches a log.
            Self::Simple(_) => f.write_str("Simple(…)"),
            Self::Ah(_) => f.write_str("Ah(…)"),
            Self::Hmac(config) => f.debug_tuple("Hmac").field(config).finish(),
        }
    }
}

/// A password as VRRPv2 carries it, and as keepalived keys its AH.
fn padded(password: &str) -> Result<[u8; PASSWORD_LEN], ConfigError> {
    let len = password.len();
    if !(1..=PASSWORD_LEN).contains(&len) {
        return Err(ConfigError::PasswordLength { got: len });
    }
    let mut octets = [0; PASSWORD_LEN];
    octets[..len].copy_from_slice(password.as_bytes());
    Ok(octets)
}
