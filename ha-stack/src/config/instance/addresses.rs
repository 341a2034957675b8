//! The addresses that a virtual router holds, advertised or not.

use std::net::IpAddr;

use vrrp_core::{AddressList, AddressListError, Config, Family};
use vrrp_net::{AttachmentBuilder, AttachmentError, Broadcast, VirtualAddress};

use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// MTU of an interface in octets, unless somebody changes it.
const ETHERNET_MTU: usize = 1500;

/// Virtual addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// Where the list of addresses stands.
    pub(crate) at: Option<Span>,
    /// Addresses that are held and advertised.
    pub(crate) advertised: Vec<Spanned<VirtualAddress>>,
    /// Addresses that are held and not advertised.
    pub(crate) excluded: Vec<Spanned<VirtualAddress>>,
}

impl Addresses {
    fn all(&self) -> impl DoubleEndedIterator<Item = &Spanned<VirtualAddress>> {
        self.advertised.iter().chain(&self.excluded)
    }

    /// Leaves out the other family.
    pub(super) fn keep(&mut self, family: Family) {
        for list in [&mut self.advertised, &mut self.excluded] {
            list.retain(|one| Family::of(&one.value.address()) == family);
        }
    }

    pub(super) fn are_missing(&self) -> bool {
        self.at.is_none() && self.advertised.is_empty()
    }

    pub(super) fn places(&self) -> Vec<Spanned<IpAddr>> {
        self.all()
            .map(|one| Spanned::new(one.value.address(), one.span))
            .collect()
    }

    /// The list that adverts carry.
    pub(super) fn list(
        &self,
        format: Format,
        complete: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<AddressList> {
        let at = self.at?;
        if self.advertised.is_empty() && !complete {
            // Those that it has may be what was wrong.
            return None;
        }
        let addresses: Vec<IpAddr> = self.advertised.iter().map(|one| one.value.address()).collect();
        let error = match AddressList::new(&addresses) {
            Ok(list) => return Some(list),
            Err(error) => error,
        };
        let culprit = match error {
            AddressListError::MixedFamilies { other, .. } => addresses.iter().position(|one| *one == other),
            AddressListError::Duplicate { address } => addresses.iter().rposition(|one| *one == address),
            _ => None,
        };
        let span = culprit.map_or(at, |index| self.advertised[index].span);
        let diagnostic = Diagnostic::error(error.to_string()).at(span);
        diagnostics.push(match error {
            // The message says what to do.
            AddressListError::MixedFamilies { .. } => diagnostic,
            AddressListError::Empty => diagnostic.help(format!("add `{}`", format.addresses())),
            AddressListError::TooMany { .. } => diagnostic.help(format.choose(
                "advertise some, and hold the others as `excluded_addresses`",
                "advertise some, and hold the others in `virtual_ipaddress_excluded`",
            )),
            _ => diagnostic.help("leave one of them out"),
        });
        None
    }

    /// Tells when an advert does not fit the MTU of an Ethernet. What the interface has is known at the start.
    pub(super) fn check_fit(&self, config: &Config, format: Format, diagnostics: &mut Diagnostics) {
        let (fitting, count) = (config.max_addresses(ETHERNET_MTU), self.advertised.len());
        let (Some(at), true) = (self.at, count > fitting) else {
            return;
        };
        diagnostics.push(
            Diagnostic::warning(format!(
                "{count} addresses make an advert of {} octets, and an MTU of {ETHERNET_MTU} holds {fitting} addresses: on \
                 such an interface it won't start",
                config.packet_len()
            ))
            .at(at)
            .help(format.choose(
                "advertise some, and hold the others as `excluded_addresses`, on all nodes alike; or raise the MTU",
                "advertise some, and hold the others in `virtual_ipaddress_excluded`, on all nodes alike; or raise the MTU",
            )),
        );
    }

    pub(super) fn attach(&self, builder: AttachmentBuilder) -> AttachmentBuilder {
        self.all()
            .fold(builder, |builder, address| builder.address(address.value.clone()))
    }

    /// Whether [`list`](Self::list) has told of the same thing already.
    pub(super) fn has_told(&self, error: &AttachmentError) -> bool {
        let count = |address: &IpAddr| {
            let equal = |one: &&Spanned<VirtualAddress>| one.value.address() == *address;
            self.advertised.iter().filter(equal).count()
        };
        matches!(error, AttachmentError::Duplicate { address } if count(address) > 1)
    }

    pub(super) fn leave_out(&mut self, error: &AttachmentError) -> Option<Span> {
        match error {
            AttachmentError::NotUnicast { address }
            | AttachmentError::NotMulticast { address }
            | AttachmentError::Duplicate { address }
            | AttachmentError::OptionFamily { address, .. }
            | AttachmentError::PreferredLft { address, .. }
            | AttachmentError::Label { address, .. } => self.take_last(|one| one.value.address() == *address),
            AttachmentError::TempAddrPrefix { address } | AttachmentError::Peer { address, .. } => {
                self.take_last(|one| one.value.net() == *address)
            }
            AttachmentError::Interface { name } => {
                self.take_last(|one| one.value.dev() == Some(name.as_str()))
            }
            _ => None,
        }
    }

    /// The second of two is the one too many.
    fn take_last(&mut self, culprit: impl Fn(&Spanned<VirtualAddress>) -> bool) -> Option<Span> {
        for list in [&mut self.excluded, &mut self.advertised] {
            if let Some(index) = list.iter().rposition(&culprit) {
                return Some(list.remove(index).span);
            }
        }
        None
    }
}

/// `192.0.2.255`, `+` or `-`.
pub(crate) fn parse_broadcast(text: &str) -> Option<Broadcast> {
    match text {
        "+" => Some(Broadcast::Last),
        "-" => Some(Broadcast::First),
        _ => text.parse().ok().map(Broadcast::Address),
    }
}
