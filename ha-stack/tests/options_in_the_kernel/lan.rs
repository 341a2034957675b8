//! The LAN, and what its hosts have and see.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use vrrp_net::lab::{Host, Lab, LabTest, MacAddr};

pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
pub(crate) const VRID: u8 = 33;
/// What takes a few hundred milliseconds, on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn lab_test() -> LabTest {
    LabTest::new().timeout(Duration::from_secs(120))
}

pub(crate) fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24", "fe80::10/64"])
        .host("b", ["192.0.2.11/24"])
        .host("client", ["192.0.2.20/24"])
        .build()
        .unwrap()
}

/// Who answers for the virtual address.
pub(crate) fn who_has(lab: &Lab) -> Vec<MacAddr> {
    who_has_address(lab, VIP)
}

pub(crate) fn who_has_address(lab: &Lab, address: Ipv4Addr) -> Vec<MacAddr> {
    let client = lab.host("client");
    client.arp_who_has(address, Duration::from_millis(200)).unwrap()
}

/// Whether the daemon's host has the virtual address.
pub(crate) fn holds(lab: &Lab) -> bool {
    ip(lab.host("a"), "-4 address show").contains(&format!(" {VIP}/"))
}

/// What `ip` prints there; nothing where it fails.
pub(crate) fn ip(host: &Host, words: &str) -> String {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    String::from_utf8(host.output(command).unwrap().stdout).unwrap()
}

/// Tries again until it is so.
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline);
        pause(Duration::from_millis(20));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
