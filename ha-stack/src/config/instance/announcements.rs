//! How a master makes its addresses known: gratuitous ARP and unsolicited neighbour advertisements.

use std::time::Duration;

use vrrp_core::{ConfigBuilder, ConfigError};
use vrrp_net::AttachmentBuilder;

use super::hand_over;
use crate::config::{Span, Spanned};

/// Settings of announcements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcements {
    pub(crate) announce_delay: Option<Spanned<Duration>>,
    pub(crate) announce_repeat: Option<Spanned<u8>>,
    pub(crate) announce_refresh: Option<Spanned<Duration>>,
    pub(crate) announce_refresh_repeat: Option<Spanned<u8>>,
    pub(crate) lower_prio_announce_delay: Option<Spanned<Option<Duration>>>,
    pub(crate) lower_prio_announce_repeat: Option<Spanned<Option<u8>>>,
}

impl Announcements {
    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: announce_delay announce_refresh lower_prio_announce_delay);
        builder
    }

    pub(super) fn attach(&self, mut builder: AttachmentBuilder) -> AttachmentBuilder {
        hand_over!(self to builder: announce_repeat announce_refresh_repeat lower_prio_announce_repeat);
        builder
    }

    pub(super) fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::AnnounceRefresh { .. } => self.announce_refresh.take().map(|one| one.span),
            _ => None,
        }
    }
}
