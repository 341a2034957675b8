//! Another router of the same VRID, on the host `b`, that says what a test wants it to.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use vrrp_core::{AddressList, AdverInterval, Advert, ChecksumForm, GROUP_V4, Priority, Version, Vrid};
use vrrp_net::lab::Lab;

use crate::lan::{VIP, VRID};

/// Its address is higher than that of the daemon's host, so it wins a tie.
const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// Where the group's adverts go on Ethernet (RFC 1112 §6.4).
const GROUP_MAC: [u8; 6] = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12];

/// The adverts of a rival.
#[derive(Clone, Copy)]
pub(crate) struct Rival {
    pub(crate) version: Version,
    pub(crate) priority: u8,
    pub(crate) interval_cs: u16,
    pub(crate) address: Ipv4Addr,
}

impl Rival {
    pub(crate) const fn new(priority: u8, interval_cs: u16) -> Self {
        Self {
            version: Version::V3,
            priority,
            interval_cs,
            address: VIP,
        }
    }

    /// Sends one. Returns a moment before that.
    pub(crate) fn advertise(&self, lab: &Lab) -> Instant {
        let host = lab.host("b");
        let message = self.message();
        let packet_len = u16::try_from(20 + message.len()).unwrap();
        let mut header = [0; 20];
        header[..2].copy_from_slice(&[0x45, 0xc0]);
        header[2..4].copy_from_slice(&packet_len.to_be_bytes());
        // TTL and protocol.
        header[8..10].copy_from_slice(&[255, 112]);
        header[12..16].copy_from_slice(&SOURCE.octets());
        header[16..].copy_from_slice(&GROUP_V4.octets());
        let checksum = internet_checksum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        let frame = [
            &GROUP_MAC[..],
            &host.mac().octets(),
            &[0x08, 0x00],
            &header,
            &message,
        ]
        .concat();
        let before = Instant::now();
        host.send_frame(&frame).unwrap();
        before
    }

    fn message(&self) -> Vec<u8> {
        let addresses = AddressList::new(&[IpAddr::V4(self.address)]).unwrap();
        let advert = Advert::new(
            self.version,
            Vrid::new(VRID).unwrap(),
            Priority::new(self.priority),
            AdverInterval::from_centis(self.interval_cs).unwrap(),
            addresses.as_addresses(),
        );
        let mut message = Vec::new();
        let (from, to) = (IpAddr::V4(SOURCE), IpAddr::V4(GROUP_V4));
        advert
            .unwrap()
            .emit(from, to, ChecksumForm::PseudoHeader, &mut message)
            .unwrap();
        message
    }
}

/// RFC 1071.
fn internet_checksum(header: &[u8; 20]) -> u16 {
    let words = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap()
}
