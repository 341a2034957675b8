//! The router's side of authentication: numbers for what it sends, and checks of what it hears.

use core::net::IpAddr;
use core::time::Duration;

use super::VirtualRouter;
use super::discard::Discard;
use crate::authentication::{AuthenticationConfig, HmacConfig, HmacMode, Replay, Sequence, WallClock};
use crate::packet::Proof;
use crate::{Advert, AhKey, AntiReplay, Authentication, Packet, Priority};

/// What a router remembers of numbers sent and heard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Proofs {
    None,
    Ah {
        /// The highest number sent or accepted from anybody.
        highest: u32,
        heard: Replay<u32>,
    },
    Hmac {
        sent: Option<Sequence>,
        heard: Replay<Sequence>,
    },
}

impl Proofs {
    pub(super) fn new(config: &AuthenticationConfig) -> Self {
        match config {
            AuthenticationConfig::None | AuthenticationConfig::Simple(_) => Self::None,
            AuthenticationConfig::Ah(_) => Self::Ah {
                highest: 0,
                heard: Replay::new(),
            },
            AuthenticationConfig::Hmac(_) => Self::Hmac {
                sent: None,
                heard: Replay::new(),
            },
        }
    }

    /// Remembers the number of an advert that was accepted.
    pub(super) fn accept(&mut self, packet: &Packet<'_>) {
        let source = packet.source();
        match self {
            Self::None => {}
            Self::Ah { highest, heard } => {
                if let Some(header) = packet.ah() {
                    *highest = header.sequence().max(*highest);
                    heard.accept(source, header.sequence());
                }
            }
            Self::Hmac { heard, .. } => {
                if let Some(trailer) = packet.trailer() {
                    heard.accept(source, trailer.sequence());
                }
            }
        }
    }
}

impl VirtualRouter {
    /// Says what the wall clock shows: time since the Unix epoch. For routers with AH or HMAC, before each fact, since
    /// their sequence numbers are times.
    ///
    /// Without it a router with HMAC by time takes its clock to be at the epoch, and accepts nothing.
    pub fn set_wall_clock(&mut self, now: Duration, unix_time: Duration) {
        self.wall_clock = WallClock::new(now, unix_time);
    }

    /// Sets other keys, another mode, guard or window of HMAC, without a change of state. What was heard is remembered.
    ///
    /// # Errors
    /// [`NoHmac`] when the router was not configured with HMAC; nothing changes then.
    pub fn set_hmac(&mut self, config: HmacConfig) -> Result<(), NoHmac> {
        match &mut self.config.authentication {
            AuthenticationConfig::Hmac(current) => {
                *current = config;
                Ok(())
            }
            _ => Err(NoHmac),
        }
    }

