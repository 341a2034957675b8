//! Keys of authentication.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::DeValue;
use vrrp_core::AuthenticationConfig;

use crate::config::instance::Authentication;
use crate::config::secret::SecretSource;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::{Table, Wrong};
use crate::config::toml::values;
use crate::config::{Diagnostic, Spanned};

pub(super) const KEYS: &[Key<Authentication>] = &[Key::new(
    "password",
    "1 to 8 characters, or a table that says where they are",
    "Password of version 2, the same on all nodes; anyone on the link can read it. Default: none.",
    |table, key, to| to.authentication = read_password(table, key),
)];

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
    let made = source
        .value
        .read()
        .and_then(|password| AuthenticationConfig::simple(&password).map_err(|error| error.to_string()));
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
