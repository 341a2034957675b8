//! The addresses that a virtual router backs up, in the form that they have on the wire.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address family of a virtual router; IPv4 and IPv6 have separate VRID spaces (RFC 9568 §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, VRRPv2 or VRRPv3.
    Ipv4,
    /// IPv6, VRRPv3 only.
    Ipv6,
}

impl Family {
    /// The family of an address.
    #[inline]
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Octets in one address: 4 or 16.
    #[inline]
    pub const fn address_len(self) -> usize {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 16,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A borrowed list of addresses of one family, as the octets on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Addresses<'a> {
    family: Family,
    octets: &'a [u8],
}

impl<'a> Addresses<'a> {
    /// `octets` must be a whole number of addresses; the codec and [`AddressList`] see to it.
    #[inline]
    pub(crate) const fn from_octets(family: Family, octets: &'a [u8]) -> Self {
        Self { family, octets }
    }

    /// The family that all of them have.
    #[inline]
    pub const fn family(self) -> Family {
        self.family
    }

    /// How many there are.
    #[inline]
    pub const fn len(self) -> usize {
        self.octets.len() / self.family.address_len()
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// The octets in network order, 4 or 16 an address.
    #[inline]
    pub const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// The addresses in the order of the advert.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = IpAddr> + Clone + 'a {
        self.octets
            .chunks_exact(self.family.address_len())
            .map(move |octets| address(self.family, octets))
    }

    /// Whether both lists hold the same addresses, in whatever order (RFC 9568 §7.1 compares sets).
    #[inline]
    pub fn same_set(self, other: Addresses<'_>) -> bool {
        if self.family != other.family || self.octets.len() != other.octets.len() {
            return false;
        }
        // One equal order is the rule; only a peer that sorts differently pays for the search.
        self.octets == other.octets || self.same_in_another_order(other)
    }

    #[cold]
    #[inline(never)]
    fn same_in_another_order(self, other: Addresses<'_>) -> bool {
        self.is_subset(other) && other.is_subset(self)
    }

    fn is_subset(self, other: Addresses<'_>) -> bool {
        let len = self.family.address_len();
        self.octets
            .chunks_exact(len)
            .all(|one| other.octets.chunks_exact(len).any(|theirs| one == theirs))
    }
}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An owned list of addresses of one family. Never empty, at most [`AddressList::MAX`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AddressList {
    family: Family,
    octets: Box<[u8]>,
}

impl AddressList {
    /// Most addresses that the count octet of an advert can say.
    pub const MAX: usize = 255;

    /// Makes a list in the order given. For IPv6 the first should be link-local (RFC 9568 §5.2.9).
    ///
    /// # Errors
    /// When there is none, when there are more than [`AddressList::MAX`], when families are mixed, or when one
    /// stands twice.
    pub fn new(addresses: &[IpAddr]) -> Result<Self, AddressListError> {
        let first = addresses.first().ok_or(AddressListError::Empty)?;
        let family = Family::of(first);
        if addresses.len() > Self::MAX {
            return Err(AddressListError::TooMany { got: addresses.len() });
        }
        let mut octets = Vec::with_capacity(addresses.len() * family.address_len());
        for (index, address) in addresses.iter().enumerate() {
            if addresses[..index].contains(address) {
                return Err(AddressListError::Duplicate { address: *address });
            }
            match (family, address) {
                (Family::Ipv4, IpAddr::V4(address)) => octets.extend_from_slice(&address.octets()),
                (Family::Ipv6, IpAddr::V6(address)) => octets.extend_from_slice(&address.octets()),
                _ => {
                    return Err(AddressListError::MixedFamilies {
                        first: *first,
                        other: *address,
                    });
                }
            }
        }
        Ok(Self {
            family,
            octets: octets.into_boxed_slice(),
        })
    }

    /// The list, borrowed.
    #[inline]
    pub fn as_addresses(&self) -> Addresses<'_> {
        Addresses::from_octets(self.family, &self.octets)
    }

    /// The family that all of them have.
    #[inline]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether the first address is a link-local one, as it must be for IPv6 (RFC 9568 §5.2.9, erratum 8300): it is
    /// the one that hosts take as their gateway. No IPv4 address is.
    pub fn first_is_link_local(&self) -> bool {
        match self.as_addresses().iter().next() {
            Some(IpAddr::V6(first)) => first.is_unicast_link_local(),
            _ => false,
        }
    }
}

impl fmt::Debug for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_addresses().fmt(f)
    }
}

/// Why a list of addresses can't be advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressListError {
    /// An advert carries at least one address (RFC 9568 §5.2.5, erratum 8299).
    #[error("no address: a virtual router backs up at least one")]
    Empty,
    /// The count octet ends at 255.
    #[error("{got} addresses: an advert carries at most 255")]
    TooMany {
        /// How many were given.
        got: usize,
    },
    /// One virtual router is of one family; a dual stack is two virtual routers.
    #[error("{first} and {other} are of different families: use one virtual router for each")]
    MixedFamilies {
        /// The first address, which sets the family.
        first: IpAddr,
        /// The first one of the other family.
        other: IpAddr,
    },
    /// One address stands twice.
    #[error("{address} stands twice")]
    Duplicate {
        /// The address.
        address: IpAddr,
    },
}

#[inline]
fn address(family: Family, octets: &[u8]) -> IpAddr {
    // Callers cut `octets` by `family.address_len()`; the zero arrays are never used.
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).unwrap_or_default())),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).unwrap_or_default())),
    }
}
