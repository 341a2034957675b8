//! A virtual MAC address (`use_vmac`): the addresses and their hardware address move together, so that no client ever
//! learns a new one.

use vrrp_core::{Family, Vrid};

use crate::network::MacAddr;

/// How a virtual router uses a virtual MAC address (RFC 9568 §7.3): a macvlan interface upon the router's own, which
/// holds the virtual addresses and answers for them.
///
/// Clients' neighbour entries stay right over a takeover, and only the switch learns that the MAC has moved, from the
/// first frame of the new master. Switches with port security, and virtual switches of clouds, may forbid that; so it
/// is an option.
///
/// The driver makes the interface when it starts, and again when the router's interface is made anew, and removes it
/// when it stops. While the router isn't master, the interface is down: it neither answers nor sends, and frames to the
/// virtual MAC that reach a backup are dropped (RFC 9568 §6.4.2). What a killed process leaves is an interface without
/// addresses, when their lease has ended, and the next start removes it. (When IPv6 addresses end so, the kernel reports
/// to multicast routers from the virtual MAC, and a switch may send to the wrong port until the next advert.)
///
/// With unicast peers adverts come from the router's interface itself, as with [`xmit_base`](Self::xmit_base): each
/// would have to learn the virtual MAC as the hardware address of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vmac {
    name: Option<String>,
    mac: Option<MacAddr>,
    xmit_base: bool,
}

impl Vmac {
    /// The defaults: the RFC's MAC, keepalived's name, adverts with the virtual MAC as source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the interface, 1 to 15 characters. Default: [`default_name`](Self::default_name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the address, which must be that of one station. Default: the RFC's, [`default_mac`](Self::default_mac); any
    /// other must be the same on all routers of the VRID.
    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Whether adverts come from the router's interface, with its own MAC (`vmac_xmit_base`). Default: no.
    ///
    /// RFC 9568 §7.3 asks for the virtual MAC, which also keeps a switch's memory of the port fresh. We hear both kinds; a
    /// keepalived with `vmac_xmit_base` hears only those who have it too.
    #[must_use]
    pub fn xmit_base(mut self, xmit_base: bool) -> Self {
        self.xmit_base = xmit_base;
        self
    }

    /// The RFC's virtual MAC: 00:00:5e:00:01:VRID for IPv4, 00:00:5e:00:02:VRID for IPv6 (RFC 9568 §7.3).
    #[must_use]
    pub fn default_mac(family: Family, vrid: Vrid) -> MacAddr {
        let block = match family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        MacAddr([0, 0, 0x5e, 0, block, vrid.get()])
    }

    /// keepalived's name: `vrrp.VRID` for IPv4, `vrrp6.VRID` for IPv6. Where two interfaces have a router of the same
    /// VRID, the second gets a `.2` behind it, and so on.
    #[must_use]
    pub fn default_name(family: Family, vrid: Vrid) -> String {
        match family {
            Family::Ipv4 => format!("vrrp.{vrid}"),
            Family::Ipv6 => format!("vrrp6.{vrid}"),
        }
    }

    /// The name that was set.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address that was set.
    #[must_use]
    pub fn given_mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// Whether adverts come from the router's interface, with its own MAC.
    #[must_use]
    pub fn transmits_on_base(&self) -> bool {
        self.xmit_base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mac_and_name_tell_family_and_vrid() {
        let vrid = Vrid::new(51).unwrap();
        let tell = |family| {
            (
                Vmac::default_mac(family, vrid).to_string(),
                Vmac::default_name(family, vrid),
            )
        };
        assert_eq!(tell(Family::Ipv4), ("00:00:5e:00:01:33".into(), "vrrp.51".into()));
        assert_eq!(
            tell(Family::Ipv6),
            ("00:00:5e:00:02:33".into(), "vrrp6.51".into())
        );
    }
}
