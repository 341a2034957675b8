//! Keywords of what is tracked.

use super::Reader;
use crate::config::instance::{InterfaceDraft, TrackDraft, Tracking};
use crate::config::{Diagnostics, Spanned};
use crate::import::arguments::{TrackOptions, track_options};
use crate::import::body;
use crate::import::keywords::Keyword;
use crate::import::lexer::Word;
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("track_script", |statement, to, diagnostics| {
        read_checks(statement, 253, &mut to.parts.tracking, diagnostics);
    }),
    Keyword::new("track_process", |statement, to, diagnostics| {
        read_checks(statement, 254, &mut to.parts.tracking, diagnostics);
    }),
    Keyword::new("track_file", |statement, to, diagnostics| {
        read_checks(statement, 254, &mut to.parts.tracking, diagnostics);
    }),
    Keyword::new("track_interface", |statement, to, diagnostics| {
        read_interfaces(statement, &mut to.parts.tracking, diagnostics);
    }),
];

/// Checks of any kind: scripts, processes, files.
pub(in crate::import) fn read_checks(
    statement: &Statement,
    limit: i64,
    to: &mut Tracking,
    diagnostics: &mut Diagnostics,
) {
    let tracked = tracked(statement, limit, diagnostics);
    to.checks.extend(tracked.map(|(name, options)| TrackDraft {
        check: Spanned::new(name.text.clone(), name.span),
        weight: options.weight,
        reverse: options.reverse,
    }));
}

pub(in crate::import) fn read_interfaces(
    statement: &Statement,
    to: &mut Tracking,
    diagnostics: &mut Diagnostics,
) {
    let tracked = tracked(statement, 253, diagnostics);
    to.interfaces
        .extend(tracked.map(|(name, options)| InterfaceDraft {
            interface: Spanned::new(name.text.clone(), name.span),
            weight: options.weight.map(|weight| weight.value).unwrap_or_default(),
            reverse: options.reverse,
        }));
}

/// The names in a block, one a line, each with its weight.
fn tracked<'a>(
    statement: &'a Statement,
    limit: i64,
    diagnostics: &mut Diagnostics,
) -> impl Iterator<Item = (&'a Word, TrackOptions)> {
    let block = body(statement, diagnostics);
    let lines = block.into_iter().flat_map(|block| &block.statements);
    lines.map(move |line| (&line.keyword, track_options(&line.words, limit, diagnostics)))
}
