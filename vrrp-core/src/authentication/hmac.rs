//! Keys and settings of the HMAC trailer.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use ::hmac::{Hmac, KeyInit};
use sha2::Sha256;

use crate::AdverInterval;

/// Octets of a block of SHA-256, to which HMAC pads its key with zeros (RFC 2104 §2).
const BLOCK: usize = 64;

/// A key of the HMAC trailer, with the number by which an advert names it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HmacKey {
    id: u8,
    /// Padded with zeros, which changes nothing in HMAC.
    block: [u8; BLOCK],
}

impl HmacKey {
    /// Shortest secret, in octets, as in keepalived.
    pub const MIN_LEN: usize = 32;
    /// Longest secret, in octets, as in keepalived.
    pub const MAX_LEN: usize = BLOCK;

    /// Makes a key of 32 to 64 octets. They should be random, not a password.
    ///
    /// # Errors
    /// [`HmacError::KeyLength`]; [`HmacError::KeyZero`] when every octet is zero.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, HmacError> {
        let got = secret.len();
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&got) {
            return Err(HmacError::KeyLength { id, got });
        }
        if secret.iter().all(|octet| *octet == 0) {
            return Err(HmacError::KeyZero { id });
        }
        let mut block = [0; BLOCK];
        block[..got].copy_from_slice(secret);
        Ok(Self { id, block })
    }

    /// The number that adverts name it by.
    pub fn id(&self) -> u8 {
        self.id
    }

    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        Hmac::new(&self.block.into())
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret never reaches a log.
        f.debug_struct("HmacKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys that a router accepts, and the one that it signs with. There is at least one, and each has its own number.
///
/// To rotate without a transition, in three steps of each node: accept the new key beside the old one, sign with the
/// new one, drop the old one ([`VirtualRouter::set_hmac`](crate::VirtualRouter::set_hmac)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HmacKeys {
    keys: Box<[HmacKey]>,
    active: u8,
}

impl HmacKeys {
    /// Takes the keys, and the number of the one to sign with (`active_key`).
    ///
    /// # Errors
    /// [`HmacError::NoKeys`], [`HmacError::DuplicateKey`], [`HmacError::UnknownActive`].
    pub fn new(keys: impl IntoIterator<Item = HmacKey>, active: u8) -> Result<Self, HmacError> {
        let keys: Box<[HmacKey]> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(HmacError::NoKeys);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id == key.id) {
                return Err(HmacError::DuplicateKey { id: key.id });
            }
        }
        let known = Self { keys, active };
        match known.find(active) {
            Some(_) => Ok(known),
            None => Err(HmacError::UnknownActive { id: active }),
        }
    }

    /// The number of the key that adverts are signed with.
    pub fn active(&self) -> u8 {
        self.active
    }

    /// The numbers of all keys that are accepted, in the order given.
    pub fn ids(&self) -> impl Iterator<Item = u8> {
        self.keys.iter().map(|key| key.id)
    }

    pub(crate) fn find(&self, id: u8) -> Option<&HmacKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub(crate) fn active_key(&self) -> &HmacKey {
        // `new` has seen that it is among them.
        self.find(self.active).unwrap_or(&self.keys[0])
    }
}

impl From<HmacKey> for HmacKeys {
    /// One key, to sign with and to accept.
    fn from(key: HmacKey) -> Self {
        Self {
            active: key.id,
            keys: Box::new([key]),
        }
    }
}

/// Who signs, and who is believed. A network moves to authentication by way of all three, one node after the other at
/// each: receive-only, permissive, enforce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HmacMode {
    /// Signs, and accepts signed adverts alone.
    #[default]
    Enforce,
    /// Signs, and accepts adverts without trailer too. A trailer that is wrong is refused.
    Permissive,
    /// Doesn't sign, and accepts as [`Permissive`](Self::Permissive) does: for peers that do not know the trailer yet.
    ReceiveOnly,
}

impl HmacMode {
    /// Whether adverts carry a trailer.
    pub fn signs(self) -> bool {
        self != Self::ReceiveOnly
    }
}

/// What keeps an advert that was captured from being believed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AntiReplay {
    /// Its time must be within the window around ours, and its sequence above the last of the same sender. The hosts'
    /// clocks must agree.
    #[default]
    Time,
    /// Its sequence must be above the last of the same sender, whatever the time. A capture from before this router
    /// started is believed, until the sender is heard; and a sender that starts anew with a clock that was set back is
    /// not heard until it has caught up.
    Monotonic,
}

