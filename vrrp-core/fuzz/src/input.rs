//! Fuzzer input, read field by field.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_core::{Envelope, Family, GROUP_V4, GROUP_V6};

/// Octets that are read from the front; what is missing reads as zero, so that no input is too short.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Starts at the first octet.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Takes the next `N` octets.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.rest.split_at(N.min(self.rest.len()));
        self.rest = tail;
        let mut array = [0; N];
        array[..head.len()].copy_from_slice(head);
        array
    }

    /// Takes an octet.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// Takes two octets in network order.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// Takes an address.
    pub fn address(&mut self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => Ipv4Addr::from(self.array::<4>()).into(),
            Family::Ipv6 => Ipv6Addr::from(self.array::<16>()).into(),
        }
    }

    /// Takes hop limit, source and, unless the packet goes to the group, destination.
    pub fn envelope(&mut self, family: Family, to_group: bool) -> Envelope {
        let hop_limit = self.u8();
        let source = self.address(family);
        let destination = match family {
            _ if !to_group => self.address(family),
            Family::Ipv4 => GROUP_V4.into(),
            Family::Ipv6 => GROUP_V6.into(),
        };
        Envelope {
            source,
            destination,
            hop_limit,
        }
    }

    /// Whether all has been taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes all that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}
