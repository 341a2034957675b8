//! Counts of what the driver saw and did that belongs to no virtual router, readable from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vrrp_core::{MessageError, ParseError};

/// A snapshot of the driver's counters; all count since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverCounters {
    /// Packets that are no VRRP adverts, by reason.
    pub malformed: Malformed,
    /// Well-formed adverts for a VRID, family and interface that no router of ours has.
    pub unknown_vrid: u64,
    /// Adverts that could not be sent: the interface is down, or a queue is full.
    pub send_errors: u64,
    /// Announcements or probes that could not be sent.
    pub announce_errors: u64,
    /// Times that the virtual addresses of a router could not be added or kept.
    pub address_errors: u64,
    /// Leases of addresses renewed.
    pub renewals: u64,
    /// Addresses put back that somebody had removed.
    pub restored: u64,
    /// Times that the process had stood still for so long that a router began anew.
    pub pauses: u64,
    /// Times that a stranger claimed a virtual address after we had taken it.
    pub conflicts: u64,
    /// Adverts not sent in answer to others', which came too fast. The routers' own counters have them as sent.
    pub replies_withheld: u64,
    /// The latest that a timer was acted upon, after its deadline.
    pub max_lateness: Duration,
}

/// Packets of protocols 112 and 51 that are no adverts, by reason; see [`ParseError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Shorter than the header, or than the count of addresses asks for.
    pub truncated: u64,
    /// Longer than the count of addresses asks for.
    pub too_long: u64,
    /// As long as with an authentication trailer, which it is not.
    pub trailer: u64,
    /// Of IP protocol 51, but no advert behind an IP authentication header.
    pub ah: u64,
    /// Neither VRRPv2 nor VRRPv3, or VRRPv2 over IPv6.
    pub version: u64,
    /// Multicast with a TTL or hop limit other than 255: forwarded, or forged from afar.
    pub hop_limit: u64,
    /// Not an ADVERTISEMENT.
    pub kind: u64,
    /// VRID 0.
    pub vrid_zero: u64,
    /// Advertisement interval 0.
    pub adver_interval_zero: u64,
    /// No addresses.
    pub no_addresses: u64,
    /// The checksum is wrong in every form.
    pub checksum: u64,
    /// Any other reason.
    pub other: u64,
}

impl Malformed {
    /// All together.
    pub fn total(&self) -> u64 {
        self.truncated
            + self.too_long
            + self.trailer
            + self.ah
            + self.version
            + self.hop_limit
            + self.kind
            + self.vrid_zero
            + self.adver_interval_zero
            + self.no_addresses
            + self.checksum
            + self.other
    }
}

/// What is counted; the place of its cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Truncated,
    TooLong,
    Trailer,
    Ah,
    Version,
    HopLimit,
    Kind,
    VridZero,
    AdverIntervalZero,
    NoAddresses,
    Checksum,
    OtherMalformed,
    UnknownVrid,
    SendErrors,
    AnnounceErrors,
    AddressErrors,
    Renewals,
    Restored,
    Pauses,
    Conflicts,
    RepliesWithheld,
    MaxLatenessNanos,
}

const CELLS: usize = Counter::MaxLatenessNanos as usize + 1;

/// The live counters: written by the driver's thread alone, read by any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells(Arc<[AtomicU64; CELLS]>);

impl Cells {
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        self.0[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count_malformed(&self, error: ParseError) {
        self.count(match error {
            ParseError::Message(MessageError::Truncated { .. }) => Counter::Truncated,
            ParseError::Message(MessageError::TooLong { .. }) => Counter::TooLong,
            ParseError::Message(MessageError::Trailer { .. }) => Counter::Trailer,
            ParseError::Ah(_) => Counter::Ah,
            ParseError::Message(MessageError::Version { .. } | MessageError::Ipv6InV2) => Counter::Version,
            ParseError::HopLimit { .. } => Counter::HopLimit,
            ParseError::Type { .. } => Counter::Kind,
            ParseError::VridZero => Counter::VridZero,
            ParseError::AdverIntervalZero => Counter::AdverIntervalZero,
            ParseError::NoAddresses => Counter::NoAddresses,
            ParseError::Checksum { .. } => Counter::Checksum,
            _ => Counter::OtherMalformed,
        });
    }

    pub(crate) fn note_lateness(&self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.0[Counter::MaxLatenessNanos as usize].fetch_max(nanos, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> DriverCounters {
        let get = |counter: Counter| self.0[counter as usize].load(Ordering::Relaxed);
        DriverCounters {
            malformed: Malformed {
                truncated: get(Counter::Truncated),
                too_long: get(Counter::TooLong),
                trailer: get(Counter::Trailer),
                ah: get(Counter::Ah),
                version: get(Counter::Version),
                hop_limit: get(Counter::HopLimit),
                kind: get(Counter::Kind),
                vrid_zero: get(Counter::VridZero),
                adver_interval_zero: get(Counter::AdverIntervalZero),
                no_addresses: get(Counter::NoAddresses),
                checksum: get(Counter::Checksum),
                other: get(Counter::OtherMalformed),
            },
            unknown_vrid: get(Counter::UnknownVrid),
            send_errors: get(Counter::SendErrors),
            announce_errors: get(Counter::AnnounceErrors),
            address_errors: get(Counter::AddressErrors),
            renewals: get(Counter::Renewals),
            restored: get(Counter::Restored),
            pauses: get(Counter::Pauses),
            conflicts: get(Counter::Conflicts),
            replies_withheld: get(Counter::RepliesWithheld),
            max_lateness: Duration::from_nanos(get(Counter::MaxLatenessNanos)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_cell() {
        let cells = Cells::default();
        cells.count_malformed(ParseError::VridZero);
        cells.count_malformed(ParseError::HopLimit { got: 254 });
        cells.count_malformed(ParseError::HopLimit { got: 1 });
        let snapshot = cells.snapshot();
        assert_eq!(
            (snapshot.malformed.vrid_zero, snapshot.malformed.hop_limit),
            (1, 2)
        );
        assert_eq!(snapshot.malformed.total(), 3);
        assert_eq!(snapshot.unknown_vrid, 0);
    }

    #[test]
    fn lateness_keeps_its_maximum() {
        let cells = Cells::default();
        cells.note_lateness(Duration::from_micros(700));
        cells.note_lateness(Duration::from_micros(300));
        assert_eq!(cells.snapshot().max_lateness, Duration::from_micros(700));
    }
}
