//! Keywords of the network.

use vrrp_core::UnicastPeer;
use vrrp_net::Vmac;

use super::Reader;
use crate::config::mac::parse_mac;
use crate::config::routing::{Phrase, route, rule};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::arguments::number;
use crate::import::keywords::Keyword;
use crate::import::lexer::Word;
use crate::import::tree::Statement;
use crate::import::{body, unsupported};

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("interface", |statement, to, diagnostics| {
        let word = statement.argument("eth0", diagnostics);
        to.parts.network.interface = word.map(|word| Spanned::new(word.text.clone(), word.span));
    }),
    Keyword::new("mcast_src_ip", read_source),
    Keyword::new("unicast_src_ip", |statement, to, diagnostics| {
        to.unicast = Some(statement.keyword.span);
        read_source(statement, to, diagnostics);
    }),
    Keyword::new("unicast_peer", read_peers),
    Keyword::new("unicast_fault_no_peer", |statement, to, _| {
        to.needs_peer = Some(statement.keyword.span);
    }),
    Keyword::new("unicast_ttl", |statement, to, diagnostics| {
        to.parts.network.unicast_ttl = statement.number(1, 255, "255", diagnostics);
    }),
    Keyword::<Reader>::new("check_unicast_src", |statement, to, diagnostics| {
        to.parts.network.check_unicast_src = statement.switch(diagnostics);
    })
    .global("vrrp_check_unicast_src"),
    Keyword::new("use_vmac", read_vmac),
    Keyword::new("vmac_xmit_base", |statement, to, _| {
        to.parts.network.vmac_xmit_base = Some(Spanned::new(true, statement.keyword.span));
    }),
    Keyword::new("accept", |statement, to, _| {
        to.parts.network.accept = Some(Spanned::new(true, statement.keyword.span));
    }),
    Keyword::new("no_accept", |statement, to, _| {
        to.parts.network.accept = Some(Spanned::new(false, statement.keyword.span));
    }),
    Keyword::new("promote_secondaries", |statement, to, _| {
        to.parts.network.promote_secondaries = Some(Spanned::new(true, statement.keyword.span));
    }),
    Keyword::new("virtual_routes", |statement, to, diagnostics| {
        to.parts
            .network
            .routes
            .extend(phrases(statement, route, diagnostics));
    }),
    Keyword::new("virtual_rules", |statement, to, diagnostics| {
        to.parts
            .network
            .rules
            .extend(phrases(statement, rule, diagnostics));
    }),
    Keyword::new("dont_track_primary", |statement, to, _| {
        to.parts.network.track_primary = Some(Spanned::new(false, statement.keyword.span));
    }),
    Keyword::new("track_src_ip", |statement, to, _| {
        to.parts.network.track_source = Some(Spanned::new(true, statement.keyword.span));
    }),
];

fn read_source(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    to.parts.network.sources = statement.address(diagnostics).into_iter().collect();
}

fn read_peers(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    for line in &block.statements {
        let word = &line.keyword;
        let Ok(address) = word.text.parse() else {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is not an IP address", word.text))
                    .at(word.span)
                    .help("write the address of a peer on a line of its own"),
            );
            continue;
        };
        if let Some(peer) = read_limits(UnicastPeer::new(address), &line.words, diagnostics) {
            to.parts.network.peers.push(Spanned::new(peer, word.span));
        }
    }
}

/// `[min_ttl N] [max_ttl N]`
fn read_limits(mut peer: UnicastPeer, words: &[Word], diagnostics: &mut Diagnostics) -> Option<UnicastPeer> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let keyword = word.text.as_str();
        if !matches!(keyword, "min_ttl" | "max_ttl") {
            diagnostics.push(
                Diagnostic::error(format!("unknown word `{keyword}` behind a peer"))
                    .at(word.span)
                    .help("write `min_ttl 255`, `max_ttl 255` or nothing; one peer a line"),
            );
            return None;
        }
        let value = words.next();
        let limit = value.and_then(|value| number(&value.text, 0, 255));
        let Some(limit) = limit.and_then(|limit| u8::try_from(limit).ok()) else {
            diagnostics.push(
                Diagnostic::error(format!("`{keyword}` takes a number from 0 to 255"))
                    .at(value.map_or(word.span, |value| value.span))
                    .help(format!("write `{keyword} 255`")),
            );
            return None;
        };
        peer = match keyword {
            "min_ttl" => peer.min_ttl(limit),
            _ => peer.max_ttl(limit),
        };
    }
    Some(peer)
}

/// The lines of a block, each read as a whole.
fn phrases<T>(
    statement: &Statement,
    read: fn(Phrase<'_>, &mut Diagnostics) -> Option<T>,
    diagnostics: &mut Diagnostics,
) -> Vec<Spanned<T>> {
    let Some(block) = body(statement, diagnostics) else {
        return Vec::new();
    };
    let read = |line: &Statement| {
        let words = std::iter::once(&line.keyword).chain(&line.words);
        let words = words.map(|word| Spanned::new(word.text.as_str(), word.span));
        let read = read(Phrase::new(words.collect(), line.span()), diagnostics)?;
        Some(Spanned::new(read, line.span()))
    };
    block.statements.iter().filter_map(read).collect()
}

/// `use_vmac [[name] NAME] [MAC] [netlink_notify_msg] [group GROUP]`
fn read_vmac(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let mut vmac = Vmac::new();
    let vrid = to.parts.vrid.map(|vrid| vrid.value.get());
    let mut words = statement.words.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "name" => match words.next() {
                Some(name) => vmac = vmac.name(name.text.clone()),
                None => diagnostics.push(
                    Diagnostic::error("`name` without a name")
                        .at(word.span)
                        .help("write `use_vmac vrrp51`"),
                ),
            },
            // The kernel's own report is enough here.
            "netlink_notify_msg" => {}
            "group" => {
                let span = words.next().map_or(word.span, |group| word.span.to(group.span));
                diagnostics.push(
                    unsupported::warning("group", "the interface is in the default group").at(span),
                );
            }
            text if text.contains(':') => match parse_mac(text, vrid) {
                Some(mac) => vmac = vmac.mac(mac),
                None => diagnostics.push(
                    Diagnostic::error(format!("`{text}` is not a hardware address"))
                        .at(word.span)
                        .help("write six octets, or five behind `virtual_router_id`, such as `02:00:00:00:00:01`"),
                ),
            },
            name => vmac = vmac.name(name),
        }
    }
    to.parts.network.vmac = Some(Spanned::new(vmac, statement.span()));
}