/// Settings of the HMAC trailer (keepalived's `auth_hmac`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HmacConfig {
    pub(crate) keys: HmacKeys,
    pub(crate) mode: HmacMode,
    pub(crate) anti_replay: AntiReplay,
    window_secs: Option<u16>,
}

impl HmacConfig {
    /// Longest window.
    pub const MAX_WINDOW: Duration = Duration::from_secs(300);
    /// Least window that follows from the interval: five seconds.
    const LEAST_DEFAULT_SECS: u16 = 5;

    /// Starts from the defaults: enforce, by time, and a window of three intervals, at least 5 s.
    pub fn new(keys: impl Into<HmacKeys>) -> Self {
        Self {
            keys: keys.into(),
            mode: HmacMode::default(),
            anti_replay: AntiReplay::default(),
            window_secs: None,
        }
    }

    /// The same with other keys.
    #[must_use]
    pub fn with_keys(self, keys: impl Into<HmacKeys>) -> Self {
        Self {
            keys: keys.into(),
            ..self
        }
    }

    /// The same in another mode (`mode`). Default: enforce.
    #[must_use]
    pub fn with_mode(self, mode: HmacMode) -> Self {
        Self { mode, ..self }
    }

    /// The same with another guard against replay (`anti_replay`). Default: by time.
    #[must_use]
    pub fn with_anti_replay(self, anti_replay: AntiReplay) -> Self {
        Self { anti_replay, ..self }
    }

    /// The same with a window of so many seconds, 1 to 300 (`time_window`). Default: three intervals, at least 5 s.
    ///
    /// # Errors
    /// [`HmacError::Window`].
    pub fn with_window(self, window: Duration) -> Result<Self, HmacError> {
        if window.is_zero() || window.subsec_nanos() != 0 || window > Self::MAX_WINDOW {
            return Err(HmacError::Window { got: window });
        }
        Ok(Self {
            // At most 300.
            window_secs: Some(window.as_secs() as u16),
            ..self
        })
    }

    /// Keys.
    pub fn keys(&self) -> &HmacKeys {
        &self.keys
    }

    /// Who signs, and who is believed.
    pub fn mode(&self) -> HmacMode {
        self.mode
    }

    /// Guard against replay.
    pub fn anti_replay(&self) -> AntiReplay {
        self.anti_replay
    }

    /// How far a sender's clock may be from ours, for a router of this interval.
    pub fn window(&self, adver_interval: AdverInterval) -> Duration {
        Duration::from_secs(u64::from(self.window_secs(adver_interval)))
    }

    /// The wire's unit: whole seconds.
    pub(crate) fn window_secs(&self, adver_interval: AdverInterval) -> u16 {
        // The longest interval is 255 s.
        let three_intervals = (3 * u32::from(adver_interval.centis())).div_ceil(100) as u16;
        let default = three_intervals.max(Self::LEAST_DEFAULT_SECS);
        self.window_secs.unwrap_or(default)
    }
}

/// Why settings don't make an HMAC trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HmacError {
    /// A short key can be guessed.
    #[error("HMAC key {id} of {got} octets: use 32 to 64 random octets")]
    KeyLength {
        /// Number of the key.
        id: u8,
        /// Octets given.
        got: usize,
    },
    /// A key of zeros is a place that nobody filled in.
    #[error("HMAC key {id} is all zeros: use 32 to 64 random octets")]
    KeyZero {
        /// Number of the key.
        id: u8,
    },
    /// There must be one to sign with.
    #[error("HMAC without a key: give at least one")]
    NoKeys,
    /// An advert names its key by number.
    #[error("HMAC key {id} stands twice: give each key its own number, 0 to 255")]
    DuplicateKey {
        /// Number of the keys.
        id: u8,
    },
    /// The key to sign with is not among the keys.
    #[error("active HMAC key {id} does not exist: use the number of one of the keys")]
    UnknownActive {
        /// Number given.
        id: u8,
    },
    /// The window is in whole seconds.
    #[error("HMAC time window {got:?}: use whole seconds, 1 to 300")]
    Window {
        /// The window given.
        got: Duration,
    },
}
