//! Where a virtual router lives: its interface, whom it talks to, and how it holds its addresses.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{ConfigBuilder, ConfigError, Family};
use vrrp_net::{AttachmentBuilder, AttachmentError};

use super::hand_over;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Settings of the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) interface: Option<Spanned<String>>,
    pub(crate) source: Option<Spanned<IpAddr>>,
    pub(crate) peers: Vec<Spanned<IpAddr>>,
    /// A lease of `None` is for addresses without a lifetime.
    pub(crate) lease: Option<Spanned<Option<Duration>>>,
}

impl Network {
    pub(super) fn configure(&self, builder: ConfigBuilder) -> ConfigBuilder {
        let peers: Vec<IpAddr> = self.peers.iter().map(|peer| peer.value).collect();
        builder.peers(&peers)
    }

    pub(super) fn leave_out_of_config(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::PeerFamily { peer, .. } => {
                let index = self.peers.iter().position(|one| one.value == *peer)?;
                Some(self.peers.remove(index).span)
            }
            _ => None,
        }
    }

    pub(super) fn attach(&self, mut builder: AttachmentBuilder) -> AttachmentBuilder {
        hand_over!(self to builder: source lease);
        builder
    }

    pub(super) fn leave_out(&mut self, error: &AttachmentError) -> Option<Span> {
        match error {
            AttachmentError::Lease { .. } => self.lease.take().map(|one| one.span),
            AttachmentError::Source { .. } => self.source.take().map(|one| one.span),
            _ => None,
        }
    }

    /// Tells of a source that is not of the virtual router's family.
    pub(super) fn check_source(&self, family: Family, diagnostics: &mut Diagnostics) -> bool {
        let wrong = self.source.filter(|source| Family::of(&source.value) != family);
        if let Some(source) = wrong {
            diagnostics.push(
                Diagnostic::error(format!("source {} of a virtual router of {family}", source.value))
                    .at(source.span)
                    .help("use an address of that family, or leave it out"),
            );
        }
        wrong.is_none()
    }
}
