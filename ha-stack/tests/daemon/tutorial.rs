//! The LAN of the tutorial, and what its client sees.

use std::net::Ipv4Addr;
use std::time::Duration;

use vrrp_net::lab::{Lab, MacAddr};

pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 130);

/// A master-down interval of priority 90 with an advert a second, and some for a slow machine.
pub(crate) const TAKEOVER: Duration = Duration::from_secs(8);

pub(crate) fn tutorial_lab() -> Lab {
    Lab::builder()
        .interface("ens33")
        .host("lb1", ["192.168.192.10/24"])
        .host("lb2", ["192.168.192.11/24"])
        .host("client", ["192.168.192.20/24"])
        .build()
        .unwrap()
}

pub(crate) fn who_has(lab: &Lab) -> Vec<MacAddr> {
    lab.host("client")
        .arp_who_has(VIP, Duration::from_millis(300))
        .unwrap()
}
