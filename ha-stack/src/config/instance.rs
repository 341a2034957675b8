//! A virtual router as both formats of file write it, on its way to a valid one.

use std::net::IpAddr;
use std::time::Duration;

use ha_health::Weight;
use vrrp_core::{
    AddressList, AddressListError, AddressMismatch, AdverInterval, AuthenticationConfig, ChecksumForm,
    Config, ConfigError, Demotion, Family, Priority, Version, Vrid,
};
use vrrp_net::{Attachment, AttachmentError, VirtualAddress};

use super::{Diagnostic, Diagnostics, Span, Spanned};

/// What a file says of one virtual router, each value with its place. What is `None` was not said.
#[derive(Clone, Debug)]
pub(crate) struct InstanceParts {
    pub(crate) name: Spanned<String>,
    pub(crate) interface: Option<Spanned<String>>,
    pub(crate) vrid: Option<Spanned<Vrid>>,
    pub(crate) version: Option<Spanned<Version>>,
    pub(crate) priority: Option<Spanned<Priority>>,
    pub(crate) adver_interval: Option<Spanned<AdverInterval>>,
    /// `preempt = false`, with its place.
    pub(crate) preempt: Option<Spanned<bool>>,
    pub(crate) preempt_delay: Option<Spanned<Duration>>,
    pub(crate) source: Option<Spanned<IpAddr>>,
    pub(crate) authentication: Option<Spanned<AuthenticationConfig>>,
    pub(crate) checksum: Option<ChecksumForm>,
    pub(crate) address_mismatch: Option<AddressMismatch>,
    pub(crate) demotion: Option<Demotion>,
    pub(crate) announce_delay: Option<Duration>,
    pub(crate) announce_repeat: Option<u8>,
    /// `Some(None)` for addresses without a lifetime.
    pub(crate) lease: Option<Spanned<Option<Duration>>>,
    /// Where the list of addresses stands.
    pub(crate) addresses_at: Option<Span>,
    /// Addresses that are held and advertised.
    pub(crate) addresses: Vec<Spanned<VirtualAddress>>,
    /// Addresses that are held and not advertised.
    pub(crate) excluded: Vec<Spanned<VirtualAddress>>,
    pub(crate) peers: Vec<Spanned<IpAddr>>,
    pub(crate) tracks: Vec<TrackDraft>,
    pub(crate) interfaces: Vec<InterfaceDraft>,
}

/// A check that a virtual router tracks, by name.
#[derive(Clone, Debug)]
pub(crate) struct TrackDraft {
    pub(crate) check: Spanned<String>,
    /// The check's own unless said.
    pub(crate) weight: Option<Spanned<Weight>>,
    pub(crate) reverse: bool,
}

/// An interface that a virtual router tracks besides its own.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceDraft {
    pub(crate) interface: Spanned<String>,
    pub(crate) weight: Weight,
    pub(crate) reverse: bool,
}

/// A valid virtual router, with the places that later findings point at.
#[derive(Clone, Debug)]
pub(crate) struct InstanceDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) vrid_at: Span,
    /// Where preemption is turned off.
    pub(crate) nopreempt_at: Option<Span>,
    pub(crate) config: Config,
    pub(crate) attachment: Attachment,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) tracks: Vec<TrackDraft>,
    pub(crate) interfaces: Vec<InterfaceDraft>,
}

/// How a format writes what can be missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelling {
    pub(crate) interface: &'static str,
    pub(crate) vrid: &'static str,
    pub(crate) addresses: &'static str,
}

