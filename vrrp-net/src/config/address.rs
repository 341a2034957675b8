//! An address that moves with a virtual router.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AttachmentError, NAME_MAX, check_interface};

/// An address that a virtual router holds while it is master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    net: IpNet,
    dev: Option<String>,
    label: Option<String>,
}

impl VirtualAddress {
    /// Makes one with a prefix, on the router's own interface.
    ///
    /// With a prefix shorter than /32 the kernel ties the address to the subnet's primary address: it is added only
    /// below one, or with the interface's `promote_secondaries` set, which the driver does if it may.
    pub fn new(net: IpNet) -> Self {
        Self {
            net,
            dev: None,
            label: None,
        }
    }

    /// Puts it on another interface than the adverts' (`dev`).
    #[must_use]
    pub fn on(mut self, interface: impl Into<String>) -> Self {
        self.dev = Some(interface.into());
        self
    }

    /// Labels it (`label`), IPv4 alone, at most 15 octets.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.net.addr()
    }

    /// The address with its prefix.
    pub fn net(&self) -> IpNet {
        self.net
    }

    /// Interface that holds it; `None` for the router's own.
    pub fn dev(&self) -> Option<&str> {
        self.dev.as_deref()
    }

    /// Its label.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(super) fn check(&self) -> Result<(), AttachmentError> {
        if let Some(dev) = &self.dev {
            check_interface(dev)?;
        }
        let address = self.address();
        if address.is_unspecified() || address.is_multicast() {
            return Err(AttachmentError::NotUnicast { address });
        }
        match &self.label {
            Some(label) if address.is_ipv6() || !(1..=NAME_MAX).contains(&label.len()) => {
                Err(AttachmentError::Label {
                    address,
                    label: label.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl From<IpAddr> for VirtualAddress {
    /// As /32 or /128.
    fn from(address: IpAddr) -> Self {
        Self::new(IpNet::from(address))
    }
}

impl From<IpNet> for VirtualAddress {
    fn from(net: IpNet) -> Self {
        Self::new(net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Attachment;

    #[test]
    fn an_address_alone_is_a_host_prefix() {
        assert_eq!(
            VirtualAddress::from(ip("192.0.2.1")).net().to_string(),
            "192.0.2.1/32"
        );
        assert_eq!(
            VirtualAddress::from(ip("2001:db8::1")).net().to_string(),
            "2001:db8::1/128"
        );
    }

    #[test]
    fn addresses_that_cannot_be_held_are_refused() {
        let build = |address: VirtualAddress| Attachment::builder("eth0").address(address).build();
        assert!(build(ip("224.0.0.18").into()).is_err());
        assert!(build(ip("::").into()).is_err());
        assert!(build(VirtualAddress::from(ip("2001:db8::1")).labelled("eth0:1")).is_err());
        assert!(build(VirtualAddress::from(ip("192.0.2.1")).labelled("eth0:1")).is_ok());
        assert!(build(VirtualAddress::from(ip("192.0.2.1")).on("")).is_err());
        let twice = Attachment::builder("eth0")
            .address(ip("192.0.2.1"))
            .address("192.0.2.1/24".parse::<IpNet>().unwrap());
        assert!(twice.build().is_err());
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }
}
