//! Passwords in excerpts of configuration files: findings go to terminals and journals, where they don't belong.

use std::borrow::Cow;

/// Words whose value is secret: keepalived's, and the TOML key.
const SECRETS: [&str; 2] = ["auth_pass", "password"];

/// The text with every octet of a secret's value as `*`, so that all places in it stay where they are.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for secret in SECRETS {
        for (at, _) in text.match_indices(secret) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let value = value_after(text, at + secret.len());
            if !value.is_empty() {
                let stars = "*".repeat(value.len());
                masked.to_mut().replace_range(value, &stars);
            }
        }
    }
    masked
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
    match value.chars().next() {
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
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
