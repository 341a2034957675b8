//! Keywords of the network.

use vrrp_net::Vmac;

use super::{Reader, addresses};
use crate::config::mac::parse_mac;
use crate::config::routing::{Phrase, route, rule};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::keywords::Keyword;
use crate::import::tree::Statement;
use crate::import::{body, unsupported};

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("interface", |statement, to, diagnostics| {
        let word = statement.argument("eth0", diagnostics);
        to.parts.network.interface = word.map(|word| Spanned::new(word.text.clone(), word.span));
    }),
    Keyword::new("mcast_src_ip", read_source),
    Keyword::new("unicast_src_ip", read_source),
    Keyword::new("unicast_peer", read_peers),
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
    for peer in addresses::lines(block) {
        let word = peer[0];
        match word.text.parse() {
            Ok(address) => to.parts.network.peers.push(Spanned::new(address, word.span)),
            Err(_) => diagnostics.push(
                Diagnostic::error(format!("`{}` is not an IP address", word.text))
                    .at(word.span)
                    .help("write the address of a peer on a line of its own"),
            ),
        }
    }
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
