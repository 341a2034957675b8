//! The words of one route or rule, each with its place.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Words, read from the first to the last.
#[derive(Clone, Debug)]
pub(crate) struct Phrase<'a> {
    words: Vec<Spanned<&'a str>>,
    next: usize,
    whole: Span,
}

impl<'a> Phrase<'a> {
    /// Takes words, of which `whole` is the place.
    pub(crate) fn new(words: Vec<Spanned<&'a str>>, whole: Span) -> Self {
        Self {
            words,
            next: 0,
            whole,
        }
    }

    /// Cuts the text of a quoted string at `quoted`.
    pub(crate) fn quoted(text: &'a str, quoted: Span) -> Self {
        // A string with escapes is longer in the file than in memory: then only the whole has a place.
        let plain = quoted.end - quoted.start == text.len() + 2;
        let words = text.split_whitespace().map(|word| {
            // A piece of the text.
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let start = quoted.start + 1 + start;
            let place = Span {
                start,
                end: start + word.len(),
                ..quoted
            };
            Spanned::new(word, if plain { place } else { quoted })
        });
        Self::new(words.collect(), quoted)
    }

    /// The place of all of it.
    pub(super) fn whole(&self) -> Span {
        self.whole
    }

    /// The next word, if there is one.
    pub(super) fn next(&mut self) -> Option<Spanned<&'a str>> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// The word behind, which stays.
    pub(super) fn peek(&self) -> Option<Spanned<&'a str>> {
        self.words.get(self.next).copied()
    }

    /// Leaves out the rest: behind a word that isn't known nobody can tell what is meant.
    pub(super) fn end(&mut self) {
        self.next = self.words.len();
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.value == word);
        self.next += usize::from(found);
        found
    }

    /// The value behind a word, as `read` reads it; `what` and `example` say what it should be.
    pub(super) fn value<T>(
        &mut self,
        keyword: Spanned<&str>,
        what: &str,
        example: &str,
        read: impl FnOnce(&str) -> Option<T>,
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        let help = format!("write `{} {example}`", keyword.value);
        let Some(word) = self.next() else {
            diagnostics.push(
                Diagnostic::error(format!("`{}` without a value", keyword.value))
                    .at(keyword.span)
                    .help(help),
            );
            return None;
        };
        let value = read(word.value);
        if value.is_none() {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is not {what}", word.value))
                    .at(word.span)
                    .help(help),
            );
        }
        value
    }

    /// A number of this type, decimal or with `0x`.
    pub(super) fn number<T: TryFrom<u32>>(
        &mut self,
        keyword: Spanned<&str>,
        example: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        let bits = size_of::<T>() * 8;
        let what = format!("a number from 0 to {}", u64::MAX >> (64 - bits));
        self.value(
            keyword,
            &what,
            example,
            |text| T::try_from(number(text)?).ok(),
            diagnostics,
        )
    }

    /// An IP address.
    pub(super) fn address(
        &mut self,
        keyword: Spanned<&str>,
        diagnostics: &mut Diagnostics,
    ) -> Option<IpAddr> {
        self.parsed(keyword, "an IP address", "192.0.2.1", diagnostics)
    }

    /// A network, or a host.
    pub(super) fn network(&mut self, keyword: Spanned<&str>, diagnostics: &mut Diagnostics) -> Option<IpNet> {
        self.value(keyword, "a network", "192.0.2.0/24", network, diagnostics)
    }

    pub(super) fn parsed<T: FromStr>(
        &mut self,
        keyword: Spanned<&str>,
        what: &str,
        example: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        self.value(keyword, what, example, |text| text.parse().ok(), diagnostics)
    }
}

/// `10`, `0xa`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `192.0.2.0/24`, `192.0.2.1`.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(host)
}
