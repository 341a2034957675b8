//! Keywords of the network.

use super::{Reader, addresses};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::body;
use crate::import::keywords::Keyword;
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("interface", |statement, to, diagnostics| {
        let word = statement.argument("eth0", diagnostics);
        to.parts.network.interface = word.map(|word| Spanned::new(word.text.clone(), word.span));
    }),
    Keyword::new("mcast_src_ip", read_source),
    Keyword::new("unicast_src_ip", read_source),
    Keyword::new("unicast_peer", read_peers),
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
