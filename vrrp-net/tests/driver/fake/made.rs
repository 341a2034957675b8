//! Routers, adverts and addresses as most tests have them.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{
    AddressList, AdverInterval, ChecksumForm, Config, GROUP_V4, Priority, Version, VirtualRouter, Vrid,
};
use vrrp_net::LinkState;

use super::Fact;

pub fn config(vrid: u8, priority: u8) -> Config {
    let list = AddressList::new(&[vip(vrid)]).unwrap();
    Config::builder(Vrid::new(vrid).unwrap(), list)
        .version(Version::V3)
        .priority(Priority::new(priority))
        .adver_interval(AdverInterval::DEFAULT)
        .build()
        .unwrap()
}

pub fn vip(vrid: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, 100 + vrid])
}

pub fn peer() -> IpAddr {
    IpAddr::from([192, 0, 2, 11])
}

pub fn up() -> LinkState {
    LinkState {
        present: true,
        up: true,
        ipv4: Some([192, 0, 2, 10].into()),
        ipv6: None,
    }
}

/// An advert of the peer, which advertises every 10 cs.
pub fn fast_advert(vrid: u8, priority: u8) -> Fact {
    let Fact::Packet(source, mut message) = advert(vrid, priority) else {
        unreachable!("an advert is a packet");
    };
    // Max Advertise Interval and checksum.
    message[4..6].copy_from_slice(&10_u16.to_be_bytes());
    let sum = u16::from_be_bytes([message[6], message[7]]) + 90;
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    Fact::Packet(source, message)
}

/// An advert of the peer.
pub fn advert(vrid: u8, priority: u8) -> Fact {
    let router = VirtualRouter::new(config(vrid, 100), peer());
    let mut message = Vec::new();
    router
        .advert(Priority::new(priority))
        .emit(peer(), GROUP_V4.into(), ChecksumForm::PseudoHeader, &mut message)
        .unwrap();
    Fact::Packet(peer(), message)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
