//! Keywords of gratuitous ARP and unsolicited neighbour advertisements.

use super::Reader;
use crate::config::Spanned;
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
    Keyword::<Reader>::new("garp_master_refresh", |statement, to, diagnostics| {
        to.parts.announcements.announce_refresh = statement.seconds(diagnostics);
    })
    .global("vrrp_garp_master_refresh"),
    Keyword::<Reader>::new("garp_master_refresh_repeat", |statement, to, diagnostics| {
        to.parts.announcements.announce_refresh_repeat = statement.number(1, 255, "1", diagnostics);
    })
    .global("vrrp_garp_master_refresh_repeat"),
    Keyword::<Reader>::new("garp_lower_prio_delay", |statement, to, diagnostics| {
        let delay = statement.seconds(diagnostics);
        to.parts.announcements.lower_prio_announce_delay =
            delay.map(|one| Spanned::new(Some(one.value), one.span));
    })
    .global("vrrp_garp_lower_prio_delay"),
    Keyword::<Reader>::new("garp_lower_prio_repeat", |statement, to, diagnostics| {
        let repeat = statement.number(0, 255, "5", diagnostics);
        to.parts.announcements.lower_prio_announce_repeat =
            repeat.map(|one| Spanned::new(Some(one.value), one.span));
    })
    .global("vrrp_garp_lower_prio_repeat"),
];
