//! Two masters at once: who the other is, and why it probably does not give way.
//!
//! What is known of rivals decides nothing of the protocol, as little as counters do; it is for people.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use super::VirtualRouter;
use super::discard::Discard;
use super::output::Output;
use super::state::{Peer, Role};
use crate::{AdverInterval, Version};

/// Another master of the same virtual router while we are master. Told once, and again only when it has been silent for
/// three intervals in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rival {
    /// The other, and the priority that it advertises.
    pub peer: Peer,
    /// Why it probably is master too.
    pub cause: RivalCause,
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, cause } = self;
        write!(
            f,
            "{} of priority {} is master too: {cause}",
            peer.address, peer.priority
        )
    }
}

/// Why there is another master, as far as its adverts show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RivalCause {
    /// It was heard once, and has given way: the network was parted and has healed, or adverts got lost.
    Parted,
    /// It goes on although we outrank it: our adverts don't reach it, or it discards them.
    Deaf,
    /// It advertises other addresses: another virtual router has our VRID.
    Addresses,
    /// VRRPv2 wants equal intervals.
    AdverInterval {
        /// Our interval.
        ours: AdverInterval,
        /// The other's.
        theirs: AdverInterval,
    },
    /// It speaks the other version.
    Version {
        /// Our version.
        ours: Version,
        /// The other's.
        theirs: Version,
    },
    /// Its authentication is not ours.
    Authentication,
    /// It signs with a clock that is too far from ours.
    Clock {
        /// By how many seconds its clock is ahead of ours; negative when behind.
        ahead_secs: i32,
    },
    /// It is not one of our unicast peers or comes from too far away, or one of us speaks unicast and the other multicast.
    NotAPeer,
    /// It has our source address, or our own adverts come back.
    SameAddress,
    /// It goes on beside an owner of the addresses that ignores all others.
    Owner,
}

impl RivalCause {
    /// What keeps an advert that was discarded for this reason, and its sender, out of our election.
    fn of(discard: Discard) -> Option<Self> {
        match discard {
            Discard::AdverInterval { expected, got } => Some(Self::AdverInterval {
                ours: expected,
                theirs: got,
            }),
            Discard::Version { expected, got } => Some(Self::Version {
                ours: expected,
                theirs: got,
            }),
            Discard::Authentication
            | Discard::Unauthenticated
            | Discard::Mac
            | Discard::UnknownKey { .. }
            | Discard::Spi { .. } => Some(Self::Authentication),
            Discard::Window { ahead_secs, .. } => Some(Self::Clock { ahead_secs }),
            Discard::Addresses => Some(Self::Addresses),
            Discard::Peer { .. } | Discard::HopLimit { .. } => Some(Self::NotAPeer),
            Discard::OwnAddress { .. } => Some(Self::SameAddress),
            Discard::Owner => Some(Self::Owner),
            // A capture that somebody plays says nothing of who is master now.
            Discard::Vrid { .. } | Discard::Family { .. } | Discard::Replay | Discard::NotRunning => None,
        }
    }
}

impl fmt::Display for RivalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parted => f.write_str("it did not hear us for a while (a parted network, lost adverts) and has given way"),
            Self::Deaf => f.write_str(
                "it goes on below us, so our adverts do not reach it (firewall, multicast snooping) or it discards them \
                 (its settings differ)",
            ),
            Self::Addresses => f.write_str("it advertises other addresses; give each virtual router a VRID of its own"),
            Self::AdverInterval { ours, theirs } => {
                write!(f, "its advertisement interval is {theirs}, ours {ours}; set the same on both")
            }
            Self::Version { ours, theirs } => write!(f, "it speaks version {theirs}, we version {ours}; set the same on both"),
            Self::Authentication => f.write_str("its authentication differs from ours; set the same on both"),
            Self::Clock { ahead_secs } => {
                write!(f, "its clock is {ahead_secs} s ahead of ours, and signed adverts need equal ones; set both")
            }
            Self::NotAPeer => f.write_str(
                "it is not one of our peers; list it, or use multicast or unicast on both sides",
            ),
            Self::Owner => f.write_str(
                "we own the addresses and ignore it, and it does not give way: one node alone may have priority 255, and \
                 our adverts must reach all others",
            ),
            Self::SameAddress => f.write_str("it has our own source address, or the network sends our adverts back"),
        }
    }
}

/// Intervals of silence after which a rival is forgotten.
const FORGOTTEN_AFTER: u32 = 3;

