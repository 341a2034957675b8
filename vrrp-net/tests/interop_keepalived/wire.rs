//! What was said on the LAN, and when.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vrrp_core::{ChecksumForm, Envelope, Packet};
use vrrp_net::lab::{Arp, Capture, Frame, MacAddr};

use crate::world::{THEIRS, pause};

/// An advert as the switch saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advert {
    pub(crate) at: Instant,
    pub(crate) source: IpAddr,
    pub(crate) priority: u8,
    pub(crate) checksum: ChecksumForm,
}

/// All adverts and ARP packets since the LAN was made.
pub(crate) struct Wire {
    capture: Capture,
    frames_read: usize,
    adverts: Vec<Advert>,
    arps: Vec<(Instant, Arp)>,
    started: Instant,
}

impl Wire {
    pub(crate) fn new(capture: Capture) -> Self {
        Self {
            capture,
            frames_read: 0,
            adverts: Vec::new(),
            arps: Vec::new(),
            started: Instant::now(),
        }
    }

    /// All adverts so far, in order.
    pub(crate) fn adverts(&mut self) -> &[Advert] {
        self.read();
        &self.adverts
    }

    /// The first advert so far or to come for which `wanted` holds.
    ///
    /// # Panics
    /// If there is none in time.
    #[track_caller]
    pub(crate) fn first(
        &mut self,
        what: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&Advert) -> bool,
    ) -> Advert {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(advert) = self.adverts().iter().find(|advert| wanted(advert)) {
                return *advert;
            }
            assert!(Instant::now() < deadline, "no {what} within {timeout:?}");
            pause(Duration::from_millis(1));
        }
    }

    /// The last advert of a host before a moment.
    #[track_caller]
    pub(crate) fn last_before(&mut self, moment: Instant, source: IpAddr) -> Advert {
        let earlier = |advert: &&Advert| advert.source == source && advert.at < moment;
        let last = self.adverts().iter().rev().find(earlier);
        *last.unwrap_or_else(|| panic!("{source} has not advertised"))
    }

    /// How many gratuitous ARPs a host has sent for an address since a moment.
    pub(crate) fn announcements(&mut self, since: Instant, address: Ipv4Addr, mac: MacAddr) -> usize {
        self.read();
        let announces = |(at, arp): &&(Instant, Arp)| {
            *at >= since && arp.is_gratuitous() && arp.sender_ip == address && arp.sender_mac == mac
        };
        self.arps.iter().filter(announces).count()
    }

    /// All adverts, a line each, runs of equal ones shortened.
    pub(crate) fn transcript(&mut self) -> String {
        let started = self.started;
        let mut text = String::new();
        let mut same = 0;
        let adverts = self.adverts();
        for (index, advert) in adverts.iter().enumerate() {
            let key = |advert: &Advert| (advert.source, advert.priority);
            let is_like = |other: Option<&Advert>| other.is_some_and(|other| key(other) == key(advert));
            let inner = index > 0 && is_like(adverts.get(index - 1)) && is_like(adverts.get(index + 1));
            if inner {
                same += 1;
                continue;
            }
            if same > 0 {
                let _ = writeln!(text, "           … {same} more");
                same = 0;
            }
            let who = if advert.source == IpAddr::V4(THEIRS) {
                "keepalived"
            } else {
                "ours"
            };
            let at = advert.at.duration_since(started);
            let _ = writeln!(text, "{at:>10.3?} {who} {} ({})", advert.priority, advert.source);
        }
        text
    }

    fn read(&mut self) {
        let frames = self.capture.frames();
        for frame in &frames[self.frames_read..] {
            if let Some(arp) = frame.arp() {
                self.arps.push((frame.at, arp));
            }
            self.adverts.extend(advert(frame));
        }
        self.frames_read = frames.len();
    }
}

/// The advert in a frame. One that our own parser refuses fails the test: both sides are well behaved.
fn advert(frame: &Frame) -> Option<Advert> {
    let ip = frame.vrrp()?;
    let envelope = Envelope {
        source: ip.source,
        destination: ip.destination,
        hop_limit: ip.hop_limit,
    };
    let packet = Packet::parse(ip.payload, &envelope)
        .unwrap_or_else(|error| panic!("{} sent {:02x?}: {error}", ip.source, ip.payload));
    Some(Advert {
        at: frame.at,
        source: ip.source,
        priority: packet.priority().get(),
        checksum: packet.checksum(),
    })
}
