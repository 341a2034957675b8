//! Passwords and keys: where they come from, and how they are kept out of what people see.
//!
//! Findings show lines of configuration files on terminals and in journals, where secrets don't belong.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Words whose value is secret: keepalived's, and the TOML keys.
const SECRETS: [&str; 3] = ["auth_pass", "password", "secret"];
/// Largest file that a secret is read from. A key is 64 octets.
const MAX_FILE: u64 = 4096;

/// Where a secret stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// In the configuration file itself.
    Here(String),
    /// In a file of its own, alone. A line break at its end is not part of it.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
}

impl SecretSource {
    /// The secret.
    ///
    /// # Errors
    /// Why it can't be had, without saying anything of what it is.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            Self::Here(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path)
                .map_err(|reason| format!("cannot read a secret from {}: {reason}", path.display())),
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment has no variable {name}"),
                std::env::VarError::NotUnicode(_) => format!("the variable {name} is not UTF-8"),
            }),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A secret never reaches a log.
            Self::Here(_) => f.write_str("Here(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut octets));
    read.map_err(|error| error.to_string())?;
    if octets.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} octets"));
    }
    let text = String::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The text with every octet of a secret's value as `*`, so that all places in it stay where they are.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for secret in SECRETS {
        for (at, _) in text.match_indices(secret) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            mask(&mut masked, value_after(text, at + secret.len()));
        }
    }
    // `key 1 hex:…` of keepalived's auth_hmac.
    for (at, _) in text.match_indices("key") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let id = value_after(text, at + "key".len());
        // `key = "…"`, which somebody took for the word.
        if text[at..id.start].contains('=') {
            mask(&mut masked, id);
            continue;
        }
        let is_id = !id.is_empty() && text[id.clone()].bytes().all(|octet| octet.is_ascii_digit());
        let value = if is_id { value_after(text, id.end) } else { id };
        if is_id && !text[value.clone()].starts_with("file:") {
            mask(&mut masked, value);
        }
    }
    // Whatever the word before it.
    for (at, found) in text.match_indices("hex:") {
        let start = at + found.len();
        let digits = text[start..].bytes().take_while(u8::is_ascii_hexdigit).count();
        mask(&mut masked, start..start + digits);
    }
    masked
}

fn mask(text: &mut Cow<'_, str>, value: std::ops::Range<usize>) {
    if !value.is_empty() {
        let stars: String = text[value.clone()]
            .chars()
            .flat_map(|c| std::iter::repeat_n(if c == '\n' { '\n' } else { '*' }, c.len_utf8()))
            .collect();
        text.to_mut().replace_range(value, &stars);
    }
}

/// Where the value stands that follows a word which ends at `end`; empty where none does.
fn value_after(text: &str, end: usize) -> std::ops::Range<usize> {
    let rest = &text[end..];
    let gap = rest.len() - rest.trim_start_matches([' ', '\t', '=', ':']).len();
    let start = end + gap;
    if gap == 0 {
        return start..start;
    }
    let value = &text[start..];
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inner) = value.strip_prefix(quotes) {
            let len = inner.find(quotes).unwrap_or(inner.len());
            return start + 3..start + 3 + len;
        }
    }
    match value.chars().next() {
        // A table that says where the secret is.
        Some('{') => start..start,
        Some(quote @ ('"' | '\'')) => {
            let inner = &value[1..];
            let len = inner.find([quote, '\n']).unwrap_or(inner.len());
            start + 1..start + 1 + len
        }
        _ => {
            let len = value.find(|c: char| c.is_whitespace() || "{}#!,".contains(c));
            start..start + len.unwrap_or(value.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn values_of_secrets_are_masked_octet_by_octet() {
        for (text, expected) in [
            ("\tauth_pass 1111 ## comment", "\tauth_pass **** ## comment"),
            (
                "authentication { auth_pass abc}",
                "authentication { auth_pass ***}",
            ),
            ("auth_pass \"a b\" # x", "auth_pass \"***\" # x"),
            ("password = \"s3cret\"", "password = \"******\""),
            ("password='s'\nname = \"a\"", "password='*'\nname = \"a\""),
            ("auth_pass ü", "auth_pass **"),
            ("auth_pass \"open", "auth_pass \"****"),
            (
                "password = \"\"\"\nab\ncd\"\"\"",
                "password = \"\"\"\n**\n**\"\"\"",
            ),
            ("secret = \"hex:00\" }", "secret = \"******\" }"),
            ("key = \"abc\"", "key = \"***\""),
            ("secrt = \"hex:00ff\"", "secrt = \"hex:****\""),
            ("  key 1 hex:0001", "  key 1 ********"),
            ("auth_hmac { key 12 \"a b\"", "auth_hmac { key 12 \"***\""),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(text).len(), text.len());
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "auth_pass",
            "auth_pass\n",
            "my_password 1",
            "auth_type PASS",
            "priority = 100",
            "key 1 file:/etc/vrrp.key",
            "active_key 2 x",
            "keys = [{ id = 1, secret_file = \"/etc/vrrp.key\" }]",
            "password = { env = \"VRRP_PASSWORD\" }",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
