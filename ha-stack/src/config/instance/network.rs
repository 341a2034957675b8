//! Where a virtual router lives: its interface, whom it talks to, and how it holds its addresses.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{ConfigBuilder, ConfigError, Family, UnicastPeer};
use vrrp_net::{AttachmentBuilder, AttachmentError, VirtualRoute, VirtualRule, Vmac};

use super::hand_over;
use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Settings of the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) interface: Option<Spanned<String>>,
    /// Sources of the adverts, one for each family.
    pub(crate) sources: Vec<Spanned<IpAddr>>,
    pub(crate) peers: Vec<Spanned<UnicastPeer>>,
    pub(crate) check_unicast_src: Option<Spanned<bool>>,
    pub(crate) unicast_ttl: Option<Spanned<u8>>,
    /// A lease of `None` is for addresses without a lifetime.
    pub(crate) lease: Option<Spanned<Option<Duration>>>,
    pub(crate) vmac: Option<Spanned<Vmac>>,
    /// Whether adverts come from the interface itself all the same.
    pub(crate) vmac_xmit_base: Option<Spanned<bool>>,
    pub(crate) accept: Option<Spanned<bool>>,
    pub(crate) promote_secondaries: Option<Spanned<bool>>,
    pub(crate) routes: Vec<Spanned<VirtualRoute>>,
    pub(crate) rules: Vec<Spanned<VirtualRule>>,
    pub(crate) track_primary: Option<Spanned<bool>>,
    pub(crate) track_source: Option<Spanned<bool>>,
}

impl Network {
    /// Leaves out the other family.
    pub(super) fn keep(&mut self, family: Family) {
        self.sources.retain(|one| Family::of(&one.value) == family);
        self.peers
            .retain(|one| Family::of(&one.value.address()) == family);
        self.routes
            .retain(|one| Family::of(&one.value.to().addr()) == family);
        self.rules.retain(|one| one.value.family() == family);
    }

    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: check_unicast_src);
        let peers: Vec<UnicastPeer> = self.peers.iter().map(|peer| peer.value).collect();
        builder.peers(&peers)
    }

    pub(super) fn leave_out_of_config(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::PeerFamily { peer, .. }
            | ConfigError::PeerAddress { peer }
            | ConfigError::PeerTwice { peer } => {
                // Of two, the second.
                let index = self.peers.iter().rposition(|one| one.value.address() == *peer)?;
                Some(self.peers.remove(index).span)
            }
            _ => None,
        }
    }

    pub(super) fn attach(&self, mut builder: AttachmentBuilder) -> AttachmentBuilder {
        hand_over!(self to builder: unicast_ttl lease accept promote_secondaries track_primary track_source);
        for route in &self.routes {
            builder = builder.route(route.value.clone());
        }
        for rule in &self.rules {
            builder = builder.rule(rule.value.clone());
        }
        if let Some(vmac) = &self.vmac {
            let xmit_base = self.vmac_xmit_base.is_some_and(|one| one.value);
            builder = builder.vmac(vmac.value.clone().xmit_base(xmit_base));
        }
        if let Some(source) = self.sources.first() {
            builder = builder.source(source.value);
        }
        builder
    }

    pub(super) fn leave_out(&mut self, error: &AttachmentError) -> Option<Span> {
        match error {
            AttachmentError::VmacAddress { .. } => self.vmac.take().map(|one| one.span),
            AttachmentError::Interface { name } => {
                let vmac = self.vmac.take_if(|vmac| vmac.value.given_name() == Some(name))?;
                Some(vmac.span)
            }
            AttachmentError::Lease { .. } => self.lease.take().map(|one| one.span),
            AttachmentError::Source { source_address } => {
                let index = self.sources.iter().position(|one| one.value == *source_address)?;
                Some(self.sources.remove(index).span)
            }
            _ => None,
        }
    }

    /// Tells of settings that nothing follows from without another.
    pub(super) fn check_dependents(&self, format: Format, diagnostics: &mut Diagnostics) {
        if let (Some(xmit_base), None) = (self.vmac_xmit_base, &self.vmac) {
            let key = "vmac_xmit_base";
            let vmac = format.choose("vmac = true", "use_vmac");
            diagnostics.push(
                Diagnostic::warning(format!("`{key}` does nothing without a virtual MAC address"))
                    .at(xmit_base.span)
                    .help(format!("add `{vmac}`, or leave it out")),
            );
        }
        let of_unicast = [
            ("unicast_ttl", self.unicast_ttl.map(|one| one.span)),
            ("check_unicast_src", self.check_unicast_src.map(|one| one.span)),
        ];
        for (key, at) in of_unicast {
            if let (Some(at), true) = (at, self.peers.is_empty()) {
                let peers = format.choose("peers = [\"192.0.2.11\"]", "unicast_peer { 192.0.2.11 }");
                diagnostics.push(
                    Diagnostic::warning(format!(
                        "`{key}` does nothing without unicast peers: adverts go to the group"
                    ))
                    .at(at)
                    .help(format!("add `{peers}`, or leave it out")),
                );
            }
        }
    }

    /// Tells of a family without peers beside one that has some.
    pub(super) fn check_peers_beside(&self, other: &Self, diagnostics: &mut Diagnostics) {
        let (Some(peer), true) = (self.peers.first(), other.peers.is_empty()) else {
            return;
        };
        let (has, lacks) = match Family::of(&peer.value.address()) {
            Family::Ipv4 => (Family::Ipv4, Family::Ipv6),
            Family::Ipv6 => (Family::Ipv6, Family::Ipv4),
        };
        diagnostics.push(
            Diagnostic::error(format!("peers of {has} alone, and addresses of {lacks} too"))
                .at(peer.span)
                .help(format!(
                    "add the peers' addresses of {lacks}: without, its adverts would go to the group"
                )),
        );
    }

    /// Tells of sources that are not of the virtual router's family, or too many.
    pub(super) fn check_sources(&self, family: Family, diagnostics: &mut Diagnostics) -> bool {
        let before = diagnostics.errors();
        let (fitting, others): (Vec<&Spanned<IpAddr>>, Vec<&Spanned<IpAddr>>) = self
            .sources
            .iter()
            .partition(|source| Family::of(&source.value) == family);
        for source in others {
            diagnostics.push(
                Diagnostic::error(format!("source {} of a virtual router of {family}", source.value))
                    .at(source.span)
                    .help("use an address of that family, or leave it out"),
            );
        }
        for more in fitting.iter().skip(1) {
            diagnostics.push(
                Diagnostic::error(format!("a second source of {family}"))
                    .at(more.span)
                    .also(fitting[0].span, "first here")
                    .help("leave one of them out"),
            );
        }
        diagnostics.errors() == before
    }
}
