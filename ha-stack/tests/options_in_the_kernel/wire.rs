//! What the daemon's host sends, as the switch sees it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vrrp_core::{Envelope, Packet};
use vrrp_net::lab::{Capture, Frame, Lab, MacAddr};

use crate::lan::{PATIENCE, VIP, pause};

/// Announcements at least so far apart are not of one burst.
const BURST: Duration = Duration::from_millis(400);

/// The frames of the LAN, of which those of the host `a` count.
pub(crate) struct Wire {
    capture: Capture,
    mac: MacAddr,
    vip: IpAddr,
}

/// So many announcements, back to back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    /// When, to the whole second.
    pub(crate) at: u64,
    pub(crate) count: usize,
}

pub(crate) const fn burst(at: u64, count: usize) -> Burst {
    Burst { at, count }
}

impl Wire {
    pub(crate) fn listen(lab: &Lab) -> Self {
        Self::listen_for(lab, IpAddr::V4(VIP))
    }

    /// Listens for announcements of another virtual address.
    pub(crate) fn listen_for(lab: &Lab, vip: IpAddr) -> Self {
        Self {
            capture: lab.capture().unwrap(),
            mac: lab.host("a").mac(),
            vip,
        }
    }

    /// Waits for the first advert after `since`.
    pub(crate) fn advert_after(&mut self, since: Instant) -> Frame {
        self.first_after(since, |frame| frame.vrrp().is_some())
    }

    /// Waits for the first announcement of the virtual address after `since`.
    pub(crate) fn announcement_after(&mut self, since: Instant) -> Frame {
        let vip = self.vip;
        self.first_after(since, |frame| announces(frame, vip))
    }

    fn first_after(&mut self, since: Instant, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mac = self.mac;
            let found = self.capture.frames().iter();
            let found = found
                .filter(|frame| frame.at > since && frame.source() == mac)
                .find(|frame| wanted(frame));
            if let Some(frame) = found {
                return frame.clone();
            }
            assert!(Instant::now() < deadline);
            pause(Duration::from_millis(10));
        }
    }

    /// How many adverts there have been since then.
    pub(crate) fn adverts_since(&mut self, since: Instant) -> usize {
        let (mac, frames) = (self.mac, self.capture.frames().iter());
        frames
            .filter(|frame| frame.at > since && frame.source() == mac && frame.vrrp().is_some())
            .count()
    }

    pub(crate) fn announcements_of(&mut self, address: IpAddr) -> usize {
        let (mac, frames) = (self.mac, self.capture.frames().iter());
        frames
            .filter(|frame| frame.source() == mac && announces(frame, address))
            .count()
    }

    /// The bursts in which the virtual address was announced since then, up to now.
    pub(crate) fn bursts_since(&mut self, since: Instant) -> Vec<Burst> {
        let (mac, vip, frames) = (self.mac, self.vip, self.capture.frames().iter());
        let at = frames
            .filter(|frame| frame.at >= since && frame.source() == mac && announces(frame, vip))
            .map(|frame| frame.at);
        let mut bursts: Vec<Burst> = Vec::new();
        let mut last = since;
        for at in at {
            match bursts.last_mut() {
                Some(burst) if at - last < BURST => burst.count += 1,
                // A timer that started with the burst may fire a little less than a second behind it.
                _ => bursts.push(burst((at - since + Duration::from_millis(250)).as_secs(), 1)),
            }
            last = at;
        }
        bursts
    }
}

/// The addresses in an advert.
pub(crate) fn advertised(frame: &Frame) -> Vec<IpAddr> {
    let ip = frame.vrrp().unwrap();
    let envelope = Envelope {
        source: ip.source,
        destination: ip.destination,
        hop_limit: ip.hop_limit,
    };
    Packet::parse(ip.payload, &envelope)
        .unwrap()
        .addresses()
        .iter()
        .collect()
}

/// A gratuitous ARP, or an unsolicited Neighbor Advertisement.
fn announces(frame: &Frame, address: IpAddr) -> bool {
    let arp = frame
        .arp()
        .is_some_and(|arp| arp.is_gratuitous() && address == arp.sender_ip);
    let advert = frame.neighbor_advert();
    arp || advert.is_some_and(|advert| !advert.solicited && address == advert.target)
}