    /// The advert to send as [`Output::Advertise`](crate::Output::Advertise) asks, to the group or to each peer: one
    /// number of AH or HMAC serves all of them.
    pub fn next_advert(&mut self, now: Duration, priority: Priority) -> Advert<'_> {
        let unix_time = self.wall_clock.time(now);
        let window = self.hmac_window();
        let proof = match (&self.config.authentication, &mut self.proofs) {
            (AuthenticationConfig::Ah(key), Proofs::Ah { highest, .. }) => {
                *highest = next_ah_sequence(*highest, unix_time);
                Proof::Ah {
                    key,
                    sequence: *highest,
                }
            }
            (AuthenticationConfig::Hmac(config), Proofs::Hmac { sent, .. }) if config.mode.signs() => {
                let sequence = Sequence::next(*sent, unix_time, config.anti_replay, window);
                *sent = Some(sequence);
                Proof::Hmac {
                    key: config.keys.active_key(),
                    sequence,
                }
            }
            _ => Proof::None,
        };
        Advert {
            proof,
            ..self.advert(priority)
        }
    }

    /// Whether the sender has proved that it may speak.
    #[inline]
    pub(super) fn authenticate(&self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
        match &self.proofs {
            Proofs::None => check_plain(&self.config.authentication, packet),
            Proofs::Ah { .. } | Proofs::Hmac { .. } => self.check_proof(now, packet),
        }
    }

    /// Out of line: a MAC takes thousands of instructions, and who has none should not pay for its registers.
    #[inline(never)]
    fn check_proof(&self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
        match (&self.config.authentication, &self.proofs) {
            (AuthenticationConfig::Ah(key), Proofs::Ah { heard, .. }) => check_ah(key, heard, packet),
            (AuthenticationConfig::Hmac(config), Proofs::Hmac { heard, .. }) => {
                self.check_hmac(now, config, heard, packet)
            }
            (expected, _) => check_plain(expected, packet),
        }
    }

    fn check_hmac(
        &self,
        now: Duration,
        config: &HmacConfig,
        heard: &Replay<Sequence>,
        packet: &Packet<'_>,
    ) -> Result<(), Discard> {
        let Some(trailer) = packet.trailer() else {
            return match config.mode {
                HmacMode::Enforce => Err(Discard::Unauthenticated),
                HmacMode::Permissive | HmacMode::ReceiveOnly => Ok(()),
            };
        };
        let id = trailer.key_id();
        let key = config.keys.find(id).ok_or(Discard::UnknownKey { got: id })?;
        // Before its time is looked at, so that what is told of a sender's clock is true.
        if !packet.verifies_trailer(key) {
            return Err(Discard::Mac);
        }
        let (sequence, window) = (trailer.sequence(), self.hmac_window());
        let unix_time = self.wall_clock.time(now);
        let within = |sequence: Sequence| sequence.ahead_of(unix_time).unsigned_abs() <= u32::from(window);
        let by_time = config.anti_replay == AntiReplay::Time;
        if by_time && !within(sequence) {
            return Err(Discard::Window {
                ahead_secs: sequence.ahead_of(unix_time),
                window_secs: window,
            });
        }
        // A mark outside the window keeps nothing away that the window doesn't; without it, a sender is heard again
        // whose clock was wrong for a while.
        let last = heard
            .last(packet.source())
            .filter(|last| !by_time || within(*last));
        match last {
            Some(last) if !sequence.follows(last) => Err(Discard::Replay),
            _ => Ok(()),
        }
    }

    /// How far clocks may differ, in seconds; 0 without HMAC.
    fn hmac_window(&self) -> u16 {
        match &self.config.authentication {
            AuthenticationConfig::Hmac(config) => config.window_secs(self.config.adver_interval),
            _ => 0,
        }
    }
}

/// None, or a password.
fn check_plain(expected: &AuthenticationConfig, packet: &Packet<'_>) -> Result<(), Discard> {
    // A proof that we have no key for.
    if packet.trailer().is_some() || packet.ah().is_some() {
        return Err(Discard::Authentication);
    }
    let same = match (expected, packet.authentication()) {
        (AuthenticationConfig::None, Authentication::None) => true,
        (AuthenticationConfig::Simple(expected), Authentication::Simple(got)) => {
            // Every octet is compared, so that the time taken tells nothing of the password.
            expected
                .iter()
                .zip(got)
                .fold(0, |difference, (a, b)| difference | (a ^ b))
                == 0
        }
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(Discard::Authentication)
    }
}

fn check_ah(key: &AhKey, heard: &Replay<u32>, packet: &Packet<'_>) -> Result<(), Discard> {
    if packet.authentication() != Authentication::Ah {
        return Err(Discard::Authentication);
    }
    let header = packet.ah().ok_or(Discard::Unauthenticated)?;
    if !packet.verifies_ah(key) {
        return Err(Discard::Mac);
    }
    if IpAddr::V4(header.spi()) != packet.source() {
        return Err(Discard::Spi { got: header.spi() });
    }
    match heard.last(packet.source()) {
        Some(last) if header.sequence() <= last => Err(Discard::Replay),
        _ => Ok(()),
    }
}

/// Above all that was sent or heard, as keepalived, which counts both in one; and never below the clock, so that peers
/// hear a router that has started anew.
fn next_ah_sequence(highest: u32, unix_time: Duration) -> u32 {
    let clock = u32::try_from(unix_time.as_secs()).unwrap_or(0);
    highest.saturating_add(1).max(clock)
}

/// The router was not configured with HMAC, and can't begin with it while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this virtual router was not configured with HMAC")]
pub struct NoHmac;
