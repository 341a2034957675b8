//! Counts of what a virtual router saw and did.

use super::discard::Discard;
use crate::{AuthenticationConfig, ChecksumForm, Config, Packet, Priority, Version};

/// Counts since the router was made. They wrap never in practice: 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counters {
    /// Adverts that passed every check, priority 0 included.
    pub adverts_received: u64,
    /// Adverts sent, priority 0 included.
    pub adverts_sent: u64,
    /// Adverts of priority 0 received.
    pub stops_received: u64,
    /// Adverts of priority 0 sent.
    pub stops_sent: u64,
    /// Times that it became master.
    pub became_master: u64,
    /// Adverts heard as master that it did not yield to: two masters at once.
    pub lower_received_as_master: u64,
    /// Times that another master was told of; see [`Rival`](super::Rival).
    pub rivals: u64,
    /// Accepted VRRPv3 IPv4 adverts whose checksum left out the pseudo-header.
    pub checksum_message_only: u64,
    /// Adverts that carried other addresses than ours, accepted or not.
    pub address_mismatches: u64,
    /// Accepted VRRPv3 adverts with another interval than ours.
    pub interval_mismatches: u64,
    /// Accepted adverts without a trailer, where HMAC is configured and does not insist.
    pub unauthenticated: u64,
    /// Adverts not acted upon.
    pub discards: Discards,
}

impl Counters {
    pub(super) fn count_accepted(&mut self, packet: &Packet<'_>, config: &Config) {
        self.adverts_received += 1;
        self.stops_received += u64::from(packet.priority() == Priority::STOP);
        if packet.version() == Version::V3 {
            let message_only = packet.checksum() == ChecksumForm::MessageOnly;
            self.checksum_message_only += u64::from(message_only);
            self.interval_mismatches += u64::from(packet.adver_interval() != config.adver_interval());
            let unauthenticated =
                matches!(config.authentication, AuthenticationConfig::Hmac(_)) && packet.trailer().is_none();
            self.unauthenticated += u64::from(unauthenticated);
        }
    }
}

/// Adverts not acted upon, by reason; see [`Discard`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Discards {
    /// [`Discard::Vrid`]
    pub vrid: u64,
    /// [`Discard::Family`]
    pub family: u64,
    /// [`Discard::Version`]
    pub version: u64,
    /// [`Discard::Authentication`]
    pub authentication: u64,
    /// [`Discard::Unauthenticated`]
    pub unauthenticated: u64,
    /// [`Discard::Mac`]
    pub mac: u64,
    /// [`Discard::UnknownKey`]
    pub unknown_key: u64,
    /// [`Discard::Window`]
    pub window: u64,
    /// [`Discard::Replay`]
    pub replay: u64,
    /// [`Discard::Spi`]
    pub spi: u64,
    /// [`Discard::AdverInterval`]
    pub adver_interval: u64,
    /// [`Discard::Addresses`]
    pub addresses: u64,
    /// [`Discard::Peer`]
    pub peer: u64,
    /// [`Discard::HopLimit`]
    pub hop_limit: u64,
    /// [`Discard::OwnAddress`]
    pub own_address: u64,
    /// [`Discard::Owner`]
    pub owner: u64,
    /// [`Discard::NotRunning`]
    pub not_running: u64,
}

impl Discards {
    /// All together.
    pub fn total(&self) -> u64 {
        self.by_reason().map(|(_, count)| count).sum()
    }

    /// Each counter with its name, those at 0 too.
    pub fn by_reason(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + use<> {
        [
            ("vrid", self.vrid),
            ("family", self.family),
            ("version", self.version),
            ("authentication", self.authentication),
            ("unauthenticated", self.unauthenticated),
            ("mac", self.mac),
            ("unknown_key", self.unknown_key),
            ("window", self.window),
            ("replay", self.replay),
            ("spi", self.spi),
            ("adver_interval", self.adver_interval),
            ("addresses", self.addresses),
            ("peer", self.peer),
            ("hop_limit", self.hop_limit),
            ("own_address", self.own_address),
            ("owner", self.owner),
            ("not_running", self.not_running),
        ]
        .into_iter()
    }

    pub(super) fn count(&mut self, discard: Discard) {
        let counter = match discard {
            Discard::Vrid { .. } => &mut self.vrid,
            Discard::Family { .. } => &mut self.family,
            Discard::Version { .. } => &mut self.version,
            Discard::Authentication => &mut self.authentication,
            Discard::Unauthenticated => &mut self.unauthenticated,
            Discard::Mac => &mut self.mac,
            Discard::UnknownKey { .. } => &mut self.unknown_key,
            Discard::Window { .. } => &mut self.window,
            Discard::Replay => &mut self.replay,
            Discard::Spi { .. } => &mut self.spi,
            Discard::AdverInterval { .. } => &mut self.adver_interval,
            Discard::Addresses => &mut self.addresses,
            Discard::Peer { .. } => &mut self.peer,
            Discard::HopLimit { .. } => &mut self.hop_limit,
            Discard::OwnAddress { .. } => &mut self.own_address,
            Discard::Owner => &mut self.owner,
            Discard::NotRunning => &mut self.not_running,
        };
        *counter += 1;
    }
}
