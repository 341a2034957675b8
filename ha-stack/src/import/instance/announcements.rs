//! Keywords of gratuitous ARP and unsolicited neighbour advertisements.

use super::Reader;
use crate::import::keywords::Keyword;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::<Reader>::new("garp_master_delay", |statement, to, diagnostics| {
        to.parts.announcements.announce_delay = statement.seconds(diagnostics);
    })
    .global("vrrp_garp_master_delay"),
    Keyword::<Reader>::new("garp_master_repeat", |statement, to, diagnostics| {
        to.parts.announcements.announce_repeat = statement.number(0, 255, "5", diagnostics);
    })
    .global("vrrp_garp_master_repeat"),
];