/// What was seen of other masters while we are master.
///
/// Always equal to another: like what a log keeps back, it is no part of what a router is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rivals {
    /// More at once are not told apart from noise.
    seen: [Option<Sighting>; 4],
    /// Whether one was seen that has not been told.
    untold: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    rival: Rival,
    /// When there is enough to tell, if it is heard then: an interval of ours after it was first heard.
    tell_from: Duration,
    last: Duration,
    /// The longer of its interval and ours.
    interval: Duration,
    /// Silence after which it counts as new: multiplied once, since each of its adverts asks.
    forgotten_after: Duration,
    told: bool,
}

impl Sighting {
    fn is_over(&self, now: Duration) -> bool {
        now > self.last + self.forgotten_after
    }
}

impl PartialEq for Rivals {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rivals {}

impl Hash for Rivals {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Rivals {
    /// Whether to tell of this one: it was seen before, an interval ago or more.
    ///
    /// Not at once: a backup that took over because it missed adverts sends one when it does, and one when it is put
    /// right.
    fn hear(&mut self, now: Duration, rival: Rival, ours: Duration, interval: AdverInterval) -> bool {
        let known = |seen: &&mut Sighting| seen.rival.peer.address == rival.peer.address;
        match self.seen.iter_mut().flatten().find(known) {
            Some(seen) if !seen.is_over(now) => {
                seen.last = now;
                let tell = !seen.told && now >= seen.tell_from;
                seen.told |= tell;
                tell
            }
            _ => {
                self.remember(now, rival, ours, interval.duration());
                false
            }
        }
    }

    /// One that is new, or was silent for so long that it counts as new.
    #[cold]
    fn remember(&mut self, now: Duration, rival: Rival, ours: Duration, interval: Duration) {
        let known =
            |seen: &Option<Sighting>| seen.is_some_and(|seen| seen.rival.peer.address == rival.peer.address);
        let free = |seen: &Option<Sighting>| seen.is_none_or(|seen| seen.is_over(now));
        let place = self.seen.iter().position(known);
        let Some(place) = place.or_else(|| self.seen.iter().position(free)) else {
            return;
        };
        let interval = ours.max(interval);
        self.seen[place] = Some(Sighting {
            rival,
            tell_from: now + ours,
            last: now,
            interval,
            forgotten_after: interval * FORGOTTEN_AFTER,
            told: false,
        });
        self.untold = true;
    }

    /// One that was heard and has been silent for more than an interval since: it has given way.
    fn parted(&mut self, now: Duration) -> Option<Rival> {
        if !self.untold {
            return None;
        }
        let silent = |seen: &&mut Sighting| !seen.told && now > seen.last + seen.interval * 2;
        let seen = self.seen.iter_mut().flatten().find(silent);
        let Some(seen) = seen else {
            self.untold = self.seen.iter().flatten().any(|seen| !seen.told);
            return None;
        };
        seen.told = true;
        // An advert that we discarded, and once: nobody knows what it was.
        (seen.rival.cause == RivalCause::Deaf).then_some(Rival {
            cause: RivalCause::Parted,
            ..seen.rival
        })
    }
}

impl VirtualRouter {
    /// A losing advert was heard, or one that does not take part in our election. Within an interval of becoming
    /// master that is how elections go.
    pub(super) fn note_rival(
        &mut self,
        now: Duration,
        peer: Peer,
        interval: AdverInterval,
        cause: RivalCause,
    ) {
        let Role::Master(master) = &self.role else {
            return;
        };
        let ours = self.config.adver_interval().duration();
        if now < master.since + ours {
            return;
        }
        let rival = Rival { peer, cause };
        if self.rivals.hear(now, rival, ours, interval) {
            self.tell(rival);
        }
    }

    /// An advert was discarded.
    pub(super) fn note_discarded(
        &mut self,
        now: Duration,
        peer: Peer,
        interval: AdverInterval,
        discard: Discard,
    ) {
        if peer.priority == crate::Priority::STOP {
            return;
        }
        if let Some(cause) = RivalCause::of(discard) {
            self.note_rival(now, peer, interval, cause);
        }
    }

    pub(super) fn tell_parted_rival(&mut self, now: Duration) {
        if let Some(rival) = self.rivals.parted(now) {
            self.tell(rival);
        }
    }

    #[cold]
    fn tell(&mut self, rival: Rival) {
        self.counters.rivals += 1;
        self.outputs.push_back(Output::Rival(rival));
    }
}
