//! `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use std::time::Duration;

use vrrp_net::{PreferredLft, Scope, VirtualAddress};

use super::Reader;
use crate::config::instance::parse_broadcast;
use crate::config::toml::parse_net;
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::keywords::Keyword;
use crate::import::lexer::Word;
use crate::import::tree::{Block, Statement};
use crate::import::{body, unsupported};

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("virtual_ipaddress", |statement, to, diagnostics| {
        let addresses = &mut to.parts.addresses;
        addresses.at = Some(statement.keyword.span);
        addresses.advertised.extend(read_block(statement, diagnostics));
    }),
    Keyword::new("virtual_ipaddress_excluded", |statement, to, diagnostics| {
        let addresses = &mut to.parts.addresses;
        addresses.excluded.extend(read_block(statement, diagnostics));
    }),
];

fn read_block(statement: &Statement, diagnostics: &mut Diagnostics) -> Vec<Spanned<VirtualAddress>> {
    let Some(block) = body(statement, diagnostics) else {
        return Vec::new();
    };
    lines(block)
        .into_iter()
        .filter_map(|words| read(&words, diagnostics))
        .collect()
}

/// The lines of a block, each as its words; a block within is not looked into.
fn lines(block: &Block) -> Vec<Vec<&Word>> {
    block
        .statements
        .iter()
        .map(|statement| {
            std::iter::once(&statement.keyword)
                .chain(&statement.words)
                .collect()
        })
        .collect()
}

/// `addr[/len] [dev IF] [label L] …`
fn read(words: &[&Word], diagnostics: &mut Diagnostics) -> Option<Spanned<VirtualAddress>> {
    let first = words[0];
    let Some(net) = parse_net(&first.text) else {
        diagnostics.push(
            Diagnostic::error(format!("`{}` is not an IP address", first.text))
                .at(first.span)
                .help("write `192.0.2.100` or `192.0.2.100/24`"),
        );
        return None;
    };
    let mut address = VirtualAddress::new(net);
    let mut rest = words[1..].iter().copied();
    while let Some(word) = rest.next() {
        address = match word.text.as_str() {
            "home" => address.home(),
            // keepalived turns duplicate address detection off, and this turns it on again.
            "-nodad" => address.dad(true),
            "mngtmpaddr" => address.manage_temp_addr(),
            "noprefixroute" => address.no_prefix_route(),
            "autojoin" => address.autojoin(),
            "no_track" | "use_vmac" => {
                let consequence = match word.text.as_str() {
                    "no_track" => "an address that somebody removes is put back",
                    _ => "the address has its interface's own MAC; `use_vmac` is for the vrrp_instance",
                };
                diagnostics.push(unsupported::warning(&word.text, consequence).at(word.span));
                address
            }
            "track_group" => {
                let span = rest.next().map_or(word.span, |value| word.span.to(value.span));
                diagnostics.push(unsupported::warning("track_group", "it is for static addresses").at(span));
                address
            }
            _ => read_option(address, word, rest.next(), diagnostics)?,
        };
    }
    Some(Spanned::new(address, first.span))
}

/// An option that has a value.
fn read_option(
    address: VirtualAddress,
    option: &Word,
    value: Option<&Word>,
    diagnostics: &mut Diagnostics,
) -> Option<VirtualAddress> {
    let example = match option.text.as_str() {
        "dev" => "eth0",
        "label" => "eth0:1",
        "brd" | "broadcast" => "+",
        "scope" => "link",
        "peer" => "192.0.2.1",
        "preferred_lft" => "forever",
        other => {
            diagnostics.push(
                Diagnostic::error(format!("unknown word `{other}` behind an address"))
                    .at(option.span)
                    .help("write `dev eth0`, `label eth0:1` or nothing; one address a line"),
            );
            return None;
        }
    };
    let help = format!("write `{} {example}`", option.text);
    let Some(value) = value else {
        diagnostics.push(
            Diagnostic::error(format!("`{}` without a value", option.text))
                .at(option.span)
                .help(help),
        );
        return None;
    };
    let text = value.text.as_str();
    let read = match option.text.as_str() {
        "dev" => Some(address.on(text)),
        "label" => Some(address.labelled(text)),
        "scope" => Scope::from_name(text).map(|scope| address.scope(scope)),
        "peer" => parse_net(text).map(|peer| address.peer(peer)),
        "preferred_lft" => preferred_lft(text).map(|preferred| address.preferred_lft(preferred)),
        _ => parse_broadcast(text).map(|broadcast| address.broadcast(broadcast)),
    };
    if read.is_none() {
        diagnostics.push(
            Diagnostic::error(format!("`{text}` is no value of `{}`", option.text))
                .at(value.span)
                .help(help),
        );
    }
    read
}

/// Seconds, or `forever`.
fn preferred_lft(text: &str) -> Option<PreferredLft> {
    match text {
        "forever" => Some(PreferredLft::Forever),
        _ => text.parse().ok().map(Duration::from_secs).map(PreferredLft::For),
    }
}
