//! `authentication`.

use super::{AuthType, Reader};
use crate::config::format::Format;
use crate::config::instance::HmacParts;
use crate::config::secret::SecretSource;
use crate::config::toml::{ANTI_REPLAYS, HMAC_MODES};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::arguments::number;
use crate::import::body;
use crate::import::keywords::{Grammar, Keyword};
use crate::import::tree::Statement;

pub(super) const KEYWORDS: &[Keyword<Reader>] = &[
    Keyword::new("authentication", read),
    Keyword::new("auth_hmac", |statement, to, diagnostics| {
        if let Some(block) = body(statement, diagnostics) {
            let mut parts = HmacParts::default();
            HMAC_BLOCK.read(block, &mut parts, diagnostics);
            to.hmac = parts.build(statement.keyword.span, Format::Keepalived, diagnostics);
        }
    }),
];

/// What may stand in `auth_hmac`.
pub(in crate::import) const HMAC_BLOCK: Grammar<HmacParts> = Grammar {
    block: "auth_hmac",
    read: &[&[
        Keyword::new("key", read_key),
        Keyword::new("active_key", |statement, to, diagnostics| {
            to.active_key = statement.number(1, 255, "1", diagnostics);
        }),
        Keyword::new("mode", |statement, to, diagnostics| {
            to.mode = statement.choice(&HMAC_MODES, diagnostics);
        }),
        Keyword::new("anti_replay", |statement, to, diagnostics| {
            to.anti_replay = statement.choice(&ANTI_REPLAYS, diagnostics);
        }),
        Keyword::new("time_window", |statement, to, diagnostics| {
            to.time_window = statement.seconds(diagnostics);
        }),
    ]],
    unsupported: &[],
};

/// `key 1 hex:…`, `key 1 file:/path`
fn read_key(statement: &Statement, to: &mut HmacParts, diagnostics: &mut Diagnostics) {
    let [id, value] = &statement.words[..] else {
        diagnostics.push(
            Diagnostic::error("`key` takes a number and a secret")
                .at(statement.span())
                .help("write `key 1 hex:…`, or `key 1 file:/path`"),
        );
        return;
    };
    let Some(number) = number(&id.text, 1, 255).and_then(|id| u8::try_from(id).ok()) else {
        diagnostics.push(
            Diagnostic::error(format!("`{}` is not a number from 1 to 255", id.text))
                .at(id.span)
                .help("write `key 1 hex:…`, or `key 1 file:/path`"),
        );
        return;
    };
    let source = match value.text.strip_prefix("file:") {
        Some(path) => SecretSource::File(path.into()),
        None => SecretSource::Here(value.text.clone()),
    };
    to.keys.push(Spanned::new((number, source), statement.span()));
}

pub(in crate::import) const BLOCK: Grammar<Reader> = Grammar {
    block: "authentication",
    read: &[&[
        Keyword::new("auth_type", read_type),
        Keyword::new("auth_pass", |statement, to, diagnostics| {
            let word = statement.argument("1111", diagnostics);
            to.password = word.map(|word| Spanned::new(SecretSource::Here(word.text.clone()), word.span));
        }),
    ]],
    unsupported: &[],
};

fn read(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    BLOCK.read(block, to, diagnostics);
    if let (Some(auth_type), None) = (to.auth_type, &to.password) {
        diagnostics.push(
            Diagnostic::error("auth_type without a password")
                .at(auth_type.span)
                .help("add `auth_pass 1111`, the same on all nodes"),
        );
    }
}

fn read_type(statement: &Statement, to: &mut Reader, diagnostics: &mut Diagnostics) {
    let Some(word) = statement.argument("PASS", diagnostics) else {
        return;
    };
    match word.text.as_str() {
        "PASS" => to.auth_type = Some(Spanned::new(AuthType::Pass, word.span)),
        "AH" => to.auth_type = Some(Spanned::new(AuthType::Ah, word.span)),
        other => diagnostics.push(
            Diagnostic::error(format!("unknown auth_type `{other}`"))
                .at(word.span)
                .help("write `auth_type PASS` or `auth_type AH`"),
        ),
    }
}
