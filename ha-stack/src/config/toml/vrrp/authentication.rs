//! Keys of authentication.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::DeValue;
use vrrp_core::{AntiReplay, AuthenticationConfig, HmacMode};

use crate::config::format::Format;
use crate::config::instance::{Authentication, HmacParts};
use crate::config::secret::SecretSource;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::{Table, Wrong};
use crate::config::toml::values;
use crate::config::{Diagnostic, Spanned};

pub(super) const KEYS: &[Key<Authentication>] = &[
    Key::new(
        "password",
        "1 to 8 characters, or a table that says where they are",
        "Password of version 2, the same on all nodes. Default: none.",
        |table, key, to| {
            let made = read_password(table, key);
            to.authentication = made.or(to.authentication.take());
        },
    ),
    Key::new(
        "auth_type",
        "\"pass\" or \"ah\"",
        "What becomes of the password: it is sent as it is, which anyone on the link can read, or it is the key of keepalived's AH. Default: \"pass\".",
        // Read with the password.
        |table, key, _| {
            let auth_type = table.optional(key, auth_type);
            if let (Some(auth_type), None) = (auth_type, table.raw("password")) {
                table.tell(
                    Diagnostic::error("`auth_type` without a password")
                        .at(auth_type.span)
                        .help("add `password = \"…\"`, the same on all nodes"),
                );
            }
        },
    ),
    Key::new(
        "hmac",
        "table",
        "HMAC of version 3, as keepalived's `auth_hmac`. Default: none.",
        |table, key, to| {
            let Some(made) = read_hmac(table, key) else {
                return;
            };
            if let Some(password) = table.span_of("password") {
                table.tell(
                    Diagnostic::error("`hmac` and `password` in one virtual router")
                        .at(made.span)
                        .also(password, "this is for version 2")
                        .help("leave one of them out"),
                );
            }
            to.authentication = Some(made);
        },
    ),
];

/// Keys of the table of HMAC.
pub(super) const HMAC_KEYS: &[Key<HmacParts>] = &[
    Key::new(
        "keys",
        "array of tables",
        "Keys, the same on all nodes; several while they are changed. Required.",
        |table, key, to| {
            let mut keys = Vec::new();
            table.each(key, |table, value| keys.extend(read_key(table, key, value)));
            to.keys = keys;
        },
    ),
    Key::new(
        "active_key",
        "1 to 255",
        "Number of the key that signs. Default: that of the only key.",
        |table, key, to| to.active_key = table.optional(key, |value| values::integer(value, 1, 255)),
    ),
    Key::new(
        "mode",
        "\"enforce\", \"permissive\" or \"receive-only\"",
        "Signs and accepts signed adverts alone; accepts unsigned ones too; or doesn't sign either. Default: \"enforce\".",
        |table, key, to| to.mode = table.optional(key, |value| values::choice(value, &HMAC_MODES)),
    ),
    Key::new(
        "anti_replay",
        "\"time\" or \"monotonic\"",
        "Whether an advert's time must be within the window, which takes clocks that agree, or its number above the last. Default: \"time\".",
        |table, key, to| to.anti_replay = table.optional(key, |value| values::choice(value, &ANTI_REPLAYS)),
    ),
    Key::new(
        "time_window",
        "time",
        "\"1s\" to \"300s\". Default: three intervals, at least \"5s\".",
        |table, key, to| to.time_window = table.optional(key, values::duration),
    ),
];

const AUTH_TYPES: [(&str, bool); 2] = [("pass", false), ("ah", true)];

/// What `hmac.mode` may be; keepalived's `mode` too.
pub(crate) const HMAC_MODES: [(&str, HmacMode); 3] = [
    ("enforce", HmacMode::Enforce),
    ("permissive", HmacMode::Permissive),
    ("receive-only", HmacMode::ReceiveOnly),
];

/// What `hmac.anti_replay` may be; keepalived's `anti_replay` too.
pub(crate) const ANTI_REPLAYS: [(&str, AntiReplay); 2] =
    [("time", AntiReplay::Time), ("monotonic", AntiReplay::Monotonic)];

/// Whether it is AH.
fn auth_type(value: &DeValue<'_>) -> Result<bool, Wrong> {
    values::choice(value, &AUTH_TYPES)
}

/// What a table says of a key.
#[derive(Debug, Default)]
pub(super) struct KeyParts {
    id: Option<Spanned<u8>>,
    secret: Option<SecretSource>,
}

