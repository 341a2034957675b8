//! What a virtual router says and when: version, priority, intervals, preemption.

use std::time::Duration;

use vrrp_core::{
    AddressMismatch, AdverInterval, ChecksumForm, ConfigBuilder, ConfigError, Demotion, Priority, Version,
};

use super::hand_over;
use crate::config::{Span, Spanned};

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
}

impl Protocol {
    /// Where preemption is turned off.
    pub(super) fn nopreempt_at(&self) -> Option<Span> {
        let preempt = self.preempt.filter(|preempt| !preempt.value);
        preempt.map(|preempt| preempt.span)
    }

    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: version priority adver_interval preempt preempt_delay);
        hand_over!(self to builder: checksum address_mismatch demotion);
        builder
    }

    pub(super) fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::PriorityZero => self.priority.take().map(|one| one.span),
            ConfigError::Ipv6InV2 => self.version.take().map(|one| one.span),
            ConfigError::AdverInterval { .. } => self.adver_interval.take().map(|one| one.span),
            ConfigError::OwnerWithoutPreempt => self.preempt.take().map(|one| one.span),
            ConfigError::PreemptDelay { .. } => self.preempt_delay.take().map(|one| one.span),
            _ => None,
        }
    }
}
