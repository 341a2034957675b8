//! Tells the neighbours who has an address, and asks them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::network::{LinkId, Network as _, Placement};
use crate::{garp, ndp};

use super::LinuxNetwork;

impl LinuxNetwork {
    pub(super) fn announce_addresses(
        &mut self,
        placements: &[Placement],
        repeat: u8,
        until: Duration,
    ) -> io::Result<()> {
        let mut last = Ok(());
        for placement in (0..repeat).flat_map(|_| placements) {
            // Stopped and resumed between two frames.
            if self.now() > until {
                break;
            }
            // A multicast group belongs to nobody.
            if placement.options.autojoin {
                continue;
            }
            if let Err(error) = self.announce_one(placement.link, placement.address()) {
                last = Err(error);
            }
        }
        last
    }

    pub(super) fn announce_one(&self, link: LinkId, address: IpAddr) -> io::Result<()> {
        // An interface without hardware addresses has nobody to tell.
        let (Some(index), Some(mac)) = (self.table.index(link), self.table.mac(link)) else {
            return Ok(());
        };
        match address {
            IpAddr::V4(address) => self.frames.send(index, &garp::announcement(mac, address)),
            IpAddr::V6(address) => {
                let router = forwards(self.table.name(link));
                self.frames.send(index, &ndp::announcement(mac, address, router))
            }
        }
    }

    pub(super) fn probe_address(&mut self, mut link: LinkId, address: IpAddr) -> io::Result<()> {
        if address.is_multicast() {
            // A group has no owner.
            return Ok(());
        }
        if address.is_ipv6() {
            // The question needs an address to come from, and whoever hears it remembers its MAC: not the virtual one.
            link = self
                .vmacs
                .as_ref()
                .and_then(|vmacs| vmacs.base(link))
                .unwrap_or(link);
        }
        let (Some(index), Some(mac)) = (self.table.index(link), self.table.mac(link)) else {
            return Ok(());
        };
        match address {
            IpAddr::V4(address) => self.frames.send(index, &garp::probe(mac, address)),
            IpAddr::V6(address) => match self.table.state(link).ipv6 {
                Some(source) => self.frames.send(index, &ndp::solicitation(mac, source, address)),
                None => self
                    .frames
                    .send(index, &ndp::anonymous_solicitation(mac, address)),
            },
        }
    }
}

/// Whether an interface forwards IPv6: then its neighbour advertisements say that it is a router.
fn forwards(interface: &str) -> bool {
    fs::read(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))
        .is_ok_and(|value| value.trim_ascii() != b"0")
}
