//! Users that scripts run as.

use ha_health::probe::User;

use super::lexer::Word;
use super::tree::Statement;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Names of a user and of a group; without one, the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserName {
    user: String,
    group: Option<String>,
}

impl UserName {
    /// `script_user nobody [[:]nogroup]`.
    pub(super) fn of(statement: &Statement, diagnostics: &mut Diagnostics) -> Option<Spanned<Self>> {
        let name = Self::of_words(&statement.words);
        if name.is_none() {
            statement.argument("nobody", diagnostics);
        }
        name.map(|name| Spanned::new(name.value, statement.span()))
    }

    /// `nobody [[:]nogroup]`; none for no words.
    pub(super) fn of_words(words: &[Word]) -> Option<Spanned<Self>> {
        let user = words.first()?;
        let group = words.get(1);
        let span = group.map_or(user.span, |group| user.span.to(group.span));
        let group = group.map(|group| {
            let name = group.text.strip_prefix(':').unwrap_or(&group.text);
            name.to_owned()
        });
        let user = user.text.clone();
        Some(Spanned::new(Self { user, group }, span))
    }

    /// Their numbers on this host.
    pub(super) fn find(&self, at: Span, diagnostics: &mut Diagnostics) -> Option<User> {
        match User::named(&self.user, self.group.as_deref()) {
            Ok(user) => Some(user),
            Err(error) => {
                diagnostics.push(
                    Diagnostic::error(error.to_string())
                        .at(at)
                        .help("create it, or name another"),
                );
                None
            }
        }
    }
}