impl InstanceParts {
    /// One of which nothing but the name is known.
    pub(crate) fn new(name: Spanned<String>) -> Self {
        Self {
            name,
            interface: None,
            vrid: None,
            version: None,
            priority: None,
            adver_interval: None,
            preempt: None,
            preempt_delay: None,
            source: None,
            authentication: None,
            checksum: None,
            address_mismatch: None,
            demotion: None,
            announce_delay: None,
            announce_repeat: None,
            lease: None,
            addresses_at: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            peers: Vec::new(),
            tracks: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    /// Makes the virtual router; tells everything that is wrong with it otherwise. `complete` says that nothing was
    /// left out because of an error told before: then what is missing is told too.
    pub(crate) fn build(
        self,
        spelling: Spelling,
        complete: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<InstanceDraft> {
        let name_at = self.name.span;
        let mut missing = |key: &str, example: &str| {
            if complete {
                diagnostics.push(
                    Diagnostic::error(format!("`{key}` is missing"))
                        .at(name_at)
                        .help(format!("add `{example}`")),
                );
            }
        };
        if self.interface.is_none() {
            missing("interface", spelling.interface);
        }
        if self.vrid.is_none() {
            missing(spelling.vrid.split(' ').next().unwrap_or_default(), spelling.vrid);
        }
        if self.addresses_at.is_none() && self.addresses.is_empty() {
            missing(
                spelling.addresses.split(' ').next().unwrap_or_default(),
                spelling.addresses,
            );
        }
        let list = self.address_list(spelling, complete, diagnostics);
        let attachment = self.attachment(diagnostics);
        let config = self.config(&list?, diagnostics);
        Some(InstanceDraft {
            vrid_at: self.vrid?.span,
            nopreempt_at: self
                .preempt
                .filter(|preempt| !preempt.value)
                .map(|preempt| preempt.span),
            config: config?,
            attachment: attachment?,
            addresses: self
                .addresses
                .iter()
                .chain(&self.excluded)
                .map(|one| Spanned::new(one.value.address(), one.span))
                .collect(),
            name: self.name,
            tracks: self.tracks,
            interfaces: self.interfaces,
        })
    }

    fn address_list(
        &self,
        spelling: Spelling,
        complete: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<AddressList> {
        let at = self.addresses_at?;
        if self.addresses.is_empty() && !complete {
            // Those that it has may be what was wrong.
            return None;
        }
        let addresses: Vec<IpAddr> = self.addresses.iter().map(|one| one.value.address()).collect();
        let error = match AddressList::new(&addresses) {
            Ok(list) => return Some(list),
            Err(error) => error,
        };
        let culprit = match error {
            AddressListError::MixedFamilies { other, .. } => addresses.iter().position(|one| *one == other),
            AddressListError::Duplicate { address } => addresses.iter().rposition(|one| *one == address),
            _ => None,
        };
        let span = culprit.map_or(at, |index| self.addresses[index].span);
        let help = match error {
            AddressListError::Empty => format!("add `{}`", spelling.addresses),
            AddressListError::TooMany { .. } => "divide them among several virtual routers".to_owned(),
            _ => "leave one of them out".to_owned(),
        };
        let diagnostic = Diagnostic::error(error.to_string()).at(span);
        diagnostics.push(match error {
            // The message says what to do.
            AddressListError::MixedFamilies { .. } => diagnostic,
            _ => diagnostic.help(help),
        });
        None
    }

    fn attachment(&self, diagnostics: &mut Diagnostics) -> Option<Attachment> {
        let interface = self.interface.as_ref()?;
        let mut builder = Attachment::builder(interface.value.clone());
        if let Some(source) = self.source {
            builder = builder.source(source.value);
        }
        if let Some(lease) = self.lease {
            builder = builder.lease(lease.value);
        }
        if let Some(repeat) = self.announce_repeat {
            builder = builder.announce_repeat(repeat);
        }
        for address in self.addresses.iter().chain(&self.excluded) {
            builder = builder.address(address.value.clone());
        }
        let error = match builder.build() {
            Ok(attachment) => return Some(attachment),
            Err(error) => error,
        };
        let at = |address: &IpAddr| {
            let mut all = self.addresses.iter().chain(&self.excluded);
            // The second of two is the one too many.
            let last = all.rfind(|one| one.value.address() == *address);
            last.map(|one| one.span)
        };
        let span = match &error {
            AttachmentError::Lease { .. } => self.lease.map(|lease| lease.span),
            AttachmentError::Source { .. } => self.source.map(|source| source.span),
            AttachmentError::NotUnicast { address }
            | AttachmentError::Duplicate { address }
            | AttachmentError::Label { address, .. } => at(address),
            AttachmentError::Interface { name } if *name != interface.value => {
                let mut all = self.addresses.iter().chain(&self.excluded);
                all.find(|one| one.value.dev() == Some(name)).map(|one| one.span)
            }
            _ => None,
        };
        // The list of addresses has told of the same one twice already.
        let told = matches!(&error, AttachmentError::Duplicate { address }
            if self.addresses.iter().filter(|one| one.value.address() == *address).count() > 1);
        if !told {
            diagnostics.push(Diagnostic::error(error.to_string()).at(span.unwrap_or(interface.span)));
        }
        None
    }

    /// The configuration tells of one thing at a time: each is left out then, to find the next.
    fn config(&self, list: &AddressList, diagnostics: &mut Diagnostics) -> Option<Config> {
        let vrid = self.vrid?.value;
        let mut parts = self.clone();
        let mut sound = parts.check_source(list, diagnostics);
        for _ in 0..Diagnostics::MAX_TOGETHER {
            let error = match parts.config_of(vrid, list.clone()) {
                Ok(config) => return sound.then_some(config),
                Err(error) => error,
            };
            let span = parts.leave_out(&error);
            diagnostics.push(Diagnostic::error(error.to_string()).at(span.unwrap_or(self.name.span)));
            span?;
            sound = false;
        }
        None
    }

    fn check_source(&self, list: &AddressList, diagnostics: &mut Diagnostics) -> bool {
        let Some(source) = self.source else {
            return true;
        };
        if Family::of(&source.value) == list.family() {
            return true;
        }
        diagnostics.push(
            Diagnostic::error(format!(
                "source {} of a virtual router of {}",
                source.value,
                list.family()
            ))
            .at(source.span)
            .help("use an address of that family, or leave it out"),
        );
        false
    }

    fn config_of(&self, vrid: Vrid, list: AddressList) -> Result<Config, ConfigError> {
        let mut builder = Config::builder(vrid, list);
        if let Some(version) = self.version {
            builder = builder.version(version.value);
        }
        if let Some(priority) = self.priority {
            builder = builder.priority(priority.value);
        }
        if let Some(interval) = self.adver_interval {
            builder = builder.adver_interval(interval.value);
        }
        if let Some(preempt) = self.preempt {
            builder = builder.preempt(preempt.value);
        }
        if let Some(delay) = self.preempt_delay {
            builder = builder.preempt_delay(delay.value);
        }
        if let Some(authentication) = &self.authentication {
            builder = builder.authentication(authentication.value.clone());
        }
        if let Some(form) = self.checksum {
            builder = builder.checksum(form);
        }
        if let Some(action) = self.address_mismatch {
            builder = builder.address_mismatch(action);
        }
        if let Some(demotion) = self.demotion {
            builder = builder.demotion(demotion);
        }
        if let Some(delay) = self.announce_delay {
            builder = builder.announce_delay(delay);
        }
        let peers: Vec<IpAddr> = self.peers.iter().map(|peer| peer.value).collect();
        builder.peers(&peers).build()
    }

    /// Takes out what an error is about; gives its place.
    fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::PriorityZero => self.priority.take().map(|one| one.span),
            ConfigError::Ipv6InV2 => self.version.take().map(|one| one.span),
            ConfigError::AdverInterval { .. } => self.adver_interval.take().map(|one| one.span),
            ConfigError::AuthenticationInV3 | ConfigError::PasswordLength { .. } => {
                self.authentication.take().map(|one| one.span)
            }
            ConfigError::OwnerWithoutPreempt => self.preempt.take().map(|one| one.span),
            ConfigError::PreemptDelay { .. } => self.preempt_delay.take().map(|one| one.span),
            ConfigError::PeerFamily { peer, .. } => {
                let index = self.peers.iter().position(|one| one.value == *peer)?;
                Some(self.peers.remove(index).span)
            }
            _ => None,
        }
    }
}
