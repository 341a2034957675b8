//! The adverts that codec, machine and instruction benches share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_core::{
    AddressList, ChecksumForm, Config, Envelope, Family, GROUP_V4, GROUP_V6, HOP_LIMIT, Priority, Version,
    VirtualRouter, Vrid,
};

/// A version, a family and a number of addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) version: Version,
    pub(crate) family: Family,
    pub(crate) addresses: u8,
}

/// One and twenty addresses, in each form of advert that there is.
pub(crate) const CASES: [Case; 6] = [
    case("v2-1", Version::V2, Family::Ipv4, 1),
    case("v2-20", Version::V2, Family::Ipv4, 20),
    case("v3-ipv4-1", Version::V3, Family::Ipv4, 1),
    case("v3-ipv4-20", Version::V3, Family::Ipv4, 20),
    case("v3-ipv6-1", Version::V3, Family::Ipv6, 1),
    case("v3-ipv6-20", Version::V3, Family::Ipv6, 20),
];

const fn case(name: &'static str, version: Version, family: Family, addresses: u8) -> Case {
    Case {
        name,
        version,
        family,
        addresses,
    }
}

impl Case {
    /// A VRRPv2 advert.
    #[allow(dead_code, reason = "not every bench has a peer to compare with")]
    pub(crate) fn v2(addresses: u8) -> Self {
        case("v2", Version::V2, Family::Ipv4, addresses)
    }

    /// As the IP header of an advert from a router of address number `host` says.
    pub(crate) fn envelope_from(&self, host: u8) -> Envelope {
        let (source, destination): (IpAddr, IpAddr) = match self.family {
            Family::Ipv4 => (Ipv4Addr::new(192, 0, 2, host).into(), GROUP_V4.into()),
            Family::Ipv6 => (
                Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).into(),
                GROUP_V6.into(),
            ),
        };
        Envelope {
            source,
            destination,
            hop_limit: HOP_LIMIT,
        }
    }

    /// The envelope of an advert that we send.
    #[allow(dead_code, reason = "the machine is benched with a second router's adverts")]
    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope_from(10)
    }

    /// Virtual router 33 with priority 100 on host 10, not started.
    pub(crate) fn router(&self) -> VirtualRouter {
        let vips: Vec<IpAddr> = (0..self.addresses)
            .map(|n| match self.family {
                Family::Ipv4 => Ipv4Addr::new(192, 0, 2, 100 + n).into(),
                Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n.into()).into(),
            })
            .collect();
        let vips = AddressList::new(&vips).expect("distinct addresses of one family");
        let config = Config::builder(Vrid::new(33).expect("not 0"), vips)
            .version(self.version)
            .build()
            .expect("a version that has the family");
        VirtualRouter::new(config, self.envelope_from(10).source)
    }

    /// The message of priority 100 that host 10 sends.
    #[allow(dead_code, reason = "the machine is benched with a second router's adverts")]
    pub(crate) fn octets(&self) -> Vec<u8> {
        self.octets_from(10, Priority::DEFAULT)
    }

    /// The message that host number `host` sends with the given priority.
    pub(crate) fn octets_from(&self, host: u8, priority: Priority) -> Vec<u8> {
        let router = self.router();
        let envelope = self.envelope_from(host);
        let mut octets = Vec::new();
        router
            .advert(priority)
            .emit(
                envelope.source,
                envelope.destination,
                ChecksumForm::PseudoHeader,
                &mut octets,
            )
            .expect("a vector grows");
        octets
    }
}
