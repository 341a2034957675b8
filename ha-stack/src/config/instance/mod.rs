//! A virtual router as both formats of file write it, on its way to a valid one.
//!
//! Each file here holds the settings of one idea: what a file says of it, how that reaches the builders of
//! [`vrrp_core::Config`] and [`Attachment`], and which setting an error of theirs is about.

mod addresses;
mod announcements;
mod authentication;
mod families;
mod network;
mod protocol;
mod strict;
mod tracking;

use std::net::IpAddr;

use vrrp_core::{AddressList, Config, ConfigBuilder, ConfigError, Vrid};
use vrrp_net::{Attachment, AttachmentBuilder, AttachmentError};

pub(crate) use addresses::{Addresses, parse_broadcast};
pub(crate) use announcements::Announcements;
pub(crate) use authentication::{Authentication, HmacParts};
pub(crate) use network::Network;
pub(crate) use protocol::Protocol;
pub(crate) use tracking::{InterfaceDraft, TrackDraft, Tracking};

use super::format::Format;
use super::notify::NotifyParts;
use super::{Diagnostic, Diagnostics, Span, Spanned};

/// Hands each value that a file gives to the builder's setter of the same name.
macro_rules! hand_over {
    ($parts:ident to $builder:ident: $($name:ident)*) => {
        $(if let Some(said) = &$parts.$name {
            $builder = $builder.$name(said.value.clone());
        })*
    };
}
use hand_over;

/// What a file says of one virtual router, each value with its place. What is `None` was not said.
#[derive(Clone, Debug)]
pub(crate) struct InstanceParts {
    pub(crate) name: Spanned<String>,
    pub(crate) vrid: Option<Spanned<Vrid>>,
    /// Whether what goes beyond the RFCs is refused.
    pub(crate) strict: Option<Spanned<bool>>,
    pub(crate) protocol: Protocol,
    pub(crate) authentication: Authentication,
    pub(crate) addresses: Addresses,
    pub(crate) announcements: Announcements,
    pub(crate) network: Network,
    pub(crate) tracking: Tracking,
    pub(crate) notify: NotifyParts,
}

/// A valid virtual router, with the places that later findings point at.
#[derive(Clone, Debug)]
pub(crate) struct InstanceDraft {
    pub(crate) name: Spanned<String>,
    /// The name in the file, which those of both families share.
    pub(crate) definition: String,
    pub(crate) format: Format,
    pub(crate) vrid_at: Span,
    /// Where the priority is given.
    pub(crate) priority_at: Option<Span>,
    /// Where preemption is turned off.
    pub(crate) nopreempt_at: Option<Span>,
    /// Where a password is that anyone on the link can read.
    pub(crate) clear_text_at: Option<Span>,
    pub(crate) config: Config,
    pub(crate) attachment: Attachment,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) tracking: Tracking,
    pub(crate) notify: NotifyParts,
}

impl InstanceParts {
    /// One of which nothing but the name is known.
    pub(crate) fn new(name: Spanned<String>) -> Self {
        Self {
            name,
            vrid: None,
            strict: None,
            protocol: Protocol::default(),
            authentication: Authentication::default(),
            addresses: Addresses::default(),
            announcements: Announcements::default(),
            network: Network::default(),
            tracking: Tracking::default(),
            notify: NotifyParts::default(),
        }
    }

