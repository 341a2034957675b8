//! Settings of the kernel without which both a virtual MAC and the interface below it would answer.

use std::io;

use vrrp_core::Family;

use super::device::{self, Found, Ipv4Setting};
use crate::linux::requests::Requests;
use crate::linux::sysctl;

/// What an interface that carries a virtual MAC must have at least, and why.
///
/// It answers ARP for its own addresses alone, not for those of its virtual MACs (`arp_ignore` 1). And when it asks for a
/// client's MAC it doesn't do so in the name of a virtual address (`arp_announce` 2): the client would take its MAC for
/// that of the address. `arp_filter`, which keepalived sets too, is not needed beside them, and silences an interface
/// whose neighbours are routed through another.
const BASE: [(Ipv4Setting, u32); 2] = [(Ipv4Setting::ArpIgnore, 1), (Ipv4Setting::ArpAnnounce, 2)];

/// Settings of the interface of a virtual MAC.
///
/// Its frames come from where the route back leads through the interface below, so a strict `rp_filter` would drop
/// them. The kernel takes the greater value of the interface's and that of all: below 1 for all, 2 (loose) is what an
/// interface can have instead.
pub(super) fn of_vmac(requests: &mut Requests, name: &str, family: Family, base: &Found) {
    let filtered = sysctl::read("ipv4/conf/all/rp_filter").as_deref() != Some("0");
    let mut ipv4 = vec![
        (Ipv4Setting::ArpIgnore, 1),
        (Ipv4Setting::AcceptLocal, 1),
        (Ipv4Setting::RpFilter, if filtered { 2 } else { 0 }),
        (Ipv4Setting::PromoteSecondaries, 1),
    ];
    // Frames to the virtual MAC are forwarded if those to the interface below are (RFC 9568 §6.4.3).
    ipv4.extend(
        base.setting(Ipv4Setting::Forwarding)
            .map(|value| (Ipv4Setting::Forwarding, value)),
    );
    let [conf, own] = {
        let requested = [device::settings(name, &ipv4), device::no_own_ipv6_address(name)];
        let mut results = requests.make(requested).into_iter();
        [results.next(), results.next()]
    };
    if let Some(Err(error)) = conf {
        tracing::warn!(interface = name, %error, "arp_ignore, rp_filter and the like are not set");
    }
    let ipv6 = |setting: &str| format!("ipv6/conf/{name}/{setting}");
    let tell = |setting: String, result: io::Result<()>, consequence: &str| {
        if let Err(error) = result {
            tracing::warn!(setting, %error, consequence, "a setting below /proc/sys/net is not written");
        }
    };
    match family {
        Family::Ipv4 => {
            // It would speak for itself by IPv6, from the virtual MAC.
            let setting = ipv6("disable_ipv6");
            let written = sysctl::write(&setting, "1");
            tell(
                setting,
                written,
                "the interface may get IPv6 addresses of its own",
            );
        }
        Family::Ipv6 => {
            if let Some(Err(error)) = own {
                tracing::warn!(interface = name, %error, "addrgenmode none is not set");
            }
            for setting in ["accept_ra", "autoconf"] {
                let written = sysctl::write(&ipv6(setting), "0");
                tell(
                    ipv6(setting),
                    written,
                    "the interface may get IPv6 addresses of its own",
                );
            }
            let forwarding = sysctl::read(&format!("ipv6/conf/{}/forwarding", base.name));
            if let Some(forwarding) = forwarding {
                let written = sysctl::write(&ipv6("forwarding"), &forwarding);
                tell(
                    ipv6("forwarding"),
                    written,
                    "what is sent to the virtual MAC is not forwarded",
                );
            }
        }
    }
}

/// What was changed on interfaces that carry virtual MACs, to be changed back.
#[derive(Debug, Default)]
pub(super) struct BaseSettings {
    changed: Vec<(u32, Ipv4Setting, u32)>,
}

impl BaseSettings {
    /// Gives an interface what it must have.
    pub(super) fn secure(&mut self, requests: &mut Requests, base: &Found) {
        for (setting, least) in BASE {
            let before = base.setting(setting).unwrap_or_default();
            if before >= least
                || self
                    .changed
                    .iter()
                    .any(|(index, of, _)| (*index, *of) == (base.index, setting))
            {
                continue;
            }
            let written = requests.make([device::settings(&base.name, &[(setting, least)])]);
            match written.into_iter().collect::<io::Result<()>>() {
                Ok(()) => self.changed.push((base.index, setting, before)),
                Err(error) => {
                    tracing::warn!(interface = base.name, ?setting, %error, "clients may learn a MAC that doesn't move");
                }
            }
        }
    }

    /// Changes everything back, but where somebody else has changed it since, and on interfaces that others use.
    pub(super) fn restore(&mut self, requests: &mut Requests, found: &[Found], in_use: &[u32]) {
        for (index, setting, before) in self.changed.drain(..) {
            let least = BASE
                .iter()
                .find(|(of, _)| *of == setting)
                .map(|(_, least)| *least);
            let base = found.iter().find(|there| there.index == index);
            if let Some(base) = base.filter(|base| base.setting(setting) == least && !in_use.contains(&index))
            {
                let _ = requests.make([device::settings(&base.name, &[(setting, before)])]);
            }
        }
    }
}
