//! `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use vrrp_net::VirtualAddress;

use super::Reader;
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
pub(super) fn lines(block: &Block) -> Vec<Vec<&Word>> {
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
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "dev" | "label" => {
                let Some(value) = rest.next() else {
                    diagnostics.push(
                        Diagnostic::error(format!("`{}` without a name", word.text))
                            .at(word.span)
                            .help(format!("write `{} eth0`", word.text)),
                    );
                    return None;
                };
                address = match word.text.as_str() {
                    "dev" => address.on(value.text.clone()),
                    _ => address.labelled(value.text.clone()),
                };
            }
            "brd" | "broadcast" | "scope" | "peer" | "preferred_lft" | "track_group" | "use_vmac" => {
                let value = rest.next();
                let span = value.map_or(word.span, |value| word.span.to(value.span));
                diagnostics.push(unsupported::warning(&word.text, "the kernel's default applies").at(span));
            }
            "home" | "-nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" => {
                diagnostics
                    .push(unsupported::warning(&word.text, "the kernel's default applies").at(word.span));
            }
            other => {
                diagnostics.push(
                    Diagnostic::error(format!("unknown word `{other}` behind an address"))
                        .at(word.span)
                        .help("write `dev eth0`, `label eth0:1` or nothing; one address a line"),
                );
                return None;
            }
        }
    }
    Some(Spanned::new(address, first.span))
}
