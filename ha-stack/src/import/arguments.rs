//! The words behind a keyword, with what to write when they are not what they must be.

use std::net::IpAddr;
use std::time::Duration;

use ha_health::Weight;

use super::lexer::Word;
use super::tree::Statement;
use crate::config::toml::parse_duration;
use crate::config::{Diagnostic, Diagnostics, Spanned};

impl Statement {
    /// The one word behind the keyword. More words than one are told, and ignored as keepalived does.
    pub(super) fn argument(&self, example: &str, diagnostics: &mut Diagnostics) -> Option<&Word> {
        let keyword = &self.keyword.text;
        let Some(word) = self.words.first() else {
            diagnostics.push(
                Diagnostic::error(format!("`{keyword}` without a value"))
                    .at(self.keyword.span)
                    .help(format!("write `{keyword} {example}`")),
            );
            return None;
        };
        if let Some(more) = self.words.get(1) {
            diagnostics.push(
                Diagnostic::warning(format!("`{keyword}` takes one value; `{}` is ignored", more.text))
                    .at(more.span)
                    .help("a comment begins with `#` or `!`"),
            );
        }
        Some(word)
    }

    /// A whole number within bounds; `example` is what could stand there.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        min: i64,
        max: i64,
        example: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let word = self.argument(example, diagnostics)?;
        let number = number(&word.text, min, max).and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is not a number from {min} to {max}", word.text))
                    .at(word.span)
                    .help(format!("write `{} {example}`", self.keyword.text)),
            );
        }
        number.map(|number| Spanned::new(number, word.span))
    }

    /// A switch: on without a word.
    pub(super) fn switch(&self, diagnostics: &mut Diagnostics) -> Option<Spanned<bool>> {
        let Some(word) = self.words.first() else {
            return Some(Spanned::new(true, self.keyword.span));
        };
        let on = match word.text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" => true,
            "off" | "false" | "no" => false,
            _ => {
                diagnostics.push(
                    Diagnostic::error(format!("`{}` is neither on nor off", word.text))
                        .at(word.span)
                        .help(format!(
                            "write `{0} on`, `{0} off`, or `{0}` alone for on",
                            self.keyword.text
                        )),
                );
                return None;
            }
        };
        Some(Spanned::new(on, word.span))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        choices: &[(&'static str, T)],
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let word = self.argument(choices[0].0, diagnostics)?;
        let found = choices.iter().find(|(name, _)| *name == word.text);
        if found.is_none() {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("`{} {name}`", self.keyword.text))
                .collect();
            diagnostics.push(
                Diagnostic::error(format!("unknown {} `{}`", self.keyword.text, word.text))
                    .at(word.span)
                    .help(format!("write {}", names.join(" or "))),
            );
        }
        found.map(|(_, choice)| Spanned::new(*choice, word.span))
    }

    /// Seconds, with a fraction or without.
    pub(super) fn seconds(&self, diagnostics: &mut Diagnostics) -> Option<Spanned<Duration>> {
        let word = self.argument("1", diagnostics)?;
        let seconds = parse_duration(&format!("{}s", word.text));
        if seconds.is_none() {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is not a number of seconds", word.text))
                    .at(word.span)
                    .help(format!(
                        "write `{} 1`, or with a fraction `{0} 0.5`",
                        self.keyword.text
                    )),
            );
        }
        seconds.map(|seconds| Spanned::new(seconds, word.span))
    }

    /// An IP address.
    pub(super) fn address(&self, diagnostics: &mut Diagnostics) -> Option<Spanned<IpAddr>> {
        let word = self.argument("192.0.2.10", diagnostics)?;
        let address = word.text.parse().ok();
        if address.is_none() {
            diagnostics.push(
                Diagnostic::error(format!("`{}` is not an IP address", word.text))
                    .at(word.span)
                    .help(format!("write `{} 192.0.2.10`", self.keyword.text)),
            );
        }
        address.map(|address| Spanned::new(address, word.span))
    }
}

pub(super) fn number(text: &str, min: i64, max: i64) -> Option<i64> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

/// `weight N [reverse]` behind the name of something tracked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrackOptions {
    pub(super) weight: Option<Spanned<Weight>>,
    pub(super) reverse: bool,
}

/// Weights are within plus or minus `limit`.
pub(super) fn track_options(words: &[Word], limit: i64, diagnostics: &mut Diagnostics) -> TrackOptions {
    let mut options = TrackOptions::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "weight" => {
                let value = rest.next();
                options.weight = value.and_then(|value| weight_within(value, limit, diagnostics));
            }
            "reverse" => options.reverse = true,
            "noreverse" => options.reverse = false,
            other => diagnostics.push(
                Diagnostic::error(format!("unknown word `{other}`"))
                    .at(word.span)
                    .help("write `weight -20`, `weight -20 reverse` or nothing"),
            ),
        }
    }
    options
}

pub(super) fn weight_within(
    word: &Word,
    limit: i64,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Weight>> {
    let weight = number(&word.text, -limit, limit).and_then(|number| i32::try_from(number).ok());
    let weight = weight.and_then(|weight| Weight::of_file(weight).ok());
    if weight.is_none() {
        diagnostics.push(
            Diagnostic::error(format!(
                "`{}` is not a weight from -{limit} to {limit}",
                word.text
            ))
            .at(word.span)
            .help("write `weight -20`"),
        );
    }
    weight.map(|weight| Spanned::new(weight, word.span))
}
