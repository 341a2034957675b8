//! Keywords of blocks, one line each, and what becomes of those that are not read.

use super::tree::{Block, Statement};
use super::unsupported::{self, Unsupported};
use crate::config::suggest::nearest;
use crate::config::{Diagnostic, Diagnostics};

/// A keyword whose statement is read into an `R`.
pub(super) struct Keyword<R> {
    pub(super) name: &'static str,
    /// Name in `global_defs` of the default for all blocks, where there is one.
    pub(super) global: Option<&'static str>,
    pub(super) read: fn(&Statement, &mut R, &mut Diagnostics),
}

impl<R> Keyword<R> {
    pub(super) const fn new(name: &'static str, read: fn(&Statement, &mut R, &mut Diagnostics)) -> Self {
        Self {
            name,
            global: None,
            read,
        }
    }

    /// Names the default for all blocks.
    pub(super) const fn global(self, name: &'static str) -> Self {
        Self {
            global: Some(name),
            ..self
        }
    }
}

/// A kind of block: the keywords that are read in it, and those that nothing is made of.
pub(super) struct Grammar<R: 'static> {
    /// As findings call it.
    pub(super) block: &'static str,
    pub(super) read: &'static [&'static [Keyword<R>]],
    pub(super) unsupported: &'static [Unsupported],
}

impl<R> Grammar<R> {
    /// Reads all statements of a block.
    pub(super) fn read(&self, block: &Block, to: &mut R, diagnostics: &mut Diagnostics) {
        for statement in &block.statements {
            match self.find(&statement.keyword.text) {
                Some(keyword) => (keyword.read)(statement, to, diagnostics),
                None => diagnostics.push(not_read(statement, self.block, self.unsupported, self.names())),
            }
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&'static Keyword<R>> {
        self.keywords().find(|keyword| keyword.name == name)
    }

    /// Keywords that are read.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &'static Keyword<R>> + Clone + use<R> {
        self.read.iter().flat_map(|group| group.iter())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<R> {
        self.keywords().map(|keyword| keyword.name)
    }
}

/// What to say of a statement that is not read.
pub(super) fn not_read(
    statement: &Statement,
    block: &str,
    unsupported: &'static [Unsupported],
    known: impl Iterator<Item = &'static str> + Clone,
) -> Diagnostic {
    let keyword = &statement.keyword;
    match unsupported::find(unsupported, &keyword.text) {
        Some(consequence) => unsupported::warning(&keyword.text, consequence),
        None => unknown(&keyword.text, block, known),
    }
    .at(keyword.span)
}

/// keepalived logs a keyword that it doesn't know, and goes on without it; here a typing error stops the start.
fn unknown(keyword: &str, block: &str, known: impl Iterator<Item = &'static str> + Clone) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown keyword `{keyword}` in {block}"));
    match nearest(keyword, known.clone()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => {
            let known: Vec<&str> = known.collect();
            diagnostic.help(format!("known keywords: {}", known.join(", ")))
        }
    }
}
