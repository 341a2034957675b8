//! Classic pcap files: both byte orders, microseconds and nanoseconds.

use std::io::{self, Read};

use super::ip::Layer;

/// Largest packet that is read; libpcap's own limit.
const MAX_PACKET: usize = 262_144;

/// The first octets of every pcap file.
pub(super) const MAGIC_LEN: usize = 4;
const PCAPNG: [u8; MAGIC_LEN] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

/// Packets of a file whose magic has been read.
#[derive(Debug)]
pub(super) struct Pcap<R> {
    input: R,
    order: Order,
    layer: Layer,
}

/// What the first octets say that a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap,
    PcapNg,
    Other,
}

/// Why a file can't be read (on).
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PcapError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the file ends within a {0}")]
    Truncated(&'static str),
    #[error("link type {0}: only Ethernet (1), raw IP (101, 228, 229) and Linux cooked (113, 276) are read")]
    LinkType(u32),
    #[error("a packet of {0} octets: the file is damaged")]
    PacketLength(usize),
}

/// Tells what a file is by its first octets.
pub(super) fn kind(magic: &[u8]) -> Kind {
    match magic.first_chunk::<MAGIC_LEN>() {
        Some(&PCAPNG) => Kind::PcapNg,
        Some(magic) if order(*magic).is_some() => Kind::Pcap,
        _ => Kind::Other,
    }
}

fn order(magic: [u8; MAGIC_LEN]) -> Option<Order> {
    match u32::from_be_bytes(magic) {
        // Microseconds, nanoseconds.
        0xa1b2_c3d4 | 0xa1b2_3c4d => Some(Order::Big),
        0xd4c3_b2a1 | 0x4d3c_b2a1 => Some(Order::Little),
        _ => None,
    }
}

impl<R: Read> Pcap<R> {
    /// Reads the file header.
    pub(super) fn new(mut input: R) -> Result<Self, PcapError> {
        let mut header = [0; 24];
        fill(&mut input, &mut header, "file header")?;
        // The caller has looked at the magic.
        let order = order([header[0], header[1], header[2], header[3]]).unwrap_or(Order::Big);
        // The upper bits tell of frame checksums.
        let link = order.u32(&header, 20) & 0x0fff_ffff;
        let layer = match link {
            1 => Layer::Ethernet,
            101 | 228 | 229 => Layer::Ip,
            113 => Layer::LinuxSll,
            276 => Layer::LinuxSll2,
            other => return Err(PcapError::LinkType(other)),
        };
        Ok(Self { input, order, layer })
    }

    /// What each packet begins with.
    pub(super) fn layer(&self) -> Layer {
        self.layer
    }

    /// The next packet; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, PcapError> {
        let mut header = [0; 16];
        match self.input.read(&mut header[..1])? {
            0 => return Ok(None),
            _ => fill(&mut self.input, &mut header[1..], "packet header")?,
        }
        let len = self.order.u32(&header, 8) as usize;
        if len > MAX_PACKET {
            return Err(PcapError::PacketLength(len));
        }
        let mut packet = vec![0; len];
        fill(&mut self.input, &mut packet, "packet")?;
        Ok(Some(packet))
    }
}

impl Order {
    fn u32(self, octets: &[u8], at: usize) -> u32 {
        let octets = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
        match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        }
    }
}

fn fill(input: &mut impl Read, octets: &mut [u8], what: &'static str) -> Result<(), PcapError> {
    input.read_exact(octets).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => PcapError::Truncated(what),
        _ => PcapError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_and_both_clocks_are_read() {
        for magic in [0xa1b2_c3d4_u32, 0xa1b2_3c4d] {
            let big = file(magic.to_be_bytes(), u32::to_be_bytes, 1, &[&[1, 2], &[3]]);
            let little = file(magic.to_le_bytes(), u32::to_le_bytes, 1, &[&[1, 2], &[3]]);
            for file in [big, little] {
                assert_eq!(kind(&file), Kind::Pcap);
                let mut pcap = Pcap::new(&file[..]).unwrap();
                assert_eq!(pcap.layer(), Layer::Ethernet);
                assert_eq!(pcap.next().unwrap(), Some(vec![1, 2]));
                assert_eq!(pcap.next().unwrap(), Some(vec![3]));
                assert_eq!(pcap.next().unwrap(), None);
            }
        }
    }

    #[test]
    fn a_file_that_ends_early_says_where() {
        let file = file(0xa1b2_c3d4_u32.to_be_bytes(), u32::to_be_bytes, 101, &[&[1, 2]]);
        let error = |len: usize| match Pcap::new(&file[..len]) {
            Err(error) => error.to_string(),
            Ok(mut pcap) => pcap.next().unwrap_err().to_string(),
        };
        assert_eq!(error(20), "the file ends within a file header");
        assert_eq!(error(30), "the file ends within a packet header");
        assert_eq!(error(41), "the file ends within a packet");
    }

    #[test]
    fn a_length_beyond_reason_and_a_foreign_link_are_refused() {
        let mut damaged = file(0xa1b2_c3d4_u32.to_be_bytes(), u32::to_be_bytes, 1, &[&[1]]);
        damaged[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
        let mut pcap = Pcap::new(&damaged[..]).unwrap();
        assert!(matches!(pcap.next(), Err(PcapError::PacketLength(_))));
        let wifi = file(0xa1b2_c3d4_u32.to_be_bytes(), u32::to_be_bytes, 105, &[]);
        assert!(matches!(Pcap::new(&wifi[..]), Err(PcapError::LinkType(105))));
        assert_eq!(kind(&PCAPNG), Kind::PcapNg);
        assert_eq!(kind(b"4500"), Kind::Other);
    }

    fn file(magic: [u8; 4], word: fn(u32) -> [u8; 4], link: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut file = magic.to_vec();
        file.extend([0; 16]);
        file.extend(word(link));
        for packet in packets {
            let len = word(packet.len() as u32);
            file.extend([0; 8]);
            file.extend(len);
            file.extend(len);
            file.extend(*packet);
        }
        file
    }
}
