//! Keywords of what is tracked.

use super::Reader;
use crate::config::instance::{InterfaceDraft, TrackDraft};
use crate::config::{Diagnostics, Spanned};
use crate::import::arguments::{TrackOptions, track_options};
use crate::import::body;
use crate::import::keywords::Keyword;
use crate::import::lexer::Word;
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("track_script", |statement, to, diagnostics| {
        let tracked = tracked(statement, diagnostics);
        to.parts
            .tracking
            .checks
            .extend(tracked.map(|(name, options)| TrackDraft {
                check: Spanned::new(name.text.clone(), name.span),
                weight: options.weight,
                reverse: options.reverse,
            }));
    }),
    Keyword::new("track_interface", |statement, to, diagnostics| {
        let tracked = tracked(statement, diagnostics);
        to.parts
            .tracking
            .interfaces
            .extend(tracked.map(|(name, options)| InterfaceDraft {
                interface: Spanned::new(name.text.clone(), name.span),
                weight: options.weight.map(|weight| weight.value).unwrap_or_default(),
                reverse: options.reverse,
            }));
    }),
];

/// The names in a block, one a line, each with its weight.
fn tracked<'a>(
    statement: &'a Statement,
    diagnostics: &mut Diagnostics,
) -> impl Iterator<Item = (&'a Word, TrackOptions)> {
    let block = body(statement, diagnostics);
    block
        .into_iter()
        .flat_map(|block| &block.statements)
        .map(|line| (&line.keyword, track_options(&line.words, diagnostics)))
}
