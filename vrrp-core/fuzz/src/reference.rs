//! A decoder written from the text of the RFCs, octet by octet and slow, to compare the codec with. It shares no code
//! with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_core::{Authentication, ChecksumForm, Envelope, Packet};

/// Everything that an advert says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub interval_cs: u16,
    pub addresses: Vec<IpAddr>,
    /// The type of authentication, and the password where it is one.
    pub authentication: (u8, Option<[u8; 8]>),
    pub pseudo_header: bool,
    /// Key, sequence and MAC of the authentication trailer.
    pub trailer: Option<(u8, u64, [u8; 16])>,
}

impl Fields {
    /// What the codec made of it.
    pub fn of(packet: &Packet<'_>) -> Self {
        Self {
            version: packet.version().get(),
            vrid: packet.vrid().get(),
            priority: packet.priority().get(),
            interval_cs: packet.adver_interval().centis(),
            addresses: packet.addresses().iter().collect(),
            authentication: match packet.authentication() {
                Authentication::None => (0, None),
                Authentication::Simple(password) => (1, Some(*password)),
                Authentication::Ah => (2, None),
                Authentication::Other(kind) => (kind, None),
            },
            pseudo_header: packet.checksum() == ChecksumForm::PseudoHeader,
            trailer: packet.trailer().map(|trailer| {
                let mac = trailer.octets()[12..].try_into().expect("sixteen octets");
                (trailer.key_id(), trailer.sequence().bits(), mac)
            }),
        }
    }
}

/// Decodes an advert; `None` if any check that needs no configuration fails (RFC 9568 §7.1, RFC 3768 §7.1).
pub fn decode(octets: &[u8], envelope: &Envelope) -> Option<Fields> {
    let ipv4 = envelope.source.is_ipv4();
    if ipv4 != envelope.destination.is_ipv4() {
        return None;
    }
    if envelope.destination.is_multicast() && envelope.hop_limit != 255 {
        return None;
    }
    if octets.len() < 8 || octets[1] == 0 || octets[3] == 0 {
        return None;
    }
    let address_len = if ipv4 { 4 } else { 16 };
    let count = usize::from(octets[3]);
    let (version, data_len) = match octets[0] {
        0x21 if ipv4 => (2, 8),
        0x31 => (3, 0),
        _ => return None,
    };
    let len = 8 + count * address_len + data_len;
    let trailer = match octets.len().checked_sub(len)? {
        0 => None,
        28 if version == 3 => Some(&octets[len..]),
        _ => return None,
    };
    if trailer.is_some_and(|trailer| trailer[0] != 1 || trailer[2] != 0 || trailer[3] != 0) {
        return None;
    }
    let interval_cs = match version {
        2 => u16::from(octets[5]) * 100,
        _ => u16::from(octets[4] % 16) * 256 + u16::from(octets[5]),
    };
    if interval_cs == 0 {
        return None;
    }
    let pseudo_header = checksum_form(octets, envelope)?;
    let addresses = octets[8..8 + count * address_len]
        .chunks(address_len)
        .map(|one| match one {
            [a, b, c, d] => Ipv4Addr::new(*a, *b, *c, *d).into(),
            _ => Ipv6Addr::from(<[u8; 16]>::try_from(one).expect("cut by address length")).into(),
        })
        .collect();
    let kind = if version == 2 { octets[4] } else { 0 };
    let password = (kind == 1).then(|| octets[octets.len() - 8..].try_into().expect("eight octets"));
    Some(Fields {
        version,
        vrid: octets[1],
        priority: octets[2],
        interval_cs,
        addresses,
        authentication: (kind, password),
        pseudo_header,
        trailer: trailer.map(|trailer| {
            let sequence = trailer[4..12].try_into().expect("eight octets");
            let mac = trailer[12..].try_into().expect("sixteen octets");
            (trailer[1], u64::from_be_bytes(sequence), mac)
        }),
    })
}

/// The octets that the checksum covers: over IPv4 without the authentication trailer.
fn covered(octets: &[u8], envelope: &Envelope) -> usize {
    let len = 8 + usize::from(octets[3]) * 4;
    let trailer = octets[0] == 0x31 && envelope.source.is_ipv4() && octets.len() == len + 28;
    if trailer { len } else { octets.len() }
}

/// Whether the checksum verifies with the pseudo-header, else whether it does without; `None` if it does not.
fn checksum_form(octets: &[u8], envelope: &Envelope) -> Option<bool> {
    let version = octets[0] >> 4;
    let got = u16::from_be_bytes([octets[6], octets[7]]);
    // Ones' complement has two zeros, 0x0000 and 0xffff.
    let verifies = |pseudo_header| checksum(octets, envelope, pseudo_header) == got % 0xffff;
    if version == 3 && verifies(true) {
        Some(true)
    } else if envelope.source.is_ipv4() && verifies(false) {
        Some(false)
    } else {
        None
    }
}

/// The checksum that a message should carry, whatever it carries. Of the two zeros it is 0x0000, as RFC 1071's
/// complement of a folded sum that is not zero.
pub fn checksum(octets: &[u8], envelope: &Envelope, pseudo_header: bool) -> u16 {
    let octets = &octets[..covered(octets, envelope)];
    let mut covered = Vec::new();
    if pseudo_header {
        covered.extend(header(envelope, octets.len()));
    }
    covered.extend_from_slice(&octets[..6]);
    covered.extend([0, 0]);
    covered.extend_from_slice(&octets[8..]);
    ((0xffff - word_sum(&covered) % 0xffff) % 0xffff) as u16
}

/// Sum of the words of the pseudo-header, modulo 0xffff.
pub fn pseudo_header_sum(envelope: &Envelope, len: usize) -> u16 {
    (word_sum(&header(envelope, len)) % 0xffff) as u16
}

fn header(envelope: &Envelope, len: usize) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [envelope.source, envelope.destination] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    // IPv4: zero, protocol, 16 bits of length. IPv6: 32 bits of length, three zeros, next header. The sum is the same.
    header.extend([0, 112]);
    header.extend((len as u16).to_be_bytes());
    header
}

fn word_sum(octets: &[u8]) -> u64 {
    octets
        .chunks(2)
        .map(|pair| u64::from(pair[0]) * 256 + u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

/// Puts the right checksum into a message, if it is long enough to have one.
pub fn seal(octets: &mut [u8], envelope: &Envelope, pseudo_header: bool) {
    if octets.len() >= 8 {
        let sum = checksum(octets, envelope, pseudo_header);
        octets[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}
