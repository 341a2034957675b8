//! The kernel's messages about links and addresses, and what of them matters here.
//!
//! Read by hand from the octets: links carry dozens of nested attributes, of which three matter, and one that a parser
//! doesn't know must not cost us a link that went down.

use std::net::IpAddr;

use rtnetlink::packet_core::NlasIterator;

use crate::network::MacAddr;

// linux/if_link.h, linux/if_addr.h, linux/if.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 1 << 6;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const FOREVER: u32 = u32::MAX;

/// A link, from RTM_NEWLINK or RTM_DELLINK.
pub(super) struct LinkReport<'a> {
    pub(super) index: u32,
    /// Up and with carrier.
    pub(super) running: bool,
    pub(super) name: &'a [u8],
    pub(super) mac: Option<MacAddr>,
    /// In octets.
    pub(super) mtu: Option<u32>,
}

/// An address, from RTM_NEWADDR or RTM_DELADDR.
pub(super) struct AddressReport {
    /// Index of its interface.
    pub(super) index: u32,
    pub(super) entry: Entry,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    /// The other end, or, without one, the address itself.
    pub(super) peer: IpAddr,
    /// IFA_PROTO.
    pub(super) mark: Option<u8>,
    /// Without lifetime.
    pub(super) permanent: bool,
    pub(super) secondary: bool,
    /// Duplicate address detection runs, or has failed.
    pub(super) tentative: bool,
}

impl<'a> LinkReport<'a> {
    /// An ifinfomsg: family, padding, type (u16), index (i32), flags (u32), change; then attributes.
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let header: &[u8; 16] = payload.first_chunk()?;
        // Bridges report their ports with a family of their own: that a port left is not that the link is gone.
        if header[0] != 0 {
            return None;
        }
        let flags = u32_at(header, 8)?;
        let mut report = Self {
            index: u32_at(header, 4)?,
            running: flags & IFF_UP != 0 && flags & IFF_RUNNING != 0,
            name: &[],
            mac: None,
            mtu: None,
        };
        for (kind, value) in attributes(&payload[16..]) {
            match kind {
                IFLA_IFNAME => report.name = value.strip_suffix(&[0]).unwrap_or(value),
                IFLA_ADDRESS => report.mac = value.try_into().ok().map(MacAddr),
                IFLA_MTU => report.mtu = u32_at(value, 0),
                _ => {}
            }
        }
        Some(report)
    }
}

impl AddressReport {
    /// An ifaddrmsg: family, prefix length, flags, scope, index (u32); then attributes.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let header: &[u8; 8] = payload.first_chunk()?;
        let (mut flags, mut local, mut address, mut mark, mut permanent) =
            (u32::from(header[2]), None, None, None, true);
        for (kind, value) in attributes(&payload[8..]) {
            match kind {
                IFA_LOCAL => local = ip_of(value),
                IFA_ADDRESS => address = ip_of(value),
                IFA_FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
                // ifa_cacheinfo: preferred lifetime, then valid lifetime.
                IFA_CACHEINFO => permanent = u32_at(value, 4) == Some(FOREVER),
                IFA_PROTO => mark = value.first().copied(),
                _ => {}
            }
        }
        Some(Self {
            index: u32_at(header, 4)?,
            entry: Entry {
                // On a point-to-point link IFA_ADDRESS is the peer's.
                address: local.or(address)?,
                peer: address.or(local)?,
                prefix: header[1],
                mark,
                permanent,
                secondary: flags & IFA_F_SECONDARY != 0,
                tentative: flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0,
            },
        })
    }
}

pub(super) fn attributes(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(octets).map_while(Result::ok).map(|attribute| {
        let len = attribute.value_length();
        let kind = attribute.kind();
        let value = attribute.into_inner();
        // The iterator has checked that the value is there, behind its header of four octets.
        (kind, &value[4..4 + len])
    })
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let four = octets.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*four))
}

pub(super) fn ip_of(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => octets.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => octets.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}
