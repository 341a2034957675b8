//! What a virtual router says and when: version, priority, intervals, preemption.

use std::time::Duration;

use vrrp_core::{
    AddressMismatch, AdverInterval, ChecksumForm, ConfigBuilder, ConfigError, Damping, Demotion, Priority,
    Version,
};

use super::hand_over;
use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Settings of the protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protocol {
    pub(crate) version: Option<Spanned<Version>>,
    pub(crate) priority: Option<Spanned<Priority>>,
    pub(crate) adver_interval: Option<Spanned<AdverInterval>>,
    pub(crate) preempt: Option<Spanned<bool>>,
    pub(crate) preempt_delay: Option<Spanned<Duration>>,
    pub(crate) checksum: Option<Spanned<ChecksumForm>>,
    pub(crate) address_mismatch: Option<Spanned<AddressMismatch>>,
    pub(crate) demotion: Option<Spanned<Demotion>>,
    pub(crate) down_timer_adverts: Option<Spanned<u8>>,
    pub(crate) startup_delay: Option<Spanned<Duration>>,
    pub(crate) damping: Option<Spanned<Option<Damping>>>,
    /// Whether a losing advert is answered.
    pub(crate) reassert: Option<Spanned<bool>>,
    pub(crate) higher_prio_send_advert: Option<Spanned<bool>>,
    pub(crate) owner_ignore_adverts: Option<Spanned<bool>>,
}

impl Protocol {
    /// Where preemption is turned off.
    pub(super) fn nopreempt_at(&self) -> Option<Span> {
        let preempt = self.preempt.filter(|preempt| !preempt.value);
        preempt.map(|preempt| preempt.span)
    }

    /// Tells of a setting that another takes the meaning from.
    pub(super) fn check_dependents(&self, format: Format, diagnostics: &mut Diagnostics) {
        let (Some(delay), Some(at)) = (self.preempt_delay, self.nopreempt_at()) else {
            return;
        };
        let nopreempt = format.choose("preempt = false", "nopreempt");
        diagnostics.push(
            Diagnostic::warning(format!("`preempt_delay` does nothing with `{nopreempt}`"))
                .at(delay.span)
                .also(at, "this node never preempts")
                .help("leave one of them out"),
        );
    }

    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: version priority adver_interval preempt preempt_delay);
        hand_over!(self to builder: checksum address_mismatch demotion down_timer_adverts startup_delay);
        hand_over!(self to builder: damping reassert higher_prio_send_advert owner_ignore_adverts);
        builder
    }

    pub(super) fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::PriorityZero => self.priority.take().map(|one| one.span),
            ConfigError::Ipv6InV2 => self.version.take().map(|one| one.span),
            ConfigError::AdverInterval { .. } => self.adver_interval.take().map(|one| one.span),
            ConfigError::OwnerWithoutPreempt => self.preempt.take().map(|one| one.span),
            ConfigError::PreemptDelay { .. } => self.preempt_delay.take().map(|one| one.span),
            ConfigError::StartupDelay { .. } => self.startup_delay.take().map(|one| one.span),
            ConfigError::DownTimerAdverts { .. } => self.down_timer_adverts.take().map(|one| one.span),
            _ => None,
        }
    }
}
