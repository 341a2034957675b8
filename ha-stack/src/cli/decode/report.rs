//! The JSON object of one packet.

use std::net::IpAddr;

use serde::Serialize;
use vrrp_core::{
    Authentication, ChecksumForm, Envelope, Family, HmacTrailer, Message, PROTOCOL, Packet, ParseError,
    Version,
};

use super::ip::{Ah, Datagram, FrameError, Layer, datagram};

/// One packet, as far as it could be read. What could not is `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Report {
    version: Option<u8>,
    #[serde(rename = "type")]
    kind: Option<u8>,
    vrid: Option<u8>,
    priority: Option<u8>,
    adver_interval_cs: Option<u16>,
    addresses: Option<Vec<IpAddr>>,
    auth: Option<&'static str>,
    /// There with `auth` "ah" alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    ah: Option<Ah>,
    /// There with `auth` "hmac" alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac: Option<Hmac>,
    hop_limit: Option<u8>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    checksum: Option<Checksum>,
    error: Option<String>,
}

/// What an HMAC trailer says beside its MAC.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Hmac {
    key: u8,
    /// Seconds since the Unix epoch, to a part of 2^16.
    time: f64,
    counter: u16,
}

impl From<HmacTrailer<'_>> for Hmac {
    fn from(trailer: HmacTrailer<'_>) -> Self {
        let sequence = trailer.sequence();
        Self {
            key: trailer.key_id(),
            time: f64::from(sequence.seconds()) + f64::from(sequence.fraction()) / 65_536.0,
            counter: sequence.counter(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Checksum {
    Ok,
    OkWithoutPseudoHeader,
    Bad,
}

impl Report {
    /// What is wrong when there is no packet at all.
    pub(super) fn error(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::default()
        }
    }

    /// Reads one packet. `Err` when it is sound and of another protocol.
    pub(super) fn of(octets: &[u8], layer: Layer) -> Result<Self, Box<Self>> {
        match datagram(octets, layer) {
            Ok(datagram) => Ok(Self::of_datagram(&datagram)),
            Err(error) => {
                let mut report = Self::error(error.to_string());
                if let FrameError::Protocol { envelope, .. } = &error {
                    report.set_envelope(envelope);
                }
                if error.is_foreign() {
                    Err(Box::new(report))
                } else {
                    Ok(report)
                }
            }
        }
    }

    /// Whether anything is wrong with it.
    pub(super) fn is_bad(&self) -> bool {
        self.error.is_some()
    }

    fn of_datagram(datagram: &Datagram<'_>) -> Self {
        let Datagram {
            envelope,
            ah,
            message,
        } = datagram;
        let mut report = Self::default();
        report.set_envelope(envelope);
        report.ah = *ah;
        report.auth = ah.map(|_| "ah");
        // The fields of a packet that fails a check are shown as far as its layout is one.
        match Message::new(message, Family::of(&envelope.source)) {
            Ok(message) => report.set_message(message),
            Err(_) => report.version = message.first().map(|octet| octet >> 4),
        }
        match Packet::parse(message, envelope) {
            Ok(packet) => report.checksum = Some(Checksum::of_form(packet.version(), packet.checksum())),
            Err(error) => {
                report.checksum = match error {
                    ParseError::Message(_) => None,
                    ParseError::Checksum { .. } => Some(Checksum::Bad),
                    _ => Checksum::of(message, envelope),
                };
                report.error = Some(error.to_string());
            }
        }
        report
    }

    fn set_envelope(&mut self, envelope: &Envelope) {
        self.source = Some(envelope.source);
        self.destination = Some(envelope.destination);
        self.hop_limit = Some(envelope.hop_limit);
    }

    fn set_message(&mut self, message: Message<'_>) {
        self.version = Some(message.version().get());
        self.kind = Some(message.kind());
        self.vrid = Some(message.vrid());
        self.priority = Some(message.priority().get());
        self.adver_interval_cs = Some(
            message
                .adver_interval()
                .map_or(0, vrrp_core::AdverInterval::centis),
        );
        self.addresses = Some(message.addresses().iter().collect());
        self.hmac = message.trailer().map(Hmac::from);
        self.auth = match message.authentication() {
            _ if self.ah.is_some() => Some("ah"),
            _ if self.hmac.is_some() => Some("hmac"),
            Authentication::None => Some("none"),
            Authentication::Simple(_) => Some("pass"),
            Authentication::Ah => Some("ah"),
            Authentication::Other(kind) => {
                self.error = Some(format!("authentication type {kind}"));
                None
            }
        };
    }
}

impl Checksum {
    fn of_form(version: Version, form: ChecksumForm) -> Self {
        match (version, form) {
            (Version::V3, ChecksumForm::MessageOnly) => Self::OkWithoutPseudoHeader,
            _ => Self::Ok,
        }
    }

    /// The checksum of a message that fails an earlier check: the checks of the codec stop at the first.
    fn of(message: &[u8], envelope: &Envelope) -> Option<Self> {
        let version = message.first()? >> 4;
        let message = match Message::new(message, Family::of(&envelope.source)) {
            // Over IPv4 it leaves the trailer out.
            Ok(layout) if envelope.source.is_ipv4() => layout.octets(),
            _ => message,
        };
        let alone = sum(message);
        let pseudo = match (envelope.source, envelope.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                sum(&source.octets()) + sum(&destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                sum(&source.octets()) + sum(&destination.octets())
            }
            _ => return None,
        } + u64::from(PROTOCOL)
            + message.len() as u64;
        Some(if version == 2 {
            if holds(alone) { Self::Ok } else { Self::Bad }
        } else if holds(alone + pseudo) {
            Self::Ok
        } else if holds(alone) && envelope.source.is_ipv4() {
            Self::OkWithoutPseudoHeader
        } else {
            Self::Bad
        })
    }
}

/// Sum of big-endian words, an odd octet padded with zero (RFC 1071).
fn sum(octets: &[u8]) -> u64 {
    octets
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

/// Whether a sum that includes its checksum folds to all ones.
fn holds(mut sum: u64) -> bool {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

#[cfg(test)]
mod tests {
    use vrrp_core::HOP_LIMIT;

    use super::*;

    /// From a capture of keepalived 2.2.7: VRRPv3, IPv4, VRID 54, 0.1 s, two addresses.
    const V3: [u8; 16] = [
        0x31, 0x36, 0x96, 0x02, 0x00, 0x0a, 0x11, 0x54, 0xc0, 0x00, 0x02, 0x64, 0xc0, 0x00, 0x02, 0x65,
    ];

    #[test]
    fn the_checksum_is_told_for_packets_that_fail_another_check() {
        let report = report(&V3, 64);
        assert_eq!(
            report.error.as_deref(),
            Some("hop limit 64 on multicast instead of 255")
        );
        assert_eq!(report.checksum, Some(Checksum::Ok));
        assert_eq!(report.vrid, Some(54));
    }

    #[test]
    fn the_two_forms_of_the_checksum_are_told_apart() {
        let mut message = V3;
        assert_eq!(report(&message, HOP_LIMIT).checksum, Some(Checksum::Ok));
        message[6..8].copy_from_slice(&[0, 0]);
        let folded = sum(&message);
        let folded = (folded & 0xffff) + (folded >> 16);
        message[6..8].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        for hop_limit in [HOP_LIMIT, 1] {
            assert_eq!(
                report(&message, hop_limit).checksum,
                Some(Checksum::OkWithoutPseudoHeader)
            );
        }
        message[6] ^= 1;
        for hop_limit in [HOP_LIMIT, 1] {
            assert_eq!(report(&message, hop_limit).checksum, Some(Checksum::Bad));
        }
    }

    #[test]
    fn a_truncated_message_shows_its_envelope() {
        let report = report(&V3[..10], HOP_LIMIT);
        assert_eq!(report.error.as_deref(), Some("10 octets where 16 are needed"));
        assert_eq!(
            (report.version, report.vrid, report.checksum),
            (Some(3), None, None)
        );
        assert_eq!(report.hop_limit, Some(255));
    }

    /// Beginnings that lead far into the layers.
    const HEADS: &[&[u8]] = &[&[], &[0x45], &[0x60, 0, 0, 0, 0, 20, 112, 255], &[0; 12]];

    proptest::proptest! {
        #[test]
        fn no_octets_panic(
            head in proptest::sample::select(HEADS),
            octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        ) {
            let octets = [head, &octets].concat();
            for layer in [Layer::Ethernet, Layer::LinuxSll, Layer::LinuxSll2, Layer::Ip] {
                // Both answers are one.
                let _ = Report::of(&octets, layer);
            }
        }

        #[test]
        fn whatever_the_message_a_bad_one_says_why(
            octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100),
            hop_limit in proptest::prelude::any::<u8>(),
        ) {
            let report = report(&octets, hop_limit);
            proptest::prop_assert!(report.is_bad() || report.checksum.is_some());
        }
    }

    fn report(message: &[u8], hop_limit: u8) -> Report {
        Report::of_datagram(&Datagram {
            envelope: Envelope {
                source: "192.0.2.11".parse().unwrap(),
                destination: "224.0.0.18".parse().unwrap(),
                hop_limit,
            },
            ah: None,
            message,
        })
    }
}
