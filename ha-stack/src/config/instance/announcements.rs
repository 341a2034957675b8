//! How a master makes its addresses known: gratuitous ARP and unsolicited neighbour advertisements.

use std::time::Duration;

use vrrp_core::ConfigBuilder;
use vrrp_net::AttachmentBuilder;

use super::hand_over;
use crate::config::Spanned;

/// Settings of announcements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcements {
    pub(crate) announce_delay: Option<Spanned<Duration>>,
    pub(crate) announce_repeat: Option<Spanned<u8>>,
}

impl Announcements {
    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: announce_delay);
        builder
    }

    pub(super) fn attach(&self, mut builder: AttachmentBuilder) -> AttachmentBuilder {
        hand_over!(self to builder: announce_repeat);
        builder
    }
}