/// Keys of the table that an HMAC key is.
pub(super) const KEY_KEYS: &[Key<KeyParts>] = &[
    Key::new("id", "1 to 255", "Its number. Required.", |table, key, to| {
        to.id = table.required(key, "1", |value| values::integer(value, 1, 255));
    }),
    Key::new(
        "secret",
        "string",
        "32 to 64 octets: hexadecimal behind `hex:`, or the characters themselves. One of `secret`, `secret_file`, `env`.",
        |table, key, to| {
            let text = table.optional(key, secret);
            to.secret = text
                .map(|text| SecretSource::Here(text.value))
                .or(to.secret.take());
        },
    ),
    Key::new(
        "secret_file",
        "path",
        "File that holds the same. One of `secret`, `secret_file`, `env`.",
        |table, key, to| {
            let path = table.optional(key, values::text);
            to.secret = path
                .map(|path| SecretSource::File(path.value.into()))
                .or(to.secret.take());
        },
    ),
    Key::new(
        "env",
        "name",
        "Variable of the environment that holds the same. One of `secret`, `secret_file`, `env`.",
        |table, key, to| {
            let name = table.optional(key, values::text);
            to.secret = name
                .map(|name| SecretSource::Env(name.value))
                .or(to.secret.take());
        },
    ),
];

fn read_hmac(table: &mut Table<'_, '_>, key: &'static str) -> Option<Spanned<AuthenticationConfig>> {
    let value = table.raw(key)?;
    let parts = table.within(key, value, HMAC_KEYS, |table| {
        let mut parts = HmacParts::default();
        table.read(HMAC_KEYS, &mut parts);
        parts
    })?;
    parts.value.build(parts.span, Format::Toml, table.diagnostics())
}

fn read_key<'i>(
    table: &mut Table<'_, 'i>,
    key: &'static str,
    value: &TomlSpanned<DeValue<'i>>,
) -> Option<Spanned<(u8, SecretSource)>> {
    let parts = table.within(key, value, KEY_KEYS, |table| {
        let mut parts = KeyParts::default();
        table.read(KEY_KEYS, &mut parts);
        parts
    })?;
    let id = parts.value.id?;
    match parts.value.secret {
        Some(source) => Some(Spanned::new((id.value, source), parts.span)),
        None => {
            table.tell(
                Diagnostic::error(format!("HMAC key {} without a secret", id.value))
                    .at(parts.span)
                    .help("add `secret = \"hex:…\"`, `secret_file = \"/path\"` or `env = \"NAME\"`"),
            );
            None
        }
    }
}

/// Keys of the table that a secret may be.
pub(super) const SECRET_KEYS: &[Key<Option<SecretSource>>] = &[
    Key::new(
        "secret_file",
        "path",
        "File that holds the secret alone. One of `secret_file`, `env`.",
        |table, key, to| {
            let path = table.optional(key, values::text);
            *to = path
                .map(|path| SecretSource::File(path.value.into()))
                .or(to.take());
        },
    ),
    Key::new(
        "env",
        "name",
        "Variable of the environment that holds the secret. One of `secret_file`, `env`.",
        |table, key, to| {
            let name = table.optional(key, values::text);
            *to = name.map(|name| SecretSource::Env(name.value)).or(to.take());
        },
    ),
];

fn read_password(table: &mut Table<'_, '_>, key: &'static str) -> Option<Spanned<AuthenticationConfig>> {
    let value = table.raw(key)?;
    let source = read_source(table, key, value)?;
    let ah = table
        .raw("auth_type")
        .is_some_and(|value| auth_type(value.get_ref()) == Ok(true));
    let made = source.value.read().and_then(|password| {
        let made = match ah {
            true => AuthenticationConfig::ah(&password),
            false => AuthenticationConfig::simple(&password),
        };
        made.map_err(|error| error.to_string())
    });
    match made {
        Ok(made) => Some(Spanned::new(made, source.span)),
        Err(error) => {
            table.tell(
                Diagnostic::error(format!("`{key}`: {error}"))
                    .at(source.span)
                    .help("use 1 to 8 ASCII characters, the same on all nodes"),
            );
            None
        }
    }
}

/// A string, or a table that says where it is.
fn read_source<'i>(
    table: &mut Table<'_, 'i>,
    key: &'static str,
    value: &TomlSpanned<DeValue<'i>>,
) -> Option<Spanned<SecretSource>> {
    if !value.get_ref().is_table() {
        let text = table.value(key, value, secret)?;
        return Some(Spanned::new(SecretSource::Here(text.value), text.span));
    }
    let source = table.within(key, value, SECRET_KEYS, |table| {
        let mut source = None;
        table.read(SECRET_KEYS, &mut source);
        source
    })?;
    match source.value {
        Some(found) => Some(Spanned::new(found, source.span)),
        None => {
            table.tell(
                Diagnostic::error(format!("`{key}` without a secret"))
                    .at(source.span)
                    .help("write a string, `{ secret_file = \"/path\" }` or `{ env = \"NAME\" }`"),
            );
            None
        }
    }
}

fn secret(value: &DeValue<'_>) -> Result<String, Wrong> {
    match value {
        // A password of digits alone is easily written without quotes. It is not repeated here.
        DeValue::Integer(_) => Err(Wrong::new("a number", "write it in quotes")),
        _ => values::text(value),
    }
}
