//! Users that scripts run as.

use nix::unistd::{Gid, Group, Uid, User};

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
        let Some(user) = statement.words.first() else {
            statement.argument("nobody", diagnostics);
            return None;
        };
        let group = statement.words.get(1).map(|group| {
            let name = group.text.strip_prefix(':').unwrap_or(&group.text);
            name.to_owned()
        });
        let user = user.text.clone();
        Some(Spanned::new(Self { user, group }, statement.span()))
    }

    /// Their numbers on this host.
    pub(super) fn find(&self, at: Span, diagnostics: &mut Diagnostics) -> Option<(Uid, Gid)> {
        let mut missing = |what: &str, name: &str| {
            diagnostics.push(
                Diagnostic::error(format!("there is no {what} `{name}` on this host"))
                    .at(at)
                    .help("create it, or name another"),
            );
        };
        let Some(found) = User::from_name(&self.user).ok().flatten() else {
            missing("user", &self.user);
            return None;
        };
        let Some(group) = &self.group else {
            return Some((found.uid, found.gid));
        };
        match Group::from_name(group).ok().flatten() {
            Some(group) => Some((found.uid, group.gid)),
            None => {
                missing("group", group);
                None
            }
        }
    }
}
