//! The LAN: our host, keepalived's, and a client's.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vrrp_net::lab::{Host, Lab, MacAddr};

use crate::wire::{Advert, Wire};

pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 10);
pub(crate) const THEIRS: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 11);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 20);
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 130);

/// How long anything may take that happens at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A LAN with everything that is said on it.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) wire: Wire,
    ours: Ipv4Addr,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_our_address(OURS)
    }

    /// Where our host's address is another, above [`THEIRS`] for instance.
    pub(crate) fn with_our_address(ours: Ipv4Addr) -> Self {
        let lab = Lab::builder()
            .host("ours", [format!("{ours}/24")])
            .host("theirs", [format!("{THEIRS}/24")])
            .host("client", [format!("{CLIENT}/24")])
            .build()
            .unwrap();
        let wire = Wire::new(lab.capture().unwrap());
        Self { lab, wire, ours }
    }

    pub(crate) fn ours(&self) -> &Host {
        self.lab.host("ours")
    }

    pub(crate) fn theirs(&self) -> &Host {
        self.lab.host("theirs")
    }

    /// The first advert of our node since a moment, of a priority if given.
    #[track_caller]
    pub(crate) fn our_advert(&mut self, since: Instant, priority: Option<u8>, timeout: Duration) -> Advert {
        let ours = IpAddr::V4(self.ours);
        self.first_advert("advert of ours", ours, since, priority, timeout)
    }

    /// The first advert of keepalived since a moment, of a priority if given.
    #[track_caller]
    pub(crate) fn their_advert(&mut self, since: Instant, priority: Option<u8>, timeout: Duration) -> Advert {
        let theirs = IpAddr::V4(THEIRS);
        self.first_advert("advert of keepalived", theirs, since, priority, timeout)
    }

    #[track_caller]
    fn first_advert(
        &mut self,
        what: &str,
        source: IpAddr,
        since: Instant,
        priority: Option<u8>,
        timeout: Duration,
    ) -> Advert {
        self.wire.first(what, timeout, |advert| {
            advert.source == source
                && advert.at >= since
                && priority.is_none_or(|priority| advert.priority == priority)
        })
    }

    pub(crate) fn our_adverts(&mut self, since: Instant) -> Vec<Advert> {
        let ours = IpAddr::V4(self.ours);
        self.adverts_of(ours, since)
    }

    pub(crate) fn their_adverts(&mut self, since: Instant) -> Vec<Advert> {
        self.adverts_of(IpAddr::V4(THEIRS), since)
    }

    fn adverts_of(&mut self, source: IpAddr, since: Instant) -> Vec<Advert> {
        let wanted = |advert: &&Advert| advert.source == source && advert.at >= since;
        self.wire.adverts().iter().filter(wanted).copied().collect()
    }

    /// Waits until these hosts and no others have the virtual address, and only they answer for it.
    #[track_caller]
    pub(crate) fn expect_held_by(&self, hosts: &[&str]) {
        wait_until(&format!("the address on {hosts:?} alone"), PATIENCE, || {
            let both = ["ours", "theirs"].into_iter();
            both.filter(|host| self.holds(host)).eq(hosts.iter().copied())
        });
        let mut answers = self.who_has();
        answers.sort_unstable();
        let macs: Vec<_> = hosts.iter().map(|host| self.lab.host(host).mac()).collect();
        assert_eq!(answers, macs, "{hosts:?} should answer ARP, and nobody else");
    }

    /// Whether a host has the virtual address on its interface.
    pub(crate) fn holds(&self, host: &str) -> bool {
        let addresses = self.lab.host(host).addresses().unwrap();
        addresses.iter().any(|net| net.addr() == IpAddr::V4(VIP))
    }

    /// Who answers the client's ARP request for the virtual address.
    pub(crate) fn who_has(&self) -> Vec<MacAddr> {
        const ANSWERS_COME: Duration = Duration::from_millis(100);
        self.lab.host("client").arp_who_has(VIP, ANSWERS_COME).unwrap()
    }

    /// Waits until a host has announced the virtual address by gratuitous ARP, since a moment.
    #[track_caller]
    pub(crate) fn expect_announced_by(&mut self, host: &str, since: Instant) {
        let mac = self.lab.host(host).mac();
        wait_until(&format!("gratuitous ARP of {host}"), PATIENCE, || {
            self.wire.announcements(since, VIP, mac) > 0
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the adverts:\n{}", self.wire.transcript());
        }
    }
}

/// Waits, by asking each two milliseconds.
#[track_caller]
pub(crate) fn wait_until(what: &str, timeout: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {timeout:?}: {what}");
        pause(Duration::from_millis(2));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own thread, no driver's")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
