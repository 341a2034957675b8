//! `authentication`.

use super::Reader;
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::body;
use crate::import::keywords::{Grammar, Keyword};
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[Keyword::new("authentication", read)];

pub(in crate::import) const BLOCK: Grammar<Reader> = Grammar {
    block: "authentication",
    read: &[&[
        Keyword::new("auth_type", read_type),
        Keyword::new("auth_pass", |statement, to, diagnostics| {
            let word = statement.argument("1111", diagnostics);
            to.password = word.map(|word| Spanned::new(word.text.clone(), word.span));
        }),
    ]],
    unsupported: &[],
};

fn read(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    BLOCK.read(block, to, diagnostics);
    if let (Some(at), None) = (to.pass, &to.password) {
        diagnostics.push(
            Diagnostic::error("auth_type PASS without a password")
                .at(at)
                .help("add `auth_pass 1111`, the same on all nodes"),
        );
    }
}

fn read_type(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(word) = statement.argument("PASS", diagnostics) else {
        return;
    };
    match word.text.as_str() {
        "PASS" => to.pass = Some(word.span),
        "AH" => diagnostics.push(
            Diagnostic::error("auth_type AH is not supported")
                .at(word.span)
                .help("write `auth_type PASS` on all nodes; it is no protection either, anyone on the link can read it"),
        ),
        other => diagnostics.push(
            Diagnostic::error(format!("unknown auth_type `{other}`"))
                .at(word.span)
                .help("write `auth_type PASS`"),
        ),
    }
}