    /// Makes the virtual router, or one for each family; tells everything that is wrong otherwise. `complete` says that
    /// nothing was left out because of an error told before: then what is missing is told too.
    pub(crate) fn build(
        self,
        format: Format,
        complete: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<InstanceDraft>> {
        if complete {
            self.tell_missing(format, diagnostics);
        }
        self.network.check_dependents(format, diagnostics);
        self.protocol.check_dependents(format, diagnostics);
        let definition = self.name.value.clone();
        let parts = match format {
            Format::Toml => self.divide(),
            // Who adds IPv6 to an instance of keepalived writes two, or excluded addresses.
            Format::Keepalived => vec![self],
        };
        if let [first, second] = &parts[..] {
            first.network.check_peers_beside(&second.network, diagnostics);
            second.network.check_peers_beside(&first.network, diagnostics);
        }
        let drafts: Vec<Option<InstanceDraft>> = parts
            .into_iter()
            .map(|part| {
                let mut found = Diagnostics::default();
                let draft = part.build_one(&definition, format, complete, &mut found);
                diagnostics.absorb(found);
                draft
            })
            .collect();
        drafts.into_iter().collect()
    }

    fn build_one(
        mut self,
        definition: &str,
        format: Format,
        complete: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<InstanceDraft> {
        self.enforce_strict(format, diagnostics);
        let list = self.addresses.list(format, complete, diagnostics);
        let attachment = self.attachment(diagnostics);
        let config = self.config(&list?, diagnostics);
        if let Some(config) = &config {
            self.addresses.check_fit(config, format, diagnostics);
        }
        if diagnostics.errors() > 0 {
            return None;
        }
        Some(InstanceDraft {
            definition: definition.to_owned(),
            format,
            vrid_at: self.vrid?.span,
            priority_at: self.protocol.priority.map(|priority| priority.span),
            nopreempt_at: self.protocol.nopreempt_at(),
            clear_text_at: self.authentication.clear_text_at(),
            config: config?,
            attachment: attachment?,
            addresses: self.addresses.places(),
            name: self.name,
            tracking: self.tracking,
            notify: self.notify,
        })
    }

    fn tell_missing(&self, format: Format, diagnostics: &mut Diagnostics) {
        let missing = [
            (self.network.interface.is_none(), format.interface()),
            (self.vrid.is_none(), format.vrid()),
            (self.addresses.are_missing(), format.addresses()),
        ];
        for (_, example) in missing.into_iter().filter(|(missing, _)| *missing) {
            let key = example.split(' ').next().unwrap_or_default();
            diagnostics.push(
                Diagnostic::error(format!("`{key}` is missing"))
                    .at(self.name.span)
                    .help(format!("add `{example}`")),
            );
        }
    }

    /// The builder tells of one thing at a time: each is left out then, to find the next.
    fn attachment(&self, diagnostics: &mut Diagnostics) -> Option<Attachment> {
        let mut parts = self.clone();
        let interface = self.network.interface.as_ref()?;
        let mut sound = true;
        for _ in 0..Diagnostics::MAX_TOGETHER {
            let error = match parts.attachment_builder(interface.value.clone()).build() {
                Ok(attachment) => return sound.then_some(attachment),
                Err(error) => error,
            };
            sound = false;
            let told = self.addresses.has_told(&error);
            let span = parts.leave_out_of_attachment(&error);
            if !told {
                diagnostics.push(Diagnostic::error(error.to_string()).at(span.unwrap_or(interface.span)));
            }
            span?;
        }
        None
    }

    fn attachment_builder(&self, interface: String) -> AttachmentBuilder {
        let builder = Attachment::builder(interface);
        let builder = self.network.attach(builder);
        let builder = self.announcements.attach(builder);
        self.addresses.attach(builder)
    }

    /// Takes out what an error is about; gives its place.
    fn leave_out_of_attachment(&mut self, error: &AttachmentError) -> Option<Span> {
        self.network
            .leave_out(error)
            .or_else(|| self.addresses.leave_out(error))
    }

    /// As [`attachment`](Self::attachment).
    fn config(&self, list: &AddressList, diagnostics: &mut Diagnostics) -> Option<Config> {
        let vrid = self.vrid?.value;
        let mut parts = self.clone();
        let mut sound = self.network.check_sources(list.family(), diagnostics);
        for _ in 0..Diagnostics::MAX_TOGETHER {
            let error = match parts.config_builder(vrid, list.clone()).build() {
                Ok(config) => return sound.then_some(config),
                Err(error) => error,
            };
            let span = parts.leave_out_of_config(&error);
            diagnostics.push(Diagnostic::error(error.to_string()).at(span.unwrap_or(self.name.span)));
            span?;
            sound = false;
        }
        None
    }

    fn config_builder(&self, vrid: Vrid, list: AddressList) -> ConfigBuilder {
        let builder = Config::builder(vrid, list);
        let builder = self.protocol.configure(builder);
        let builder = self.authentication.configure(builder);
        let builder = self.announcements.configure(builder);
        self.network.configure(builder)
    }

    /// Takes out what an error is about; gives its place.
    fn leave_out_of_config(&mut self, error: &ConfigError) -> Option<Span> {
        self.protocol
            .leave_out(error)
            .or_else(|| self.authentication.leave_out(error))
            .or_else(|| self.announcements.leave_out(error))
            .or_else(|| self.network.leave_out_of_config(error))
    }
}

/// How a format writes what can't be missing.
impl Format {
    fn interface(self) -> &'static str {
        self.choose("interface = \"eth0\"", "interface eth0")
    }

    fn vrid(self) -> &'static str {
        self.choose("vrid = 33", "virtual_router_id 33")
    }

    fn addresses(self) -> &'static str {
        self.choose(
            "addresses = [\"192.0.2.100\"]",
            "virtual_ipaddress { 192.0.2.100 }",
        )
    }
}
