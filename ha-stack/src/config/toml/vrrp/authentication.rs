//! Keys of authentication.

use ::toml::de::DeValue;
use vrrp_core::AuthenticationConfig;

use crate::config::instance::Authentication;
use crate::config::toml::keys::Key;
use crate::config::toml::reader::Wrong;
use crate::config::toml::values;

pub(super) const KEYS: &[Key<Authentication>] = &[Key::new(
    "password",
    "1 to 8 characters",
    "Password of version 2, the same on all nodes; anyone on the link can read it. Default: none.",
    |table, key, to| to.authentication = table.optional(key, password),
)];

fn password(value: &DeValue<'_>) -> Result<AuthenticationConfig, Wrong> {
    let text = match value {
        // A password of digits alone is easily written without quotes.
        DeValue::Integer(number) => {
            let help = format!("write \"{}\", in quotes", number.as_str());
            return Err(Wrong::new("a number", help));
        }
        _ => values::text(value)?,
    };
    AuthenticationConfig::simple(&text).map_err(|error| {
        Wrong::new(
            error.to_string(),
            "use 1 to 8 ASCII characters, the same on all nodes",
        )
    })
}
