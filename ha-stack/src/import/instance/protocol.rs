//! Keywords of the protocol.

use vrrp_core::{AddressMismatch, ChecksumForm, Priority, Version, Vrid};

use super::Reader;
use crate::config::toml::interval_of;
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::keywords::Keyword;
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("state", read_state),
    Keyword::new("virtual_router_id", |statement, to, diagnostics| {
        let vrid = statement.number::<u8>(1, 255, "33", diagnostics);
        to.parts.vrid = vrid.and_then(|one| Some(Spanned::new(Vrid::new(one.value)?, one.span)));
    }),
    Keyword::new("priority", |statement, to, diagnostics| {
        let priority = statement.number::<u8>(1, 255, "100", diagnostics);
        to.parts.protocol.priority = priority.map(|one| Spanned::new(Priority::new(one.value), one.span));
    }),
    Keyword::new("advert_int", read_advert_int),
    Keyword::new("nopreempt", |statement, to, _| {
        to.parts.protocol.preempt = Some(Spanned::new(false, statement.keyword.span));
    }),
    Keyword::new("preempt", |statement, to, _| {
        to.parts.protocol.preempt = Some(Spanned::new(true, statement.keyword.span));
    }),
    Keyword::new("preempt_delay", |statement, to, diagnostics| {
        to.parts.protocol.preempt_delay = statement.seconds(diagnostics);
    }),
    Keyword::<Reader>::new("strict_mode", |statement, to, diagnostics| {
        to.parts.strict = statement.switch(diagnostics);
    })
    .global("vrrp_strict"),
    Keyword::new("version", read_version).global("vrrp_version"),
    Keyword::new("vrrp_version", read_version),
    Keyword::<Reader>::new("v3_checksum_as_v2", |statement, to, diagnostics| {
        let switch = statement.switch(diagnostics);
        to.parts.protocol.checksum = switch.map(|on| {
            let form = match on.value {
                true => ChecksumForm::MessageOnly,
                false => ChecksumForm::PseudoHeader,
            };
            Spanned::new(form, on.span)
        });
    })
    .global("v3_checksum_as_v2"),
    Keyword::<Reader>::new("down_timer_adverts", |statement, to, diagnostics| {
        to.parts.protocol.down_timer_adverts = statement.number(1, 100, "3", diagnostics);
    })
    .global("vrrp_down_timer_adverts"),
    Keyword::<Reader>::new("lower_prio_no_advert", |statement, to, diagnostics| {
        let switch = statement.switch(diagnostics);
        to.parts.protocol.reassert = switch.map(|on| Spanned::new(!on.value, on.span));
    })
    .global("vrrp_lower_prio_no_advert"),
    Keyword::<Reader>::new("higher_prio_send_advert", |statement, to, diagnostics| {
        to.parts.protocol.higher_prio_send_advert = statement.switch(diagnostics);
    })
    .global("vrrp_higher_prio_send_advert"),
    Keyword::<Reader>::new("owner_ignore_adverts", |statement, to, diagnostics| {
        to.parts.protocol.owner_ignore_adverts = statement.switch(diagnostics);
    })
    .global("vrrp_owner_ignore_adverts"),
    Keyword::<Reader>::new("skip_check_adv_addr", |statement, to, diagnostics| {
        let on = statement.switch(diagnostics).filter(|on| on.value);
        to.parts.protocol.address_mismatch = on.map(|on| Spanned::new(AddressMismatch::Accept, on.span));
    })
    .global("vrrp_skip_check_adv_addr"),
];

fn read_state(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(word) = statement.argument("BACKUP", diagnostics) else {
        return;
    };
    match word.text.as_str() {
        "MASTER" => to.state_master = Some(word.span),
        "BACKUP" => to.state_master = None,
        other => diagnostics.push(
            Diagnostic::error(format!("unknown state `{other}`"))
                .at(word.span)
                .help("write `state MASTER` or `state BACKUP`"),
        ),
    }
}

fn read_advert_int(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(time) = statement.seconds(diagnostics) else {
        return;
    };
    match interval_of(time.value) {
        Some(interval) => to.parts.protocol.adver_interval = Some(Spanned::new(interval, time.span)),
        None => diagnostics.push(
            Diagnostic::error(format!("an advert_int of {:?} can't be sent", time.value))
                .at(time.span)
                .help("write 1 to 255 in whole seconds, or with `version 3` 0.01 to 40.95 in steps of 0.01"),
        ),
    }
}

fn read_version(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let version = statement.number::<u8>(2, 3, "3", diagnostics);
    to.parts.protocol.version = version.map(|one| {
        let version = match one.value {
            2 => Version::V2,
            _ => Version::V3,
        };
        Spanned::new(version, one.span)
    });
}
